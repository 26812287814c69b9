"""What a language must offer to be a runtime, and what it gets from the worker in return.

Both sides speak bodies: encoded frames without their length (see `sandbox/wire/frames.py`), so
that a runtime may decode them in its own language.  A runtime is created once in the zygote,
before anything is confined; `start` runs in each forked worker, after confinement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker is told at its start: limits in bytes, and the names of the hosts."""

    memory: int
    output: int
    hosts: tuple[str, ...]


class Host(Protocol):
    """The way from a runtime to the engine."""

    def call(self, body: bytes) -> bytes:
        """Send a HOST_CALL body and wait; returns the HOST_RETURN or HOST_RAISE body.

        Nested calls that the engine makes meanwhile are run before this returns.
        """

    def write(self, frames: bytes) -> None:
        """Send whole frames (NOTEs), lengths included."""

    def exceeded(self, limit: str, used: int) -> NoReturn:
        """The plugin used up `limit`: tell the engine and end this worker.  Never returns."""


class Runtime(Protocol):
    """One language inside a worker."""

    def settle(self) -> None:
        """Called once in a zygote, before the first fork and the jail, never inline.

        Whatever the language would do late and to the whole process (open a file, import, print)
        must be done or switched off by the time this returns.
        """

    def start(self, settings: Settings) -> None:
        """Called once in each worker, after confinement and before any guest byte is read."""

    def handle(self, body: bytes, host: Host) -> bytes:
        """Answer the body of a CALL or NEST with that of a RETURN or RAISE; b"" for a NOTE.

        Called again while a host call of the same runtime is waiting.  An exception that comes
        out of here ends the worker: the engine sees a crash, and the plugin's caller an error.
        """


Factory: TypeAlias = Callable[[], Runtime]
"""What the entry point group `sandbox.runtimes` names: makes a runtime, everything imported."""
