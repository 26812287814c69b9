"""One worker as asyncio sees it: a protocol over the wire's connection.

Calls are sent ahead and answered by futures.  One watchdog timer per busy worker enforces
deadlines, not one per call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final, Protocol, cast

from sandbox.engine.driver import (
    TOP,
    Chain,
    GuestRaised,
    NotBegun,
    Note,
    Serve,
    new_id,
    over_budget,
    refusal,
    step,
)
from sandbox.engine.faults import error_from, out_of_memory
from sandbox.engine.worker import Worker
from sandbox.errors import LimitExceeded, ProtocolError, SandboxCrashed, SandboxError
from sandbox.values import Value
from sandbox.wire.extensions import EncodeError
from sandbox.wire.frames import Frame, Kind
from sandbox.wire.framing import MAX_FROM_ENGINE
from sandbox.wire.state import State

_CALL: Final = int(Kind.CALL)
_NEST: Final = int(Kind.NEST)
_RETURN: Final = int(Kind.RETURN)
_RAISE: Final = int(Kind.RAISE)

_READ: Final = 65_536
_LAST_READS: Final = 16  # more than fits into a socket

_MAX_UNREAD: Final = 4 * 2**20
"""Bytes that may wait to be read by a worker before it is taken for stuck; for one that was sent
a larger frame, as many beside the largest frame there is."""


class Owner(Protocol):
    """What a link needs of its driver."""

    loop: asyncio.AbstractEventLoop
    waiting: frozenset[str]
    serve: Serve
    take_note: Note

    def kill(self, worker: Worker, reason: SandboxError | None = None) -> SandboxError:
        """See `Driver.kill`."""


class Link(asyncio.Protocol):
    """The asyncio side of one worker."""

    def __init__(self, driver: Owner, worker: Worker) -> None:
        self.worker = worker
        self.greeting: asyncio.Future[None] = driver.loop.create_future()
        self.opening = True
        """Whether it has not greeted yet."""
        self.unwanted: SandboxError | None = None
        """Why it is ended as soon as it has."""
        self._driver = driver
        self._transport: asyncio.Transport | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._answers: dict[int, tuple[asyncio.Future[Value], Chain]] = {}
        # The calls in their order, without nested ones.  The first runs, as far as we have looked:
        # the connection knows of all frames that came together before we look at the first.
        self._order: deque[int] = deque()
        # Those of them that may as well be run by another worker, as long as they have not begun.
        self._ahead: dict[int, asyncio.Future[Value]] = {}
        # Answers to host calls that wait until nested calls above them are over.
        self._host_answers: dict[int, tuple[Kind, Value]] = {}
        # Nested calls that wait until the worker stands still.
        self._held: deque[tuple[asyncio.Future[Value], Chain, str, list[Value]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        # Frames for a worker that is busy anyway: they leave together, at the end of this turn
        # of the loop.
        self._outgoing: list[bytes] = []
        self._may_wait = _MAX_UNREAD

    # ------------------------------------------------------------------ transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if exc is not None:
            self._read_rest()
        self.fail(self.worker.crashed())

    def _read_rest(self) -> None:
        """Take what a worker sent before it died: asyncio does not, where it was a write that
        failed first.  One that only shut its end of the line could go on sending for ever."""
        with contextlib.suppress(OSError):
            for _ in range(_LAST_READS):
                data = self.worker.socket.recv(_READ) if self.worker.alive else b""
                if not data:
                    return
                self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            frames = self.worker.connection.receive(data)
        except ProtocolError as error:
            text = f"the worker broke the protocol: {error.message}"
            self.end(SandboxCrashed(text, plugin=self.worker.plugin))
            return
        for frame in frames:
            if not self.worker.alive:
                return  # one of the frames before ended it
            self._take(frame)
        if self._held or self._host_answers:
            self._pump()  # not before all frames were looked at: the state is that after them

    def _take(self, frame: Frame) -> None:
        kind, worker = frame[0], self.worker
        if kind in (_RETURN, _RAISE):
            self._finished(frame)
        elif kind == Kind.HOST_CALL:
            self._host_call(frame)
        elif kind == Kind.NOTE:
            self._driver.take_note(worker, frame)
            if worker.death is not None:
                self.fail(worker.death)
        elif not self.greeting.done():
            try:
                worker.greeted(frame)
            except ProtocolError as error:
                self.end(SandboxCrashed(error.message, plugin=worker.plugin))
            else:
                self.greeting.set_result(None)

    # ------------------------------------------------------------------ calls

    def call(
        self, operation: str, arguments: list[Value], chain: Chain, *, ahead: bool = False
    ) -> asyncio.Future[Value]:
        """Send one call; the future is its answer.  With `ahead`, see `Driver.call_ahead`."""
        future: asyncio.Future[Value] = self._driver.loop.create_future()
        state = self.worker.connection.state
        if chain.depth and state is not State.IDLE:
            self._held.append((future, chain, operation, arguments))
            self._pump()
        else:
            self._start(_CALL, future, chain, operation, arguments, ahead=ahead)
        return future

    def _start(
        self,
        kind: int,
        future: asyncio.Future[Value],
        chain: Chain,
        operation: str,
        arguments: list[Value],
        *,
        ahead: bool = False,
    ) -> None:
        worker, now = self.worker, self._driver.loop.time()
        idle = worker.connection.state is State.IDLE
        number = new_id()
        while number in self._answers:  # of two calls with one number, one would never end
            number = new_id()
        try:
            data = worker.connection.send(kind, number, operation, arguments)
        except (EncodeError, ProtocolError) as error:
            future.set_exception(error)
            return
        if idle:
            worker.meter.begin(now)
            self._watch(worker.patience)
        elif kind == _NEST:
            worker.meter.resume(now)
        self._answers[number] = (future, chain)
        if kind == _CALL:
            self._order.append(number)
        if ahead and not idle:
            self._ahead[number] = future
        if idle or kind == _NEST:
            self.write(data)
        else:
            if not self._outgoing:
                self._driver.loop.call_soon(self._flush)
            self._outgoing.append(data)

    def _finished(self, frame: Frame) -> None:
        worker, number = self.worker, frame[1]
        future, _ = self._answers.pop(number)
        now = self._driver.loop.time()
        if self._order[0] != number:
            worker.meter.suspend(now)  # a nested call is over, and its worker waits again
            self._settle(future, frame)
        else:
            self._order.popleft()
            worker.meter.end(now)
            self._settle(future, frame)
            if self._order:
                worker.meter.begin(now)
                self._begun(self._order[0])

    def _settle(self, future: asyncio.Future[Value], frame: Frame) -> None:
        error: Exception | None = None
        if frame[0] == _RAISE:
            error = GuestRaised(frame[2])
            if out_of_memory(frame[2]):
                # Its worker ends here, and not when whoever waits hears of it: the next call has
                # not begun yet, and must not be blamed.
                error = error_from(frame[2], self.worker.plugin, self.worker.limits)
        if not future.done():
            if error is None:
                future.set_result(frame[2])
            else:
                future.set_exception(error)
        if isinstance(error, LimitExceeded):
            self.end(error)

    def _begun(self, number: int) -> None:
        """A call that was sent ahead has begun."""
        future = self._ahead.pop(number, None)
        if future is not None and future.cancelled():
            self.end(SandboxCrashed("nobody waits for the answer", plugin=self.worker.plugin))

    def withdraw(self) -> None:
        """Take back what was sent ahead; see `Driver.withdraw`."""
        if len(self._order) != len(self._ahead) + 1:
            return  # among those that wait is one that cannot run elsewhere
        if self._ahead and self.worker.connection.state is State.SUSPENDED:
            self.write(self.worker.connection.send(Kind.WITHDRAW))
            for number in self._ahead:
                del self._answers[number]
                self._order.remove(number)
            self._give_up_ahead()

    def _give_up_ahead(self) -> None:
        for future in self._ahead.values():
            if not future.done():
                future.set_exception(NotBegun())
                future.exception()  # whoever waited may have been cancelled
        self._ahead.clear()

    def is_forsaken(self) -> bool:
        """See `Driver.is_forsaken`."""
        running = self.worker.connection.running
        return running in self._answers and self._answers[running][0].cancelled()

    def _host_call(self, frame: Frame) -> None:
        worker = self.worker
        meter = worker.meter
        meter.suspend(self._driver.loop.time())
        meter.host_calls += 1
        if meter.host_calls > worker.limits.host_calls:
            self.end(over_budget(worker, meter.host_calls))
            return
        running = worker.connection.running
        chain = self._answers[running][1] if running in self._answers else TOP
        if frame[2] not in self._driver.waiting:
            step(self._serve(frame, chain))
            return
        task = self._driver.loop.create_task(self._serve(frame, chain))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, frame: Frame, chain: Chain) -> None:
        if not self.worker.alive:
            return  # it died before this came to its turn
        try:
            value = await self._driver.serve(self.worker, frame, chain.deeper())
            self._host_answers[frame[1]] = (Kind.HOST_RETURN, value)
        except (SandboxError, EncodeError) as error:
            self._host_answers[frame[1]] = (Kind.HOST_RAISE, refusal(error))
        if self.worker.alive:
            self._pump()

    def _pump(self) -> None:
        """Send what the state now allows: the innermost host call's answer, else a nested call."""
        connection = self.worker.connection
        while self.worker.alive:
            waiting = connection.host_call
            if waiting is not None and waiting in self._host_answers:
                self._answer(waiting, *self._host_answers.pop(waiting))
            elif waiting is not None and self._held:
                self._start(_NEST, *self._held.popleft())
            elif self._held and connection.state is State.IDLE:
                self._start(_CALL, *self._held.popleft())
            else:
                return

    def _answer(self, number: int, kind: Kind, value: Value) -> None:
        try:
            data = self.worker.connection.send(kind, number, value)
        except (EncodeError, ProtocolError) as error:
            data = self.worker.connection.send(Kind.HOST_RAISE, number, refusal(error))
        self.worker.meter.resume(self._driver.loop.time())
        self.write(data)

    def _flush(self) -> None:
        if self._outgoing:
            data = b"".join(self._outgoing)
            self._outgoing.clear()
            self.write(data)

    def write(self, data: bytes) -> None:
        """Send bytes.  A worker that does not read is ended when too much waits for it: before
        these, since a worker that asked for something large cannot have read it yet."""
        if self._outgoing:
            # Frames must leave in the order in which the state machine saw them.
            data = b"".join([*self._outgoing, data])
            self._outgoing.clear()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > self._may_wait:
            self.end(SandboxCrashed("the worker stopped reading", plugin=self.worker.plugin))
            return
        if len(data) > _MAX_UNREAD:
            self._may_wait = _MAX_UNREAD + MAX_FROM_ENGINE  # while it reads this, notes may come
        transport.write(data)

    # ------------------------------------------------------------------ deadlines and death

    def _watch(self, seconds: float) -> None:
        if self._watchdog is None:
            self._watchdog = self._driver.loop.call_later(seconds, self._check)

    def _check(self) -> None:
        self._watchdog = None
        worker = self.worker
        state = worker.connection.state
        if state is State.RUNNING:
            now = self._driver.loop.time()
            over = worker.meter.exceeded(now, worker.limits)
            if over is not None:
                over.plugin = worker.plugin
                self.end(over)
                return
            self._watch(worker.meter.remaining(now, worker.limits))
        elif state is State.SUSPENDED:
            self._watch(worker.patience)

    def end(self, reason: SandboxError) -> None:
        """Kill the worker for `reason` and fail everything that waits for it."""
        self.fail(self._driver.kill(self.worker, reason))

    def hang_up(self) -> None:
        """Let go of the socket, before anybody closes it under the loop's feet."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, reason: SandboxError) -> None:
        """The worker is dead: fail everything that waits for it."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        self.hang_up()
        self._give_up_ahead()
        waiting = [answer[0] for answer in self._answers.values()]
        waiting += [held[0] for held in self._held]
        if not self.greeting.done():
            waiting.append(self.greeting)
        self._answers.clear()
        self._order.clear()
        self._held.clear()
        self._host_answers.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(reason)
                # Whoever waited may have been cancelled; nobody need hear of it then.
                future.exception()
