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
        self._busy: set[Worker] = set()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._sleep = math.inf  # how long the thread sleeps at most from its last look
        self._closed = False

    def begin(self, worker: Worker) -> None:
        """A call of `worker` starts."""
        self._busy.add(worker)
        if worker.patience < self._sleep:
            self._call_out()

    def end(self, worker: Worker) -> None:
        """Its call is over."""
        self._busy.discard(worker)

    def close(self) -> None:
        """End the thread, when next it looks."""
        self._closed = True
        self._wake.set()

    def join(self) -> None:
        """Wait for the thread to end; called without the lock."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _call_out(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sandbox-watchdog", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        last_busy = time.monotonic()
        while True:
            with self._lock:
                if self._closed:
                    return
                now = time.monotonic()
                if self._busy:
                    last_busy = now
                quiet = now - last_busy > _QUIET
                self._sleep = math.inf if quiet else self._look(now)
                # Cleared under the lock: a call that begins from here on sees our sleep.
                self._wake.clear()
            self._wake.wait(None if quiet else self._sleep)

    def _look(self, now: float) -> float:
        """End what is over its limits; returns the seconds until the next look."""
        soonest = _TICK
        for worker in list(self._busy):
            if worker.connection.state is not State.RUNNING:
                continue  # it waits for the engine: its clocks stand still
            over = worker.meter.exceeded(now, worker.limits)
            if over is None:
                soonest = min(soonest, worker.meter.remaining(now, worker.limits))
            else:
                over.plugin = worker.plugin
                self._kill(worker, over)
        return soonest
