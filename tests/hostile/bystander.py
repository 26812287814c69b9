"""The well-behaved second plugin: called as fast as it goes while the probes run.

Counts what matters to its users: calls that were lost, and how long the others took.
"""

from __future__ import annotations

import threading
import time
from array import array
from types import TracebackType
from typing import Final

from sandbox import Engine
from tests.hostile.looped import LoopedEngine

HOST: Final = "storm.example"
NAME: Final = "steady"


class Latencies:
    """The durations of some calls."""

    def __init__(self) -> None:
        self.seconds = array("d")

    def percentile(self, share: float) -> float:
        """The duration that `share` of the calls did not exceed, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


class Bystander:
    """Calls `mod_steady` from a thread of its own until it is told to stop."""

    def __init__(self, engine: Engine | LoopedEngine) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="bystander")
        self.calls = 0
        self.lost: list[str] = []
        self.latencies = Latencies()

    def __enter__(self) -> Bystander:
        self._engine.load(HOST, NAME)
        self.pid = self._status()[0]
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _status(self) -> tuple[int, int]:
        (one,) = [one for one in self._engine.status() if one.name == NAME]
        return one.pid, one.deaths

    def replacements(self) -> int:
        """How often its worker was replaced."""
        pid, deaths = self._status()
        return deaths + (pid != self.pid)

    def calm(self, seconds: float) -> Latencies:
        """Let it run alone for a while; the latencies of that time."""
        self._stop.wait(seconds)
        before, self.latencies = self.latencies, Latencies()
        return before

    def _serve(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            sent = {"n": number, "text": f"call {number}"}
            start = time.perf_counter()
            try:
                answer = self._engine.fire(HOST, "steady", sent)
            except Exception as error:  # noqa: BLE001 - whatever it was, the call is lost
                self.lost.append(f"{type(error).__name__}: {error}"[:200])
            else:
                if answer != {"n": number + 1, "text": sent["text"]}:
                    self.lost.append(f"wrong answer: {answer!r}"[:200])
            self.calls += 1
            self.latencies.seconds.append(time.perf_counter() - start)
