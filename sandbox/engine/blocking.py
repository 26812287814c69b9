"""The blocking driver: the caller's thread moves the frames and waits for them.

Several threads may use one engine.  One lock guards everything the engine knows; it is let go
while a thread waits for a worker, for its turn, or for the embedder's own function.  Deadlines
are kept by `watchdog.py`, in a thread of its own.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from sandbox.engine.driver import (
    GREETING_SECONDS,
    Chain,
    GuestRaised,
    Note,
    Serve,
    new_id,
    over_budget,
    refusal,
)
from sandbox.engine.watchdog import Watchdog
from sandbox.engine.worker import Worker
from sandbox.errors import LimitExceeded, ProtocolError, SandboxCrashed, SandboxError
from sandbox.values import Value
from sandbox.wire.extensions import EncodeError
from sandbox.wire.frames import Frame, Kind
from sandbox.wire.state import State

_READ: Final = 65_536
_monotonic = time.monotonic
_CALL: Final = int(Kind.CALL)
_NEST: Final = int(Kind.NEST)
_RETURN: Final = int(Kind.RETURN)
_RAISE: Final = int(Kind.RAISE)
_HOST_CALL: Final = int(Kind.HOST_CALL)


def _timeval(seconds: float) -> bytes:
    whole, part = divmod(max(seconds, 0.001), 1.0)
    return struct.pack("@ll", int(whole), int(part * 1e6))


class BlockingDriver:
    """See `Driver`.  Its methods are called with `lock` held."""

    sends_ahead = False  # a thread that calls a worker takes its answers itself

    def __init__(self, serve: Serve, take_note: Note) -> None:
        self._serve = serve
        self._take_note = take_note
        self.lock = threading.Lock()
        self._changed = threading.Condition(self.lock)
        self._waiters = 0
        self.watchdog = Watchdog(self.lock, self.kill)

    # ------------------------------------------------------------------ waiting

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        self._waiters += 1
        try:
            self._changed.wait_for(ready)
        finally:
            self._waiters -= 1

    def _state_changed(self) -> None:
        if self._waiters:
            self._changed.notify_all()

    async def wait_in(self, line: deque[Any]) -> None:
        """See `Driver.wait_in`."""
        turn = [False]
        line.append(turn)
        self._wait_until(lambda: turn[0])

    def wake(self, line: deque[Any]) -> None:
        """See `Driver.wake`."""
        if line:
            line.popleft()[0] = True
            self._state_changed()

    async def outside(self, function: Callable[..., Value], arguments: list[Value]) -> Value:
        """See `Driver.outside`."""
        self.lock.release()
        try:
            return function(*arguments)
        finally:
            self.lock.acquire()

    async def apart(self, function: Callable[[], Value]) -> Value:
        """See `Driver.apart`."""
        return await self.outside(function, [])

    # ------------------------------------------------------------------ start

    async def greet(self, worker: Worker) -> None:
        """See `Driver.greet`."""
        sock = worker.socket
        sock.settimeout(GREETING_SECONDS)
        frames: list[Frame] = []
        try:
            while not frames:
                data = sock.recv(_READ)
                if not data:
                    raise self._did_not_start(worker, "the worker did not start")
                frames = worker.connection.receive(data)
            worker.greeted(frames[0])
        except TimeoutError:
            raise self._did_not_start(worker, "the worker did not start in time") from None
        except ProtocolError as error:
            raise self._did_not_start(worker, error.message) from None
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(worker.limits.wall))
        self.watchdog.watch(worker)

    def _did_not_start(self, worker: Worker, why: str) -> SandboxError:
        return self.kill(worker, SandboxCrashed(why, plugin=worker.plugin))

    # ------------------------------------------------------------------ calls

    async def call(
        self, worker: Worker, operation: str, arguments: list[Value], chain: Chain
    ) -> Value:
        """See `Driver.call`."""
        connection, meter = worker.connection, worker.meter
        nested = False
        if connection.state is not State.IDLE:
            self._await_turn(worker, chain)
            nested = connection.state is State.SUSPENDED
        if worker.death is not None:
            raise worker.death
        data = connection.send(_NEST if nested else _CALL, new_id(), operation, arguments)
        if nested:
            meter.resume(_monotonic())
        else:
            meter.begin(_monotonic())
        if worker.patience < self.watchdog.sleep:
            self.watchdog.call_out()
        try:
            self._send(worker, data)
            while True:
                for frame in self._receive(worker):
                    kind = frame[0]
                    if kind == _RETURN:  # the state machine has made sure that it is ours
                        return frame[2]
                    if kind == _RAISE:
                        raise GuestRaised(frame[2])
                    if kind == _HOST_CALL:
                        await self._host_call(worker, frame, chain)
                    else:
                        self._take_note(worker, frame)
                        if worker.death is not None:
                            raise worker.death
        finally:
            if nested:
                meter.suspend(_monotonic())
            else:
                meter.end(_monotonic())
            if self._waiters:
                self._changed.notify_all()

    def _await_turn(self, worker: Worker, chain: Chain) -> None:
        """Wait until the worker is idle; within a chain, until it stands still.

        Two plugins that ask for each other in two threads thus run inside each other's host
        calls instead of waiting for each other.
        """
        wanted = (State.IDLE, State.SUSPENDED) if chain.depth else (State.IDLE,)
        self._wait_until(lambda: not worker.alive or worker.connection.state in wanted)

    def _receive(self, worker: Worker) -> list[Frame]:
        lock = self.lock
        while True:
            lock.release()
            try:
                data = worker.socket.recv(_READ)
            except OSError:
                data = b""  # it was ended, by the watchdog perhaps, while we waited
            finally:
                lock.acquire()
            if not data:
                self._state_changed()
                raise self._crashed(worker)
            try:
                frames = worker.connection.receive(data)
            except ProtocolError as error:
                raise self._lied(worker, error) from None
            if frames:
                return frames

    def _crashed(self, worker: Worker) -> SandboxError:
        self.watchdog.forget(worker)
        return worker.crashed()

    def _lied(self, worker: Worker, error: ProtocolError) -> SandboxError:
        text = f"the worker broke the protocol: {error.message}"
        return self.kill(worker, SandboxCrashed(text, plugin=worker.plugin))

    def _send(self, worker: Worker, data: bytes) -> None:
        sock = worker.socket
        try:
            sent = sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            raise self._crashed(worker) from None
        if sent < len(data):
            self._send_rest(worker, data[sent:])

    def _send_rest(self, worker: Worker, rest: bytes) -> None:
        """The worker's buffer is full: wait for it, and hold up nobody else meanwhile.

        Notes to it that come up in between must not fall into the middle of our frame.
        """
        notes: list[bytes] = []
        worker.driver_state = notes
        self.lock.release()
        try:
            worker.socket.sendall(rest)
            failed: Exception | None = None
        except OSError as error:
            failed = error
        finally:
            self.lock.acquire()
            worker.driver_state = None
        if isinstance(failed, BlockingIOError):
            # It has not read for as long as it may run at all.
            limit = worker.limits.wall
            reason = LimitExceeded("wall", allowed=limit, used=limit, plugin=worker.plugin)
            raise self.kill(worker, reason)
        if failed is not None:
            raise self._crashed(worker)
        for note in notes:
            self._send(worker, note)

    async def _host_call(self, worker: Worker, frame: Frame, chain: Chain) -> None:
        meter = worker.meter
        meter.suspend(_monotonic())
        meter.host_calls += 1
        if meter.host_calls > worker.limits.host_calls:
            raise self.kill(worker, over_budget(worker, meter.host_calls))
        self._state_changed()
        value, refused = None, None
        try:
            value = await self._serve(worker, frame, chain.deeper())
        except (SandboxError, EncodeError) as error:
            refused = error
        connection, number = worker.connection, frame[1]
        if connection.host_call != number and worker.alive:
            # Another thread's nested call runs on top of ours.
            self._wait_until(lambda: not worker.alive or connection.host_call == number)
        if worker.death is not None:
            raise worker.death
        try:
            if refused is not None:
                raise refused
            answer = connection.send(Kind.HOST_RETURN, number, value)
        except (SandboxError, EncodeError) as error:
            answer = connection.send(Kind.HOST_RAISE, number, refusal(error))
        meter.resume(_monotonic())
        if worker.patience < self.watchdog.sleep:  # it looked away while the clocks stood still
            self.watchdog.call_out()
        self._send(worker, answer)

    call_ahead = call

    def withdraw(self, worker: Worker) -> None:
        """See `Driver.withdraw`.  Nothing was sent ahead."""

    def is_forsaken(self, worker: Worker) -> bool:
        """See `Driver.is_forsaken`.  Who asks has just given up."""
        return True

    def note(self, worker: Worker, topic: str, payload: list[Value]) -> None:
        """See `Driver.note`."""
        try:
            data = worker.connection.send(Kind.NOTE, topic, payload)
            if worker.driver_state is not None:
                worker.driver_state.append(data)
            else:
                self._send(worker, data)
        except SandboxError:
            return  # the worker died of it; its next call says so

    def kill(
        self, worker: Worker, reason: SandboxError | None = None, *, wait: bool = False
    ) -> SandboxError:
        """See `Driver.kill`."""
        death = worker.kill(reason)
        self.watchdog.forget(worker)
        self._state_changed()
        return death

    def finish(self) -> None:
        """See `Driver.finish`."""
        self.watchdog.close()
