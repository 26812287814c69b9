"""The loop of a worker: frames from the socket to the runtime, answers back.

Owns the order of things in a worker: one call at a time, calls that were sent ahead wait unless
they are withdrawn, and nested calls run while a host call waits.  Knows frames only by their kind
byte; what is in them is the runtime's business.  The bytes that arrive come from the engine and
are trusted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NoReturn

from sandbox.errors import ProtocolError
from sandbox.wire.codec import decode, encode
from sandbox.wire.frames import VERSION, Kind
from sandbox.wire.framing import HEADER, most_from_worker
from sandbox.worker.runtime import Runtime

READ_SIZE: Final = 65_536
_LONGEST_READ: Final = 2**20  # asking for more would only make room for what comes in parts anyway
_CALL: Final = int(Kind.CALL)
_NEST: Final = int(Kind.NEST)
_HOST_RETURN: Final = int(Kind.HOST_RETURN)
_HOST_RAISE: Final = int(Kind.HOST_RAISE)
_RAISE: Final = int(Kind.RAISE)
_WITHDRAW: Final = int(Kind.WITHDRAW)
_NOTE: Final = int(Kind.NOTE)
_LARGE: Final = 32 * 1024
"""Bodies up to this many bytes cannot hold more lists, maps and entries than may cross."""


def _crossing(body: bytes, refusal: int, most: int) -> bytes:
    """`body` if it may cross to the engine, else a body of kind `refusal` that says why not.

    The engine ends a worker that sends too much, which is more than `most` bytes or than its
    decoder takes, as it must.  A plugin whose result is merely large has an error that it can
    read, and its author too.
    """
    try:
        if len(body) > most:
            raise ProtocolError(f"{len(body)} bytes are more than {most}")
        decode(body)
    except ProtocolError as error:
        text = f"what the plugin sends is too large: {error.message}"
        return encode([refusal, _number(body), {"message": text, "type": "ValueError"}])
    return body


def _number(body: bytes) -> int:
    """The id of a call in a body: its third byte begins it (msgpack's unsigned integers)."""
    size = {0xCC: 1, 0xCD: 2, 0xCE: 4}.get(body[2], 0)
    return int.from_bytes(body[3 : 3 + size], "big") if size else body[2]


class Disconnected(Exception):
    """The engine closed the connection or said BYE; the worker ends."""


class Loop:
    """Feeds one runtime from one socket.

    `read(size)` and `write(data)` are the only input and output (`os.read` and `os.write` on the
    socket in a worker), `leave(status)` ends the worker without unwinding.  `output` is the
    worker's limit of output (`Settings.output`): the engine takes frames that have room for it.
    """

    def __init__(
        self,
        runtime: Runtime,
        read: Callable[[int], bytes],
        write: Callable[[bytes], int],
        leave: Callable[[int], NoReturn],
        output: int = 0,
    ) -> None:
        self._runtime = runtime
        self._read = read
        self._write = write
        self._leave = leave
        self._most = most_from_worker(output)
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
                    if len(answer) > _LARGE:
                        answer = _crossing(answer, _RAISE, self._most)
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
        if len(body) > _LARGE:
            refusal = _crossing(body, _HOST_RAISE, self._most)
            if refusal is not body:
                return refusal
        self._send(body)
        while True:
            incoming = self._next()
            kind = incoming[1]
            if kind in (_HOST_RETURN, _HOST_RAISE):
                return incoming
            if kind == _NEST:
                answer = self._runtime.handle(incoming, self)
                if len(answer) > _LARGE:
                    answer = _crossing(answer, _RAISE, self._most)
                self._send(answer)
            elif kind == _CALL:
                self._waiting.append(incoming)
            elif kind == _WITHDRAW:
                self._waiting.clear()
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
                    parts.append(self._receive(min(max(end - have, READ_SIZE), _LONGEST_READ)))
                    have += len(parts[-1])
                buffer = b"".join(parts)
            else:
                buffer += self._receive(READ_SIZE)

    def _receive(self, size: int) -> bytes:
        data = self._read(size)
        if not data:
            raise Disconnected
        return data
