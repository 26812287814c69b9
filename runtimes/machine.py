"""A Lua 5.4 state that runs guests: what every runtime made of one needs.

The state is given byte strings and gives byte strings back.  Everything a guest can touch is made
in Lua by a runtime's prelude.  This side resumes a dispatcher coroutine with a frame's body; what
the coroutine yields is a body to answer with, a host call to pass on, notes to write, a question
to a service of this side, or the sign that the output budget is spent.  No Python object ever
enters the Lua state, and `import lupa` (Lua 5.5) is never used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources.abc import Traversable
from typing import Any, Final

from lupa import lua54

from sandbox.worker.runtime import Host

_NOTES: Final = 0  # first byte of whole frames: the high byte of a length below 16 MiB
_SPENT: Final = 1
_SERVICE: Final = 2
_ANSWER: Final = 0x93  # a list of three: RETURN or RAISE


class Machine:
    """One Lua state with a prelude loaded, and its dispatchers.

    `private` is the table that the prelude's files share.  `service` answers what the prelude asks
    of this side: a msgpack list in, a msgpack value out.
    """

    def __init__(
        self,
        folder: Traversable,
        prelude: Sequence[str],
        service: Callable[[bytes], bytes] | None = None,
    ) -> None:
        # Without eval and builtins, and with bytes only: what lupa offers Lua is unreachable
        # anyway, because guests never see the real globals, but it need not be there at all.
        self.lua = lua54.LuaRuntime(
            encoding=None, register_eval=False, register_builtins=False, max_memory=0
        )
        self.lua.execute(b"python = nil; package.loaded.python = nil")
        self._service = service
        self.private: Any = None
        for name in prelude:
            made = self.load(folder / f"{name}.lua", name)
            self.private = made if self.private is None else self.private
        # Dispatchers that wait for work; more than one only while nested calls run.
        self._idle: list[Callable[[bytes], bytes]] = []

    def load(self, file: Traversable, name: str) -> Any:
        """Run a file of ours with the private table as its argument, and return what it returns."""
        chunk = self.lua.compile(file.read_bytes(), name=b"=[sandbox] " + name.encode(), mode=b"t")
        return chunk(self.private) if self.private is not None else chunk()

    def ready(self) -> None:
        """Make the first dispatcher, when everything is loaded."""
        self._idle.append(self._new_dispatcher())

    def limit_memory(self, size: int) -> None:
        """Let the state take at most `size` bytes."""
        self.lua.set_max_memory(size)

    def _new_dispatcher(self) -> Callable[[bytes], bytes]:
        resume: Callable[[bytes], bytes] = self.private[b"new_dispatcher"]().send
        return resume

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
            host.exceeded("memory", self.lua.get_memory_used())
        idle.append(resume)
        return out

    def _asked(self, out: bytes, resume: Callable[[bytes], bytes], host: Host) -> bytes:
        """Do what a yield asks for, and resume with what came of it."""
        if out[0] == _NOTES:
            host.write(out)
            return resume(b"")
        if out[0] == _SPENT:
            host.exceeded("output", int.from_bytes(out[1:9], "big"))
        if out[0] == _SERVICE and self._service is not None:
            return resume(self._service(out[1:]))
        return resume(host.call(out))
