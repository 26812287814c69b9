"""Opening files in folders that strangers fill: never outside of them, and without waiting.

A name in a plugin's folder may be a symbolic link to anywhere, or a pipe that nobody writes to.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""How to open what may be a pipe: without waiting for somebody to write to it."""

_STEP: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LeadsOut(OSError):
    """A symbolic link on the way leads out of the folder."""


def open_below(path: Path, folder: Path) -> int:
    """A descriptor to read `path` by.

    Where its links lead is found out first; the way there is then walked name by name, and at
    none of them is a link followed.  Raises `OSError` when it leads out of `folder` (`LeadsOut`)
    or has changed meanwhile.
    """
    base = os.path.realpath(folder)
    real = Path(os.path.realpath(path))
    if real == Path(base) or not real.is_relative_to(base):
        raise LeadsOut(errno.EXDEV, "it leads out of its folder")
    *steps, name = real.relative_to(base).parts
    at = os.open(base, _STEP)
    try:
        for step in steps:
            following = os.open(step, _STEP, dir_fd=at)
            os.close(at)
            at = following
        return os.open(name, READ | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)
