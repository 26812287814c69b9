"""Event buses of one sandbox, one per host and the global one, joined with the engine's.

The Python twin of the Lua runtime's bus, with the same semantics (Prosody's util.events): one
map per event keyed by function, higher priority first, equal ones in the order they were added,
the handler list fixed when firing starts, the first result that is not None stops the chain.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from sandbox.values import Char, GuestError, Stanza

Handler: TypeAlias = Callable[[Any], Any]
Fire: TypeAlias = Callable[[str, Any], Any]
Wrapper: TypeAlias = Callable[[Fire, str, Any], Any]
Changed: TypeAlias = Callable[[str, list[float], bool], None]
Ask: TypeAlias = Callable[..., Any]

_EVERY: Final = ""


class Bus:
    """One host's events.  `changed` is told of each change of an event's priorities, and whether
    it has wrappers; `ask` is the way to the engine, for handlers in other sandboxes."""

    def __init__(
        self, host: str, changed: Changed, ask: Ask, is_host_function: Callable[[Any], bool]
    ) -> None:
        self._host = host
        self._changed = changed
        self._ask = ask
        self._is_host_function = is_host_function
        self._handlers: dict[str, dict[Handler, tuple[float, int]]] = {}
        self._sorted: dict[str, list[tuple[float, Handler]]] = {}
        self._wrappers: dict[str, list[Wrapper]] = {}
        # Priorities of other sandboxes by event; absent until asked for.
        self._foreign: dict[str, list[float]] = {}
        self._order = 0

    def add_handler(self, event: str, handler: Handler, priority: float = 0) -> None:
        """Call `handler(data)` when `event` is fired; adding it again changes its priority."""
        if type(event) is not str or not 0 < len(event.encode("utf-8", "replace")) <= 1024:
            raise ValueError("an event's name is a text of 1 to 1024 bytes")
        if type(priority) not in (int, float, type(None)) or not math.isfinite(priority or 0):
            raise ValueError("an event handler's priority is a finite number")
        self._order += 1
        self._handlers.setdefault(event, {})[handler] = (-(priority or 0), self._order)
        self._rebuild(event)

    def remove_handler(self, event: str, handler: Handler) -> None:
        """Forget a handler; unknown ones are fine."""
        if self._handlers.get(event, {}).pop(handler, None) is not None:
            self._rebuild(event)

    def _rebuild(self, event: str) -> None:
        # By (priority, order): the order numbers differ, so no two handlers are ever compared.
        entries = sorted((key, handler) for handler, key in self._handlers[event].items())
        if entries:
            self._sorted[event] = [(-key[0], handler) for key, handler in entries]
        else:
            del self._handlers[event]
            self._sorted.pop(event, None)
        self._tell(event)

    def _tell(self, event: str) -> None:
        priorities = dict.fromkeys(priority for priority, _ in self._sorted.get(event, ()))
        self._changed(event, list(priorities), bool(self._wrappers.get(event)))

    def add_wrapper(self, event: str, wrapper: Wrapper) -> None:
        """Have `wrapper(next, event, data)` called around an event; the last is outermost."""
        self._wrappers.setdefault(event or _EVERY, []).append(wrapper)
        if event:
            self._tell(event)

    def remove_wrapper(self, event: str, wrapper: Wrapper) -> None:
        """Forget a wrapper; unknown ones are fine."""
        wrappers = self._wrappers.get(event or _EVERY, [])
        if wrapper in wrappers:
            wrappers.remove(wrapper)
            if event:
                self._tell(event)

    def run(
        self, event: str, data: Any, high: float | None = None, low: float | None = None
    ) -> Any:
        """Run this sandbox's handlers whose priority is within [low, high]."""
        for priority, handler in self._sorted.get(event, ()):
            if (high is None or priority <= high) and (low is None or priority >= low):
                result = handler(data)
                if result is not None:
                    return result
        return None

    def fire(self, event: str, data: Any) -> Any:
        """Fire an event: wrappers, our handlers and those of other sandboxes."""
        chain: Fire = self._fire
        for wrapper in (*self._wrappers.get(_EVERY, ()), *self._wrappers.get(event, ())):
            chain = _wrapped(wrapper, chain)
        return chain(event, data)

    def _fire(self, event: str, data: Any) -> Any:
        foreign = self._foreign.get(event)
        if foreign is None:
            foreign = self._ask("event.listeners", self._host, event) or []
            self._foreign[event] = foreign
        if not foreign:
            return self.run(event, data)
        for mine, high, low in self._segments(event, foreign):
            if mine:
                result = self.run(event, data, high, low)
            else:
                sent = self.portable(data)
                _, result, got = self._ask("event.fire", self._host, event, sent, high, low)
                take_changes(data, sent, got)
            if result is not None:
                return result
        return None

    def portable(self, data: Any, depth: int = 0) -> Any:
        """A copy of `data` without what cannot cross: a plugin's own objects stay with it."""
        if depth > 32:
            return None
        kind = type(data)
        if kind in shows:
            return shows[kind](data)
        if kind is dict:
            copied = {
                key: self.portable(value, depth + 1)
                for key, value in data.items()
                if type(key) is str
            }
            return {
                key: value
                for key, value in copied.items()
                if value is not None or data[key] is None
            }
        if kind in (list, tuple):
            return [self.portable(value, depth + 1) for value in data]
        return data if crosses(data) or self._is_host_function(data) else None

    def _segments(self, event: str, foreign: list[float]) -> list[tuple[bool, float, float]]:
        """Runs of priorities, highest first; at equal priority ours come first."""
        ours = [(priority, True) for priority, _ in self._sorted.get(event, ())]
        both = sorted(ours + [(p, False) for p in foreign], key=lambda at: (-at[0], not at[1]))
        runs: list[tuple[bool, float, float]] = []
        for priority, mine in both:
            if runs and runs[-1][0] == mine:
                runs[-1] = (mine, runs[-1][1], priority)
            else:
                runs.append((mine, priority, priority))
        return runs

    def listeners_changed(self, event: str, priorities: list[float]) -> None:
        """The engine tells who else listens now."""
        if event in self._foreign:
            self._foreign[event] = priorities


