"""One worker as the engine holds it: its process, its connection, its meter.

Owns killing, reaping and the reason of death.  How bytes are moved is the drivers' business.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sandbox.engine.usage import Meter
from sandbox.engine.zygote import Zygote
from sandbox.errors import LimitExceeded, ProtocolError, SandboxCrashed, SandboxError
from sandbox.limits import Limits
from sandbox.usage import Measure
from sandbox.values import GuestFunction, HostFunction, Value
from sandbox.wire.connection import Connection, Role
from sandbox.wire.frames import VERSION, Frame, Kind
from sandbox.wire.framing import most_from_worker

_MAX_HANDLES: Final = 4096
_NEARLY_ALL: Final = 0.9
_OUT_OF_MEMORY: Final = 72  # exit status by which a worker says so (sandbox/worker/zygote.py)


class Worker:
    """A worker that greeted, or is about to.

    `zygote` is None for a worker that is a thread of ours.  `invoke` runs a plugin's function
    that it gave out; the sandbox that owns this worker sets it.
    """

    __slots__ = (
        "__weakref__", "_handles", "_numbers", "connection", "death", "driver_state", "invoke",
        "limits", "meter", "patience", "pid", "pidfd", "plugin", "socket", "zygote",
    )  # fmt: skip

    def __init__(
        self, connection: socket.socket, zygote: Zygote | None, limits: Limits, plugin: str
    ) -> None:
        self.socket = connection
        self.zygote = zygote
        self.limits = limits
        self.patience = min(limits.cpu, limits.wall)
        """Seconds after the start of a call before which no limit of time can be over."""
        self.plugin = plugin
        self.connection = Connection(
            Role.ENGINE,
            most_from_worker(limits.output),
            export=self._export,
            resolve=self._resolve,
        )
        self.pid = 0
        self.pidfd = -1
        self.meter = Meter(os.getpid(), limits, own_process=False)
        self.death: SandboxError | None = None
        self.invoke: Callable[..., Value] | None = None
        self.driver_state: Any = None
        # Callables of the embedder that went to the plugin, oldest first: number -> callable.
        self._handles: OrderedDict[int, Callable[..., Value]] = OrderedDict()
        self._numbers: dict[Callable[..., Value], int] = {}

    def greeted(self, frame: Frame) -> None:
        """Take the HELLO.  It was sent before any guest byte was read, so its pid is true; and
        the pid cannot have been given to another process, since only our asking reaps it."""
        if frame[0] != Kind.HELLO or frame[1] != VERSION:
            raise ProtocolError("the worker speaks another version of the protocol")
        self.pid = frame[2]
        if self.zygote is not None:
            self.pidfd = os.pidfd_open(self.pid)
        before, self.meter = (
            self.meter,
            Meter(self.pid, self.limits, own_process=self.zygote is not None),
        )
        self.meter.peaks, self.meter.kept = before.peaks, before.kept

    @property
    def alive(self) -> bool:
        """Whether it can be called."""
        return self.death is None

    def kill(
        self,
        reason: SandboxError | None = None,
        when_dead: Callable[[int, Callable[[], object]], None] | None = None,
    ) -> SandboxError:
        """End the worker now and reap it; returns why it died, worked out when not given.

        `when_dead(pidfd, reap)` may put off the reaping of a worker whose reason is known until
        the pidfd is readable; without it this waits.  Safe to call again: the first reason stays.
        """
        if self.death is not None:
            return self.death
        usage = self.meter.usage(self.limits)  # read while the process is there to be read
        if isinstance(reason, LimitExceeded):
            reason.usage = reason.usage or usage
        self.death = reason or SandboxCrashed("the worker was stopped", plugin=self.plugin)
        self.connection.close()
        # A thread that waits in recv is not woken by a close, but by this.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._handles.clear()
        self._numbers.clear()
        if self.pidfd < 0 and self.zygote is not None:
            self.zygote.gone()  # it never greeted: there is no pid to reap it by
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):  # dead already, waiting to be reaped
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            if reason is not None and when_dead is not None:
                when_dead(self.pidfd, self._reap)
            else:
                status, peak = self._reap()
                if reason is None:
                    self.death = self._explain(status, peak)
                    if isinstance(self.death, LimitExceeded):
                        self.meter.peaks.memory = max(self.meter.peaks.memory, peak)
                        memory = Measure(self.limits.memory, peak, self.meter.peaks.memory)
                        self.death.usage = replace(usage, memory=memory)
        return self.death

    def crashed(self) -> SandboxError:
        """The connection ended without an answer: kill, reap, and find out why it died."""
        if self.death is None:
            self.kill()
        return self.death or SandboxCrashed("the worker died", plugin=self.plugin)

    def _reap(self) -> tuple[int, int]:
        os.close(self.pidfd)
        self.pidfd = -1
        return self.zygote.reap(self.pid) if self.zygote else (0, 0)

    def _explain(self, status: int, peak: int) -> SandboxError:
        if not os.WIFSIGNALED(status):
            code = os.waitstatus_to_exitcode(status)
            if code == _OUT_OF_MEMORY:
                return LimitExceeded(
                    "memory", allowed=self.limits.memory, used=peak, plugin=self.plugin
                )
            return SandboxCrashed(f"the worker exited with status {code}", plugin=self.plugin)
        number = os.WTERMSIG(status)
        # Lua and CPython abort or fault where an allocation fails at the wrong moment.
        if number in (signal.SIGABRT, signal.SIGSEGV) and peak > self.limits.memory * _NEARLY_ALL:
            return LimitExceeded(
                "memory", allowed=self.limits.memory, used=peak, plugin=self.plugin
            )
        name = signal.Signals(number).name
        meaning = {
            "SIGSYS": " (it tried a system call that plugins may not make)",
            "SIGKILL": " (the kernel's limit or an operator ended it)",
        }.get(name, "")
        return SandboxCrashed(f"the worker died of {name}{meaning}", plugin=self.plugin)

    # ------------------------------------------------------------------ functions as data

    def _export(self, function: Callable[..., Value]) -> int:
        number = self._numbers.get(function)
        if number is None:
            number = next(reversed(self._handles)) + 1 if self._handles else 1
            if len(self._handles) >= _MAX_HANDLES:
                _, oldest = self._handles.popitem(last=False)
                del self._numbers[oldest]
            self._handles[number] = function
            self._numbers[function] = number
        return number

    def handle(self, number: int) -> Callable[..., Value] | None:
        """The embedder's callable behind a handle; None when it never was or is forgotten."""
        return self._handles.get(number)

    def _resolve(self, function: HostFunction | GuestFunction) -> Value:
        if isinstance(function, HostFunction):
            found = self._handles.get(function.handle)
            if found is None:
                raise ProtocolError("the worker named a function that it was not given")
            return found
        return GuestFunction(function.handle, self._bound(function.handle))

    def _bound(self, handle: int) -> Callable[..., Value]:
        def call(*args: Value) -> Value:
            if self.invoke is None:
                raise SandboxCrashed("the sandbox of this function is gone", plugin=self.plugin)
            return self.invoke(handle, *args)

        return call
