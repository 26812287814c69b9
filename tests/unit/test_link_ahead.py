"""Calls sent ahead through a link, with frames that come together: each is taken as if alone."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandbox.engine.aio import AsyncioDriver
from sandbox.engine.driver import TOP, Chain, NotBegun
from sandbox.engine.link import Link
from sandbox.engine.worker import Worker
from sandbox.errors import SandboxCrashed
from sandbox.limits import Limits
from sandbox.values import Value
from sandbox.wire.connection import Connection, Role
from sandbox.wire.frames import VERSION, Frame, Kind


class Wire(asyncio.Transport):
    """The other end: the frames that a link sent."""

    def __init__(self) -> None:
        super().__init__()
        self.side = Connection(Role.WORKER)
        self.got: list[Frame] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.got += self.side.receive(bytes(data))

    def frames(self, *frames: tuple[Any, ...]) -> bytes:
        """The bytes of some frames of the worker."""
        return b"".join(self.side.send(*frame) for frame in frames)

    def ids(self) -> list[int]:
        """The ids of the calls that came."""
        return [frame[1] for frame in self.got if frame[0] == Kind.CALL]

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0


async def serve(worker: Worker, frame: Frame, chain: Chain) -> Value:
    """Answers each host call with its name."""
    name: str = frame[2]
    return name


def run(scenario: Callable[[Link, Wire], Awaitable[None]]) -> None:
    async def linked() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            driver = AsyncioDriver(serve, lambda worker, frame: None, frozenset({"waits"}))
            worker = Worker(ours, None, Limits(), "some")
            link, wire = Link(driver, worker), Wire()
            worker.driver_state = link
            link.connection_made(wire)
            link.data_received(wire.frames((Kind.HELLO, VERSION, os.getpid())))
            link.opening = False
            await scenario(link, wire)
            driver.kill(worker, SandboxCrashed("the end"))
            driver.finish()

    asyncio.run(linked())


async def ahead(link: Link, wire: Wire, count: int) -> list[asyncio.Future[Value]]:
    """Calls sent ahead, when their frames have left at the end of this turn of the loop."""
    futures = [link.call("run", [number], TOP, ahead=True) for number in range(count)]
    while len(wire.ids()) < count:
        await asyncio.sleep(0)
    return futures


def test_answers_that_come_together_leave_nothing_behind() -> None:
    async def scenario(link: Link, wire: Wire) -> None:
        futures = await ahead(link, wire, 5)
        ids = wire.ids()
        link.data_received(wire.frames(*((Kind.RETURN, number, "a") for number in ids[:4])))
        assert [future.done() for future in futures] == [True] * 4 + [False]
        assert not link._ahead  # the last has begun
        link.data_received(wire.frames((Kind.RETURN, ids[4], "b")))
        assert await futures[4] == "b"
        assert not link._answers
        assert not link._order
        assert not link._ahead

    run(scenario)


def test_time_is_measured_for_a_call_whose_host_call_came_with_the_answer_before() -> None:
    async def scenario(link: Link, wire: Wire) -> None:
        await ahead(link, wire, 2)
        first, second = wire.ids()
        link.data_received(
            wire.frames((Kind.RETURN, first, None), (Kind.HOST_CALL, 7, "at.once", []))
        )
        meter = link.worker.meter
        assert meter.host_calls == 1
        assert 0 <= meter.running(asyncio.get_running_loop().time()) < link.worker.limits.wall
        assert wire.got[-1] == [Kind.HOST_RETURN, 7, "at.once"]
        link.data_received(wire.frames((Kind.RETURN, second, None)))
        assert 0 <= meter.wall < link.worker.limits.wall

    run(scenario)


def test_only_what_has_not_begun_is_withdrawn() -> None:
    async def scenario(link: Link, wire: Wire) -> None:
        futures = await ahead(link, wire, 4)
        first, second = wire.ids()[:2]
        link.data_received(wire.frames((Kind.RETURN, first, 1), (Kind.HOST_CALL, 7, "waits", [])))
        link.withdraw()
        assert wire.got[-1] == [Kind.WITHDRAW]
        assert [future.done() for future in futures] == [True, False, True, True]
        for future in futures[2:]:
            with pytest.raises(NotBegun):
                await future
        while wire.got[-1][0] != Kind.HOST_RETURN:
            await asyncio.sleep(0)
        link.data_received(wire.frames((Kind.RETURN, second, 2)))
        assert [await future for future in futures[:2]] == [1, 2]

    run(scenario)


def test_nothing_is_withdrawn_from_a_worker_that_runs() -> None:
    async def scenario(link: Link, wire: Wire) -> None:
        futures = await ahead(link, wire, 2)
        link.withdraw()
        assert not any(future.done() for future in futures)
        assert wire.got[-1][0] == Kind.CALL

    run(scenario)


def test_a_death_is_the_first_ones_alone() -> None:
    async def scenario(link: Link, wire: Wire) -> None:
        futures = await ahead(link, wire, 3)
        link.data_received(wire.frames((Kind.RETURN, wire.ids()[0], 1)))
        link.end(SandboxCrashed("it died"))
        assert await futures[0] == 1
        with pytest.raises(SandboxCrashed, match="it died"):
            await futures[1]
        with pytest.raises(NotBegun):
            await futures[2]

    run(scenario)


def test_a_call_that_nobody_waits_for_ends_the_worker_when_it_begins() -> None:
    async def scenario(link: Link, wire: Wire) -> None:
        futures = await ahead(link, wire, 3)
        futures[1].cancel()
        assert not link.is_forsaken()
        link.data_received(wire.frames((Kind.RETURN, wire.ids()[0], 1)))
        assert not link.worker.alive
        assert await futures[0] == 1
        with pytest.raises(NotBegun):
            await futures[2]

    run(scenario)
