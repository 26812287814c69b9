"""Random frames of a hostile worker against a link with calls ahead.

Whatever the worker sends, the link and the state machine agree about which calls wait, every call
comes to an end with an error that whoever asked knows, and nothing of it is left.  The seeds are
fixed and no time passes, so that a failure can be repeated: its message names the seed.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import random
import socket
from functools import partial
from typing import Any

import pytest

from sandbox.engine import link as link_module
from sandbox.engine.aio import AsyncioDriver
from sandbox.engine.driver import Chain, GuestRaised, NotBegun
from sandbox.engine.link import Link
from sandbox.engine.worker import Worker
from sandbox.errors import LimitExceeded, PluginError, SandboxError
from sandbox.limits import Limits
from sandbox.values import Value
from sandbox.wire.codec import encode
from sandbox.wire.frames import VERSION, Frame, Kind
from sandbox.wire.framing import frame
from sandbox.wire.state import State

BLOCKS = 8
SEEDS = 200
"""How many seeds there are in a block."""
STEPS = 60
TURNS = 400
"""Turns of the loop within which an honest worker must have answered everything."""
LATEST = 60.0
"""Seconds after which a block hangs; it takes a fraction of one."""
LIMITS = Limits(cpu=10 * LATEST, wall=10 * LATEST, host_calls=50)


def framed(kind: Kind, *fields: Any) -> bytes:
    """A frame's bytes, length included."""
    return frame(encode([int(kind), *fields]))


class Open:
    """A transport that takes everything until it is closed, and nothing after that."""

    def __init__(self) -> None:
        self.closing = False

    def write(self, data: bytes) -> None:
        """See asyncio."""
        assert not self.closing

    def get_write_buffer_size(self) -> int:
        """See asyncio."""
        return 0

    def is_closing(self) -> bool:
        """See asyncio."""
        return self.closing

    def abort(self) -> None:
        """See asyncio."""
        self.closing = True


