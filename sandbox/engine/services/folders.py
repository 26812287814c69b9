"""Opening and writing files beneath a folder, never outside of it.

Every step is taken relative to an open folder and follows no symbolic link, so what a path means
cannot change between a check and its use (the portable form of openat2's RESOLVE_BENEATH and
RESOLVE_NO_SYMLINKS; names with dot segments never come here).  Only regular files are opened:
a FIFO or a device could make a reader wait or do something.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from typing import Final

TEMPORARY: Final = ".~"
"""How the names of files begin that are being written.  What begins so and is not being written
was left behind by a process that died."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotRegular(OSError):
    """What is there is no regular file: a link, a FIFO, a socket, a device."""


class TooLarge(OSError):
    """The file is larger than it may be."""


@contextlib.contextmanager
def folder(path: str, *, create: bool = False) -> Iterator[int]:
    """A folder that the operator named, as a descriptor; links in the path are the operator's."""
    if create:
        os.makedirs(path, mode=0o700, exist_ok=True)
    with _closing(os.open(path, _DIRECTORY)) as descriptor:
        yield descriptor


@contextlib.contextmanager
def beneath(start: int, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """The folder at `parts` below the open folder `start`.  Raises `OSError`.

    With `create`, missing folders are made.
    """
    here = os.dup(start)
    try:
        for part in parts:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=here)
            inner = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def read_file(where: int, name: str, largest: int) -> bytes:
    """The bytes of a regular file.  Raises `OSError`, `NotRegular`, `TooLarge`."""
    _check(os.stat(name, dir_fd=where, follow_symlinks=False))
    with _closing(os.open(name, _READ, dir_fd=where)) as descriptor:
        # Another thing may have taken its place since; opening that did nothing, it is let go.
        _check(os.fstat(descriptor))
        pieces = []
        left = largest + 1
        while left and (piece := os.read(descriptor, min(left, 2**20))):
            pieces.append(piece)
            left -= len(piece)
    if not left:
        raise TooLarge(errno.EFBIG, os.strerror(errno.EFBIG))
    return b"".join(pieces)


def _check(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular(errno.EINVAL, "it is not a regular file")


def write_file(where: int, name: str, data: bytes) -> None:
    """Write a whole file or nothing: a reader sees the old one or the new one.  Raises `OSError`.

    The bytes are on the disk before the name points to them, so that this holds after a power
    failure too.
    """
    temporary = TEMPORARY + secrets.token_hex(8)
    with _closing(os.open(temporary, _WRITE, 0o600, dir_fd=where)) as descriptor:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=where, dst_dir_fd=where)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=where)
            raise
    os.fsync(where)


def entries(where: int, depth: int) -> Iterator[tuple[int, str, os.stat_result]]:
    """Everything below an open folder: the folder it is in, its name and its status.

    What is deeper than `depth` is left out, and so is what vanishes meanwhile.
    """
    with os.scandir(where) as found:
        names = [entry.name for entry in found]
    for name in names:
        try:
            status = os.stat(name, dir_fd=where, follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield where, name, status
        if stat.S_ISDIR(status.st_mode) and depth > 0:
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                beneath(where, [name]) as inner,
            ):
                yield from entries(inner, depth - 1)


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
