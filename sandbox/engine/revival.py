"""Bringing modules back after their worker died: back-off, stored state, the operator's reset.

The first three deaths are forgiven at once.  A sandbox whose workers die again within a minute
rests, longer each time, and is given up after the sixth: its modules are `failed` in the status
until an operator loads, reloads or resets them.  Modules come back with what their `save` last
gave, at a reload or a checkpoint; what they had only in memory is gone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final

from sandbox.engine.core import Core
from sandbox.engine.driver import Chain
from sandbox.engine.faults import one_line
from sandbox.engine.lifecycle import TRANSITIONS, Module, ModuleState, Step
from sandbox.engine.memory import MAX_VALUE, frozen
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.workers import current_chain
from sandbox.errors import LifecycleError, LimitExceeded, PluginError, SandboxCrashed, SandboxError
from sandbox.values import Value
from sandbox.wire.codec import decode
from sandbox.wire.extensions import EncodeError

log: Final = logging.getLogger("sandbox.engine")

BACK_OFF: Final = (0.0, 0.0, 0.0, 0.5, 5.0)
"""Seconds that a sandbox rests after its first, second ... death within `DEATH_WINDOW`; it is
given up when there are no more."""

DEATH_WINDOW: Final = 60.0
"""Seconds after which a death is forgotten."""


class Revival:
    """Keeps the modules of one engine alive, where that makes sense."""

    def __init__(
        self,
        core: Core,
        drop: Callable[[Module, Step | None], None],
        save: Callable[[Module, Chain], Coroutine[Any, Any, Value]],
        every: float | None,
    ) -> None:
        self._core = core
        self._drop = drop
        self._save = save
        self._every = every
        core.died = self.died
        core.restart = self.restart
        core.checkpoint = self.checkpoint

    # ------------------------------------------------------------------ stored state

    def keep(self, module: Module, saved: Value) -> None:
        """Remember what `save` gave, for a worker that does not live to see it restored."""
        try:
            body = frozen(saved)
        except EncodeError as error:  # a function: only a worker that lies gets one this far
            log.info("module %s: its saved state dies with its worker: %s", module.name, error)
            return
        if len(body) > MAX_VALUE:
            log.warning(
                "module %s: saved state of %d bytes is not kept, more than %d",
                module.name, len(body), MAX_VALUE,
            )  # fmt: skip
            return
        module.saved = body

    def loaded(self) -> None:
        """A module was loaded: checkpoints begin, if there are to be any."""
        if self._every is not None and self._core.next_checkpoint is None:
            self._core.next_checkpoint = self._core.clock.monotonic() + self._every
            self._core.timer_added()

    async def checkpoint(self) -> int:
        """Have every active module save, and keep what it gives; returns how many did."""
        count = 0
        for sandbox in list(self._core.sandboxes):
            for module in list(sandbox.modules):
                if module.state is not ModuleState.ACTIVE:
                    continue
                try:
                    await self._save(module, Chain())
                    count += 1
                except SandboxError as error:
                    log.error("checkpoint of %s failed: %s", module.name, one_line(str(error)))
        going_on = self._every is not None and any(one.modules for one in self._core.sandboxes)
        for write in self._core.saving:
            write()
        self._core.next_checkpoint = None
        if going_on:
            self.loaded()
        return count

    # ------------------------------------------------------------------ death

    async def died(self, sandbox: Sandbox, error: SandboxError) -> None:
        """A sandbox's worker is gone: its modules come back now, later or not at all."""
        for module in list(sandbox.modules):
            if Step.DIED in TRANSITIONS[module.state]:
                module.move(Step.DIED)
            if module.state is ModuleState.ABSENT:
                self._drop(module, None)
        waiting = self._waiting(sandbox)
        if not waiting:
            return
        now = self._core.clock.monotonic()
        sandbox.deaths = [at for at in sandbox.deaths if now - at < DEATH_WINDOW] + [now]
        if len(sandbox.deaths) > len(BACK_OFF):
            log.error(
                "sandbox %s died %d times in a minute: failed", sandbox.name, len(sandbox.deaths)
            )
            for module in waiting:
                module.move(Step.GIVE_UP)
            return
        rest = BACK_OFF[len(sandbox.deaths) - 1]
        if rest:
            log.warning("sandbox %s rests for %.1f s before its restart", sandbox.name, rest)
            sandbox.resting_until = now + rest
            self._core.rests.add(sandbox, 0, now + rest)
            self._core.timer_added()
        else:
            await self._bring_back(sandbox)

    @staticmethod
    def _waiting(sandbox: Sandbox) -> list[Module]:
        return [one for one in sandbox.modules if one.state is ModuleState.RESTARTING]

    # ------------------------------------------------------------------ and life

    async def restart(self, sandbox: Sandbox) -> None:
        """A sandbox has rested.  Does nothing when it was unloaded or reset meanwhile."""
        if sandbox in self._core.sandboxes and sandbox.resting_until > -math.inf:
            with self._core.keeping_others_out(sandbox):
                await self._bring_back(sandbox)

    async def reset(self, module: Module) -> None:
        """The operator's word that a sandbox may try again, at once and with a clean record.

        Raises what went wrong when it does not come back.
        """
        sandbox = module.sandbox
        sandbox.deaths.clear()
        for one in sandbox.modules:
            if one.state is ModuleState.FAILED:
                one.move(Step.RESTART)
        if self._waiting(sandbox):
            with self._core.keeping_others_out(sandbox):
                problem = await self._bring_back(sandbox)
            if problem is not None:
                raise problem

    async def _bring_back(self, sandbox: Sandbox) -> SandboxError | None:
        """Load a sandbox's modules into a new worker; returns the first thing that went wrong."""
        sandbox.resting_until = -math.inf
        chain = Chain(current_chain.get().depth, reviving=True)
        first: SandboxError | None = None
        for module in self._waiting(sandbox):
            if module.state is not ModuleState.RESTARTING:
                break  # one before it took the new worker down as well
            try:
                await self._load_again(module, chain)
            except SandboxError as error:
                first = first or error
                log.error("module %s was not brought back: %s", module.name, one_line(str(error)))
                if isinstance(error, (LimitExceeded, SandboxCrashed)):
                    break  # `died` has been told, and decides
                module.move(Step.GIVE_UP)
                continue
            module.move(Step.LOADED)
        return first

    async def _load_again(self, module: Module, chain: Chain) -> None:
        core, name, host = self._core, module.name, module.host
        known = module.saved is not None
        saved = None if module.saved is None else decode(module.saved)
        if module.part:
            arguments = [name, host, known, saved]
            answer = await core.call(module.sandbox, "add_host", arguments, chain)
            if not isinstance(answer, dict) or answer.get("refused"):
                raise LifecycleError("its add_host refused", plugin=name)
        else:
            source = core.plugins.find_module(name)
            arguments = [name, host, source.file, source.content, known, saved]
            await core.call(module.sandbox, "load", arguments, chain)
        if known:
            try:
                await core.call(module.sandbox, "restore", [name, host, saved], chain)
            except PluginError as error:
                log.error("module %s: restore failed: %s", name, one_line(str(error)))
