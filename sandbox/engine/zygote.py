"""The engine's end of a zygote: start it, ask it for workers, have it reap them.

Owns the exec and the control socket.  The zygote itself is `sandbox/worker/zygote.py`, which is
named here and never imported: it lives in another process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final

import msgpack

from sandbox.errors import ConfinementUnavailable, SandboxCrashed

_START_SECONDS: Final = 30.0
_BOOT: Final = """\
import os, sys
sys.path[:] = {paths!r}
os.closerange(4, 65536)
from sandbox.worker.zygote import main
main({factory!r}, {jail!r})
"""


def import_paths() -> list[str]:
    """The folders a zygote may import from: ours, without the current directory."""
    return [path for path in sys.path if path and os.path.isabs(path) and os.path.exists(path)]


class Zygote:
    """One running zygote.  Thread-safe; every answer is waited for under one lock.

    Its process is started at once and waited for at the first `fork`, or by `ready`.
    """

    def __init__(self, factory: str, jail: bool) -> None:
        self._factory = factory
        self._is_ready = False
        self._retired = False
        self._living = 0
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self.forks = 0
        """How many workers were asked for."""
        try:
            self.pid = self._exec(theirs, _BOOT.format(
                paths=import_paths(), factory=factory, jail=jail
            ))  # fmt: skip
        finally:
            theirs.close()

    @staticmethod
    def _exec(control: socket.socket, program: str) -> int:
        null = os.open(os.devnull, os.O_RDWR)
        try:
            # An own process group: a terminal's Ctrl-C is for the server, not for its plugins.
            # Not an own session: the scheduler keeps sessions apart, on different cores, and a
            # call to and fro would cost twice as much.
            return os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", program],
                {"TZ": "UTC0"},  # the zone is in memory: no file is asked for it after confinement
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, control.fileno(), 3),
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, null, 1),
                    (os.POSIX_SPAWN_DUP2, null, 2),
                ],
                setpgroup=0,
            )
        finally:
            os.close(null)

    def ready(self) -> None:
        """Wait until it can fork.  Raises `ConfinementUnavailable`, or `SandboxCrashed`."""
        if self._is_ready:
            return
        self._control.settimeout(_START_SECONDS)
        try:
            data = self._control.recv(65_536)
        except TimeoutError:
            data = b""
        if not data:
            self.close()
            raise SandboxCrashed(f"the zygote of {self._factory} did not start")
        verb, argument = msgpack.unpackb(data)
        if verb != "ready":
            self.close()
            if argument.startswith("OSError"):
                raise ConfinementUnavailable([argument])
            raise SandboxCrashed(f"the zygote of {self._factory} did not start: {argument}")
        self._control.settimeout(None)
        self._is_ready = True

    def fork(self, settings: Sequence[Any]) -> socket.socket:
        """Ask for a worker; returns our end of its connection, on which it will greet.

        Raises `SandboxCrashed` when the zygote is gone, and as `ready` does.
        """
        self.ready()
        ours, theirs = socket.socketpair()
        try:
            with self._lock:
                socket.send_fds(
                    self._control, [msgpack.packb(["fork", settings])], [theirs.fileno()]
                )
                self.forks += 1
                self._living += 1
        except OSError:
            ours.close()
            raise SandboxCrashed("the zygote is gone") from None
        finally:
            theirs.close()
        return ours

    def reap(self, pid: int) -> tuple[int, int]:
        """Wait for a worker that was killed or hung up: wait status and peak memory in bytes.

        (0, 0) when the zygote is gone too; its workers then died with it.
        """
        data = b""
        try:
            with self._lock:
                self._control.send(msgpack.packb(["reap", pid]))
                data = self._control.recv(65_536)
        except OSError:
            return 0, 0
        finally:
            self.gone()
        if not data:
            return 0, 0
        _, _, status, peak = msgpack.unpackb(data)
        return int(status), int(peak)

    def gone(self) -> None:
        """A worker that was asked for is no more; the last one of a retired zygote ends it."""
        self._living -= 1
        if self._retired and self._living <= 0:
            self.close()

    def retire(self) -> None:
        """No worker will be asked for any more; it ends with its last one."""
        self._retired = True
        if self._living <= 0:
            self.close()

    def close(self) -> None:
        """Hang up: the zygote exits, and every worker of it is killed by the kernel.  Safe to
        call again."""
        if self._control.fileno() < 0:
            return
        self._control.close()
        with contextlib.suppress(ChildProcessError):  # the embedder's own handler was faster
            os.waitpid(self.pid, 0)
