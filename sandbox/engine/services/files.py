"""Files of plugins: each has a folder of its own, with a quota, laid over the plugin's folder.

A plugin reads what it wrote, else what it was installed with; it never writes to the latter, so
that no plugin can change its own code.  Every operation is complete or did not happen.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from typing import Final

from sandbox.engine.services.folders import (
    TEMPORARY,
    NotRegular,
    TooLarge,
    beneath,
    entries,
    folder,
    read_file,
    write_file,
)
from sandbox.engine.services.plain_names import plain_name
from sandbox.errors import LimitExceeded, PluginError
from sandbox.limits import MIB

MAX_NAME: Final = 1024
"""Longest name of a file in bytes, folders included; a part of it may have 255."""

MAX_DEPTH: Final = 16
"""Most parts of a name."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def split_name(name: str) -> list[str]:
    """The parts of a file's name.  Raises `PluginError` when it is not a plain relative path.

    A leading slash means the plugin's folder, as in ServeMSX.
    """
    if not isinstance(name, str) or not name:
        raise PluginError("file: the name must be text, and not empty")
    shown = name[:100]
    if _CONTROL.search(name):
        raise PluginError(f"file: {shown!r} holds characters that no name may hold")
    parts = name.removeprefix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise PluginError(f"file: {shown!r} is not a plain path below the plugin's folder")
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > 255 or sum(sizes) + len(sizes) > MAX_NAME or len(parts) > MAX_DEPTH:
        raise PluginError(f"file: the name {shown!r}... is too long or too deep")
    if any(part.startswith(TEMPORARY) for part in parts):
        raise PluginError(f"file: names must not begin with {TEMPORARY!r}, like {shown!r}")
    return parts


class Files:
    """The files of all plugins, below `data_root`, which is made when it is first needed.

    `quota` is in bytes, for all files of one plugin; `max_files` counts its files and folders;
    `max_read` is the largest file that is read, in bytes.  Safe to use from many threads, and by
    several processes at once.  Errors are `PluginError`s that name the plugin's file only.
    """

    def __init__(
        self,
        data_root: str | os.PathLike[str],
        *,
        quota: int = 16 * MIB,
        max_files: int = 1000,
        max_read: int = 16 * MIB,
    ) -> None:
        self._root = os.fspath(data_root)
        self._quota = quota
        self._max_files = max_files
        self._max_read = max_read

    def read(
        self, plugin: str, name: str, overlay: str | os.PathLike[str] | None = None
    ) -> bytes | None:
        """The file's bytes; None when there is none.

        `overlay` is the folder the plugin was installed in, where the file may be instead.
        """
        parts = split_name(name)
        own = plain_name(plugin)
        with self._explained(plugin, name, "read"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return self._read(self._root, [own, *parts])
            if overlay is not None:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    return self._read(os.fspath(overlay), parts)
        return None

    def write(self, plugin: str, name: str, data: bytes) -> None:
        """Make or replace a file; missing folders of its name are made.

        Raises `LimitExceeded` beyond the quota; what was there stays.
        """
        parts = split_name(name)
        with self._explained(plugin, name, "written"), self._locked(plugin) as home:
            self._check_room(plugin, home, parts, len(data))
            with beneath(home, parts[:-1], create=True) as where:
                # Renaming over a folder fails by itself; over a link or a FIFO it replaces it.
                write_file(where, parts[-1], data)

    def remove(self, plugin: str, name: str) -> bool:
        """Remove a file that the plugin wrote; whether there was one.

        Folders that this leaves empty go too.  A file the plugin was installed with stays.
        """
        parts = split_name(name)
        with self._explained(plugin, name, "removed"), self._locked(plugin) as home:
            try:
                with beneath(home, parts[:-1]) as where:
                    if stat.S_ISDIR(os.lstat(parts[-1], dir_fd=where).st_mode):
                        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                    os.unlink(parts[-1], dir_fd=where)
                    os.fsync(where)
            except (FileNotFoundError, NotADirectoryError):
                return False
            for end in range(len(parts) - 1, 0, -1):
                with contextlib.suppress(OSError), beneath(home, parts[: end - 1]) as where:
                    os.rmdir(parts[end - 1], dir_fd=where)
        return True

    def size(self, plugin: str) -> int:
        """Bytes of all files that the plugin keeps."""
        own = plain_name(plugin)
        with (
            self._explained(plugin, "", "measured"),
            contextlib.suppress(FileNotFoundError),
            folder(self._root) as root,
            beneath(root, [own]) as home,
        ):
            return sum(_weight(status) for _, _, status in entries(home, MAX_DEPTH))
        return 0

    # ------------------------------------------------------------------ inside

    def _read(self, start: str, parts: list[str]) -> bytes:
        with folder(start) as top, beneath(top, parts[:-1]) as where:
            return read_file(where, parts[-1], self._max_read)

    @contextlib.contextmanager
    def _locked(self, plugin: str) -> Iterator[int]:
        """The plugin's own folder, for this caller alone, as a descriptor.

        The kernel's lock also keeps other processes out, and ends with the process that holds it.
        """
        own = plain_name(plugin)
        with folder(self._root, create=True) as root, beneath(root, [own], create=True) as home:
            fcntl.flock(home, fcntl.LOCK_EX)
            yield home

    def _check_room(self, plugin: str, home: int, parts: list[str], size: int) -> None:
        """Raise when a file of `size` bytes at `parts` would be too much: `LimitExceeded` for
        bytes, `PluginError` for the number of files.

        What was left behind by an interrupted write is removed: under the lock nobody writes.
        """
        used = count = 0
        for where, name, status in entries(home, MAX_DEPTH):
            if name.startswith(TEMPORARY) and stat.S_ISREG(status.st_mode):
                os.unlink(name, dir_fd=where)
                continue
            used += _weight(status)
            count += 1
        replaced, missing = self._replaced(home, parts)
        wanted = used - replaced + size
        if wanted > self._quota:
            raise LimitExceeded("storage", allowed=self._quota, used=wanted, plugin=plugin)
        if count + missing > self._max_files:
            raise PluginError(
                f"file: {count + missing} files and folders are more than {self._max_files}",
                plugin=plugin,
            )

    @staticmethod
    def _replaced(home: int, parts: list[str]) -> tuple[int, int]:
        """Bytes of the file that is there now, and how many entries a write would add."""
        for end in range(1, len(parts) + 1):
            try:
                with beneath(home, parts[: end - 1]) as where:
                    status = os.lstat(parts[end - 1], dir_fd=where)
            except FileNotFoundError:
                return 0, len(parts) - end + 1
        return _weight(status), 0

    @contextlib.contextmanager
    def _explained(self, plugin: str, name: str, verb: str) -> Iterator[None]:
        """Turns an `OSError`, which may hold a path of the machine, into a `PluginError`."""
        shown = repr(name[:100]) if name else "the plugin's folder"
        try:
            yield
        except PluginError as error:
            error.plugin = error.plugin or plugin
            raise
        except TooLarge:
            text = f"file: {shown} is larger than {self._max_read} bytes"
            raise PluginError(text, plugin=plugin) from None
        except NotRegular:
            raise PluginError(f"file: {shown} is not a regular file", plugin=plugin) from None
        except OSError as error:
            why = error.strerror or "unknown reason"
            if error.errno == errno.ELOOP:
                why = "a symbolic link is in the way"
            text = f"file: {shown} cannot be {verb}: {why}"
            raise PluginError(text, plugin=plugin) from None


def _weight(status: os.stat_result) -> int:
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
