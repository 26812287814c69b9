"""Who listens to what: the buses of all sandboxes joined into one order.

Each sandbox has its own buses and tells at which priorities its handlers for an event sit.
Firing an event runs the sandboxes' handlers by priority, highest first; at equal priority the
sandbox that listened first.  One sandbox alone, the usual case, is one call.
"""

from __future__ import annotations

import math
from typing import Any, Final

from sandbox.engine.sandbox import Sandbox
from sandbox.errors import PluginError

MAX_EVENTS: Final = 10_000
"""Events that one sandbox may listen to."""

MAX_WRAPPED: Final = 100
"""Events that one sandbox may wrap."""

_MAX_NAME: Final = 1024
_MAX_PRIORITIES: Final = 1000

Segment = tuple[Sandbox, float, float]
"""A sandbox, and the highest and lowest priority of its handlers to run in one go."""


class Routes:
    """The table of listeners."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], dict[Sandbox, tuple[float, ...]]] = {}
        self._alone: dict[tuple[str, str], Sandbox | bool] = {}
        self._events: dict[Sandbox, set[tuple[str, str]]] = {}
        self._wrapping: dict[tuple[str, str], dict[Sandbox, None]] = {}
        self._watchers: dict[tuple[str, str], set[Sandbox]] = {}
        self._watched: dict[Sandbox, set[tuple[str, str]]] = {}

    def listen(
        self, sandbox: Sandbox, host: Any, event: Any, priorities: Any, wraps: Any = False
    ) -> None:
        """Take what a worker says of its handlers; an empty list means none any more.  `wraps`
        says that it has wrappers around the event.

        Raises `PluginError` for anything malformed: it comes from a worker.
        """
        if (
            not isinstance(host, str)
            or not isinstance(event, str)
            or len(host) > _MAX_NAME
            or not 0 < len(event) <= _MAX_NAME
            or not isinstance(priorities, list)
            or len(priorities) > _MAX_PRIORITIES
            or not isinstance(wraps, bool)
            or not all(type(p) in (int, float) and math.isfinite(p) for p in priorities)
        ):
            raise PluginError("malformed list of event handlers", plugin=sandbox.name)
        key = (host, event)
        own = self._events.setdefault(sandbox, set())
        self._wrap(sandbox, key, wraps)
        if priorities:
            if key not in own and len(own) >= MAX_EVENTS:
                raise PluginError(f"listens to more than {MAX_EVENTS} events", plugin=sandbox.name)
            own.add(key)
            ordered = tuple(sorted(map(float, priorities), reverse=True))
            self._routes.setdefault(key, {})[sandbox] = ordered
            self._recount(key)
        else:
            self._drop(sandbox, key)

    def _wrap(self, sandbox: Sandbox, key: tuple[str, str], wraps: bool) -> None:
        wrapping = self._wrapping.get(key, {})
        if wraps and sandbox not in wrapping:
            if sum(sandbox in others for others in self._wrapping.values()) >= MAX_WRAPPED:
                raise PluginError(f"wraps more than {MAX_WRAPPED} events", plugin=sandbox.name)
            self._wrapping.setdefault(key, {})[sandbox] = None
        elif not wraps and sandbox in wrapping:
            del wrapping[sandbox]
            if not wrapping:
                del self._wrapping[key]
        self._recount(key)

    def _drop(self, sandbox: Sandbox, key: tuple[str, str]) -> None:
        self._events.get(sandbox, set()).discard(key)
        listeners = self._routes.get(key, {})
        listeners.pop(sandbox, None)
        if not listeners:
            self._routes.pop(key, None)
        self._recount(key)

    def forget(self, sandbox: Sandbox) -> list[tuple[str, str]]:
        """A sandbox is gone; returns the (host, event) pairs it listened to."""
        keys = list(self._events.pop(sandbox, ()))
        for key in keys:
            self._drop(sandbox, key)
        for key in [key for key, wrapping in self._wrapping.items() if sandbox in wrapping]:
            self._wrap(sandbox, key, False)
        for key in self._watched.pop(sandbox, ()):
            self._watchers[key].discard(sandbox)
            if not self._watchers[key]:
                del self._watchers[key]
        return keys

    def _recount(self, key: tuple[str, str]) -> None:
        """Keep `alone` right after a change: it is asked for every event, the rest seldom."""
        listeners, wrapping = self._routes.get(key), self._wrapping.get(key)
        if wrapping:
            self._alone[key] = next(iter(wrapping))
        elif not listeners:
            self._alone.pop(key, None)
        else:
            self._alone[key] = next(iter(listeners)) if len(listeners) == 1 else True

    def alone(self, host: str, event: str) -> Sandbox | bool | None:
        """The only sandbox that needs to be asked; None when nobody listens; True when there are
        several.  One that wraps the event is asked alone: inside its wrappers it asks the rest."""
        return self._alone.get((host, event))

    def segments(
        self,
        host: str,
        event: str,
        *,
        without: Sandbox | None = None,
        high: float = math.inf,
        low: float = -math.inf,
    ) -> list[Segment]:
        """The sandboxes to visit, in order, for priorities within [low, high]."""
        entries = [
            (-priority, order, sandbox)
            for order, (sandbox, priorities) in enumerate(
                self._routes.get((host, event), {}).items()
            )
            if sandbox is not without
            for priority in priorities
            if low <= priority <= high
        ]
        entries.sort(key=lambda entry: entry[:2])
        visits: list[Segment] = []
        for negative, _, sandbox in entries:
            if visits and visits[-1][0] is sandbox:
                visits[-1] = (sandbox, visits[-1][1], -negative)
            else:
                visits.append((sandbox, -negative, -negative))
        return visits

    def priorities_elsewhere(self, sandbox: Sandbox, host: str, event: str) -> list[float]:
        """At which priorities others than `sandbox` listen, highest first, each once."""
        others = {
            priority
            for other, priorities in self._routes.get((host, event), {}).items()
            if other is not sandbox
            for priority in priorities
        }
        return sorted(others, reverse=True)

    def watch(self, sandbox: Sandbox, host: str, event: str) -> None:
        """From now on `sandbox` is told when others begin or cease to listen.

        Raises `PluginError` beyond the caps: the names come from a worker.
        """
        key, own = (host, event), self._watched.setdefault(sandbox, set())
        if max(len(host), len(event)) > _MAX_NAME or (key not in own and len(own) >= MAX_EVENTS):
            raise PluginError("asks for too many events, or by too long names", plugin=sandbox.name)
        own.add(key)
        self._watchers.setdefault(key, set()).add(sandbox)

    def watchers(self, host: str, event: str) -> list[Sandbox]:
        """The sandboxes to tell of a change."""
        return list(self._watchers.get((host, event), ()))
