"""The asyncio driver: many calls in flight, none of them blocking the loop.  Each worker has a
`Link`."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sandbox.engine.driver import GREETING_SECONDS, Chain, NotBegun, Note, Serve
from sandbox.engine.link import Link
from sandbox.engine.worker import Worker
from sandbox.errors import SandboxCrashed, SandboxError
from sandbox.values import Value
from sandbox.wire.frames import Kind

MAX_APART: Final = 256
"""Requests and file operations of plugins that may be under way at a time; more wait."""


class AsyncioDriver:
    """See `Driver`.  Belongs to the loop it is made in."""

    sends_ahead = True

    def __init__(self, serve: Serve, take_note: Note, waiting: frozenset[str]) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting = waiting
        """The host functions that may have to wait; all others are answered at once."""
        self._threads = ThreadPoolExecutor(MAX_APART, thread_name_prefix="sandbox-apart")
        self._dying: dict[int, Callable[[], None]] = {}
        self.serve = serve
        self.take_note = take_note

    async def greet(self, worker: Worker) -> None:
        """See `Driver.greet`."""
        worker.socket.setblocking(False)
        link = Link(self, worker)
        worker.driver_state = link
        # Not given up when its client leaves: who has not told its pid cannot be reaped.
        opening = self.loop.create_task(self._open(worker, link))
        opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(opening)

    async def _open(self, worker: Worker, link: Link) -> None:
        late = None
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                await self.loop.create_connection(lambda: link, sock=worker.socket)
                await link.greeting
        except TimeoutError:
            late = SandboxCrashed("the worker did not start in time", plugin=worker.plugin)
            raise late from None
        except OSError:  # it was ended, and its socket closed, before we came to it
            raise worker.death or SandboxCrashed(
                "the worker did not start", plugin=worker.plugin
            ) from None
        finally:
            link.opening = False
            if late or link.unwanted:
                self.kill(worker, late or link.unwanted)

    def call(
        self, worker: Worker, operation: str, arguments: list[Value], chain: Chain
    ) -> asyncio.Future[Value]:
        """See `Driver.call`."""
        if worker.death is not None:
            raise worker.death
        link: Link = worker.driver_state
        return link.call(operation, arguments, chain)

    def call_ahead(
        self, worker: Worker, operation: str, arguments: list[Value], chain: Chain
    ) -> asyncio.Future[Value]:
        """See `Driver.call_ahead`."""
        if worker.death is not None:
            raise NotBegun
        link: Link = worker.driver_state
        return link.call(operation, arguments, chain, ahead=True)

    def withdraw(self, worker: Worker) -> None:
        """See `Driver.withdraw`."""
        if worker.alive:
            worker.driver_state.withdraw()

    def is_forsaken(self, worker: Worker) -> bool:
        """See `Driver.is_forsaken`."""
        link: Link = worker.driver_state
        return link.is_forsaken()

    def note(self, worker: Worker, topic: str, payload: list[Value]) -> None:
        """See `Driver.note`."""
        if worker.alive:
            worker.driver_state.write(worker.connection.send(Kind.NOTE, topic, payload))

    def kill(
        self, worker: Worker, reason: SandboxError | None = None, *, wait: bool = False
    ) -> SandboxError:
        """See `Driver.kill`."""
        link: Link | None = worker.driver_state
        if link is not None and link.opening and worker.death is None and not wait:
            link.unwanted = reason or SandboxCrashed("the worker was stopped")
            return link.unwanted  # as soon as it has told its pid
        if link is not None:
            link.hang_up()
        death = worker.kill(reason, None if wait else self._when_dead)
        if link is not None:
            link.fail(death)
        return death

    async def wait_in(self, line: deque[asyncio.Future[None]]) -> None:
        """See `Driver.wait_in`."""
        turn = self.loop.create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.wake(line)  # our turn had come: it goes to the next
            elif turn in line:
                line.remove(turn)
            raise

    def wake(self, line: deque[asyncio.Future[None]]) -> None:
        """See `Driver.wake`."""
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def outside(self, function: Callable[..., Value], arguments: list[Value]) -> Value:
        """See `Driver.outside`.  The function may be a coroutine function."""
        result = function(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def apart(self, function: Callable[[], Value]) -> Value:
        """See `Driver.apart`."""
        return await self.loop.run_in_executor(self._threads, function)

    def _when_dead(self, pidfd: int, reap: Callable[[], object]) -> None:
        """Reap without waiting: a pidfd is readable once its process has ended."""

        def ended() -> None:
            self.loop.remove_reader(pidfd)
            del self._dying[pidfd]
            reap()

        self._dying[pidfd] = ended
        self.loop.add_reader(pidfd, ended)

    def finish(self) -> None:
        """See `Driver.finish`."""
        for ended in list(self._dying.values()):
            ended()
        self._threads.shutdown(wait=True)  # what ran there was told to end
