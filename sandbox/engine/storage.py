"""The host functions by which a plugin keeps data, and the limit on how much.

What is kept belongs to the plugin, not to its worker: it is there after a worker died.  Files live
in a data folder.  `memory` is gone with the engine, unless the operator wants it kept there, too:
then it is written when the engine closes and at each checkpoint, not at each change, because
writing safely takes a disk's time.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from sandbox.engine.core import Core
from sandbox.engine.driver import Chain
from sandbox.engine.faults import one_line
from sandbox.engine.memory import Memory
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.services.files import Files
from sandbox.engine.services.plain_names import plain_name
from sandbox.engine.services.store import FileStore
from sandbox.errors import ConfigurationError, LimitExceeded, PluginError, UnknownPlugin
from sandbox.limits import MIB
from sandbox.values import Value

log: Final = logging.getLogger("sandbox.engine")
_MAX_FILE: Final = 8 * MIB
"""Largest file that a plugin can read or write in bytes: it travels in one frame, and the worker
must have room for it, several times.  What can be written can be read."""


def stored(data: Path, plugin: str) -> list[Path]:
    """What is in the folder `data` of what a plugin keeps: the folder of its files, and the file
    of its `memory`, also where that was damaged and set aside."""
    own = plain_name(plugin)
    value = data / "memory" / f"{own}.value"
    found = [data / "files" / own, value, value.with_name(f"{own}.value.corrupt")]
    return [path for path in found if os.path.lexists(path)]


class Storage:
    """What the plugins of one engine keep, below the folder `data` if there is one.

    `memory` is kept there only if `keep_memory` says so; what is there otherwise, from other
    times, is left alone.  Raises `ConfigurationError` when there is nowhere to keep it.
    """

    def __init__(
        self, core: Core, data: str | os.PathLike[str] | None, keep_memory: bool = False
    ) -> None:
        if keep_memory and data is None:
            raise ConfigurationError("keep_memory: there is no data folder to keep it in")
        self._core = core
        self._files = None if data is None else os.path.join(data, "files")
        store = None
        if keep_memory and data is not None:
            store = FileStore(os.path.join(data, "memory"))
            store.clean()  # what a save left behind that a crash interrupted
        self.memory = Memory(store)
        self._sizes: dict[str, int] = {}
        core.functions |= {
            "memory.get": self._memory_get,
            "memory.set": self._memory_set,
            "file.read": self._file_read,
            "file.write": self._file_write,
            "file.remove": self._file_remove,
        }
        core.kept = self.kept
        core.closing.append(self.write)
        core.saving.append(self.write)

    def write(self) -> None:
        """Write what is in `memory` to where it is kept, if anywhere.  Errors are logged."""
        for problem in self.memory.write():
            log.error("%s", one_line(str(problem)))

    def kept(self, sandbox: Sandbox) -> int:
        """Bytes that a sandbox's plugins keep."""
        return sum(self.memory.size(name) + self._size(name) for name in sandbox.plugins)

    # ------------------------------------------------------------------ memory

    async def _memory_get(self, sandbox: Sandbox, chain: Chain, plugin: str) -> Value:
        return self.memory.get(sandbox.plugins[0])

    async def _memory_set(self, sandbox: Sandbox, chain: Chain, plugin: str, value: Value) -> None:
        owner = sandbox.plugins[0]
        others = self.kept(sandbox) - self.memory.size(owner)
        try:
            self.memory.set(owner, value, sandbox.limits.storage - others)
        except LimitExceeded as error:
            raise self._core.over(sandbox, "storage", others + error.used) from None

    # ------------------------------------------------------------------ files

    def _size(self, plugin: str) -> int:
        """Bytes of the plugin's files; looked up once, then kept up to date."""
        if self._files is None:
            return 0
        size = self._sizes.get(plugin)
        if size is None:
            size = self._sizes[plugin] = Files(self._files).size(plugin)
        return size

    def _writable(self, sandbox: Sandbox) -> Files:
        if self._files is None:
            raise PluginError("file: this server keeps no files", plugin=sandbox.name)
        room = sandbox.limits.storage - self.memory.size(sandbox.plugins[0])
        return Files(self._files, quota=room, max_read=_MAX_FILE)

    async def _file_read(self, sandbox: Sandbox, chain: Chain, name: str) -> bytes | None:
        plugin = sandbox.plugins[0]
        try:
            installed = self._core.plugins.folder(plugin)
        except UnknownPlugin:  # a module: it has no folder that anybody is served from
            installed = None
        # Without a data folder only the files are there that the plugin came with.
        files = Files(self._files or os.devnull, max_read=_MAX_FILE)
        found: bytes | None = await self._core.driver.apart(
            lambda: files.read(plugin, name, installed)
        )
        return found

    async def _file_write(self, sandbox: Sandbox, chain: Chain, name: str, data: Value) -> None:
        plugin, files = sandbox.plugins[0], self._writable(sandbox)
        if isinstance(data, str):  # a language whose strings are bytes sends valid UTF-8 as text
            data = data.encode("utf-8", "surrogatepass")
        if not isinstance(data, bytes):
            raise PluginError(f"file.write: data must be bytes, not {type(data).__name__}")
        if len(data) > _MAX_FILE:
            raise PluginError(f"file: {len(data)} bytes are more than {_MAX_FILE}", plugin=plugin)
        try:
            await self._core.driver.apart(lambda: files.write(plugin, name, data))
        except LimitExceeded as error:
            used = self.memory.size(plugin) + error.used
            raise self._core.over(sandbox, "storage", used) from None
        finally:
            self._sizes.pop(plugin, None)

    async def _file_remove(self, sandbox: Sandbox, chain: Chain, name: str) -> None:
        plugin, files = sandbox.plugins[0], self._writable(sandbox)
        try:
            await self._core.driver.apart(lambda: files.remove(plugin, name))
        finally:
            self._sizes.pop(plugin, None)
