"""Plain data: which values may cross all the way down, and how they show in a panic's text."""

from __future__ import annotations

from typing import Any

from runtimes.python.bus import crosses
from sandbox.values import INT_MAX, INT_MIN, MAX_DEPTH


def is_plain(value: Any, depth: int = 1) -> bool:
    """Whether `value` and all in it cross as they are."""
    kind = type(value)
    if kind is int:
        return bool(INT_MIN <= value <= INT_MAX)
    if kind is dict:
        return depth < MAX_DEPTH and all(
            type(key) is str and is_plain(item, depth + 1) for key, item in value.items()
        )
    if kind is list or kind is tuple:
        return depth < MAX_DEPTH and all(is_plain(item, depth + 1) for item in value)
    return crosses(value)


def shown(value: Any, depth: int = 1) -> str:
    """A value inside the text of a panic, as the other languages show it: `[1, "a", true]`."""
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if depth > 8 or kind not in (list, tuple, dict):
        return str(value)
    if kind is dict:
        pairs = sorted((str(key), shown(item, depth + 1)) for key, item in value.items())
        return "{" + ", ".join(f"{key}: {item}" for key, item in pairs) + "}"
    return "[" + ", ".join(shown(item, depth + 1) for item in value) + "]"
