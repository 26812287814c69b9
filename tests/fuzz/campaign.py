"""Many programs in processes that can be ended, and the smallest program that shows a finding."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.fuzz.child import forked, language

_ROOT: Final = Path(__file__).resolve().parents[2]
_SILENCE: Final = 8.0
"""Seconds without an answer after which a program counts as one that does not end."""
_SLICE: Final = 2000


@dataclass
class Result:
    """What came of a campaign."""

    programs: int = 0
    statements: int = 0
    refused: int = 0
    hung: int = 0
    died: int = 0
    seconds: float = 0.0
    findings: list[tuple[int, str]] = field(default_factory=list)

    def text(self) -> str:
        """One line."""
        return (
            f"{self.programs} programs, {self.statements} statements ({self.refused} refused), "
            f"{self.hung} hung, {self.died} died, {len(self.findings)} findings, "
            f"{self.seconds:.0f} s"
        )


def _lines(name: str, mode: str, first: int, count: int) -> Iterator[dict[str, Any] | None]:
    """What a child says, line by line; None at the end if it was ended for its silence."""
    command = [sys.executable, "-m", "tests.fuzz.child", name, mode, str(first), str(count)]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        try:
            while True:
                ready, _, _ = select.select([child.stdout], [], [], _SILENCE)
                if not ready:
                    yield None
                    return
                line = child.stdout.readline()
                if not line:
                    return
                yield json.loads(line)
        finally:
            child.kill()


def campaign(
    name: str, count: int, first: int = 0, mode: str = "fence", seconds: float = 1e9
) -> Result:
    """Run programs `first` to `first + count - 1`, or as many as there is time for."""
    result, start, at, end = Result(), time.monotonic(), first, first + count
    while at < end and time.monotonic() - start < seconds:
        upto, silent, last = min(at + _SLICE, end), False, {"statements": 0, "refused": 0}
        found = False
        for line in _lines(name, mode, at, upto - at):
            silent = line is None
            if line is None:
                break
            at, last = line["seed"] + 1, line
            result.programs += 1
            if line["why"] is not None:
                result.findings.append((line["seed"], line["why"]))
                found = True
            if time.monotonic() - start > seconds:
                break
        result.statements += last.get("statements", 0)
        result.refused += last.get("refused", 0)
        ended = at >= upto or found or time.monotonic() - start > seconds
        if not ended:
            result.hung += silent
            result.died += not silent
            result.programs += 1
            at += 1  # the one that did not end
    result.seconds = time.monotonic() - start
    return result


def smallest(name: str, seed: int) -> str:
    """The source of the program of a number, without what a finding does not need."""
    generate, running = language(name)
    program, way = generate(seed), seed % running.WAYS

    def fails(candidate: Any) -> bool:
        return forked(lambda: running.Fence().run(candidate, way)) is not None

    step = max(len(program.statements) // 2, 1)
    while step:
        at = 0
        while at < len(program.statements):
            shorter = program.without(set(range(at, at + step)))
            if fails(shorter):
                program = shorter
            else:
                at += step
        step //= 2
    return "\n".join(program.statements)
