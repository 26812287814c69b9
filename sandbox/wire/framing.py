"""Length-prefixed bodies: four bytes of big-endian length, then that many bytes.

Owns the only buffer of the wire and its cap.  Knows nothing of what a body means.
"""

from __future__ import annotations

from typing import Final

from sandbox.errors import ProtocolError

HEADER: Final = 4
MAX_FRAME: Final = 2**20
"""Largest body in bytes that a worker may send, unless its limit of output is higher."""

MAX_FROM_ENGINE: Final = 2**24 - 1
"""Largest body in bytes that an engine may send: a worker trusts it.  The first byte of a length
is always zero, in both directions, so that a runtime can tell a frame from other things by it."""

_AROUND: Final = 64 * 1024  # what goes along with an output: header fields, values, lengths


def most_from_worker(output: int) -> int:
    """Largest body in bytes that a worker may send whose limit of output is `output`."""
    return max(MAX_FRAME, output + _AROUND)


def frame(body: bytes, limit: int = MAX_FRAME) -> bytes:
    """`body` with its length before it.  Raises `ProtocolError` when it is over `limit`."""
    size = len(body)
    if size > limit:
        raise ProtocolError(f"frame of {size} bytes, more than {limit}")
    return size.to_bytes(HEADER, "big") + body


class FrameBuffer:
    """Collects received bytes and gives back whole bodies.

    Never holds more than one body's limit plus one read: a length over the limit is refused
    as soon as its four bytes are there, before anything is stored for it.
    """

    __slots__ = ("_buffer", "_limit", "_needed")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._needed = HEADER  # bytes that the buffer must have before it is worth a look

    def feed(self, data: bytes) -> list[bytes]:
        """Add `data`; returns the bodies it completed, in order.

        Raises `ProtocolError` for an empty body or one over the limit; the buffer is then void.
        """
        if self._buffer:
            # Only added to until the frame is whole: one that drips in costs no copying.
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        bodies: list[bytes] = []
        start, end = 0, len(data)
        self._needed = HEADER
        while end - start >= HEADER:
            size = int.from_bytes(data[start : start + HEADER], "big")
            if not 0 < size <= self._limit:
                raise ProtocolError(f"frame of {size} bytes, allowed are 1 to {self._limit}")
            following = start + HEADER + size
            if following > end:
                self._needed = HEADER + size
                break
            bodies.append(data[start + HEADER : following])
            start = following
        if start < end:
            self._buffer += data[start:]
        return bodies

    def __len__(self) -> int:
        """Bytes waiting for the rest of their frame."""
        return len(self._buffer)
