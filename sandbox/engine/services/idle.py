"""Connections kept open between calls (RFC 9112 section 9.3).

A connection is kept for one plugin and one origin: what a plugin does to a connection, or a
server says on it, never meets another plugin.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

MAX_IDLE: Final = 64
"""Connections kept in all; the one unused for longest goes first."""

MAX_EACH: Final = 4
"""Connections kept for one plugin and one origin."""

MAX_AGE: Final = 30.0
"""Seconds a connection is kept unused; servers hang up after 5 to 75."""

Key: TypeAlias = tuple[str, str, str, int]
"""Plugin, scheme, host, port."""


class Closable(Protocol):
    """A connection, as far as this file cares."""

    def close(self) -> None:
        """Close it, for good."""


C = TypeVar("C", bound=Closable)


class Idle(Generic[C]):
    """The connections that nobody uses now.  Thread-safe; closes what it drops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[Key, C, float]] = OrderedDict()
        self._closed = False

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, key: Key) -> C | None:
        """The connection of `key` used last, which is the caller's from now on; or None."""
        with self._lock:
            stale = self._pop_stale()
            found = next((i for i, kept in reversed(self._kept.items()) if kept[0] == key), None)
            line = None if found is None else self._kept.pop(found)[1]
        _close(stale)
        return line

    def put(self, key: Key, line: C) -> None:
        """Keep a connection on which nothing is under way."""
        with self._lock:
            dropped = self._pop_stale()
            if self._closed:
                dropped.append(line)
            else:
                self._kept[id(line)] = key, line, time.monotonic()
                same = [i for i, kept in self._kept.items() if kept[0] == key]
                if len(same) > MAX_EACH:
                    dropped.append(self._kept.pop(same[0])[1])
                if len(self._kept) > MAX_IDLE:
                    dropped.append(self._kept.popitem(last=False)[1][1])
        _close(dropped)

    def forget(self, plugin: str) -> None:
        """Close the connections of one plugin."""
        with self._lock:
            theirs = [i for i, kept in self._kept.items() if kept[0][0] == plugin]
            dropped = [self._kept.pop(i)[1] for i in theirs]
        _close(dropped)

    def close(self) -> None:
        """Close all, and whatever is put here later."""
        with self._lock:
            self._closed = True
            dropped = [line for _, line, _ in self._kept.values()]
            self._kept.clear()
        _close(dropped)

    def _pop_stale(self) -> list[C]:
        oldest = time.monotonic() - MAX_AGE
        stale = [i for i, kept in self._kept.items() if kept[2] < oldest]
        return [self._kept.pop(i)[1] for i in stale]


def _close(lines: list[C]) -> None:
    for line in lines:
        line.close()
