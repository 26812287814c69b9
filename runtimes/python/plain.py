"""Which values are plain data all the way down, and so may cross."""

from __future__ import annotations

from typing import Any

from runtimes.python.bus import crosses
from sandbox.values import INT_MAX, INT_MIN, MAX_DEPTH


def is_plain(value: Any, depth: int = 1) -> bool:
    """Whether `value` and all in it cross as they are."""
    kind = type(value)
    if kind is int:
        return INT_MIN <= value <= INT_MAX
    if kind is dict:
        return depth < MAX_DEPTH and all(
            type(key) is str and is_plain(item, depth + 1) for key, item in value.items()
        )
    if kind is list or kind is tuple:
        return depth < MAX_DEPTH and all(is_plain(item, depth + 1) for item in value)
    return crosses(value)
