"""What a probe may leave behind in this machine: processes, threads, descriptors."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process as /proc tells it: its parent, and a letter for its state."""

    parent: int
    state: str


_KEPT = frozenset({"sandbox-watchdog", "sandbox-timers"})


def processes() -> dict[int, Process]:
    """Every process of the machine, by pid."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = Path(f"/proc/{name}/stat").read_text(errors="replace")
            except OSError:
                continue  # gone in between
            state, parent = text.rpartition(")")[2].split()[:2]
            found[int(name)] = Process(int(parent), state)
    return found


def descendants(root: int) -> dict[int, Process]:
    """Every process below `root`, by pid."""
    everything = processes()
    found: dict[int, Process] = {}
    parents = {root}
    while parents:
        children = {pid: one for pid, one in everything.items() if one.parent in parents}
        found |= children
        parents = set(children)
    return found


def open_files(pid: int | str = "self") -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads() -> int:
    """How many threads we have, Python's and others, but for those that an engine keeps for
    itself as long as it lives."""
    kept = sum(thread.name in _KEPT for thread in threading.enumerate())
    return max(threading.active_count(), len(os.listdir("/proc/self/task"))) - kept


def resident(pid: int | str = "self") -> int:
    """Resident memory of a process in bytes."""
    with open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def reset_peak() -> None:
    """Forget the highest resident memory so far (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The highest resident memory since `reset_peak`, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
