"""Opening files in folders that strangers fill: never outside of them, and without waiting.

A name in a plugin's folder may be a symbolic link to anywhere, or a pipe that nobody writes to.
What was looked at by its name may be something else by the time it is opened; so what counts is
what was opened.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""How to open what may be a pipe: without waiting for somebody to write to it."""

_STEP: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LeadsOut(OSError):
    """A symbolic link on the way leads out of the folder."""


class NotRegular(OSError):
    """What is there is no regular file, but a folder, a pipe, a socket or a device."""


GONE: Final = (FileNotFoundError, NotADirectoryError, LeadsOut, NotRegular)
"""What `open_file` raises where there is no file that could be served."""


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


def open_file(path: Path, folder: Path | None = None) -> int:
    """A descriptor of a regular file, below `folder` if that is given (see `open_below`).

    Raises `OSError`, `NotRegular` for anything else.
    """
    try:
        number = open_below(path, folder) if folder else os.open(path, READ)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        # A link that came there just now, or links that lead to each other; a socket.
        raise NotRegular(errno.EINVAL, "it is not a regular file") from None
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    raise NotRegular(errno.EINVAL, "it is not a regular file")


def read_file(path: Path, most: int, folder: Path | None = None) -> bytes:
    """The bytes of a regular file: all of them, or one more than `most` where it is longer.

    Raises as `open_file` does.
    """
    with open(open_file(path, folder), "rb") as file:
        return file.read(most + 1)
