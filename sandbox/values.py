"""Values that cross the border between an engine and a plugin, and their caps.

Plain data is `Value`: None, booleans, 64-bit integers, floats, text, bytes, lists and maps with
text keys.  The few other kinds are the small classes below.  How a value becomes bytes is the
codec's business (`wire/codec.py`), how it looks inside a language is the runtime's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

MAX_DEPTH: Final = 64
"""How deep lists and maps may nest, on both sides."""

MAX_CONTAINERS: Final = 32_768
"""How many lists and maps one message may hold."""

MAX_ENTRIES: Final = 131_072
"""How many elements one message may hold in all; one map may hold a quarter of it."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

Value: TypeAlias = Any
"""Anything of the kinds above.  `Any`, because checking is the codec's job, at the border."""


class Char(int):
    """One character of a language that has them as a type of their own; an int, its code."""


@dataclass(frozen=True, slots=True)
class GuestError:
    """An error that a plugin returned as a value rather than raising it; holds its value."""

    value: Value


@dataclass(slots=True)
class Stanza:
    """An XMPP stanza or any XML element (RFC 6120): name, attributes, children in order.

    `attr` may hold `xmlns`; `children` holds texts and further stanzas.
    """

    name: str
    attr: dict[str, str] = field(default_factory=dict)
    children: list[Stanza | str] = field(default_factory=list)

    def tags(self) -> Iterator[Stanza]:
        """The children that are elements."""
        return (child for child in self.children if isinstance(child, Stanza))

    def get_child(self, name: str, xmlns: str | None = None) -> Stanza | None:
        """The first child element of that name and namespace (default: this element's)."""
        wanted = xmlns if xmlns is not None else self.attr.get("xmlns")
        for child in self.tags():
            if child.name == name and child.attr.get("xmlns", self.attr.get("xmlns")) == wanted:
                return child
        return None

    def text(self) -> str:
        """The concatenated text children."""
        return "".join(child for child in self.children if isinstance(child, str))


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function of the embedder inside data sent to a plugin, as the wire shows it.

    Embedders pass plain callables; the engine turns each into a numbered handle, so that no
    object ever crosses.  Seen only between engine and codec.
    """

    handle: int


@dataclass(frozen=True)
class GuestFunction:
    """A function of a plugin inside data that the plugin gave out, such as an item's handler.

    Calling it runs the function in the plugin's sandbox, under its limits.  With an
    `AsyncEngine` the call returns an awaitable.  It is void once the sandbox is gone.
    """

    handle: int
    invoke: Callable[..., Value] | None = field(default=None, compare=False, repr=False)

    def __call__(self, *args: Value) -> Value:
        """Run the function with plain data; raises what any call of the plugin can raise."""
        if self.invoke is None:
            raise TypeError("this plugin function is not bound to an engine")
        return self.invoke(*args)


def text_map(value: object) -> Mapping[str, Value]:
    """`value` when it is a map with text keys, else an empty one: for foreign bytes."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    return {}
