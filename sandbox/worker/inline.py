"""A worker as a thread of the engine's process: for trusted plugins and for debugging.

The same loop and the same runtime over the same kind of socket, so that results are the same.
Nothing is confined and nothing can be killed: an endless loop stays until the process ends.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import NoReturn

from sandbox.worker.loop import Loop
from sandbox.worker.runtime import Settings
from sandbox.worker.zygote import load_factory


class _Left(BaseException):
    """Unwinds the thread where a process would exit."""


def _leave(status: int) -> NoReturn:
    raise _Left(status)


def start(
    connection: socket.socket, factory: str, settings: tuple[int, int, tuple[str, ...]]
) -> None:
    """Run a worker on `connection` in a daemon thread, which owns the socket from now on."""

    def run() -> None:
        with connection:
            runtime = load_factory(factory)()
            runtime.start(Settings(*settings))
            loop = Loop(runtime, connection.recv, connection.send, _leave, settings[1])
            try:
                loop.greet(os.getpid())
                loop.run()
            except (OSError, _Left):
                return

    threading.Thread(target=run, name="sandbox-inline", daemon=True).start()
