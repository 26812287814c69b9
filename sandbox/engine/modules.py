"""Loading, unloading and reloading of modules: the operations over the life cycle's table.

Semantics and error strings are those of Prosody 0.12's module manager.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from sandbox.engine.core import Core
from sandbox.engine.dependencies import Dependencies
from sandbox.engine.driver import Chain
from sandbox.engine.faults import clean, one_line
from sandbox.engine.lifecycle import TRANSITIONS, Module, ModuleState, Step
from sandbox.engine.plugins import Source
from sandbox.engine.revival import Revival
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.status import ModuleStatus
from sandbox.errors import (
    ConfigurationError,
    LifecycleError,
    LimitExceeded,
    PluginError,
    SandboxCrashed,
    SandboxError,
)
from sandbox.values import Value

log: Final = logging.getLogger("sandbox.engine")
_GONE: Final = (ModuleState.FAILED, ModuleState.RESTARTING)
"""States of a module whose worker is not there."""


class Modules:
    """The modules of one engine."""

    def __init__(
        self, core: Core, groups: Iterable[Sequence[str]], checkpoint: float | None = None
    ) -> None:
        self._core = core
        self._map: dict[tuple[str, str], Module] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        for group in groups:
            for name in group:
                if name in self._groups:
                    raise ConfigurationError(f"groups: {name!r} is in two groups")
                self._groups[name] = tuple(group)
        self._revival = Revival(core, self._drop, self._save, checkpoint)
        self.dependencies = Dependencies(core, self._map, self.load)

    # ------------------------------------------------------------------ questions

    def is_loaded(self, host: str, name: str) -> bool:
        """Whether `name` has an instance or a part on `host` itself."""
        module = self._map.get((host, name))
        return module is not None and module.state is not ModuleState.FAILED

    def names(self, host: str) -> list[str]:
        """The modules on a host, sorted."""
        return sorted(name for at, name in self._map if at == host)

    def status(self) -> list[ModuleStatus]:
        """Every instance, by host and name."""
        return [
            ModuleStatus(
                module.host,
                module.name,
                module.state.value,
                module.sandbox.name,
                module.sandbox.runtime.name,
                module.sandbox.worker.pid if module.sandbox.worker else 0,
                len(module.sandbox.deaths),
                *self._core.statuses.get(module.sandbox, {}).get(
                    (module.host, module.name), ("core", "")
                ),
            )
            for _, module in sorted(self._map.items(), key=lambda item: item[0])
        ]

    # ------------------------------------------------------------------ load

    async def load(self, host: str, name: str, chain: Chain) -> Module:
        """Load a module on a host; returns the instance, the global one for a global module."""
        if not host or not name:
            raise LifecycleError("insufficient-parameters")
        if host != "*" and host not in self._core.hosts:
            raise LifecycleError("unknown-host", plugin=name)
        present = self._map.get((host, name))
        if present is not None and present.state is not ModuleState.FAILED:
            raise LifecycleError("module-already-loaded", plugin=name)
        self._forget_failed(present)
        everywhere = self._map.get(("*", name))
        if everywhere is not None and host != "*" and everywhere.state is not ModuleState.FAILED:
            if not everywhere.has_add_host:
                raise LifecycleError("global-module-already-loaded", plugin=name)
            part = await self._add_host(everywhere, host, chain)
            await self._announce("module-loaded", part, chain)
            return part
        self._forget_failed(everywhere)
        source = self._core.plugins.find_module(name)
        sandbox = self._sandbox_for(name, source)
        module = await self._load_chunk(sandbox, host, name, source, chain)
        if module.host == "*" and host != "*" and module.has_add_host:
            await self._first_host(module, host, chain)
        self._revival.loaded()
        await self._announce("module-loaded", module, chain)
        return module

    def _forget_failed(self, module: Module | None) -> None:
        """Take a failed instance away: who loads it again starts with a clean record."""
        if module is not None and module.state is ModuleState.FAILED:
            module.sandbox.deaths.clear()
            self._drop(module, None)

    def _sandbox_for(self, name: str, source: Source) -> Sandbox:
        own_folder = source.folder not in self._core.plugins.roots
        limits = self._core.limits
        if own_folder:
            limits = self._core.terms(name, "module", source.folder)
        members = self._groups.get(name, (name,))
        if len(members) > 1:  # they share one worker: none may lower what the others get
            limits = self._core.limits
        label = "+".join(members)
        for sandbox in self._core.sandboxes:
            if sandbox.name == label and sandbox.kind == "module":
                if sandbox.runtime != source.runtime:
                    raise ConfigurationError(
                        f"groups: {label} mixes {sandbox.runtime.name} and {source.runtime.name}"
                    )
                return sandbox
        sandbox = Sandbox(label, "module", members, source.runtime, limits)
        self._core.sandboxes.append(sandbox)
        return sandbox

    async def _load_chunk(
        self,
        sandbox: Sandbox,
        host: str,
        name: str,
        source: Source,
        chain: Chain,
        saved: Value = None,
        old: Module | None = None,
    ) -> Module:
        module = old or Module(host, name, sandbox)
        if old is None:
            module.move(Step.LOAD)
            sandbox.modules.append(module)
        self._map[host, name] = module
        arguments = [name, host, source.file, source.content, old is not None, saved]
        try:
            answer = await self._core.call(sandbox, "load", arguments, chain)
            is_global, has_add_host = bool(answer["global"]), bool(answer["add_host"])
        except (SandboxError, KeyError, TypeError) as error:
            self._drop(module, Step.FAIL)
            if isinstance(error, SandboxError):
                raise
            raise SandboxCrashed("the worker gave a malformed answer", plugin=name) from None
        if is_global and module.host != "*":
            del self._map[host, name]
            module.host = "*"
            self._map["*", name] = module
        module.has_add_host = is_global and has_add_host
        if old is None:
            module.move(Step.LOADED)
        return module

    async def _first_host(self, module: Module, host: str, chain: Chain) -> None:
        """The host part that a shared module was asked for; without it nothing stays."""
        try:
            await self._add_host(module, host, chain)
        except SandboxError:
            if self._map.get(("*", module.name)) is module:
                await self._unload_one(module, chain)
            raise

    async def _add_host(
        self,
        module: Module,
        host: str,
        chain: Chain,
        saved: Value = None,
        old: Module | None = None,
    ) -> Module:
        part = old or Module(host, module.name, module.sandbox, part=True)
        if old is None:
            part.move(Step.LOAD)
            module.sandbox.modules.append(part)
        self._map[host, part.name] = part
        arguments = [part.name, host, old is not None, saved]
        try:
            answer = await self._core.call(module.sandbox, "add_host", arguments, chain)
            if not isinstance(answer, dict):
                raise SandboxCrashed("the worker gave a malformed answer", plugin=part.name)
            if answer.get("refused"):
                raise LifecycleError(clean(answer.get("reason")) or "false", plugin=part.name)
        except SandboxError:
            self._drop(part, Step.FAIL)
            raise
        if old is None:
            part.move(Step.LOADED)
        return part

    # ------------------------------------------------------------------ unload

    async def unload(self, host: str, name: str, chain: Chain) -> None:
        """Unload an instance; a global part takes its host parts along."""
        module = self._map.get((host, name))
        if module is None:
            raise LifecycleError("module-not-loaded", plugin=name)
        if module.state in _GONE:
            self._drop(module, None)
            return
        for part in reversed(self._parts_of(module)):
            await self._unload_one(part, chain)
            await self._announce("module-unloaded", part, chain)
        await self._unload_one(module, chain)
        await self._announce("module-unloaded", module, chain)

    def _parts_of(self, module: Module) -> list[Module]:
        if module.part or module.host != "*":
            return []
        return [part for (_, name), part in self._map.items() if name == module.name and part.part]

    async def _unload_one(self, module: Module, chain: Chain, *, reloading: bool = False) -> None:
        module.move(Step.UNLOAD)
        try:
            problem = await self._core.call(
                module.sandbox, "unload", [module.name, module.host, reloading], chain
            )
        except (LimitExceeded, SandboxCrashed):
            self._map.pop((module.host, module.name), None)
            raise
        if problem:
            log.error(
                "Non-fatal error unloading module %s on %s: %s",
                module.name, module.host, one_line(problem),
            )  # fmt: skip
        if not reloading:
            self._drop(module, Step.UNLOADED)

    def _drop(self, module: Module, step: Step | None) -> None:
        """Take an instance off the map; an empty sandbox is ended with it."""
        if step is not None and step in _steps_from(module.state):
            module.move(step)
        for host in {module.host, *(at for at, _ in self._map)}:
            if self._map.get((host, module.name)) is module:
                del self._map[host, module.name]
        sandbox = module.sandbox
        if module in sandbox.modules:
            sandbox.modules.remove(module)
        if not sandbox.modules and sandbox in self._core.sandboxes:
            self._core.sandboxes.remove(sandbox)
            self._core.discard(sandbox)

    # ------------------------------------------------------------------ reload

    async def reload(
        self, host: str, name: str, chain: Chain, cascade: frozenset[Module] = frozenset()
    ) -> Module:
        """Reload an instance: save, unload, chunk, load, restore.

        `cascade` are the instances whose reload led to this one: modules that depend on each
        other in a circle are reloaded once.
        """
        module = self._map.get((host, name))
        if module is None:
            raise LifecycleError("module-not-loaded", plugin=name)
        cascade |= {module}
        if module.state in _GONE:
            await self._revival.reset(module)
            return module
        if module.part:
            return await self._reload_part(module, chain, cascade)
        source = self._core.plugins.find_module(name)
        # A file that does not compile leaves the running module alone.
        await self._core.call(module.sandbox, "check", [source.file, source.content], chain)
        parts = self._parts_of(module)
        saved = {one.host: await self._save(one, chain) for one in (*parts, module)}
        for part in reversed(parts):
            await self._unload_one(part, chain, reloading=True)
        await self._unload_one(module, chain, reloading=True)
        module.move(Step.RELOAD)
        module.needs.clear()
        try:
            await self._load_chunk(
                module.sandbox, host, name, source, chain, saved[module.host], old=module
            )
        except SandboxError:
            for part in parts:
                self._drop(part, None)
            raise
        await self._restore(module, saved[module.host], chain)
        await self._announce("module-reloaded", module, chain, cascade)
        for part in parts:
            part.move(Step.RELOAD)
            part.needs.clear()
            await self._add_host(module, part.host, chain, saved[part.host], old=part)
            await self._restore(part, saved[part.host], chain)
            await self._announce("module-reloaded", part, chain, cascade)
        return module

    async def reset(self, host: str, name: str) -> Module:
        """Bring a failed or resting instance back now, with those that share its sandbox."""
        module = self._map.get((host, name))
        if module is None:
            raise LifecycleError("module-not-loaded", plugin=name)
        await self._revival.reset(module)
        return module

    async def checkpoint(self) -> int:
        """See `Revival.checkpoint`."""
        return await self._revival.checkpoint()

    async def _reload_part(self, part: Module, chain: Chain, cascade: frozenset[Module]) -> Module:
        saved = await self._save(part, chain)
        await self._unload_one(part, chain, reloading=True)
        part.move(Step.RELOAD)
        part.needs.clear()
        await self._add_host(self._map["*", part.name], part.host, chain, saved, old=part)
        await self._restore(part, saved, chain)
        await self._announce("module-reloaded", part, chain, cascade)
        return part

    async def _save(self, module: Module, chain: Chain) -> Value:
        module.move(Step.SAVE)
        try:
            saved = await self._core.call(module.sandbox, "save", [module.name, module.host], chain)
        except PluginError as error:
            module.move(Step.SAVE_FAILED)
            log.warning("module %s: save failed: %s", module.name, one_line(str(error)))
            if self._core.options.get(module.host, "force_module_reload"):
                return None
            raise LifecycleError("save-state-failed", plugin=module.name) from error
        module.move(Step.SAVED)
        self._revival.keep(module, saved)
        return saved

    async def _restore(self, module: Module, saved: Value, chain: Chain) -> None:
        module.move(Step.RESTORE)
        try:
            arguments = [module.name, module.host, saved]
            await self._core.call(module.sandbox, "restore", arguments, chain)
        except PluginError as error:
            log.error("module %s: restore failed: %s", module.name, one_line(str(error)))
        module.move(Step.RESTORED)

    # ------------------------------------------------------------------ events and dependents

    async def _announce(
        self, event: str, module: Module, chain: Chain, cascade: frozenset[Module] = frozenset()
    ) -> None:
        """Fire the life cycle's event on the module's host, then follow dependencies."""
        host, name = module.host, module.name
        try:
            await self._core.fire(host, event, {"module": name, "host": host}, chain)
        except SandboxError as error:
            log.error("%s handler on %s failed: %s", event, host, one_line(str(error)))
        if event == "module-loaded":
            return
        dependents = [
            other for (at, _), other in self._map.items() if at == host and name in other.needs
        ]
        for other in dependents:
            if self._map.get((other.host, other.name)) is not other:
                continue
            if other.state is not ModuleState.ACTIVE:
                continue
            if event == "module-unloaded":
                await self.unload(other.host, other.name, chain)
            elif other not in cascade:
                await self.reload(other.host, other.name, chain, cascade)


def _steps_from(state: ModuleState) -> Iterable[Step]:
    return TRANSITIONS[state]
