"""When a worker is taken for one that stopped reading, and when it only has much to read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.engine.link import Link
from sandbox.errors import SandboxError
from sandbox.wire.framing import MAX_FROM_ENGINE

MIB = 2**20


class Transport:
    """A transport whose other end reads when the test says so."""

    def __init__(self) -> None:
        self.waiting = 0

    def write(self, data: bytes) -> None:
        """See asyncio."""
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        """See asyncio."""
        return self.waiting

    def is_closing(self) -> bool:
        """See asyncio."""
        return False

    def abort(self) -> None:
        """See asyncio."""


class Sent:
    """A link, what waits for its worker, and why that was ended."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.death: SandboxError | None = None
        loop = asyncio.new_event_loop()
        loop.close()  # it makes futures, and nothing runs in it
        worker: Any = SimpleNamespace(plugin="p")
        driver: Any = SimpleNamespace(loop=loop, kill=self._kill)
        self.link = Link(driver, worker)
        made: Any = self.transport
        self.link.connection_made(made)

    def _kill(self, worker: Any, reason: SandboxError) -> SandboxError:
        self.death = reason
        return reason

    def write(self, size: int) -> bool:
        """Send that many bytes; whether the worker lives."""
        self.link.write(bytes(size))
        return self.death is None


@pytest.mark.parametrize("size", [1, 5 * MIB, MAX_FROM_ENGINE + 4])
def test_one_frame_may_be_as_large_as_frames_are(size: int) -> None:
    sent = Sent()
    assert sent.write(4 * MIB)
    assert sent.write(size)
    assert sent.transport.waiting == 4 * MIB + size


def test_a_worker_that_does_not_read_is_ended() -> None:
    sent = Sent()
    assert all(sent.write(MIB) for _ in range(5))
    assert not sent.write(1)
    assert sent.transport.waiting == 5 * MIB
    assert "stopped reading" in str(sent.death)


def test_what_comes_up_while_a_large_answer_is_read_is_no_offence() -> None:
    """A note on the way to a worker that has most of its answer still to read."""
    sent = Sent()
    assert sent.write(15 * MIB)
    assert sent.write(100)
    sent.transport.waiting = 0
    assert sent.write(100)


def test_nor_does_a_large_answer_allow_for_everything() -> None:
    sent = Sent()
    assert sent.write(15 * MIB)
    written = 0
    while sent.write(MIB):
        written += 1
        assert written < 10
    assert sent.transport.waiting < 32 * MIB
