"""A sandbox engine for plugins that strangers wrote: Lua modules, Python scripts, one host API.

Layers, each importing only from those above it:

    errors values limits policy manifest messages    words: plain data
    wire          frames, state table, codec         sans I/O
    api           the host API, declarations only
    worker        inside the jail                    knows no engine
    (runtimes)    the languages, on worker
    engine        processes, life cycle, events      knows no language
    servers       front ends
    cli           the command line
"""

from sandbox.engine.async_engine import AsyncEngine
from sandbox.engine.clock import ManualClock
from sandbox.engine.engine import Engine
from sandbox.engine.modules import ModuleStatus
from sandbox.engine.scripts import Run
from sandbox.errors import (
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
from sandbox.limits import Limits, Measure, Usage
from sandbox.messages import Headers, Request, Response
from sandbox.policy import Policy
from sandbox.values import Char, GuestError, GuestFunction, Stanza

__all__ = [
    "AsyncEngine",
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
