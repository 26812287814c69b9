"""What a worker has used: counters and clocks that the engine reads itself.

Script time and host time are separate: `Meter` stands still while a host call is being served.
The processor clock is the kernel's clock of that process; the worker's word is never asked for.
"""

from __future__ import annotations

import os
import time
from typing import Final

from sandbox.errors import LimitExceeded
from sandbox.limits import Limits, Measure, Usage

_PAGE: Final = os.sysconf("SC_PAGESIZE")


def process_clock(pid: int) -> int:
    """The id of the processor clock of process `pid`, for `time.clock_gettime`.

    The formula is the kernel's (CPUCLOCK_SCHED of a process, clock_getcpuclockid(3)).
    """
    return (~pid << 3) | 2


def resident_bytes(pid: int) -> int:
    """Resident memory of a process in bytes; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


class Meter:
    """Counts one worker's calls.  All times are `time.monotonic` seconds."""

    __slots__ = (
        "_clock", "_cpu_read", "_pid", "_since", "_slack", "cpu_base", "cpu_peak", "host_calls",
        "host_calls_peak", "memory_peak", "output", "output_peak", "wall", "wall_peak",
    )  # fmt: skip

    def __init__(self, pid: int, limits: Limits, *, own_process: bool) -> None:
        self._pid = pid
        # A thread of ours has no clock of its own that we could tell from the rest of us.
        self._clock = process_clock(pid) if own_process else time.CLOCK_THREAD_CPUTIME_ID
        self._slack = limits.cpu / 100
        self._cpu_read = 0.0
        self._since = 0.0
        self.cpu_base = 0.0
        self.cpu_peak = 0.0
        self.wall = 0.0
        self.wall_peak = 0.0
        self.output = 0
        self.output_peak = 0
        self.host_calls = 0
        self.host_calls_peak = 0
        self.memory_peak = 0

    def cpu_clock(self) -> float:
        """Processor seconds of the worker's whole life; the last reading once it is gone."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return self.cpu_base

    def measure_next(self) -> None:
        """Have the next call read the processor clock at its start, for an exact account."""
        self._cpu_read = 0.0

    def begin(self, now: float) -> None:
        """A call starts.

        Reading another process's clock costs as much as a tenth of a call, so between quick
        calls the last reading serves, at most a hundredth of the cpu limit old.
        """
        self._since = now
        self.wall = 0.0
        self.output = 0
        self.host_calls = 0
        if now - self._cpu_read > self._slack:
            self.cpu_base = self.cpu_clock()
            self._cpu_read = now

    def suspend(self, now: float) -> None:
        """The script waits for the engine."""
        self.wall += now - self._since

    def resume(self, now: float) -> None:
        """The script runs again."""
        self._since = now

    def running(self, now: float) -> float:
        """Wall seconds of script time of the call that runs now."""
        return self.wall + now - self._since

    def cpu(self) -> float:
        """Processor seconds of the call that runs now."""
        return self.cpu_clock() - self.cpu_base

    def end(self, now: float) -> None:
        """The call is over."""
        self.wall += now - self._since
        if self.wall > self.wall_peak:
            self.wall_peak = self.wall
        if self.output or self.host_calls:
            self.output_peak = max(self.output, self.output_peak)
            self.host_calls_peak = max(self.host_calls, self.host_calls_peak)

    def exceeded(self, now: float, limits: Limits) -> LimitExceeded | None:
        """The limit that the running call is over, if any."""
        wall = self.running(now)
        if wall >= limits.wall:
            return LimitExceeded("wall", allowed=limits.wall, used=wall)
        cpu = self.cpu()
        self.cpu_peak = max(self.cpu_peak, cpu)
        if cpu >= limits.cpu:
            return LimitExceeded("cpu", allowed=limits.cpu, used=cpu)
        return None

    def remaining(self, now: float, limits: Limits) -> float:
        """Seconds until the next moment at which a limit could be over."""
        return max(min(limits.wall - self.running(now), limits.cpu - self.cpu()), 0.001)

    def usage(self, limits: Limits) -> Usage:
        """The matrix.  Memory is what the worker holds now, all pages included."""
        memory = resident_bytes(self._pid)
        self.memory_peak = max(self.memory_peak, memory)
        cpu = self.cpu()
        self.cpu_peak = max(self.cpu_peak, cpu)
        return Usage(
            cpu=Measure(limits.cpu, cpu, self.cpu_peak),
            wall=Measure(limits.wall, self.wall, max(self.wall, self.wall_peak)),
            memory=Measure(limits.memory, memory, self.memory_peak),
            output=Measure(limits.output, self.output, max(self.output, self.output_peak)),
            host_calls=Measure(
                limits.host_calls, self.host_calls, max(self.host_calls, self.host_calls_peak)
            ),
        )
