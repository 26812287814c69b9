"""The Lua runtime: a Lua 5.4 state that is given byte strings and gives byte strings back.

Everything a guest can touch is made in Lua by the files in `prelude/`.  This side resumes a
dispatcher coroutine with a frame's body; what the coroutine yields is a body to answer with, a
host call to pass on, notes to write, or the sign that the output budget is spent.  No Python
object ever enters the Lua state, and `import lupa` (Lua 5.5) is never used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from typing import Any, Final

from lupa import lua54

from sandbox.worker.runtime import Host, Settings

_PRELUDE: Final = (
    "core", "codec", "coroutine", "faults", "host", "environment", "bus", "format", "module",
    "options", "loader", "script", "server", "dispatch",
)  # fmt: skip
_NOTES: Final = 0  # first byte of whole frames: the high byte of a length below 16 MiB
_SPENT: Final = 1
_ANSWER: Final = 0x93  # a list of three: RETURN or RAISE


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

    def _new_dispatcher(self) -> Callable[[bytes], bytes]:
        resume: Callable[[bytes], bytes] = self._core[b"new_dispatcher"]().send
        return resume

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
        self._lua.set_max_memory(settings.memory)

    def handle(self, body: bytes, host: Host) -> bytes:
        """Run one frame in a dispatcher of its own; see `Runtime.handle`."""
        idle = self._idle
        resume = idle.pop() if idle else self._new_dispatcher()
        try:
            out: bytes = resume(body)
            while out and out[0] != _ANSWER:
                out = self._asked(out, resume, host)
        except lua54.LuaMemoryError:
            # Out of memory outside the guest's own protected call: nothing here can be trusted.
            host.exceeded("memory", self._lua.get_memory_used())
        idle.append(resume)
        return out

    def _asked(self, out: bytes, resume: Callable[[bytes], bytes], host: Host) -> bytes:
        """Do what a yield asks for, and resume with what came of it."""
        if out[0] == _NOTES:
            host.write(out)
            return resume(b"")
        if out[0] == _SPENT:
            host.exceeded("output", int.from_bytes(out[1:9], "big"))
        return resume(host.call(out))


def create() -> LuaRuntime:
    """The factory that the entry point names."""
    return LuaRuntime()
