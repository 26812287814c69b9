"""The server under load, seen from outside: its processes, descriptors and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_PAGE: Final = os.sysconf("SC_PAGESIZE")
_BOUND: Final = 60.0
FILES_EACH: Final = 2
"""Descriptors that the engine holds for a worker: its socket and its pidfd."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What there is at one moment.  `files` leaves out those that live workers account for."""

    workers: int
    zombies: int
    files: int
    resident: int


class Served:
    """A `sandbox serve` process over a folder."""

    def __init__(self, folder: Path, log: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "sandbox.cli", "serve", "--http", "127.0.0.1:0"]
        with open(log, "wb") as stderr:
            self.process = subprocess.Popen(
                [*command, "--dir", str(folder), *arguments], stdout=subprocess.PIPE, stderr=stderr
            )
        self.log = log
        assert self.process.stdout is not None
        url = self.process.stdout.readline().decode().strip()
        assert url, log.read_text()
        parts = urlsplit(url)
        self.address = parts.hostname or "", parts.port or 0

    def descendants(self) -> dict[int, str]:
        """The state (`R`, `S`, `Z` …) of every process below the server, by its pid."""
        parents, states = {}, {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with suppress(OSError):
                    stat = Path("/proc", entry, "stat").read_text()
                    state, parent = stat.rpartition(")")[2].split()[:2]
                    parents[int(entry)], states[int(entry)] = int(parent), state
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return {pid: states[pid] for pid in found - {self.process.pid}}

    def see(self) -> Sight:
        """How things are now."""
        pid = self.process.pid
        below = self.descendants()
        zygotes = [one for one in below if self._parent(one) == pid]
        workers = len(below) - len(zygotes)
        files = len(os.listdir(f"/proc/{pid}/fd")) - len(zygotes) - FILES_EACH * workers
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        zombies = sum(state == "Z" for state in below.values())
        return Sight(workers, zombies, files, resident)

    @staticmethod
    def _parent(pid: int) -> int:
        try:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return 0

    def see_until(self, calm: Callable[[Sight], bool]) -> Sight:
        """The first sight that is calm, or the last one when none is in time."""
        end = time.monotonic() + _BOUND
        while True:
            sight = self.see()
            if calm(sight) or time.monotonic() > end:
                return sight
            time.sleep(0.05)

    def end(self) -> tuple[int, int]:
        """Terminate; the exit status, and how many of its processes are left."""
        below = list(self.descendants())
        self.process.terminate()
        try:
            self.process.wait(_BOUND)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        end = time.monotonic() + _BOUND
        while (left := sum(map(_exists, below))) and time.monotonic() < end:
            time.sleep(0.05)
        return self.process.returncode, left


def _exists(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
