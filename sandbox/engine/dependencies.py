"""What modules ask of each other: `depends`, libraries, and a look at another's globals."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from sandbox.engine.core import Core
from sandbox.engine.driver import Chain
from sandbox.engine.lifecycle import Module
from sandbox.engine.sandbox import Sandbox
from sandbox.errors import PluginError, SandboxError
from sandbox.values import Value


class Dependencies:
    """The host functions behind `module:depends` and `module:require`.

    `modules` is the map of instances by (host, name), kept by `Modules`; `load` its operation.
    """

    def __init__(
        self,
        core: Core,
        modules: Mapping[tuple[str, str], Module],
        load: Callable[[str, str, Chain], Coroutine[Any, Any, Module]],
    ) -> None:
        self._core = core
        self._map = modules
        self._load = load
        core.functions.update(
            {
                "module.depends": self._depends,
                "module.library": self._library,
                "environment.get": self._environment_get,
                "environment.call": self._environment_call,
            }
        )

    async def _depends(
        self, sandbox: Sandbox, chain: Chain, host: str, module: str, name: str
    ) -> Value:
        asking = self._asking(sandbox, host, module)
        disabled = [self._core.options.get(at, "modules_disabled") or [] for at in (host, "*")]
        if any(name in names for names in disabled):
            raise PluginError(f"Dependency on disabled module mod_{name}")
        found = self._map.get((host, name))
        if found is None:
            everywhere = self._map.get(("*", name))
            if everywhere is None or (everywhere.has_add_host and host != "*"):
                try:
                    found = await self._load(host, name, chain)
                except SandboxError as error:
                    text = f"Unable to load required module, mod_{name}: {_reason(error)}"
                    raise PluginError(text) from None
            found = self._map.get(("*", name)) or found or everywhere
        if asking is not None:
            asking.needs.add(name)
        if found is None:
            raise PluginError(f"Unable to load required module, mod_{name}: not loaded")
        # A shared module's environment is that of its global part.
        target = self._map.get(("*", name)) or found
        return {"here": target.sandbox is sandbox, "host": target.host}

    def _asking(self, sandbox: Sandbox, host: str, module: str) -> Module | None:
        for one in sandbox.modules:
            if one.name == module and one.host == host:
                return one
        return None

    async def _library(self, sandbox: Sandbox, chain: Chain, module: str, name: str) -> Value:
        if module not in sandbox.plugins:
            raise PluginError("a plugin may read its own libraries only")
        found = self._core.plugins.find_library(module, name)
        if isinstance(found, str):
            return [None, None, found]
        return [found[0], found[1], None]

    def _elsewhere(self, host: str, module: str) -> Sandbox:
        found = self._map.get((host, module))
        if found is None:
            raise PluginError(f"module {module} is not loaded on {host}")
        return found.sandbox

    async def _environment_get(
        self, sandbox: Sandbox, chain: Chain, host: str, module: str, path: str
    ) -> Value:
        target = self._elsewhere(host, module)
        return await self._core.call(target, "environment.get", [host, module, path], chain)

    async def _environment_call(
        self,
        sandbox: Sandbox,
        chain: Chain,
        host: str,
        module: str,
        path: str,
        arguments: list[Value],
    ) -> Value:
        target = self._elsewhere(host, module)
        return await self._core.call(
            target, "environment.call", [host, module, path, arguments], chain
        )


def _reason(error: SandboxError) -> str:
    if isinstance(error, PluginError) and error.file and error.line:
        return f"{error.file}:{error.line}: {error.message}"
    return error.message
