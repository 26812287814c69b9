"""Deadlines of the blocking engine: a thread that looks at the calls under way.

A receive timeout on each socket would do the same, but arming a timer for every call doubles
its cost on virtual machines.  The thread sleeps while nothing runs, and costs a call nothing but
a comparison: it is woken only for a call whose limits are shorter than its sleep.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final

from sandbox.engine.worker import Worker
from sandbox.errors import LimitExceeded
from sandbox.wire.state import State

_TICK: Final = 0.25
_QUIET: Final = 2.0


class Watchdog:
    """Ends workers whose call is over a limit.  All methods are called with `lock` held."""

    def __init__(
        self, lock: threading.Lock, kill: Callable[[Worker, LimitExceeded], object]
    ) -> None:
        self._lock = lock
        self._kill = kill
        self._workers: set[Worker] = set()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self.sleep = math.inf
        """How long the thread sleeps at most; a call whose limits are shorter calls out."""
        self._closed = False

    def watch(self, worker: Worker) -> None:
        """Look after a worker from now on."""
        self._workers.add(worker)

    def forget(self, worker: Worker) -> None:
        """A worker is dead."""
        self._workers.discard(worker)

    def call_out(self) -> None:
        """A call begins whose limits could be over before the thread looks again."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sandbox-watchdog", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """End the thread, when next it looks."""
        self._closed = True
        self._wake.set()

    def join(self) -> None:
        """Wait for the thread to end; called without the lock."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        last_busy = time.monotonic()
        while True:
            with self._lock:
                if self._closed:
                    return
                now = time.monotonic()
                busy = [one for one in self._workers if one.connection.state is not State.IDLE]
                if busy:
                    last_busy = now
                quiet = now - last_busy > _QUIET
                self.sleep = math.inf if quiet else self._look(busy, now)
                # Cleared under the lock: a call that begins from here on sees our sleep.
                self._wake.clear()
            self._wake.wait(None if quiet else self.sleep)

    def _look(self, busy: list[Worker], now: float) -> float:
        """End what is over its limits; returns the seconds until the next look."""
        soonest = _TICK
        for worker in busy:
            if worker.connection.state is not State.RUNNING:
                continue  # it waits for the engine: its clocks stand still
            over = worker.meter.exceeded(now, worker.limits)
            if over is None:
                soonest = min(soonest, worker.meter.remaining(now, worker.limits))
            else:
                over.plugin = worker.plugin
                self._kill(worker, over)
        return soonest
