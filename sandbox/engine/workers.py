"""Sandboxes and their workers: starting, calling, losing and ending them.

Every method that talks to a worker is a coroutine that only awaits the driver, so the blocking
engine can step it and asyncio can await it.  What workers tell and ask is `core.py`'s business.
"""

from __future__ import annotations

import importlib
import logging
import math
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from sandbox.engine.driver import TOP, Chain, Driver, GuestRaised
from sandbox.engine.faults import error_from, one_line
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.worker import Worker
from sandbox.engine.zygote import Zygote
from sandbox.errors import (
    ConfigurationError,
    ConfinementUnavailable,
    EngineClosed,
    LimitExceeded,
    SandboxCrashed,
    SandboxError,
)
from sandbox.limits import Limits
from sandbox.usage import Usage
from sandbox.values import Value

log: Final = logging.getLogger("sandbox.engine")
ISOLATIONS: Final = ("confined", "process", "inline")

FORKS_PER_ZYGOTE: Final = 500
"""How many workers share one zygote's address layout and hash seed; then it is executed anew."""

_AHEAD: Final = 20
"""How many forks before that its follower is started."""

current_chain: ContextVar[Chain] = ContextVar("sandbox_chain", default=TOP)
"""The chain that the embedder's own functions run in when a plugin called them."""


