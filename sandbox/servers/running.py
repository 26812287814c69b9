"""Running an application on an embedded uvicorn until a signal ends it.

Owns the listening socket, the signals and what is logged; knows nothing of plugins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable
from types import FrameType
from typing import Any, Final, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.engine.faults import one_line
from sandbox.errors import ConfigurationError
from sandbox.messages import reason_phrase

log: Final = logging.getLogger("sandbox.servers.running")

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

    What the real transport does with what was written before, it does after that was written; all
    else is the real transport's alone.
    """

    __slots__ = ("_loop", "_parts", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self._size = 0
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data`, in a moment.  Much of it at once, so that its sender can be paused."""
        if self._size + len(data) > _MUCH:
            self._flush()
            self._transport.write(data)
        elif data:
            if not self._parts:
                self._loop.call_soon(self._flush)
            self._parts.append(data)
            self._size += len(data)

    def writelines(self, list_of_data: Iterable[bytes]) -> None:
        """As `write`, of all that is in a list."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Send what is there, and close the sending end."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what is there, and close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Send as much of what is there as can be sent at once, and close."""
        self._flush()
        self._transport.abort()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Send what is there, and have another protocol told what happens from now on."""
        self._flush()
        self._transport.set_protocol(protocol)

    def get_write_buffer_size(self) -> int:
        """The number of bytes that are not sent yet."""
        return self._size + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._transport.write(data)


class _Http(H11Protocol):
    """HTTP/1.1 by h11: httptools, which uvicorn takes when it is there, is faster and knows only a
    list of methods, and scripts answer whatever method a client makes up."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(cast(asyncio.Transport, _Joined(transport)))

    def _should_upgrade(self) -> bool:
        """Whether to do anything else with a request than to answer it: uvicorn asks this of each.

        No other protocol is spoken here, so that a wish for one is ignored (RFC 9110, section
        7.8); uvicorn would log that packages are missing.  And h11 takes any version there is.
        """
        return self.scope["http_version"][:2] != "1."

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Refuse a request of another version than 1.x (RFC 9110, section 15.6.6), and close."""
        text = "this server speaks HTTP/1.1"
        log.info("%s: 505 %s", one_line(event.target.partition(b"?")[0]), text)
        body = f"{text}\n".encode()
        fields = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        answer = h11.Response(status_code=505, headers=fields, reason=reason_phrase(505).encode())
        body = b"" if event.method == b"HEAD" else body
        for part in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()


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
