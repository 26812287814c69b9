"""The values that plugins keep between requests, kept on disk too.

`Store` is what the engine needs; `FileStore` keeps each value in a file of its own.  The bytes are
encoded values, which mean nothing here; a digest tells a damaged file from a whole one.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from typing import Final, Protocol

from sandbox.engine.services.folders import (
    TEMPORARY,
    NotRegular,
    TooLarge,
    folder,
    read_file,
    write_file,
)
from sandbox.engine.services.plain_names import plain_name
from sandbox.errors import PluginError

log: Final = logging.getLogger("sandbox.engine")

_MAGIC: Final = b"plugin-sandbox value 1\n"
_HEAD: Final = len(_MAGIC) + hashlib.sha256().digest_size


class Store(Protocol):
    """Where the values of plugins outlive the engine.  Implementations are thread-safe."""

    def load(self, plugin: str) -> bytes | None:
        """The bytes saved last; None when there are none, or none that can be read."""

    def save(self, plugin: str, value: bytes) -> None:
        """Keep the bytes.  Raises `PluginError` when they cannot be kept."""

    def delete(self, plugin: str) -> None:
        """Forget the plugin's bytes, if any.  Raises `PluginError` when that fails."""


class FileStore:
    """A `Store` in a folder, which is made when it is first needed.

    `quota` is the largest value in bytes.  A save is complete or did not happen, even when the
    power fails meanwhile.  A file that is damaged is set aside under a name ending in `.corrupt`
    and a line in the log tells the operator; to the plugin there is no value then.
    """

    def __init__(self, data_root: str | os.PathLike[str], *, quota: int = 512 * 1024) -> None:
        self._root = os.fspath(data_root)
        self._quota = quota

    def load(self, plugin: str) -> bytes | None:
        """See `Store.load`.  Never raises for what is on the disk."""
        name = plain_name(plugin) + ".value"
        try:
            with folder(self._root) as where:
                try:
                    content = read_file(where, name, self._quota + _HEAD)
                except (NotRegular, TooLarge, IsADirectoryError) as error:
                    self._set_aside(where, name, error.strerror or "it is not a file")
                    return None
                value = content[_HEAD:]
                if content[:_HEAD] != _MAGIC + hashlib.sha256(value).digest():
                    self._set_aside(where, name, "it is damaged")
                    return None
                return value
        except FileNotFoundError:
            return None
        except OSError as error:
            log.error("the kept value %s cannot be read: %s", name, error.strerror)
            return None

    def save(self, plugin: str, value: bytes) -> None:
        """See `Store.save`."""
        if len(value) > self._quota:
            text = f"memory: {len(value)} bytes are more than {self._quota}"
            raise PluginError(text, plugin=plugin)
        name = plain_name(plugin) + ".value"
        content = _MAGIC + hashlib.sha256(value).digest() + value
        try:
            with folder(self._root, create=True) as where:
                write_file(where, name, content)
        except OSError as error:
            text = f"memory: the value cannot be kept: {error.strerror}"
            raise PluginError(text, plugin=plugin) from None

    def delete(self, plugin: str) -> None:
        """See `Store.delete`."""
        name = plain_name(plugin) + ".value"
        try:
            with folder(self._root) as where:
                os.unlink(name, dir_fd=where)
                os.fsync(where)
        except FileNotFoundError:
            return
        except OSError as error:
            text = f"memory: the value cannot be forgotten: {error.strerror}"
            raise PluginError(text, plugin=plugin) from None

    def clean(self) -> int:
        """Remove what interrupted saves left behind; how many files that was.

        For the start of an engine: a save of another engine on the same folder would fail.
        """
        count = 0
        with contextlib.suppress(OSError), folder(self._root) as where:
            for name in os.listdir(where):
                if name.startswith(TEMPORARY):
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=where)
                        count += 1
        return count

    def _set_aside(self, where: int, name: str, why: str) -> None:
        log.error("the kept value %s was set aside: %s", name, why)
        try:
            os.rename(name, f"{name}.corrupt", src_dir_fd=where, dst_dir_fd=where)
        except OSError as error:
            log.error("the kept value %s cannot be moved: %s", name, error.strerror)
