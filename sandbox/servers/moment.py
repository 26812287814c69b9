"""What is still under way after a moment: one timer for everything, not one for each.

Nearly every answer is there within a moment, and a timer of its own would cost it more than the
two entries in a set that this takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

SECONDS: Final = 0.05
"""What is added is called back after at least this long, and at most twice as long."""


class Moment:
    """Callables that are called once, a moment after `add`, unless `discard` comes before."""

    def __init__(self) -> None:
        self._new: set[Callable[[], None]] = set()
        self._old: set[Callable[[], None]] = set()
        self._armed = False

    def add(self, late: Callable[[], None]) -> None:
        """Call `late` in a moment, from the running loop."""
        self._new.add(late)
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(SECONDS, self._tick)

    def discard(self, late: Callable[[], None]) -> None:
        """It is over: do not call `late`.  Safe to call again, and after it was called."""
        self._new.discard(late)
        self._old.discard(late)

    def _tick(self) -> None:
        due, self._old, self._new = self._old, self._new, set()
        self._armed = bool(self._old)
        if self._armed:
            asyncio.get_running_loop().call_later(SECONDS, self._tick)
        for late in due:
            late()
