"""`AsyncEngine`: the engine for asyncio servers; the methods of `Engine`, awaitable."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

from sandbox.engine.aio import AsyncioDriver
from sandbox.engine.clock import Clock, SystemClock
from sandbox.engine.core import WAITING, Core
from sandbox.engine.driver import Chain
from sandbox.engine.modules import Modules
from sandbox.engine.network import Network
from sandbox.engine.plugins import Source, StaticFile
from sandbox.engine.scripts import Run, Scripts
from sandbox.engine.status import ModuleStatus
from sandbox.engine.storage import Storage
from sandbox.engine.workers import current_chain
from sandbox.errors import EngineClosed
from sandbox.limits import Limits, parse_seconds
from sandbox.manifest import Manifest
from sandbox.messages import Request, Response
from sandbox.policy import Policy
from sandbox.usage import Usage
from sandbox.values import Value

T = TypeVar("T")
PathLike = str | os.PathLike[str]


class AsyncEngine:
    """Runs plugins in confined workers for one asyncio event loop.

    Arguments and errors are those of `Engine`.  Use it as `async with AsyncEngine(...)`, or call
    `close`; it belongs to the loop in which it is first used.  Many calls may be under way at
    once: calls of one module are sent ahead and answered in order, scripts run side by side.
    """

    def __init__(
        self,
        plugins: Iterable[PathLike] = (),
        hosts: Iterable[str] = (),
        config: Mapping[str, Value] | None = None,
        policy: Policy | None = None,
        limits: Limits | None = None,
        isolation: str = "confined",
        groups: Iterable[Sequence[str]] = (),
        workers: int | None = None,
        clock: Clock | None = None,
        checkpoint: float | str | None = None,
        data: PathLike | None = None,
        queue: int = 100,
        keep_memory: bool = False,
    ) -> None:
        self._core = Core(
            plugins=[os.fspath(folder) for folder in plugins],
            hosts=hosts,
            config=config or {},
            policy=policy,
            limits=limits,
            isolation=isolation,
            clock=clock,
        )
        self._core.run = self._run
        every = None if checkpoint is None else parse_seconds("checkpoint", checkpoint)
        self._modules = Modules(self._core, groups, every)
        self._scripts = Scripts(self._core, workers, queue)
        self._storage = Storage(self._core, data, keep_memory)
        self._network = Network(self._core)
        self._driver: AsyncioDriver | None = None
        self._lifecycle = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_task: asyncio.Task[int] | None = None
        if isinstance(self._core.clock, SystemClock):
            self._core.timer_added = self._arm_timer

    def _start(self) -> None:
        if self._core.closed:
            raise EngineClosed("the engine is closed")
        if self._driver is None:
            self._driver = AsyncioDriver(self._core.serve, self._core.take_note, WAITING)
            self._core.driver = self._driver

    async def _run(self, operation: Coroutine[Any, Any, T]) -> T:
        try:
            self._start()
        except EngineClosed:
            operation.close()
            raise
        return await operation

    def _loading(self, chain: Chain) -> AbstractAsyncContextManager[object]:
        return self._lifecycle if chain.depth == 0 else nullcontext()

    async def close(self) -> None:
        """End every worker of this engine.  Safe to call again."""
        if self._timer is not None:
            self._timer.cancel()
        if self._timer_task is not None:
            self._timer_task.cancel()
        if self._driver is None:
            self._core.closed = True
        elif not self._core.closed:
            self._core.close()

    async def __aenter__(self) -> AsyncEngine:
        self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def policy(self) -> Policy:
        """See `Engine.policy`."""
        return self._core.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._core.policy = policy

    # ------------------------------------------------------------------ modules

    async def load(self, host: str, name: str) -> ModuleStatus:
        """See `Engine.load`."""
        chain = current_chain.get()
        async with self._loading(chain):
            module = await self._run(self._modules.load(host, name, chain))
        return self._status_of(module.host, name)

    async def unload(self, host: str, name: str) -> None:
        """See `Engine.unload`."""
        chain = current_chain.get()
        async with self._loading(chain):
            await self._run(self._modules.unload(host, name, chain))

    async def reload(self, host: str, name: str) -> ModuleStatus:
        """See `Engine.reload`."""
        chain = current_chain.get()
        async with self._loading(chain):
            module = await self._run(self._modules.reload(host, name, chain))
        return self._status_of(module.host, name)

    async def reset(self, host: str, name: str) -> ModuleStatus:
        """See `Engine.reset`."""
        chain = current_chain.get()
        async with self._loading(chain):
            module = await self._run(self._modules.reset(host, name))
        return self._status_of(module.host, name)

    async def checkpoint(self) -> int:
        """See `Engine.checkpoint`."""
        async with self._loading(current_chain.get()):
            return await self._run(self._modules.checkpoint())

    def is_loaded(self, host: str, name: str) -> bool:
        """See `Engine.is_loaded`."""
        return self._modules.is_loaded(host, name)

    def modules(self, host: str) -> list[str]:
        """See `Engine.modules`."""
        return self._modules.names(host)

    def status(self) -> list[ModuleStatus]:
        """See `Engine.status`."""
        return self._modules.status()

    def _status_of(self, host: str, name: str) -> ModuleStatus:
        return next(one for one in self.status() if (one.host, one.name) == (host, name))

    # ------------------------------------------------------------------ events and items

    async def fire(self, host: str, event: str, data: Value = None) -> Value:
        """See `Engine.fire`.  Callables in `data` may be coroutine functions."""
        if self._driver is None or self._core.closed:
            self._start()
        return await self._core.fire(host, event, data)

    async def items(self, host: str, key: str) -> list[Value]:
        """See `Engine.items`.  Calling a function in an item gives an awaitable."""
        return await self._run(self._core.items(host, key))

    async def run_timers(self) -> int:
        """See `Engine.run_timers`."""
        return await self._run(self._core.run_timers())

    def _arm_timer(self) -> None:
        due = self._core.next_due()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None and self._driver is not None:
            delay = max(due - self._core.clock.monotonic(), 0.0)
            self._timer = self._driver.loop.call_later(delay, self._run_due)

    def _run_due(self) -> None:
        async def run() -> int:
            count = await self._core.run_timers()
            self._arm_timer()
            return count

        if self._driver is not None:
            self._timer_task = self._driver.loop.create_task(run())

    # ------------------------------------------------------------------ scripts and bare code

    async def request(
        self, plugin: str, request: Request, found: Source | StaticFile | None = None
    ) -> Response:
        """See `Engine.request`.  `found` is what `resolve` gave for it, where that was asked
        already: it is not asked again then."""
        if self._driver is None or self._core.closed:
            self._start()
        return await self._scripts.request(plugin, request, found)

    def renew(self, plugin: str) -> None:
        """End the workers of a plugin's scripts: the next request starts new ones.  Runs that are
        under way end first, and what the plugin keeps stays."""
        self._scripts.pools.drop("script", plugin)

    def resolve(self, plugin: str, path: str) -> Source | StaticFile | None:
        """What would answer `path` (an unescaped URI path): a script, a file to be served as it
        is, or nothing.  Raises `UnknownPlugin`, `PluginError`."""
        return self._scripts.resolve(plugin, path)

    async def execute(
        self,
        source: str | bytes,
        language: str,
        inputs: Mapping[str, Value] | None = None,
        modules: Mapping[str, str | bytes] | None = None,
        limits: Limits | None = None,
        file: str = "(main)",
    ) -> Run:
        """See `Engine.execute`."""
        return await self._run(
            self._scripts.execute(source, language, inputs or {}, modules or {}, limits, file)
        )

    async def names_in(self, path: PathLike) -> list[str]:
        """See `Engine.names_in`."""
        return await self._run(self._scripts.names_in(self._scripts.source_file(path)))

    async def compiled(self, path: PathLike) -> str:
        """See `Engine.compiled`."""
        return await self._run(self._scripts.compiled(self._scripts.source_file(path)))

    def usage(self) -> dict[str, Usage]:
        """See `Engine.usage`."""
        return self._core.usage()

    def plugin_names(self) -> list[str]:
        """The plugin folders with scripts or a manifest, sorted."""
        return self._core.plugins.names()

    def manifest(self, plugin: str) -> Manifest:
        """What a plugin folder says of itself.  Raises `UnknownPlugin`, `PluginError`."""
        return self._core.plugins.manifest(plugin)
