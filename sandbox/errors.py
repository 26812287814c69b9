"""Every error an embedder can meet, each saying whose fault it was.

The tree is the answer to one question: *who has to act?*  The plugin's author
(`PluginError`, `Panic`), the operator (`PolicyDenied`, `LimitExceeded`, `ConfigurationError`,
`ConfinementUnavailable`), or nobody, because the worker died or lied and was replaced
(`SandboxCrashed`, `ProtocolError`).  This file knows nothing of workers, frames or languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sandbox.usage import Usage


class Frame(NamedTuple):
    """One line of a script's own stack: file, 1-based line and column (0 if unknown; only some
    languages tell columns, in bytes) and function name."""

    file: str
    line: int
    function: str
    column: int = 0

    def __str__(self) -> str:
        column = f":{self.column}" if self.column else ""
        function = f": in {self.function}" if self.function else ""
        return f"{self.file}:{self.line}{column}{function}"


class SandboxError(Exception):
    """Base of every error this package raises on purpose.

    `message` is the bare reason, `plugin` the plugin's name, `file`, `line` and `column` the place
    in the plugin's source, `excerpt` that line where the language told it, `frames` the script's
    own stack, outermost first.  Unknown parts are empty or 0.
    """

    excerpt: str = ""

    def __init__(
        self,
        message: str,
        *,
        plugin: str = "",
        file: str = "",
        line: int = 0,
        column: int = 0,
        frames: Sequence[Frame] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.plugin = plugin
        self.frames = tuple(frames)
        self.file = file or (self.frames[-1].file if self.frames else "")
        self.line = line or (self.frames[-1].line if self.frames else 0)
        self.column = column or (self.frames[-1].column if self.frames else 0)

    def _place(self) -> str:
        """`plugin 'p', file:line:column`, or less when less is known."""
        where = f"{self.file}:{self.line}" if self.file and self.line else self.file
        if self.column:
            where += f":{self.column}"
        parts = [f"plugin {self.plugin!r}" if self.plugin else "", where]
        return ", ".join(part for part in parts if part)

    def __str__(self) -> str:
        place = self._place()
        return f"{self.message} ({place})" if place else self.message


class PluginError(SandboxError):
    """The plugin failed: its code raised, does not compile, or it cannot be found.

    `type` is the error's class in the plugin's own language (`"ZeroDivisionError"`, `"error"`).
    """

    def __init__(
        self,
        message: str,
        *,
        type: str = "error",
        plugin: str = "",
        file: str = "",
        line: int = 0,
        column: int = 0,
        frames: Sequence[Frame] = (),
    ) -> None:
        super().__init__(message, plugin=plugin, file=file, line=line, column=column, frames=frames)
        self.type = type

    def traceback(self) -> str:
        """The script's frames and the error, one line each, innermost last."""
        lines = [f"  {frame}" for frame in self.frames]
        return "\n".join(["plugin frames (innermost last):", *lines, str(self)])


class UnknownPlugin(PluginError):
    """No plugin of that name was found in the engine's plugin folders."""


class LifecycleError(PluginError):
    """A module could not be loaded, unloaded or reloaded.

    `reason` (also `message`) is the machine-readable text that Prosody's module manager returns:
    `insufficient-parameters`, `unknown-host`, `module-already-loaded`,
    `global-module-already-loaded`, `module-not-loaded`, `save-state-failed`, or the reason that
    the module's own `add_host` gave.
    """

    @property
    def reason(self) -> str:
        """The machine-readable reason."""
        return self.message


class Panic(PluginError):
    """A script ended itself with `panic(value)` outside an HTTP request.

    `value` is what it was given; `status` the HTTP status that stands for it.
    """

    def __init__(self, message: str, *, value: object = None, status: int = 500, plugin: str = ""):
        super().__init__(message, type="panic", plugin=plugin)
        self.value = value
        self.status = status


class PolicyDenied(SandboxError):
    """A plugin reached for something it was not granted.  `capability` names the missing grant."""

    def __init__(self, capability: str, *, plugin: str = "", message: str = "") -> None:
        super().__init__(message or denial(capability, plugin), plugin=plugin)
        self.capability = capability

    def __str__(self) -> str:
        return self.message


def denial(capability: str, plugin: str) -> str:
    """The sentence a refused plugin and its operator read: who, what, and how to grant it."""
    who = f"plugin {plugin!r}" if plugin else "this code"
    grant = (
        f"Policy(plugins={{{plugin!r}: [{capability!r}]}})" if plugin else f"Policy({capability!r})"
    )
    # Bare code is not what a server serves.
    served = f"`sandbox serve` grants it on its page or by --grant {capability}; " if plugin else ""
    return (
        f"{who} needs the capability {capability!r}, which was not granted; {served}"
        f"grant it with {grant}"
    )


class LimitExceeded(SandboxError):
    """A hard limit was hit; the worker was killed and is being replaced.

    `limit` names it (a field of `Limits`), `allowed` and `used` are in its unit: seconds for
    times, bytes for sizes, a count for calls and lines.  `usage` is the whole matrix of the
    sandbox as it was then, a `Usage`, or None where no worker was involved.
    """

    def __init__(self, limit: str, *, allowed: float, used: float, plugin: str = "") -> None:
        super().__init__(
            f"{limit} limit exceeded: {_amount(limit, used)} of {_amount(limit, allowed)}",
            plugin=plugin,
        )
        self.limit = limit
        self.allowed = allowed
        self.used = used
        self.usage: Usage | None = None


_COUNTED: Final = {"host_calls": "calls", "log_lines": "lines a second"}


def _amount(limit: str, value: float) -> str:
    if limit in ("cpu", "wall"):
        return f"{value:.3f}s"
    if limit in _COUNTED:
        return f"{int(value)} {_COUNTED[limit]}"
    return f"{int(value)} bytes"


class Busy(SandboxError):
    """Too many requests wait for the plugin's scripts already; this one was not begun.

    `retry_after` is when to try again, in seconds: an estimate from how long runs took lately.
    """

    def __init__(self, retry_after: float, *, plugin: str = "") -> None:
        super().__init__("too many requests wait for this plugin", plugin=plugin)
        self.retry_after = retry_after


class SandboxCrashed(SandboxError):
    """The worker died: a signal, an exit, or it broke the protocol.  The engine is unharmed."""


class PackageRejected(SandboxError):
    """A plugin package breaks a rule of the package format; nothing was installed."""


class ConfigurationError(SandboxError, ValueError):
    """The embedder or operator asked for something that makes no sense; names the field."""


class ConfinementUnavailable(SandboxError):
    """This machine cannot confine a worker; `missing` names the absent kernel mechanisms."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"this kernel cannot confine workers, missing: {', '.join(missing)}; "
            'run trusted plugins only, with Engine(isolation="process")'
        )
        self.missing = tuple(missing)


class EngineClosed(SandboxError):
    """The engine was closed; make a new one."""


class ProtocolError(SandboxError):
    """A peer broke the wire protocol.  The connection is unusable and its worker is killed."""
