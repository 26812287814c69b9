"""One side of a connection: framing, codec, frame table and state machine together.

Sans I/O: `send` gives bytes to write, `receive` takes bytes that were read.  The drivers in the
engine and the loop in the worker own the sockets.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from sandbox.errors import ProtocolError
from sandbox.values import Value
from sandbox.wire.codec import Decoder, Encoder, Resolver
from sandbox.wire.extensions import Exporter, exporting, pack_special
from sandbox.wire.frames import Frame, Kind, check
from sandbox.wire.framing import HEADER, MAX_FRAME, MAX_FROM_ENGINE, FrameBuffer
from sandbox.wire.state import ConnectionState, State


class Role(Enum):
    """Which side of the connection this is."""

    ENGINE = "engine"
    WORKER = "worker"


_FROM_WORKER: Final = frozenset(
    map(int, (Kind.HELLO, Kind.RETURN, Kind.RAISE, Kind.HOST_CALL, Kind.NOTE))
)
_FROM_ENGINE: Final = (frozenset(map(int, Kind)) - _FROM_WORKER) | {int(Kind.NOTE)}


class Connection:
    """A connection as one `role` sees it.

    `from_worker` is the largest body in bytes that the worker may send; what the engine may send
    is the same for all (`MAX_FROM_ENGINE`).
    """

    __slots__ = (
        "_buffer", "_decode", "_encode", "_machine", "_may_receive", "_may_send",
        "_most_received", "_most_sent", "_partial",
    )  # fmt: skip

    def __init__(
        self,
        role: Role,
        from_worker: int = MAX_FRAME,
        *,
        export: Exporter | None = None,
        resolve: Resolver | None = None,
    ) -> None:
        engine = role is Role.ENGINE
        self._most_received = from_worker if engine else MAX_FROM_ENGINE
        self._most_sent = MAX_FROM_ENGINE if engine else from_worker
        self._buffer = FrameBuffer(self._most_received)
        self._partial = False
        self._machine = ConnectionState()
        special = pack_special if export is None else exporting(export)
        self._encode = Encoder(special, any_keys=engine).encode
        self._decode = Decoder(resolve, any_keys=not engine).decode
        self._may_receive = _FROM_WORKER if engine else _FROM_ENGINE
        self._may_send = _FROM_ENGINE if engine else _FROM_WORKER

    @property
    def state(self) -> State:
        """The connection's state."""
        return self._machine.state

    @property
    def host_call(self) -> int | None:
        """The id of the host call whose answer is legal now, if the worker waits for one."""
        return self._machine.host_call

    @property
    def running(self) -> int | None:
        """The id of the call that runs in the worker now."""
        return self._machine.running

    def send(self, kind: int, *fields: Value) -> bytes:
        """The bytes of one frame.

        Raises `EncodeError` when a field cannot cross, `ProtocolError` when the frame is too
        large; both leave the connection as it was.  A frame that is not legal now is our own
        mistake: `ProtocolError`, and the connection is closed.
        """
        outgoing = [kind, *fields]
        body = self._encode(outgoing)
        size = len(body)
        if size > self._most_sent:
            raise ProtocolError(f"frame of {size} bytes, more than {self._most_sent}")
        if kind not in self._may_send:
            raise ProtocolError(f"this side does not send {Kind(kind).name}")
        self._machine.apply(outgoing)
        return size.to_bytes(HEADER, "big") + body

    def receive(self, data: bytes) -> list[Frame]:
        """The frames that `data` completed, checked, in order.

        Raises `ProtocolError`, and is closed from then on, at the first one against the rules;
        frames before it in `data` are lost with the connection.
        """
        if self._machine.state is State.CLOSED:
            raise ProtocolError("the connection is closed")
        body = data[HEADER:]
        try:
            if not self._partial and int.from_bytes(data[:HEADER], "big") == len(body) and body:
                # One whole frame and nothing waiting: the everyday case skips the buffer.
                if len(body) > self._most_received:
                    raise ProtocolError(
                        f"frame of {len(body)} bytes, more than {self._most_received}"
                    )
                return [self._accept(body)]
            frames = [self._accept(body) for body in self._buffer.feed(data)]
        except ProtocolError:
            self._machine.close()
            raise
        self._partial = len(self._buffer) > 0
        return frames

    def close(self) -> None:
        """The transport ended."""
        self._machine.close()

    def _accept(self, body: bytes) -> Frame:
        incoming = check(self._decode(body))
        if incoming[0] not in self._may_receive:
            raise ProtocolError(f"{Kind(incoming[0]).name} comes from the wrong side")
        self._machine.apply(incoming)
        return incoming
