"""How deep a program may nest, and room on Python's stack to walk one that does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MAX_DEPTH: Final = 1000
"""Nested expressions and blocks, together.  The original has no bound but its process's memory."""

_FRAMES: Final = 40 * MAX_DEPTH


@contextmanager
def room_for_depth() -> Iterator[None]:
    """Let Python recurse as deep as a tree of `MAX_DEPTH` needs; the old limit comes back."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