class Play:
    """One seed: a link, the worker that the dice play, and the engine that they play too."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.gates: list[asyncio.Future[None]] = []
        self.calls: list[asyncio.Future[Value]] = []
        self.seen: set[str] = set()
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.worker = Worker(ours, None, LIMITS, "p")
        self.driver = AsyncioDriver(self._serve, self._note, frozenset(["wait"]))
        self.link = Link(self.driver, self.worker)
        self.worker.driver_state = self.link
        transport: Any = Open()
        self.link.connection_made(transport)
        self.link.data_received(framed(Kind.HELLO, VERSION, os.getpid()))
        self.link.opening = False

    async def _serve(self, worker: Worker, asked: Frame, chain: Chain) -> Value:
        """Serve a host call: at once, or when its gate is opened."""
        if asked[2] == "wait":
            gate = self.loop.create_future()
            self.gates.append(gate)
            await gate
        if self.rng.random() < 0.2:
            raise PluginError("no")
        return 1

    def _note(self, worker: Worker, note: Frame) -> None:
        """Take a note; some are too many."""
        if self.rng.random() < 0.1:
            self.driver.kill(worker, LimitExceeded("output", allowed=1, used=2))

    async def run(self) -> None:
        """Play to the end."""
        try:
            for _ in range(STEPS):
                if not self.worker.alive:
                    break
                await self._step()
            await self._end()
        finally:
            self.close()

    async def _step(self) -> None:
        dice = self.rng.random()
        if dice < 0.35:
            self._call()
        elif dice < 0.45 and self.calls:
            self.rng.choice(self.calls).cancel()
        elif dice < 0.55:
            self.link.withdraw()
        elif dice < 0.65:
            await asyncio.sleep(0)
        elif dice < 0.7 and self.gates:
            self._open(self.rng.choice(self.gates))
        else:
            self._take(self._frames())

    def _call(self) -> None:
        chain = Chain(self.rng.choice([0] * 9 + [1]))
        ahead = chain.depth == 0 and self.rng.random() < 0.9
        send = self.driver.call_ahead if ahead else self.driver.call
        self.calls.append(send(self.worker, "request", [], chain))

    def _open(self, gate: asyncio.Future[None]) -> None:
        self.gates.remove(gate)
        gate.set_result(None)

    def _frames(self) -> bytes:
        """Some frames that may come together now, and now and then one that may not."""
        rng = self.rng
        machine = self.worker.connection._machine
        state = machine.state
        waiting = list(machine._waiting)
        stack = list(machine._stack)
        data = b""
        for _ in range(rng.randrange(1, 5)):
            if rng.random() < 0.03:
                data += self._offence(waiting)
                continue
            if state is not State.RUNNING:
                break
            dice = rng.random()
            if dice < 0.5:
                data += self._ending(stack[-1][1] if stack else waiting[0])
                if stack:
                    stack.pop()
                    state = State.SUSPENDED
                else:
                    waiting.pop(0)
                    state = State.RUNNING if waiting else State.IDLE
            elif dice < 0.8:
                number = rng.randrange(1000)
                stack.append((Kind.HOST_CALL, number))
                state = State.SUSPENDED
                data += framed(Kind.HOST_CALL, number, rng.choice(["now", "wait"]), [])
            else:
                data += framed(Kind.NOTE, "log", [])
        return data

    def _ending(self, number: int) -> bytes:
        if self.rng.random() < 5 / 6:
            return framed(Kind.RETURN, number, 1)
        return framed(Kind.RAISE, number, {"type": self.rng.choice(["x", "x", "MemoryError"])})

    def _offence(self, waiting: list[int]) -> bytes:
        last = waiting[-1] if waiting else 1
        frames = [
            framed(Kind.RETURN, self.rng.randrange(9), 1),
            framed(Kind.HOST_CALL, 3, "x", []),
            framed(Kind.NOTE, "log", []),
            framed(Kind.RAISE, last, {"type": "MemoryError"}),
        ]
        return self.rng.choice(frames)

    def _take(self, data: bytes) -> None:
        """Take what the worker sent, and see that link and connection agree."""
        if not data:
            return
        self.link.data_received(data)
        if not self.worker.alive:
            return
        link, machine = self.link, self.worker.connection._machine
        assert list(link._order) == list(machine._waiting), self.seed
        assert set(link._ahead) <= set(list(link._order)[1:]), self.seed
        assert set(link._order) <= set(link._answers), self.seed
        assert math.isfinite(self.worker.meter.wall), self.seed
        assert math.isfinite(self.worker.meter.peaks.wall), self.seed
        if any(kind == Kind.NEST for kind, _ in machine._stack):
            self.seen.add("nested")

    async def _end(self) -> None:
        """The worker dies or is honest from now on: nothing may be left then."""
        if self.worker.alive and self.rng.random() < 0.5:
            self._die()
        await self._be_honest()
        for _ in range(10):  # what was asked just before may begin to wait only now
            while self.gates:
                self._open(self.gates[-1])
            await asyncio.sleep(0)
        link = self.link
        assert all(call.done() for call in self.calls), self.seed
        assert not (link._ahead or link._order or link._held or link._answers), self.seed
        assert not link._tasks, self.seed
        for call in self.calls:
            self._judge(call)

    def close(self) -> None:
        """Put everything away."""
        self.driver.kill(self.worker)
        self.driver.finish()
        self.theirs.close()

    def _die(self) -> None:
        """The line breaks, and there may be something in it."""
        self.theirs.sendall(self._frames())
        self.theirs.close()
        self.link.connection_lost(self.rng.choice([None, BrokenPipeError()]))
        assert not self.worker.alive, self.seed

    async def _be_honest(self) -> None:
        connection = self.worker.connection
        for _ in range(TURNS):
            if not self.worker.alive:
                return
            if connection.state is State.RUNNING:
                assert connection.running is not None
                self._take(framed(Kind.RETURN, connection.running, 1))
            elif connection.state is State.IDLE and not self.link._held:
                return
            elif self.gates:
                self._open(self.gates[-1])
            await asyncio.sleep(0)
        raise AssertionError(f"seed {self.seed}: it goes on for ever")

    def _judge(self, call: asyncio.Future[Value]) -> None:
        """See that whoever made the call learns of nothing but what he knows."""
        error = None if call.cancelled() else call.exception()
        assert error is None or isinstance(error, (SandboxError, NotBegun, GuestRaised)), self.seed
        self.seen.add(type(error).__name__)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_whatever_a_worker_sends_every_call_ends(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()

    async def play() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        async with asyncio.timeout(LATEST):
            for seed in range(block * SEEDS, (block + 1) * SEEDS):
                # The numbers of calls come from the seed as well.
                numbers = partial(random.Random(seed).getrandbits, 32)
                monkeypatch.setattr(link_module, "new_id", numbers)
                one = Play(seed)
                await one.run()
                seen.update(one.seen)
                assert not errors, seed
        gc.collect()  # errors that nobody asked for are told when their tasks go

    asyncio.run(play())
    assert not errors
    # And the dice came to everything there is.
    ends = {"NoneType", "NotBegun", "GuestRaised", "LimitExceeded", "SandboxCrashed"}
    assert seen == ends | {"nested"}
