"""The Lua runtime: a Lua 5.4 state with the prelude of Lua plugins in it (`runtimes.machine`)."""

from __future__ import annotations

import os
from importlib import resources
from typing import Any, Final

from runtimes.machine import Machine
from sandbox.worker.runtime import Host, Settings

_PRELUDE: Final = (
    "core", "codec", "coroutine", "faults", "host", "environment", "bus", "format", "module",
    "options", "loader", "script",
)  # fmt: skip
_PURE: Final = ("urls", "forms", "answers", "msx")
"""Files that know nothing of the private table: each returns a table of functions."""


class LuaRuntime:
    """One Lua state with the prelude loaded; see `sandbox.worker.runtime.Runtime`."""

    def __init__(self) -> None:
        folder = resources.files("runtimes.lua") / "prelude"
        self._machine = Machine(folder, _PRELUDE)
        self._core: Any = self._machine.private
        for name in _PURE:
            self._core[name.encode()] = self._machine.load(folder / f"{name}.lua", name)
        for name in ("server", "dispatch"):
            self._machine.load(folder / f"{name}.lua", name)
        self._load_libraries()
        self._machine.ready()

    def _load_libraries(self) -> None:
        root = resources.files("runtimes.lua") / "lib"
        sources = self._core[b"library_sources"]
        for folder in root.iterdir():
            for file in folder.iterdir():
                name = f"{folder.name}.{file.name.removesuffix('.lua')}"
                sources[name.encode()] = file.read_bytes()

    def settle(self) -> None:
        """Nothing to do: a Lua state does nothing late."""

    def start(self, settings: Settings) -> None:
        """Seed, and set the limits of this worker."""
        seed = os.urandom(16)
        self._core[b"seed"](
            int.from_bytes(seed[:8], "big", signed=True),
            int.from_bytes(seed[8:], "big", signed=True),
        )
        self._core[b"output_limit"] = settings.output
        hosts = self._core[b"hosts"]
        for name in settings.hosts:
            hosts[name.encode()] = True
        self._machine.limit_memory(settings.memory)

    def handle(self, body: bytes, host: Host) -> bytes:
        """Run one frame in a dispatcher of its own; see `Runtime.handle`."""
        return self._machine.handle(body, host)


def create() -> LuaRuntime:
    """The factory that the entry point names."""
    return LuaRuntime()
