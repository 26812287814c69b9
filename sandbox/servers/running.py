"""Running an application on an embedded uvicorn until a signal ends it.

Owns the listening socket, the signals and what is logged; knows nothing of plugins.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from types import FrameType
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.errors import ConfigurationError

GRACE_SECONDS: Final = 3.0
"""How long answers that are under way may take once the server is told to end."""

_MUCH: Final = 65_536  # bytes

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises `ConfigurationError` naming the address when it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol by number, because asyncio turns Nagle's algorithm off for such sockets
    # only; with it, each answer on a kept connection waits 40 ms for the client's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        # For a bad address, strerror is longer than the system's text; for a bad name it is all.
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot listen on {host}:{port}: {reason}") from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL of a listening socket, with its real port."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@contextlib.contextmanager
def kept_signals() -> Generator[list[int], None, None]:
    """Keeps the signals that come while no `Server` runs, such as between two of them: whoever
    has started the next one finds them in the list, in order."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {
        number: signal.signal(number, lambda number, _: came.append(number)) for number in _SIGNALS
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Joined:
    """A transport whose writes of one iteration of the loop leave together.

    An answer's head and its body are written one after the other; two system calls and two
    segments would take a tenth of the time that it takes to answer.
    """

    __slots__ = ("_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data`, in a moment.  Much of it at once, so that its sender can be paused."""
        if len(data) > _MUCH:
            self._flush()
            self._transport.write(data)
        elif data:
            if not self._parts:
                self._loop.call_soon(self._flush)
            self._parts.append(data)

    def close(self) -> None:
        """Send what is there, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()


class _Http(H11Protocol):
    """HTTP/1.1 by h11: httptools, which uvicorn takes when it is there, is faster and knows only a
    list of methods, and scripts answer whatever method a client makes up."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(cast(asyncio.Transport, _Joined(transport)))


class Server(uvicorn.Server):
    """A uvicorn that tells when it listens, and whose end by a signal is a clean end.

    `give_up` must make answers under way fail; it is called when they take too long at the end.
    uvicorn itself raises the signal again once it has shut down, which would end the process
    with the signal's status.
    """

    def __init__(
        self, app: ASGIApp, started: Callable[[], None], give_up: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                http=_Http,
                # Whoever says on whose behalf he asks is believed by scripts alone, which see the
                # header fields; `remote_addr` is who asks.
                proxy_headers=False,
            )
        )
        self.signalled = False
        """Whether a signal asked for the end."""
        self._when_started = started
        self._give_up = give_up

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn."""
        self.signalled = True
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        self._when_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.  What is not answered in time fails, and is answered with that."""

        async def later() -> None:
            await asyncio.sleep(GRACE_SECONDS)
            await self._give_up()

        impatience = asyncio.create_task(later())
        try:
            await super().shutdown(sockets)
        finally:
            impatience.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End on SIGINT and SIGTERM; a second one does not wait for answers under way."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
