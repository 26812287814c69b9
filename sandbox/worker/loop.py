"""The loop of a worker: frames from the socket to the runtime, answers back.

Owns the order of things in a worker: one call at a time, calls that were sent ahead wait, and
nested calls run while a host call waits.  Knows frames only by their kind byte; what is in them
is the runtime's business.  The bytes that arrive come from the engine and are trusted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NoReturn

from sandbox.wire.codec import encode
from sandbox.wire.frames import VERSION, Kind
from sandbox.wire.framing import HEADER
from sandbox.worker.runtime import Runtime

READ_SIZE: Final = 65_536
_CALL: Final = int(Kind.CALL)
_NEST: Final = int(Kind.NEST)
_HOST_RETURN: Final = int(Kind.HOST_RETURN)
_HOST_RAISE: Final = int(Kind.HOST_RAISE)
_NOTE: Final = int(Kind.NOTE)


class Disconnected(Exception):
    """The engine closed the connection or said BYE; the worker ends."""


class Loop:
    """Feeds one runtime from one socket.

    `read(size)` and `write(data)` are the only input and output (`os.read` and `os.write` on the
    socket in a worker), `leave(status)` ends the worker without unwinding.
    """

    def __init__(
        self,
        runtime: Runtime,
        read: Callable[[int], bytes],
        write: Callable[[bytes], int],
        leave: Callable[[int], NoReturn],
    ) -> None:
        self._runtime = runtime
        self._read = read
        self._write = write
        self._leave = leave
        self._buffer = b""
        self._waiting: deque[bytes] = deque()

    def greet(self, pid: int) -> None:
        """Say HELLO: the worker is confined and ready."""
        self._send(encode([int(Kind.HELLO), VERSION, pid]))

    def run(self) -> None:
        """Serve until the engine hangs up."""
        handle, read, write = self._runtime.handle, self._read, self._write
        try:
            while True:
                if self._waiting:
                    body = self._waiting.popleft()
                elif self._buffer:
                    body = self._next()
                else:
                    # The everyday case, one whole frame in one read, without the way through
                    # the buffer: it is a tenth of a call.
                    data = read(READ_SIZE)
                    body = data[HEADER:]
                    if len(body) != int.from_bytes(data[:HEADER], "big") or not body:
                        if not data:
                            return
                        self._buffer = data
                        body = self._next()
                kind = body[1]
                if kind == _CALL:
                    answer = handle(body, self)
                    data = len(answer).to_bytes(HEADER, "big") + answer
                    sent = write(data)
                    if sent != len(data):
                        self.write(data[sent:])
                elif kind == _NOTE:
                    handle(body, self)
                else:
                    return
        except Disconnected:
            return

    def call(self, body: bytes) -> bytes:
        """Send a host call and wait for its answer (the runtime's `Host.call`)."""
        self._send(body)
        while True:
            incoming = self._next()
            kind = incoming[1]
            if kind in (_HOST_RETURN, _HOST_RAISE):
                return incoming
            if kind == _NEST:
                self._send(self._runtime.handle(incoming, self))
            elif kind == _CALL:
                self._waiting.append(incoming)
            elif kind == _NOTE:
                self._runtime.handle(incoming, self)
            else:
                raise Disconnected

    def write(self, frames: bytes) -> None:
        """Send whole frames (the runtime's `Host.write`)."""
        while frames:
            frames = frames[self._write(frames) :]

    def exceeded(self, limit: str, used: int) -> NoReturn:
        """Tell the engine that a limit was hit, and end (the runtime's `Host.exceeded`)."""
        self._send(encode([int(Kind.NOTE), "exceeded", [limit, used]]))
        self._leave(0)

    def _send(self, body: bytes) -> None:
        data = len(body).to_bytes(HEADER, "big") + body
        sent = self._write(data)
        if sent != len(data):
            self.write(data[sent:])

    def _next(self) -> bytes:
        buffer = self._buffer
        while True:
            have = len(buffer)
            if have >= HEADER:
                end = HEADER + int.from_bytes(buffer[:HEADER], "big")
                if have == end:
                    self._buffer = b""
                    return buffer[HEADER:]
                if have > end:
                    self._buffer = buffer[end:]
                    return buffer[HEADER:end]
                # A long frame is read to its end at once, not by quadratic concatenation.
                parts = [buffer]
                while have < end:
                    parts.append(self._receive(max(end - have, READ_SIZE)))
                    have += len(parts[-1])
                buffer = b"".join(parts)
            else:
                buffer += self._receive(READ_SIZE)

    def _receive(self, size: int) -> bytes:
        data = self._read(size)
        if not data:
            raise Disconnected
        return data
