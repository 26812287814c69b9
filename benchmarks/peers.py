"""The floors of calls: a bare msgpack echo in a forked process, on the same kind of socketpair."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgpack

PAYLOAD: Final = {
    "name": "Ada",
    "count": 12345,
    "ratio": 0.5,
    "tags": ["a", "bb", "ccc"],
    "nested": {"keys": "v" * 31},
    "flag": True,
}
"""A map of 100 bytes as msgpack."""

assert len(msgpack.packb(PAYLOAD)) == 100


def _echo(connection: socket.socket, packb, unpackb) -> None:  # type: ignore[no-untyped-def]
    """Answer each message with itself.  Messages are length-prefixed, as many as come at once."""
    buffer = b""
    while True:
        data = connection.recv(65_536)
        if not data:
            return
        buffer += data
        out = []
        while len(buffer) >= 4:
            end = 4 + int.from_bytes(buffer[:4], "big")
            if len(buffer) < end:
                break
            body = packb(unpackb(buffer[4:end]))
            out.append(len(body).to_bytes(4, "big") + body)
            buffer = buffer[end:]
        connection.sendall(b"".join(out))


Placement = tuple[int, int]
"""The core that we run on, and the one that the other end runs on."""


def placements() -> dict[str, Placement]:
    """On two cores, as a server and its workers mostly are, and on one.

    A round trip between cores costs twice as much as one within a core, and the scheduler's
    choice changes from run to run: unless both ends are held in place, for floor and subject
    alike, its choice is what is measured.
    """
    cores = sorted(os.sched_getaffinity(0))
    return {"": (cores[0], cores[-1]), ".onecore": (cores[-1], cores[-1])}


@contextmanager
def held_on(core: int) -> Iterator[None]:
    """Keep this process on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def bare_echo(core: int) -> Iterator[socket.socket]:
    """Our end of a socketpair whose other end is a bare echo in a forked process on `core`."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.sched_setaffinity(0, {core})
        try:
            _echo(theirs, msgpack.packb, msgpack.unpackb)
        finally:
            os._exit(0)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        os.waitpid(pid, 0)
