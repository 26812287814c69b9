"""What was found out in one iteration of the event loop, for those who ask again within it.

Whatever waits to be handled in an iteration had come before it began.  So an answer that was found
since is no older than any of the questions, and a busy server asks once where it would have asked
for each of twenty clients that came together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Iteration(Generic[K, T]):
    """Values by key; they are forgotten when the iteration is over."""

    def __init__(self) -> None:
        self._found: dict[K, T] = {}

    def get(self, key: K) -> T | None:
        """What was put there in this iteration, or None."""
        return self._found.get(key)

    def put(self, key: K, value: T) -> None:
        """Keep `value` until what came later than now is looked at."""
        if not self._found:
            # Callbacks run in the order in which they were added, and before those of sockets
            # that became ready meanwhile.
            asyncio.get_running_loop().call_soon(self._found.clear)
        self._found[key] = value