def _wrapped(wrapper: Wrapper, inner: Fire) -> Fire:
    return lambda event, data: wrapper(inner, event, data)


shows: Final[dict[type, Callable[[Any], Any]]] = {}
"""How objects of ours cross where they are part of an event's data."""


def take_changes(data: Any, sent: Any, got: Any) -> None:
    """Bring what other sandboxes made of `sent` into `data`, which our handlers share.

    `got` is what came back.  What could not cross stays as it is.
    """
    if type(data) is dict and type(sent) is dict and type(got) is dict:
        for key, value in got.items():
            if not _taken(data.get(key), sent.get(key), value):
                data[key] = value
        for key in sent.keys() - got.keys():
            data.pop(key, None)
    elif type(data) is list and type(sent) is list and type(got) is list:
        for index, value in enumerate(got[: len(data)]):
            if not _taken(data[index], sent[index], value):
                data[index] = value
        data[len(got) :] = got[len(data) :]


def _taken(own: Any, sent: Any, got: Any) -> bool:
    """Whether a container, or a value that did not change, needs no assignment."""
    if type(own) is type(sent) is type(got) and type(own) in (dict, list):
        take_changes(own, sent, got)
        return True
    return type(sent) is type(got) and bool(sent == got)


_KINDS: Final = frozenset(
    {type(None), bool, int, float, str, bytes, Char, GuestError, Stanza, datetime.datetime}
)


def crosses(value: Any) -> bool:
    """Whether a single value, not a list or map, is of a kind that crosses."""
    return type(value) in _KINDS
