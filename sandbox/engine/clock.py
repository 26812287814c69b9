"""Time for timers, injectable: the real clock, and one that tests move by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the engine's timers read."""

    def monotonic(self) -> float:
        """Seconds that only grow; timers are due by it."""

    def time(self) -> float:
        """Seconds since 1970, as timer callbacks are told."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def time(self) -> float:
        """See `Clock`."""
        return time.time()


class ManualClock:
    """A clock that stands still until `advance`; with it an engine never waits by itself."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass.  Call the engine's `run_timers` to run what became due."""
        self._now += seconds

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._now

    def time(self) -> float:
        """See `Clock`."""
        return self._now
