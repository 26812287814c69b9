"""What was read from disk, kept for as long as nothing there has changed.

A value is kept with a stamp of every file and folder it was made from, and each use compares
them, which costs one system call each: a tenth of finding and reading the files again.  A
folder's stamp stands for the names in it, so what is not there needs none of its own.

Two changes within one tick of the kernel's clock give one time of change.  As with git's index,
therefore, nothing is kept that changed a moment before it was looked at.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

SETTLED_SECONDS: Final = 2.0
"""How long ago a change must be; two seconds is the coarsest clock of a file system (FAT)."""

Look = tuple[str, tuple[int, ...]]
"""A path and its stamp."""


def _stamp(path: str) -> tuple[int, ...]:
    """What changes when the file or folder does, or another takes its place, a symbolic link
    perhaps; empty when nothing can be found there.

    The time of change (ctime) covers the content, its size and its time as well.  It is the
    kernel's: nobody can set it.
    """
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # a null character is a ValueError
        return ()
    return found.st_ctime_ns, found.st_ino, found.st_dev


def look(path: str | os.PathLike[str]) -> Look:
    """See how a path is now."""
    where = os.fspath(path)
    return where, _stamp(where)


class Unchanged(Generic[K, T]):
    """Values by key, at most `entries` of them and `room` bytes; the least used goes first."""

    def __init__(self, entries: int, room: int) -> None:
        self._entries = entries
        self._room = room
        self._size = 0
        self._kept: OrderedDict[K, tuple[T, tuple[Look, ...], int]] = OrderedDict()

    def get(self, key: K) -> T | None:
        """The value, unless it is not kept or anything that it was made from has changed."""
        found = self._kept.get(key)
        if found is None:
            return None
        for path, stamp in found[1]:
            if _stamp(path) != stamp:
                self.forget(key)
                return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, value: T, made_from: Iterable[Look], size: int) -> None:
        """Keep a value of `size` bytes, which was read after `made_from` was looked at."""
        looks = tuple(made_from)
        settled = (time.time() - SETTLED_SECONDS) * 1e9
        if size > self._room or any(stamp and stamp[0] > settled for _, stamp in looks):
            return
        self.forget(key)
        self._kept[key] = value, looks, size
        self._size += size
        while self._size > self._room or len(self._kept) > self._entries:
            self.forget(next(iter(self._kept)))

    def forget(self, key: K) -> None:
        """Keep the value of `key` no longer, if it was."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._size -= found[2]
