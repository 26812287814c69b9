"""What workers tell and ask the engine: notes, events and items, host functions.

One per engine, over the workers of `workers.py`.  `modules.py` and `scripts.py` build on this.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from sandbox import manifest
from sandbox.api.functions import BY_NAME
from sandbox.engine import runtimes
from sandbox.engine.clock import Clock, SystemClock
from sandbox.engine.driver import TOP, Chain
from sandbox.engine.events import Routes
from sandbox.engine.faults import clean, one_line
from sandbox.engine.options import Options
from sandbox.engine.plugins import Plugins
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.services.asking import opened
from sandbox.engine.services.grants import Grants
from sandbox.engine.timers import Timers, checked_delay
from sandbox.engine.worker import Worker
from sandbox.engine.workers import Workers, current_chain
from sandbox.errors import (
    ConfigurationError,
    LimitExceeded,
    PluginError,
    PolicyDenied,
    SandboxCrashed,
    SandboxError,
)
from sandbox.limits import Limits
from sandbox.manifest import Manifest
from sandbox.policy import Policy
from sandbox.values import Value
from sandbox.wire.frames import Frame

log: Final = logging.getLogger("sandbox.engine")
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_MAX_NAME: Final = 1024  # characters of a name that a worker may have the engine remember
_MAX_ITEM_KEYS: Final = 10_000  # (module, host, key) that a sandbox may hold items under
_NOTE_COST: Final = 32  # what a log line costs of the output budget beyond its text

WAITING: Final = frozenset(
    {
        "event.fire", "items.elsewhere", "module.depends", "environment.get",
        "environment.call", "handle.call", "http.request", "file.read", "file.write", "file.remove",
    }
)  # fmt: skip
"""The host functions that may have to wait for another sandbox or for the embedder."""


_OF_MODULES: Final = frozenset(
    {"environment", "event", "hooks", "items", "module", "option", "status", "timer"}
)
"""Subjects of notes and host functions that are for modules alone.  The runtimes give them to
nothing else; here they are refused to a worker that a script or bare code has taken over."""


class Core(Workers):
    """The engine without its face.  Not public."""

    def __init__(
        self,
        *,
        plugins: Iterable[str],
        hosts: Iterable[str],
        config: Mapping[str, Value],
        policy: Policy | None,
        limits: Limits | None,
        isolation: str,
        clock: Clock | None,
    ) -> None:
        names = tuple(hosts)
        if "*" in names or not all(isinstance(host, str) and host for host in names):
            raise ConfigurationError('hosts: names of virtual hosts; "*" is always there')
        super().__init__(isolation, limits or Limits(), names)
        self.plugins = Plugins(list(plugins))
        self.options = Options(config, self.hosts)
        self._policy = self.checked_policy(policy or Policy())
        self.clock = clock or SystemClock()
        self.routes = Routes()
        self.timers = Timers()
        self.timer_added: Callable[[], None] = lambda: None
        self.rests = Timers()
        """When sandboxes that died again and again have rested."""
        self.next_sweep: float | None = None
        """When idle workers are next looked at; None while there are none."""
        self.sweep: Callable[[], None] = lambda: None
        self.away: Callable[[Sandbox], AbstractContextManager[None]] = lambda sandbox: nullcontext()
        """Entered while a sandbox waits for something out of this machine."""
        self.gone: list[Callable[[Sandbox], None]] = []
        """Told of each sandbox whose worker is gone."""
        self.next_checkpoint: float | None = None
        """When modules are next asked to save; None for never."""
        self.statuses: dict[Sandbox, dict[tuple[str, str], tuple[str, str]]] = {}
        """What modules said of themselves with `set_status`, by (host, name): kind and message."""
        self._items: dict[Sandbox, set[tuple[str, str, str]]] = {}
        self.functions: dict[str, Callable[..., Coroutine[Any, Any, Value]]] = {
            "option.get": self._option_get,
            "option.own": self._option_own,
            "event.listeners": self._event_listeners,
            "event.fire": self._event_fire,
            "items.elsewhere": self._items_elsewhere,
            "handle.call": self._handle_call,
            "timer.add": self._timer_add,
            "timer.cancel": self._timer_cancel,
        }

    @property
    def policy(self) -> Policy:
        """Who was granted what; a new one holds from the next question on."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._policy = self.checked_policy(policy)

    @staticmethod
    def checked_policy(policy: Policy) -> Policy:
        """The policy; raises `ConfigurationError` for a grant of `http` that cannot be read."""
        Grants(policy.named())
        return policy

    def forget(self, sandbox: Sandbox) -> None:
        """See `Workers.forget`."""
        for tell in self.gone:
            tell(sandbox)
        self.timers.forget(sandbox)
        self._items.pop(sandbox, None)
        self.statuses.pop(sandbox, None)
        for host, event in self.routes.forget(sandbox):
            self._tell_watchers(host, event)

    # ------------------------------------------------------------------ notes from workers

    def take_note(self, worker: Worker, frame: Frame) -> None:
        """Take a NOTE.  One that makes no sense ends its worker."""
        sandbox = self._owners.get(worker)
        if sandbox is None:
            return
        topic, payload = frame[1], frame[2]
        try:
            if topic == "log":
                self._note_log(sandbox, worker, *payload)
            elif topic in _OF_MODULES and sandbox.kind != "module":
                raise PluginError(f"sent a note on {topic}, which is for modules")
            elif topic == "hooks":
                self.routes.listen(sandbox, *payload)
                self._tell_watchers(payload[0], payload[1], but=sandbox)
            elif topic == "items":
                self._note_items(sandbox, *payload)
            elif topic == "exceeded":
                self._note_exceeded(worker, *payload)
            elif topic == "status":
                self._note_status(sandbox, *payload)
            else:
                raise PluginError(f"sent a note on {one_line(topic)}")
        except (TypeError, PluginError) as error:
            text = f"the worker broke the protocol: {one_line(str(error))}"
            self.driver.kill(worker, SandboxCrashed(text, plugin=sandbox.name))

    def _note_log(
        self, sandbox: Sandbox, worker: Worker, plugin: Any, host: Any, level: Any, text: Any
    ) -> None:
        meter = worker.meter
        meter.output += len(text) + _NOTE_COST
        lines = meter.log_line(self.clock.monotonic())
        if meter.output > worker.limits.output:
            self.driver.kill(worker, self._exceeded(worker, "output", meter.output))
            return
        if lines > worker.limits.log_lines:
            self.driver.kill(worker, self._exceeded(worker, "log_lines", lines))
            return
        # Only its own names: a logger lives for ever, and none may speak for another plugin.
        name = plugin if plugin and plugin in sandbox.plugins else sandbox.name
        logger = logging.getLogger(f"sandbox.plugin.{name}")
        shown = one_line(clean(host, 255))
        source = f"{shown}:{name}" if host and host != "*" else name
        extra = {"plugin": name, "host": shown}
        logger.log(_LEVELS.get(level, logging.INFO), "%s: %s", source, one_line(text), extra=extra)

    def _note_status(
        self, sandbox: Sandbox, module: Any, host: Any, kind: Any, message: Any
    ) -> None:
        if module not in sandbox.plugins or (host != "*" and host not in self.hosts):
            raise PluginError("malformed note on a status")
        said = self.statuses.setdefault(sandbox, {})
        said[host, module] = (one_line(clean(kind, 20)), one_line(clean(message, 1000)))

    def _note_items(self, sandbox: Sandbox, module: Any, host: Any, key: Any, count: Any) -> None:
        names = (module, host, key)
        if not all(isinstance(name, str) and len(name) <= _MAX_NAME for name in names):
            raise PluginError("malformed note on items")
        held = self._items.setdefault(sandbox, set())
        if not count:
            held.discard(names)
        elif len(held) >= _MAX_ITEM_KEYS and names not in held:
            raise PluginError(f"holds items under more than {_MAX_ITEM_KEYS} keys")
        else:
            held.add(names)

    @staticmethod
    def _exceeded(worker: Worker, limit: str, used: float) -> LimitExceeded:
        allowed = getattr(worker.limits, limit)
        return LimitExceeded(limit, allowed=allowed, used=used, plugin=worker.plugin)

    def over(self, sandbox: Sandbox, limit: str, used: float) -> SandboxError:
        """A sandbox is over a limit that the engine counts: ends its worker, returns the error."""
        worker = sandbox.worker
        if worker is None:
            return SandboxCrashed("the worker is gone", plugin=sandbox.name)
        return self.driver.kill(worker, self._exceeded(worker, limit, used))

    def _note_exceeded(self, worker: Worker, limit: Any, used: Any) -> None:
        if limit not in ("output", "memory") or not isinstance(used, int):
            raise PluginError("malformed note on a limit")
        if limit == "output":  # what it stopped itself from sending counts as well
            worker.meter.output = max(worker.meter.output, used)
            worker.meter.peaks.output = max(worker.meter.peaks.output, used)
        self.driver.kill(worker, self._exceeded(worker, limit, used))

    def _tell_watchers(self, host: str, event: str, but: Sandbox | None = None) -> None:
        for watcher in self.routes.watchers(host, event):
            if watcher is not but and watcher.worker is not None and watcher.worker.alive:
                others = self.routes.priorities_elsewhere(watcher, host, event)
                self.driver.note(watcher.worker, "listeners", [host, event, others])

    # ------------------------------------------------------------------ events and items

    async def fire(self, host: str, event: str, data: Value, chain: Chain | None = None) -> Value:
        """Fire an event on a host's bus: the first result that is not None."""
        listener = self.routes.alone(host, event)
        if listener is None:
            if host != "*" and host not in self.hosts:
                raise ConfigurationError(f"host: {host!r} is not a host of this engine")
            return None
        if isinstance(listener, Sandbox):
            return await self.call(listener, "fire", [host, event, data], chain)
        segments = self.routes.segments(host, event)
        return (await self._visit(segments, host, event, data, chain))[1]

    async def _visit(
        self, segments: Any, host: str, event: str, data: Value, chain: Chain | None
    ) -> list[Value]:
        """Run an event's handlers sandbox by sandbox; changes to the data travel along.

        Returns whether a handler gave a result, the result, and the data.
        """
        for sandbox, high, low in segments:
            arguments = [host, event, data, high, low]
            answer = await self.call(sandbox, "fire.part", arguments, chain)
            if not isinstance(answer, list) or not 2 <= len(answer) <= 3:
                continue
            handled, result = answer[:2]
            data = answer[2] if len(answer) == 3 else None
            if handled:
                return [True, result, data]
        return [False, None, data]

    async def items(
        self, host: str, key: str, *, but: Sandbox | None = None, chain: Chain | None = None
    ) -> list[Value]:
        """The items of a host, sandbox by sandbox in the order they were made."""
        found: list[Value] = []
        for sandbox in list(self.sandboxes):
            held = self._items.get(sandbox, ())
            if sandbox is not but and any(at[1:] == (host, key) for at in held):
                answer = await self.call(sandbox, "items", [host, key], chain)
                found += answer if isinstance(answer, list) else []
        return found

    # ------------------------------------------------------------------ host functions

    async def serve(self, worker: Worker, frame: Frame, chain: Chain) -> Value:
        """Serve one HOST_CALL.  Every refusal is a `SandboxError` that the plugin can catch."""
        sandbox = self._owners.get(worker)
        function = BY_NAME.get(frame[2])
        serve = self.functions.get(frame[2])
        if sandbox is None or function is None or serve is None:
            raise PluginError(f"there is no host function {one_line(frame[2])}")
        capability = function.capability
        if capability is not None and not any(
            self.policy.opens(plugin, sandbox.kind, capability) for plugin in sandbox.plugins
        ):
            raise PolicyDenied(capability, plugin=sandbox.name)
        if sandbox.kind != "module" and function.name.partition(".")[0] in _OF_MODULES:
            raise PluginError(f"{function.name} is for modules")
        token = current_chain.set(chain)
        try:
            return await serve(sandbox, chain, *function.check(frame[3]))
        finally:
            current_chain.reset(token)

    async def _option_get(self, sandbox: Sandbox, chain: Chain, host: str, name: str) -> Value:
        return self.options.get(host, name)

    async def _option_own(self, sandbox: Sandbox, chain: Chain, host: str, name: str) -> Value:
        return self.options.own(host, name)

    async def _event_listeners(
        self, sandbox: Sandbox, chain: Chain, host: str, event: str
    ) -> Value:
        self.routes.watch(sandbox, host, event)
        return self.routes.priorities_elsewhere(sandbox, host, event)

    async def _event_fire(
        self,
        sandbox: Sandbox,
        chain: Chain,
        host: str,
        event: str,
        data: Value,
        high: float,
        low: float,
    ) -> Value:
        segments = self.routes.segments(host, event, without=sandbox, high=high, low=low)
        return await self._visit(segments, host, event, data, chain)

    async def _items_elsewhere(
        self, sandbox: Sandbox, chain: Chain, host: str, key: str
    ) -> list[Value]:
        return await self.items(host, key, but=sandbox, chain=chain)

    async def _handle_call(
        self, sandbox: Sandbox, chain: Chain, handle: int, arguments: list[Value]
    ) -> Value:
        function = sandbox.worker.handle(handle) if sandbox.worker else None
        if function is None:
            raise PluginError("this function of the server is gone")
        try:
            return await self.driver.outside(function, arguments)
        except SandboxError:
            raise
        except Exception as error:
            log.exception("a function given to plugin %s failed", sandbox.name)
            name = getattr(function, "__name__", "function")
            raise PluginError(
                f"the server's {clean(name, 100)} failed: {clean(str(error), 500)}"
            ) from error

    async def _timer_add(
        self, sandbox: Sandbox, chain: Chain, timer: int, delay: float, module: str
    ) -> None:
        due = self.clock.monotonic() + checked_delay(delay)
        self.timers.add(sandbox, timer, due)
        self.timer_added()

    async def _timer_cancel(self, sandbox: Sandbox, chain: Chain, timer: int) -> None:
        self.timers.cancel(sandbox, timer)

    restart: Callable[[Sandbox], Coroutine[Any, Any, None]]
    """Brings a rested sandbox's modules back; set by `Revival`, as is `checkpoint`."""
    checkpoint: Callable[[], Coroutine[Any, Any, int]]

    def next_due(self) -> float | None:
        """When `run_timers` next has something to do, by the clock; None when nothing waits."""
        due = (
            self.timers.next_due(),
            self.rests.next_due(),
            self.next_checkpoint,
            self.next_sweep,
        )
        return min((at for at in due if at is not None), default=None)

    async def run_timers(self) -> int:
        """Run the timers that are due; returns how many ran.  Errors are logged."""
        count = 0
        now, mark = self.clock.monotonic(), self.timers.mark()
        while (rested := self.rests.pop_due(now, self.rests.mark())) is not None:
            await self.restart(rested[0])
        if self.next_checkpoint is not None and self.next_checkpoint <= now:
            await self.checkpoint()
        if self.next_sweep is not None and self.next_sweep <= now:
            self.sweep()
        while (due := self.timers.pop_due(now, mark)) is not None:
            sandbox, number = due
            count += 1
            try:
                again = await self.call(sandbox, "timer", [number, self.clock.time()], TOP)
                if type(again) in (int, float) and math.isfinite(again):
                    at = self.clock.monotonic() + checked_delay(again)
                    self.timers.add(sandbox, number, at)
            except SandboxError as error:
                log.error("plugin %s: error in timer: %s", sandbox.name, one_line(str(error)))
        return count

    # ------------------------------------------------------------------ questions

    def terms(self, plugin: str, kind: str, folder: Path, asked: Manifest | None = None) -> Limits:
        """The limits under which a plugin runs: the operator's, or less where its manifest says
        so.  A plugin that asks for more than it may have is not run at all.  `asked` is the
        folder's manifest where it was read already.

        Raises `PolicyDenied` naming the missing grant, `ConfigurationError` naming the limit, and
        `PluginError` for a manifest that cannot be read.
        """
        asked = asked or manifest.read(folder)
        granted = self.policy.grants(plugin, kind)
        for capability in asked.capabilities:
            if not opened(capability, granted):
                raise PolicyDenied(capability, plugin=plugin)
        try:
            return asked.limits_within(self.limits)
        except ConfigurationError as error:
            error.plugin = plugin
            raise

    def runtime(self, language: str) -> RuntimeInfo:
        """The runtime of that name; raises `ConfigurationError`."""
        return runtimes.by_name(language)
