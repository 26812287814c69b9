"""The host functions by which a plugin keeps data, and the limit on how much.

What is kept belongs to the plugin, not to its worker: it is there after a worker died.
"""

from __future__ import annotations

from sandbox.engine.core import Core
from sandbox.engine.driver import Chain
from sandbox.engine.memory import Memory
from sandbox.engine.sandbox import Sandbox
from sandbox.errors import LimitExceeded
from sandbox.values import Value


class Storage:
    """What the plugins of one engine keep."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.memory = Memory()
        core.functions["memory.get"] = self._memory_get
        core.functions["memory.set"] = self._memory_set
        core.kept = self.kept

    def kept(self, sandbox: Sandbox) -> int:
        """Bytes that a sandbox's plugins keep."""
        return sum(self.memory.size(plugin) for plugin in sandbox.plugins)

    async def _memory_get(self, sandbox: Sandbox, chain: Chain, plugin: str) -> Value:
        return self.memory.get(sandbox.plugins[0])

    async def _memory_set(self, sandbox: Sandbox, chain: Chain, plugin: str, value: Value) -> None:
        owner = sandbox.plugins[0]
        others = self.kept(sandbox) - self.memory.size(owner)
        try:
            self.memory.set(owner, value, sandbox.limits.storage - others)
        except LimitExceeded as error:
            raise self._core.over(sandbox, "storage", others + error.used) from None
