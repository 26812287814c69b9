"""What a plugin may reach: the grammar of capabilities, and who was granted which.

A capability is a word, or a word with a subject after a colon: `timer`, `memory`, `file:rw`,
`http:api.example.org`.  `Policy` answers one question, `allows(plugin, kind, capability)`.
It does not enforce: host functions are refused where the engine serves them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sandbox.errors import ConfigurationError

CAPABILITIES: Final = {
    "timer": "call the plugin back after a delay",
    "memory": "keep a value per plugin between requests",
    "file": "read and write files in the plugin's own folder",
    "http": "make HTTP requests: to every public address, or to the subject, a host name, an "
    "address or a network, with an optional port",
}
"""The words a capability may begin with, and what each one opens."""

BASE: Final[Mapping[str, frozenset[str]]] = {
    "module": frozenset({"timer"}),
    "script": frozenset({"memory", "file", "http"}),
    "code": frozenset(),
}
"""What the documents of the plugin kinds give every plugin of that kind, where it reaches
nothing private: Prosody's modules may set timers, ServeMSX's scripts may keep a value in
`memory`, files in their own folder, and make HTTP requests to public addresses.  Bare code may
do nothing but compute and print."""

EVERYONE: Final = "*"
"""Stands for every plugin where others stand for themselves."""

_NOTHING: Final[frozenset[str]] = frozenset()
_CAPABILITY: Final = re.compile(r"[a-z]+(?::[A-Za-z0-9*._\-\[\]:/]{1,261})?", re.ASCII)


def parse_capability(text: str) -> str:
    """`text` itself when it is a well-formed, known capability; else `ConfigurationError`."""
    if not isinstance(text, str) or not _CAPABILITY.fullmatch(text):
        raise ConfigurationError(f"capability: cannot read {text!r}; write it like 'timer'")
    word = text.partition(":")[0]
    if word not in CAPABILITIES:
        raise ConfigurationError(
            f"capability: {text!r} is unknown; there are {', '.join(sorted(CAPABILITIES))}"
        )
    return text


def parse_withheld(text: str) -> str:
    """`text` itself when it can be withheld: a word of `BASE`.  Else `ConfigurationError`.

    The base gives whole words, so that there is no part of one to take away.
    """
    words = frozenset[str]().union(*BASE.values())
    if not isinstance(text, str) or text not in words:
        raise ConfigurationError(
            f"withheld: cannot withhold {text!r}; there are {', '.join(sorted(words))}"
        )
    return text


def covers(granted: str, wanted: str) -> bool:
    """Whether the grant `granted` opens `wanted`: equal, or without a subject (all of it)."""
    return granted == wanted or (":" not in granted and wanted.startswith(granted + ":"))


class Policy:
    """Grants of an operator.

    `Policy("timer", "memory")` grants to every plugin; `plugins={"radio": ["http:a.example"]}`
    adds grants for one.  What the documents give every plugin of a kind (`BASE`) is given unless
    it is withheld: `withheld={"radio": ["http"], "*": ["file"]}` withholds `http` from one plugin
    and `file` from all, `base=False` everything, so that nothing is granted unless named.  What
    is granted by name is granted, withheld or not.  Immutable.
    """

    __slots__ = ("_base", "_everyone", "_plugins", "_withheld")

    def __init__(
        self,
        *grants: str,
        plugins: Mapping[str, Iterable[str]] | None = None,
        base: bool = True,
        withheld: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._everyone = frozenset(map(parse_capability, grants))
        self._plugins = {
            name: frozenset(map(parse_capability, given)) for name, given in (plugins or {}).items()
        }
        self._base = base
        self._withheld = {
            name: frozenset(map(parse_withheld, words)) for name, words in (withheld or {}).items()
        }

    def grants(self, plugin: str, kind: str) -> frozenset[str]:
        """Every capability granted to `plugin`; `kind` is `module`, `script` or `code`."""
        return self.base(plugin, kind) | self._everyone | self._plugins.get(plugin, _NOTHING)

    def base(self, plugin: str, kind: str) -> frozenset[str]:
        """What `plugin` may do because every plugin of its kind may, less what is withheld."""
        if not self._base:
            return _NOTHING
        if not self._withheld:
            return BASE[kind]
        withheld = self._withheld.get(EVERYONE, _NOTHING) | self._withheld.get(plugin, _NOTHING)
        return BASE[kind] - withheld

    def everyone(self) -> frozenset[str]:
        """What was granted by name to every plugin."""
        return self._everyone

    def own(self, plugin: str) -> frozenset[str]:
        """What was granted by name to `plugin` alone."""
        return self._plugins.get(plugin, _NOTHING)

    def allows(self, plugin: str, kind: str, capability: str) -> bool:
        """Whether `plugin`, run as `kind`, may use `capability`."""
        return any(covers(granted, capability) for granted in self.grants(plugin, kind))

    def adding(self, *grants: str, plugins: Mapping[str, Iterable[str]] | None = None) -> Policy:
        """This policy with more grants, for every plugin and for some; what it withholds stays
        withheld."""
        given = {name: frozenset(some) for name, some in (plugins or {}).items()}
        merged = {
            name: self._plugins.get(name, frozenset()) | given.get(name, frozenset())
            for name in {*self._plugins, *given}
        }
        return Policy(
            *self._everyone, *grants, plugins=merged, base=self._base, withheld=self._withheld
        )

    def named(self) -> frozenset[str]:
        """Every capability that was granted by name, to anybody."""
        return self._everyone.union(*self._plugins.values())

    def opens(self, plugin: str, kind: str, word: str) -> bool:
        """Whether `plugin`, run as `kind`, was granted anything under a capability's word; of
        which subjects is asked where they are known."""
        return any(granted.partition(":")[0] == word for granted in self.grants(plugin, kind))

    def __repr__(self) -> str:
        return (
            f"Policy({sorted(self._everyone)}, plugins={_sorted(self._plugins)}, "
            f"base={self._base}, withheld={_sorted(self._withheld)})"
        )


def _sorted(some: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    return {name: sorted(words) for name, words in some.items()}