class Workers:
    """The sandboxes of one engine and the processes behind them."""

    def __init__(self, isolation: str, limits: Limits, hosts: tuple[str, ...]) -> None:
        if isolation not in ISOLATIONS:
            raise ConfigurationError(f"isolation: {isolation!r} is none of {', '.join(ISOLATIONS)}")
        if isolation == "confined":
            self._refuse_if_unconfinable()
        self.isolation = isolation
        self.limits = limits
        self.hosts = hosts
        self.driver: Driver
        self.sandboxes: list[Sandbox] = []
        self.closed = False
        self.died: Callable[[Sandbox, SandboxError], Coroutine[Any, Any, None]] | None = None
        """Told of a sandbox whose worker died in a call, after it was discarded."""
        self.closing: list[Callable[[], None]] = []
        """What is to be closed with the engine."""
        self.saving: list[Callable[[], None]] = []
        """What is to be written at a checkpoint."""
        self.kept: Callable[[Sandbox], int] = lambda sandbox: 0
        """How many bytes a sandbox's plugins keep in storage."""
        self.forks_per_zygote = FORKS_PER_ZYGOTE
        self._zygotes: dict[str, Zygote] = {}
        self._following: dict[str, Zygote] = {}
        """Zygotes that are being started to follow one that has nearly forked enough."""
        self._owners: dict[Worker, Sandbox] = {}

    def forget(self, sandbox: Sandbox) -> None:
        """A sandbox's worker is gone: drop what it had registered."""

    @staticmethod
    def _refuse_if_unconfinable() -> None:
        # By name: the jail is the worker's, and the engine imports nothing of the worker.
        confine = importlib.import_module("sandbox.worker.confine")
        missing = confine.missing_mechanisms()
        if missing:
            raise ConfinementUnavailable(missing)

    # ------------------------------------------------------------------ workers

    def _zygote(self, runtime: RuntimeInfo) -> Zygote:
        """The zygote to fork from.  One that has forked enough makes way for a new one, which was
        started a while before, so that nobody waits for it."""
        found = self._zygotes.get(runtime.name)
        if found is None:
            found = self._zygotes[runtime.name] = self._new_zygote(runtime)
        elif found.forks >= self.forks_per_zygote:
            following = self._following.pop(runtime.name, None) or self._new_zygote(runtime)
            found.retire()
            found = self._zygotes[runtime.name] = following
        elif found.forks >= self.forks_per_zygote - _AHEAD and runtime.name not in self._following:
            self._following[runtime.name] = self._new_zygote(runtime)
        return found

    def _new_zygote(self, runtime: RuntimeInfo) -> Zygote:
        return Zygote(runtime.factory, self.isolation == "confined")

    async def spawn(self, sandbox: Sandbox) -> Worker:
        """A new worker for `sandbox`, greeted and ready; it becomes the sandbox's worker."""
        if self.closed:
            raise EngineClosed("the engine is closed")
        settings = (sandbox.limits.memory, sandbox.limits.output, self.hosts)
        if self.isolation == "inline":
            ours, theirs = socket.socketpair()
            inline = importlib.import_module("sandbox.worker.inline")
            inline.start(theirs, sandbox.runtime.factory, settings)
            worker = Worker(ours, None, sandbox.limits, sandbox.name)
        else:
            worker = await self._fork(sandbox, settings)
        sandbox.worker = worker
        worker.meter.peaks = sandbox.peaks
        worker.meter.kept = lambda: self.kept(sandbox)
        self._owners[worker] = sandbox
        worker.invoke = lambda handle, *args: self._invoke(sandbox, worker, handle, args)
        try:
            await self.driver.greet(worker)
        except BaseException:  # whoever starts it may leave, and others wait for it
            self.discard(sandbox)
            raise
        return worker

    async def _fork(self, sandbox: Sandbox, settings: tuple[Any, ...]) -> Worker:
        for attempt in range(2):
            zygote = self._zygote(sandbox.runtime)
            try:
                connection = zygote.fork(settings)
            except (SandboxCrashed, ConfinementUnavailable) as error:
                # The zygote itself died, of the machine's memory perhaps: start another, once.
                del self._zygotes[sandbox.runtime.name]
                zygote.close()
                if attempt or isinstance(error, ConfinementUnavailable):
                    raise
                continue
            return Worker(connection, zygote, sandbox.limits, sandbox.name)
        raise SandboxCrashed("no worker could be started", plugin=sandbox.name)

    def _invoke(
        self, sandbox: Sandbox, worker: Worker, handle: int, args: tuple[Value, ...]
    ) -> Value:
        if sandbox.worker is not worker:
            raise SandboxCrashed("the sandbox of this function is gone", plugin=sandbox.name)
        return self.run(self.call(sandbox, "function.call", [handle, list(args)]))

    run: Callable[[Coroutine[Any, Any, Value]], Value]
    """How the engine runs an operation for the embedder; set by the engine."""

    async def call(
        self,
        sandbox: Sandbox,
        operation: str,
        arguments: list[Value],
        chain: Chain | None = None,
        *,
        ahead: bool = False,
    ) -> Value:
        """Run an operation in a sandbox, making its worker if need be.

        Raises `PluginError`, `PolicyDenied`, `LimitExceeded` or `SandboxCrashed`; after the last
        two the worker is gone, and `died` has been told.  With `ahead`, see `Driver.call_ahead`.
        """
        chain = current_chain.get() if chain is None else chain
        worker = sandbox.worker
        if worker is None or sandbox.busy:
            worker = await self._ready(sandbox, chain)
            ahead = False  # if it is dead already, so would be the next one: that is an error
        try:
            if ahead:
                return await self.driver.call_ahead(worker, operation, arguments, chain)
            return await self.driver.call(worker, operation, arguments, chain)
        except GuestRaised as raised:
            error = error_from(raised.error, sandbox.name, sandbox.limits)
            if isinstance(error, LimitExceeded):
                self.driver.kill(worker, error)
        except (LimitExceeded, SandboxCrashed) as limit:
            error = limit
        if worker.death is not None and sandbox.worker is worker:
            await self._lost(sandbox, error)
        raise error

    async def _ready(self, sandbox: Sandbox, chain: Chain) -> Worker:
        """The sandbox's worker, started if it has none.  While somebody starts it, or brings its
        modules back, everybody else waits: a call in between would find nothing loaded."""
        while sandbox.busy and not chain.reviving:
            await self.driver.wait_in(sandbox.line)
        if sandbox.worker is not None:
            return sandbox.worker
        if sandbox.busy:
            return await self.spawn(sandbox)
        if sandbox.resting_until > -math.inf:
            raise SandboxCrashed("the sandbox rests after a crash loop", plugin=sandbox.name)
        with self.keeping_others_out(sandbox):
            return await self.spawn(sandbox)

    @contextmanager
    def keeping_others_out(self, sandbox: Sandbox) -> Iterator[None]:
        """Calls to the sandbox wait while its worker is started and its modules are loaded."""
        sandbox.busy = True
        try:
            yield
        finally:
            sandbox.busy = False
            while sandbox.line:
                self.driver.wake(sandbox.line)

    async def _lost(self, sandbox: Sandbox, error: SandboxError) -> None:
        log.warning("sandbox %s: %s", sandbox.name, one_line(error.message))
        self.discard(sandbox)
        if self.died is None:
            return
        if sandbox.busy:
            await self.died(sandbox, error)
        else:
            with self.keeping_others_out(sandbox):
                await self.died(sandbox, error)

    def discard(self, sandbox: Sandbox) -> None:
        """End a sandbox's worker, if any, and forget all it had registered."""
        worker, sandbox.worker = sandbox.worker, None
        if worker is not None:
            self._owners.pop(worker, None)
            if worker.alive:
                stopped = SandboxCrashed("the worker was stopped")
                self.driver.kill(worker, stopped, wait=self.closed)
        self.forget(sandbox)

    def close(self) -> None:
        """End everything."""
        self.closed = True
        for close in self.closing:
            close()
        for sandbox in list(self.sandboxes):
            self.discard(sandbox)
        for worker in list(self._owners):
            self.driver.kill(worker, EngineClosed("the engine is closed"), wait=True)
        self._owners.clear()
        self.driver.finish()
        for zygote in (*self._zygotes.values(), *self._following.values()):
            zygote.close()
        self._zygotes.clear()
        self._following.clear()

    # ------------------------------------------------------------------ questions

    def usage(self) -> dict[str, Usage]:
        """The limit matrix of each sandbox that has a worker; equal names are numbered."""
        found: dict[str, Usage] = {}
        for sandbox in self.sandboxes:
            if sandbox.worker is not None and sandbox.worker.alive:
                name, count = sandbox.name, 1
                while name in found:
                    count += 1
                    name = f"{sandbox.name}#{count}"
                found[name] = sandbox.worker.meter.usage(sandbox.limits)
        return found
