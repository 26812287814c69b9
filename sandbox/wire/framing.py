"""Length-prefixed bodies: four bytes of big-endian length, then that many bytes.

Owns the only buffer of the wire and its cap.  Knows nothing of what a body means.
"""

from __future__ import annotations

from typing import Final

from sandbox.errors import ProtocolError

HEADER: Final = 4
MAX_FRAME: Final = 2**20
"""Largest body in bytes, on both sides, unless told otherwise."""


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

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """Add `data`; returns the bodies it completed, in order.

        Raises `ProtocolError` for an empty body or one over the limit; the buffer is then void.
        """
        buffer = self._buffer
        buffer += data
        bodies: list[bytes] = []
        start, end = 0, len(buffer)
        while end - start >= HEADER:
            size = int.from_bytes(buffer[start : start + HEADER], "big")
            if not 0 < size <= self._limit:
                raise ProtocolError(f"frame of {size} bytes, allowed are 1 to {self._limit}")
            if end - start - HEADER < size:
                break
            start += HEADER
            bodies.append(bytes(buffer[start : start + size]))
            start += size
        del buffer[:start]
        return bodies

    def __len__(self) -> int:
        """Bytes waiting for the rest of their frame."""
        return len(self._buffer)
