"""The Python runtime: restricted Python, compiled and run inside the worker.

The fence is in `policy.py`, `guards.py`, `builtins.py` and the façades; what plugins see of the
host API is in `module.py` and `server.py`.  This file answers frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from runtimes.python import warm
from runtimes.python.bus import Bus
from runtimes.python.faults import fault
from runtimes.python.host import HostGate, Panicked
from runtimes.python.loader import Modules
from runtimes.python.scripts import Scripts
from sandbox.wire.frames import Kind
from sandbox.worker.runtime import Host, Settings

_NOTE: Final = int(Kind.NOTE)


class PythonRuntime:
    """See `sandbox.worker.runtime.Runtime`."""

    def __init__(self) -> None:
        self._gate = HostGate()
        self._modules = modules = Modules(self._gate)
        scripts = Scripts(self._gate)
        self._operations: dict[str, Callable[..., Any]] = {
            "load": modules.load,
            "add_host": modules.add_host,
            "save": modules.save,
            "restore": modules.restore,
            "unload": modules.unload,
            "discard": modules.discard,
            "check": scripts.check,
            "fire": self._fire,
            "fire.part": self._fire_part,
            "items": self._items,
            "timer": modules.run_timer,
            "function.call": self._call_function,
            "environment.get": modules.environment_get,
            "environment.call": modules.environment_call,
            "request": scripts.request,
            "execute": scripts.execute,
        }

    def settle(self) -> None:
        """No lazy imports, no printing, from here on."""
        warm.lock_down()

    def start(self, settings: Settings) -> None:
        """Take the limits and hosts of this worker."""
        self._gate.output_limit = settings.output
        self._modules.start(settings.hosts)

    def handle(self, body: bytes, host: Host) -> bytes:
        """Answer one frame; see `Runtime.handle`."""
        gate = self._gate
        gate.host = host
        frame = gate.decode(body)
        if frame[0] == _NOTE:
            if frame[1] == "listeners":
                self._modules.listeners_changed(*frame[2])
            return b""
        if frame[0] == Kind.CALL:
            gate.output_used = 0
        gate.giving = False
        number = frame[1]
        try:
            value = self._operations[frame[2]](*frame[3])
            return gate.encode([int(Kind.RETURN), number, value])
        except Panicked:
            raised: dict[str, Any] = {"type": "panic", "message": "panic outside a script"}
        except BaseException as error:  # noqa: BLE001 - a guest can come by GeneratorExit, too
            raised = fault(error)
        return gate.encode([int(Kind.RAISE), number, raised])

    def _bus(self, host: str) -> Bus:
        bus = self._modules.bus(host)
        if bus is None:
            raise LookupError(f"no host {host}")
        return bus

    def _fire(self, host: str, event: str, data: Any) -> Any:
        return self._bus(host).fire(event, data)

    def _fire_part(self, host: str, event: str, data: Any, high: float, low: float) -> list[Any]:
        """Our handlers between two priorities: whether one gave a result, it, and the data."""
        bus = self._bus(host)
        result = bus.run(event, data, high, low)
        return [result is not None, result, bus.portable(data)]

    def _items(self, host: str, key: str) -> list[Any]:
        self._gate.giving = True
        return self._modules.own_items(host, key)

    def _call_function(self, number: int, arguments: list[Any]) -> Any:
        return self._gate.given(number)(*arguments)


def create() -> PythonRuntime:
    """The factory that the entry point names."""
    return PythonRuntime()
