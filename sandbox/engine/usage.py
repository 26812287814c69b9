"""What a worker has used: counters and clocks that the engine reads itself.

Script time and host time are separate: `Meter` stands still while a host call is being served.
The processor clock is the kernel's clock of that process; the worker's word is never asked for.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sandbox.errors import LimitExceeded
from sandbox.limits import Limits
from sandbox.usage import Measure, Usage

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


@dataclass(slots=True)
class Peaks:
    """The highest of each measure over the workers that a sandbox had before."""

    cpu: float = 0.0
    wall: float = 0.0
    memory: int = 0
    output: int = 0
    host_calls: int = 0
    egress: int = 0
    storage: int = 0
    log_lines: int = 0


class Meter:
    """Counts one worker's calls.  All times are `time.monotonic` seconds.

    `kept` tells what the plugin keeps in storage now, in bytes.
    """

    __slots__ = (
        "_clock", "_cpu_read", "_pid", "_second", "_since", "_slack", "cpu_base", "egress",
        "host_calls", "kept", "log_lines", "output", "peaks", "wall",
    )  # fmt: skip

    def __init__(self, pid: int, limits: Limits, *, own_process: bool) -> None:
        self._pid = pid
        # A thread of ours has no clock of its own that we could tell from the rest of us.
        self._clock = process_clock(pid) if own_process else time.CLOCK_THREAD_CPUTIME_ID
        self._slack = limits.cpu / 100
        self._cpu_read = 0.0
        self._since = math.inf  # when the script began to run; never, while it does not
        self._second = -math.inf
        self.cpu_base = 0.0
        self.wall = 0.0
        self.output = 0
        self.host_calls = 0
        self.egress = 0
        self.log_lines = 0
        self.peaks = Peaks()
        self.kept: Callable[[], int] = int

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
        self.egress = 0
        if now - self._cpu_read > self._slack:
            self.cpu_base = self.cpu_clock()
            self._cpu_read = now

    def suspend(self, now: float) -> None:
        """The script waits for the engine."""
        self.wall += now - self._since
        self._since = math.inf

    def resume(self, now: float) -> None:
        """The script runs again."""
        self._since = now

    def running(self, now: float) -> float:
        """Wall seconds of script time of the call that runs now."""
        return self.wall + max(now - self._since, 0.0)

    def cpu(self) -> float:
        """Processor seconds of the call that runs now."""
        return self.cpu_clock() - self.cpu_base

    def end(self, now: float) -> None:
        """The call is over, or was ended while it waited for the engine."""
        self.wall = self.running(now)
        self._since = math.inf
        peaks = self.peaks
        if self.wall > peaks.wall:
            peaks.wall = self.wall
        if self.output or self.host_calls:
            peaks.output = max(self.output, peaks.output)
            peaks.host_calls = max(self.host_calls, peaks.host_calls)
            peaks.egress = max(self.egress, peaks.egress)

    def log_line(self, now: float) -> int:
        """A line was logged at `now`, by the engine's clock; returns how many in this second."""
        if now - self._second >= 1.0:
            self._second = now
            self.log_lines = 0
        self.log_lines += 1
        self.peaks.log_lines = max(self.log_lines, self.peaks.log_lines)
        return self.log_lines

    def exceeded(self, now: float, limits: Limits) -> LimitExceeded | None:
        """The limit that the running call is over, if any."""
        wall = self.running(now)
        if wall >= limits.wall:
            return LimitExceeded("wall", allowed=limits.wall, used=wall)
        cpu = self.cpu()
        self.peaks.cpu = max(self.peaks.cpu, cpu)
        if cpu >= limits.cpu:
            return LimitExceeded("cpu", allowed=limits.cpu, used=cpu)
        return None

    def remaining(self, now: float, limits: Limits) -> float:
        """Seconds until the next moment at which a limit could be over."""
        return max(min(limits.wall - self.running(now), limits.cpu - self.cpu()), 0.001)

    def usage(self, limits: Limits) -> Usage:
        """The matrix.  Memory is what the worker holds now, all pages included."""
        peaks, wall = self.peaks, self.running(time.monotonic())
        peaks.wall = max(wall, peaks.wall)
        memory, cpu, kept = resident_bytes(self._pid), self.cpu(), self.kept()
        peaks.memory = max(peaks.memory, memory)
        peaks.cpu = max(peaks.cpu, cpu)
        peaks.storage = max(peaks.storage, kept)
        calls, output = self.host_calls, self.output
        return Usage(
            cpu=Measure(limits.cpu, cpu, peaks.cpu),
            wall=Measure(limits.wall, wall, peaks.wall),
            memory=Measure(limits.memory, memory, peaks.memory),
            output=Measure(limits.output, output, max(output, peaks.output)),
            host_calls=Measure(limits.host_calls, calls, max(calls, peaks.host_calls)),
            egress=Measure(limits.egress, self.egress, max(self.egress, peaks.egress)),
            storage=Measure(limits.storage, kept, peaks.storage),
            log_lines=Measure(limits.log_lines, self.log_lines, peaks.log_lines),
        )
