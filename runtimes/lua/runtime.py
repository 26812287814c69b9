"""The Lua runtime: a Lua 5.4 state that is given byte strings and gives byte strings back.

Everything a guest can touch is made in Lua by the files in `prelude/`.  This side resumes a
dispatcher coroutine with a frame's body; what the coroutine yields is a body to answer with, a
host call to pass on, notes to write, or the sign that the output budget is spent.  No Python
object ever enters the Lua state, and `import lupa` (Lua 5.5) is never used.
"""

from __future__ import annotations

import os
from importlib import resources
from typing import Any, Final

from lupa import lua54

from sandbox.wire.frames import Kind
from sandbox.worker.runtime import Host, Settings

_PRELUDE: Final = (
    "core", "codec", "coroutine", "faults", "host", "environment", "bus", "format", "module",
    "options", "loader", "script", "server", "dispatch",
)  # fmt: skip
_HOST_CALL: Final = int(Kind.HOST_CALL)
_NOTES: Final = 0  # first byte of whole frames: the high byte of a length below 16 MiB
_SPENT: Final = 1


class LuaRuntime:
    """One Lua state with the prelude loaded; see `sandbox.worker.runtime.Runtime`."""

    def __init__(self) -> None:
        # Without eval and builtins, and with bytes only: what lupa offers Lua is unreachable
        # anyway, because guests never see the real globals, but it need not be there at all.
        self._lua = lua54.LuaRuntime(
            encoding=None, register_eval=False, register_builtins=False, max_memory=0
        )
        self._lua.execute(b"python = nil; package.loaded.python = nil")
        files = resources.files("runtimes.lua") / "prelude"
        self._core: Any = None
        for name in _PRELUDE:
            source = (files / f"{name}.lua").read_bytes()
            chunk = self._lua.compile(source, name=b"=[sandbox] " + name.encode(), mode=b"t")
            made = chunk(self._core) if self._core is not None else chunk()
            self._core = made if self._core is None else self._core
        self._load_libraries()
        # Dispatchers that wait for work; more than one only while nested calls run.
        self._idle = [self._new_dispatcher()]

    def _load_libraries(self) -> None:
        root = resources.files("runtimes.lua") / "lib"
        sources = self._core[b"library_sources"]
        for folder in root.iterdir():
            for file in folder.iterdir():
                name = f"{folder.name}.{file.name.removesuffix('.lua')}"
                sources[name.encode()] = file.read_bytes()

    def _new_dispatcher(self) -> Any:
        return self._core[b"new_dispatcher"]()

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
        self._lua.set_max_memory(settings.memory)

    def handle(self, body: bytes, host: Host) -> bytes:
        """Run one frame in a dispatcher of its own; see `Runtime.handle`."""
        idle = self._idle
        dispatcher = idle.pop() if idle else self._new_dispatcher()
        resume = dispatcher.send
        try:
            out: bytes = resume(body)
            while out:
                kind = out[1]
                if out[0] == _NOTES:
                    host.write(out)
                    out = resume(b"")
                elif kind == _HOST_CALL and out[0] != _SPENT:
                    out = resume(host.call(out))
                elif out[0] == _SPENT:
                    host.exceeded("output", int.from_bytes(out[1:9], "big"))
                else:
                    break
        except lua54.LuaMemoryError:
            # Out of memory outside the guest's own protected call: nothing here can be trusted.
            host.exceeded("memory", self._lua.get_memory_used())
        idle.append(dispatcher)
        return out


def create() -> LuaRuntime:
    """The factory that the entry point names."""
    return LuaRuntime()
