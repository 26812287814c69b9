"""When a worker is taken for one that stopped reading, and when it only has much to read; what
becomes of calls whose worker asks, dies or runs out of memory."""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.engine.aio import AsyncioDriver
from sandbox.engine.driver import TOP, Chain, NotBegun
from sandbox.engine.link import Link
from sandbox.engine.worker import Worker
from sandbox.errors import LimitExceeded, SandboxCrashed, SandboxError
from sandbox.limits import Limits
from sandbox.values import Value
from sandbox.wire.codec import encode
from sandbox.wire.frames import VERSION, Frame, Kind
from sandbox.wire.framing import MAX_FROM_ENGINE, frame

MIB = 2**20
BOUND = 30.0


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


def framed(kind: Kind, *fields: Any) -> bytes:
    """A frame's bytes, length included."""
    return frame(encode([int(kind), *fields]))


class Played:
    """A link over a real pair of sockets; the test is the worker, and has greeted."""

    def __init__(self) -> None:
        self.served: list[tuple[str, int]] = []
        self.notes = 0
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)  # as the driver does
        # No limit is reached, however slow the machine is.
        self.worker = Worker(ours, None, Limits(cpu=10 * BOUND, wall=10 * BOUND), "p")
        self.driver = AsyncioDriver(self._serve, self._note, frozenset(["wait"]))
        self.gate = self.driver.loop.create_future()
        self.link = Link(self.driver, self.worker)
        self.worker.driver_state = self.link
        transport: Any = Transport()
        self.link.connection_made(transport)
        self.says(framed(Kind.HELLO, VERSION, os.getpid()))
        self.link.opening = False

    async def _serve(self, worker: Worker, asked: Frame, chain: Chain) -> Value:
        self.served.append((asked[2], chain.depth))
        if asked[2] == "wait":
            await self.gate
        return None

    def _note(self, worker: Worker, note: Frame) -> None:
        self.notes += 1

    def says(self, data: bytes) -> None:
        """The loop has read that from the worker."""
        self.link.data_received(data)

    def call(self, chain: Chain = TOP) -> asyncio.Future[Value]:
        """Call the worker, for the embedder or for a plugin that waits."""
        return self.link.call("work", [], chain, ahead=not chain.depth)

    @property
    def running(self) -> int:
        """The number of the call that runs."""
        number = self.worker.connection.running
        assert number is not None
        return number

    @property
    def seconds(self) -> float:
        """How long the call that ran last did run."""
        wall = self.worker.meter.wall
        assert math.isfinite(wall)
        assert math.isfinite(self.worker.meter.peaks.wall)
        return wall

    def close(self) -> None:
        """Put everything away."""
        self.driver.kill(self.worker)
        self.driver.finish()
        self.theirs.close()


def run(scenario: Callable[[Played], Awaitable[None]]) -> None:
    async def bounded() -> None:
        played = Played()
        try:
            async with asyncio.timeout(BOUND):
                await scenario(played)
        finally:
            played.close()

    asyncio.run(bounded())


def test_a_host_call_that_comes_with_an_answer_is_of_the_call_that_asked() -> None:
    """Not of a nested call, which waited for the worker to stand still."""

    async def scenario(here: Played) -> None:
        first, second = here.call(), here.call()
        nested = here.call(Chain(3))
        here.says(framed(Kind.RETURN, here.running, 1) + framed(Kind.HOST_CALL, 5, "f", []))
        assert here.served == [("f", 1)]
        here.says(framed(Kind.RETURN, here.running, 2))
        assert here.seconds >= 0
        here.says(framed(Kind.RETURN, here.running, 3))
        assert here.seconds >= 0
        assert [await first, await second, await nested] == [1, 2, 3]

    run(scenario)


def test_a_nested_call_runs_within_a_host_call_that_came_with_an_answer() -> None:
    async def scenario(here: Played) -> None:
        first, second = here.call(), here.call()
        nested = here.call(Chain(3))
        number = here.running
        here.says(framed(Kind.RETURN, number, 1) + framed(Kind.HOST_CALL, 5, "wait", []))
        here.says(framed(Kind.RETURN, here.running, 3))
        assert nested.done()
        assert not second.done()
        assert here.seconds >= 0
        here.gate.set_result(None)
        for _ in range(10):
            await asyncio.sleep(0)
        here.says(framed(Kind.RETURN, here.running, 2))
        assert here.seconds >= 0
        assert here.served == [("wait", 1)]
        assert [await first, await second, await nested] == [1, 2, 3]

    run(scenario)


@pytest.mark.parametrize("together", [False, True])
def test_a_worker_without_memory_is_ended_at_once(together: bool) -> None:
    """What it says after that counts for nothing, and who waits behind is not blamed."""

    async def scenario(here: Played) -> None:
        raises, second, third = here.call(), here.call(), here.call()
        data = framed(Kind.RAISE, here.running, {"type": "MemoryError", "message": "no"})
        if together:
            data += framed(Kind.RETURN, list(here.link._order)[1], 2)
        here.says(data)
        assert not here.worker.alive
        with pytest.raises(LimitExceeded) as caught:
            await raises
        assert caught.value.limit == "memory"
        assert here.worker.death is caught.value
        for after in (second, third):
            with pytest.raises(NotBegun):
                await after

    run(scenario)


def test_what_a_worker_answered_before_it_died_is_heard() -> None:
    """It was a write that failed first, and asyncio reads no more then."""

    async def scenario(here: Played) -> None:
        answered, begun, waits = here.call(), here.call(), here.call()
        here.theirs.sendall(framed(Kind.RETURN, here.running, "done"))
        here.theirs.close()
        here.link.connection_lost(BrokenPipeError())
        assert await answered == "done"
        with pytest.raises(SandboxCrashed):
            await begun
        with pytest.raises(NotBegun):
            await waits

    run(scenario)


def test_who_keeps_its_line_open_and_is_silent_is_not_waited_for() -> None:
    async def scenario(here: Played) -> None:
        answered, begun = here.call(), here.call()
        here.theirs.sendall(framed(Kind.RETURN, here.running, "done"))
        here.link.connection_lost(BrokenPipeError())
        assert not here.worker.alive
        assert await answered == "done"
        with pytest.raises(SandboxCrashed):
            await begun

    run(scenario)


class Endless:
    """A socket in which there is always something more to read."""

    def __init__(self, made: socket.socket) -> None:
        self.reads = 0
        self.shutdown = made.shutdown
        self.close = made.close

    def recv(self, size: int) -> bytes:
        """See socket."""
        self.reads += 1
        assert self.reads < 1000, "it would be read for ever"
        return framed(Kind.NOTE, "log", [])


def test_who_goes_on_sending_is_not_heard_for_ever() -> None:
    async def scenario(here: Played) -> None:
        endless: Any = Endless(here.worker.socket)
        here.worker.socket = endless
        begun, waits = here.call(), here.call()
        here.link.connection_lost(BrokenPipeError())
        assert here.notes == endless.reads > 0
        assert not here.worker.alive
        with pytest.raises(SandboxCrashed):
            await begun
        with pytest.raises(NotBegun):
            await waits

    run(scenario)
