"""Timers of plugins: which are due when.  Does not wait; the engines do, by their own means."""

from __future__ import annotations

import heapq
import math
from typing import Any, Final

from sandbox.engine.sandbox import Sandbox
from sandbox.errors import PluginError

MAX_TIMERS: Final = 1000
"""Timers that one sandbox may have set at a time."""

_MAX_DELAY: Final = 10 * 365 * 86400.0


def checked_delay(delay: Any) -> float:
    """A delay in seconds; raises `PluginError` for one that is no finite, positive number."""
    if type(delay) not in (int, float) or not math.isfinite(delay) or delay > _MAX_DELAY:
        raise PluginError("a timer's delay is a number of seconds, at most ten years")
    return max(float(delay), 0.0)


class Timers:
    """All timers of one engine, by due time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Sandbox, int]] = []
        self._valid: dict[Sandbox, dict[int, int]] = {}
        self._count = 0
        self._room = MAX_TIMERS

    def add(self, sandbox: Sandbox, number: int, due: float) -> None:
        """Set the plugin's timer `number`, or move it.  Raises `PluginError` beyond the cap."""
        own = self._valid.setdefault(sandbox, {})
        if number not in own and len(own) >= MAX_TIMERS:
            raise PluginError(f"a plugin may set {MAX_TIMERS} timers at a time")
        self._count += 1
        own[number] = self._count
        heapq.heappush(self._heap, (due, self._count, sandbox, number))
        if len(self._heap) > self._room:
            self._sweep()

    def _sweep(self) -> None:
        """Drop what was moved or cancelled: a timer moved for ever must not fill the heap."""
        self._heap = [
            entry for entry in self._heap if self._valid.get(entry[2], {}).get(entry[3]) == entry[1]
        ]
        heapq.heapify(self._heap)
        self._room = max(2 * len(self._heap), MAX_TIMERS)

    def cancel(self, sandbox: Sandbox, number: int) -> None:
        """Forget one timer; unknown ones are fine."""
        self._valid.get(sandbox, {}).pop(number, None)

    def forget(self, sandbox: Sandbox) -> None:
        """Forget every timer of a sandbox that is gone."""
        self._valid.pop(sandbox, None)

    def next_due(self) -> float | None:
        """When the next timer is due, or None when none is set."""
        while self._heap:
            due, order, sandbox, number = self._heap[0]
            if self._valid.get(sandbox, {}).get(number) == order:
                return due
            heapq.heappop(self._heap)
        return None

    def mark(self) -> int:
        """The number of timers set so far; see `pop_due`."""
        return self._count

    def pop_due(self, now: float, mark: int) -> tuple[Sandbox, int] | None:
        """Take the next timer that is due at `now`, if any.

        Those set after `mark` wait for the next pass: a timer without delay that sets itself
        again must not keep its engine busy for ever.
        """
        due = self.next_due()
        if due is None or due > now or self._heap[0][1] > mark:
            return None
        _, _, sandbox, number = heapq.heappop(self._heap)
        del self._valid[sandbox][number]
        return sandbox, number
