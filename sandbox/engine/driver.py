"""What the engine's operations need from a driver: calls to workers, and a way to wait.

An operation is a coroutine.  Under the blocking driver every `await` completes at once, so the
coroutine never suspends; under the asyncio driver it does.  One set of operations serves both.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from sandbox.engine.worker import Worker
from sandbox.errors import LimitExceeded, PluginError, SandboxError
from sandbox.values import Value
from sandbox.wire.extensions import EncodeError
from sandbox.wire.frames import Frame

MAX_CHAIN: Final = 16
GREETING_SECONDS: Final = 30.0
"""How long a worker may take to start."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Where an operation comes from: the embedder (depth 0), or a host call of a plugin.

    Operations on behalf of a host call run inside it (NEST) where the worker waits, so that two
    plugins that ask for each other never wait for each other.  `reviving` says that the chain
    brings a sandbox's modules back after a death, and need not wait for that to be over.
    """

    depth: int = 0
    reviving: bool = False

    def deeper(self) -> Chain:
        """The chain of a host call made within this one.

        Raises `PluginError` when plugins call each other without end.
        """
        if self.depth >= MAX_CHAIN:
            raise PluginError(f"host calls nest deeper than {MAX_CHAIN} levels")
        return Chain(self.depth + 1, self.reviving)


TOP: Final = Chain()
"""The chain of what the embedder asks for."""

Serve: TypeAlias = Callable[[Worker, Frame, Chain], Coroutine[Any, Any, Value]]
"""Serves one HOST_CALL made within a chain; raises `SandboxError` to refuse it."""

Note: TypeAlias = Callable[[Worker, Frame], None]
"""Takes one NOTE."""

new_id: Final = partial(random.Random().getrandbits, 32)
"""An id for a call, which its worker cannot guess before it was sent."""


def step(operation: Coroutine[Any, Any, Value]) -> Value:
    """Run an operation that never suspends to its end."""
    try:
        operation.send(None)
    except StopIteration as stop:
        return stop.value
    operation.close()
    raise RuntimeError("an operation suspended where it may not")


class NotBegun(Exception):
    """A call that was sent ahead has not begun in its worker, and will not: run it elsewhere.

    It has not begun as far as the engine has seen.  A worker that was killed may have run it, but
    all that a run does to anything outside goes through host calls, and none of its was served.
    """


class Driver(Protocol):
    """How frames move and how operations wait."""

    sends_ahead: bool
    """Whether a worker that runs something can be sent more; see `call_ahead`."""

    async def greet(self, worker: Worker) -> None:
        """Wait for the worker's HELLO.  Raises `SandboxCrashed` when it does not come."""

    def call(
        self, worker: Worker, operation: str, arguments: list[Value], chain: Chain
    ) -> Awaitable[Value]:
        """Run one operation of the worker and return its value.

        Raises `GuestRaised` with the error map of a RAISE, `LimitExceeded`, `SandboxCrashed`, or
        `EncodeError` when an argument cannot cross.  After a limit or crash the worker is dead.
        """

    def call_ahead(
        self, worker: Worker, operation: str, arguments: list[Value], chain: Chain
    ) -> Awaitable[Value]:
        """As `call`, for what may as well run in another worker.

        Raises `NotBegun` besides, when the worker dies before the call begins, or `withdraw` is
        called.  Whoever gives up waiting for a call that has begun must kill the worker.
        """

    def withdraw(self, worker: Worker) -> None:
        """Take back the calls sent ahead to a worker that waits for a host call."""

    def is_forsaken(self, worker: Worker) -> bool:
        """Whether nobody waits for the call that runs in a worker."""

    def note(self, worker: Worker, topic: str, payload: list[Value]) -> None:
        """Send a note; a worker that cannot take it is killed."""

    def finish(self) -> None:
        """The engine closes: whatever was put off is done now."""

    async def wait_in(self, line: deque[Any]) -> None:
        """Wait at the end of `line` until `wake` comes to us."""

    def wake(self, line: deque[Any]) -> None:
        """Let the first in `line` go on, if anybody waits."""

    async def outside(self, function: Callable[..., Value], arguments: list[Value]) -> Value:
        """Call a function of the embedder, who may use the engine in it."""

    async def apart(self, function: Callable[[], Value]) -> Value:
        """Run a function of ours that waits for the network or a disk, and hold up nobody."""

    def kill(
        self, worker: Worker, reason: SandboxError | None = None, *, wait: bool = False
    ) -> SandboxError:
        """End a worker and have it reaped, before this returns if `wait`; see `Worker.kill`."""


class GuestRaised(Exception):
    """A RAISE frame, before the core has made an error of it.  `error` is hostile data."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__("the plugin raised")
        self.error = error


def refusal(error: Exception) -> dict[str, Value]:
    """The error map of a HOST_RAISE: what the plugin may know of why it was refused."""
    capability = getattr(error, "capability", None)
    if isinstance(error, SandboxError):
        shown: dict[str, Value] = {"message": error.message, "type": type(error).__name__}
        if isinstance(error, PluginError):
            shown["type"] = error.type
        if capability:
            shown["capability"] = capability
        return shown
    if isinstance(error, EncodeError):
        return {"message": str(error), "type": "ValueError"}
    return {"message": "the host function failed; the server's log says why", "type": "HostError"}


def over_budget(worker: Worker, used: int) -> LimitExceeded:
    """The error of a worker that asked too often."""
    return LimitExceeded(
        "host_calls", allowed=worker.limits.host_calls, used=used, plugin=worker.plugin
    )
