"""Event buses of one sandbox, one per host and the global one, joined with the engine's.

The Python twin of the Lua runtime's bus, with the same semantics (Prosody's util.events): one
map per event keyed by function, higher priority first, equal ones in the order they were added,
the handler list fixed when firing starts, the first result that is not None stops the chain.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from sandbox.values import Char, GuestError, Stanza

Handler: TypeAlias = Callable[[Any], Any]
Fire: TypeAlias = Callable[[str, Any], Any]
Wrapper: TypeAlias = Callable[[Fire, str, Any], Any]
Changed: TypeAlias = Callable[[str, list[float]], None]
Ask: TypeAlias = Callable[..., Any]

_EVERY: Final = ""


class Bus:
    """One host's events.  `changed` is told of each change of an event's priorities; `ask` is
    the way to the engine, for handlers in other sandboxes."""

    def __init__(self, host: str, changed: Changed, ask: Ask) -> None:
        self._host = host
        self._changed = changed
        self._ask = ask
        self._handlers: dict[str, dict[Handler, tuple[float, int]]] = {}
        self._sorted: dict[str, list[tuple[float, Handler]]] = {}
        self._wrappers: dict[str, list[Wrapper]] = {}
        # Priorities of other sandboxes by event; absent until asked for.
        self._foreign: dict[str, list[float]] = {}
        self._order = 0

    def add_handler(self, event: str, handler: Handler, priority: float = 0) -> None:
        """Call `handler(data)` when `event` is fired; adding it again changes its priority."""
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
        priorities = dict.fromkeys(-key[0] for key, _ in entries)
        self._changed(event, list(priorities))

    def add_wrapper(self, event: str, wrapper: Wrapper) -> None:
        """Have `wrapper(next, event, data)` called around an event; the last is outermost."""
        self._wrappers.setdefault(event or _EVERY, []).append(wrapper)

    def remove_wrapper(self, event: str, wrapper: Wrapper) -> None:
        """Forget a wrapper; unknown ones are fine."""
        wrappers = self._wrappers.get(event or _EVERY, [])
        if wrapper in wrappers:
            wrappers.remove(wrapper)

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
        for wrapper in (*self._wrappers.get(event, ()), *self._wrappers.get(_EVERY, ())):
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
                result = self._ask("event.fire", self._host, event, portable(data), high, low)
            if result is not None:
                return result
        return None

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


def portable(data: Any, depth: int = 0) -> Any:
    """A copy of `data` without what cannot cross: a plugin's own objects stay with it."""
    if depth > 32:
        return None
    if type(data) is dict:
        return {key: portable(value, depth + 1) for key, value in data.items() if type(key) is str}
    if type(data) in (list, tuple):
        return [portable(value, depth + 1) for value in data]
    return data if crosses(data) else None


_KINDS: Final = frozenset(
    {type(None), bool, int, float, str, bytes, Char, GuestError, Stanza, datetime.datetime}
)


def crosses(value: Any) -> bool:
    """Whether a single value, not a list or map, is of a kind that crosses."""
    return type(value) in _KINDS
