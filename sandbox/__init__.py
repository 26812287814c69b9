"""A sandbox engine for plugins that strangers wrote: Lua modules, Python scripts, one host API.

Layers, each importing only from those above it:

    usage errors values limits policy manifest messages    words: plain data
    wire          frames, state table, codec         sans I/O
    api           the host API, declarations only
    worker        inside the jail                    knows no engine
    (runtimes)    the languages, on worker
    engine        processes, life cycle, events      knows no language
    packages      archives: read, refuse, install    knows words only
    servers       front ends
    cli           the command line

The public names are imported when first asked for (PEP 562): a worker imports parts of this
package too, and must not have the engines, asyncio and so on imported into it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sandbox.engine.async_engine import AsyncEngine
    from sandbox.engine.clock import ManualClock
    from sandbox.engine.engine import Engine
    from sandbox.engine.scripts import Run
    from sandbox.engine.status import ModuleStatus
    from sandbox.errors import (
        Busy,
        ConfigurationError,
        ConfinementUnavailable,
        EngineClosed,
        Frame,
        LifecycleError,
        LimitExceeded,
        PackageRejected,
        Panic,
        PluginError,
        PolicyDenied,
        ProtocolError,
        SandboxCrashed,
        SandboxError,
        UnknownPlugin,
    )
    from sandbox.limits import Limits
    from sandbox.messages import Headers, Request, Response
    from sandbox.policy import Policy
    from sandbox.usage import Measure, Usage
    from sandbox.values import Char, GuestError, GuestFunction, Stanza

__all__ = [
    "AsyncEngine",
    "Busy",
    "Char",
    "ConfigurationError",
    "ConfinementUnavailable",
    "Engine",
    "EngineClosed",
    "Frame",
    "GuestError",
    "GuestFunction",
    "Headers",
    "LifecycleError",
    "LimitExceeded",
    "Limits",
    "ManualClock",
    "Measure",
    "ModuleStatus",
    "PackageRejected",
    "Panic",
    "PluginError",
    "Policy",
    "PolicyDenied",
    "ProtocolError",
    "Request",
    "Response",
    "Run",
    "SandboxCrashed",
    "SandboxError",
    "Stanza",
    "UnknownPlugin",
    "Usage",
]

_HOMES: Final = {
    "engine.async_engine": ("AsyncEngine",),
    "engine.clock": ("ManualClock",),
    "engine.engine": ("Engine",),
    "engine.status": ("ModuleStatus",),
    "engine.scripts": ("Run",),
    "errors": (
        "Busy",
        "ConfigurationError",
        "ConfinementUnavailable",
        "EngineClosed",
        "Frame",
        "LifecycleError",
        "LimitExceeded",
        "PackageRejected",
        "Panic",
        "PluginError",
        "PolicyDenied",
        "ProtocolError",
        "SandboxCrashed",
        "SandboxError",
        "UnknownPlugin",
    ),
    "limits": ("Limits",),
    "usage": ("Measure", "Usage"),
    "messages": ("Headers", "Request", "Response"),
    "policy": ("Policy",),
    "values": ("Char", "GuestError", "GuestFunction", "Stanza"),
}
"""Module -> the public names that live in it."""

_HOME: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # from now on found without us
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
