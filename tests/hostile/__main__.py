"""`python -m tests.hostile [--corpus DIR] [--only PATTERN] [--engine E] [--quick] [--json FILE]`.

Runs every probe of the corpus through the real sandbox while a second plugin is served, with
each of the two engines, and prints a table for each.  Exit status: 0 when all is well, 1 when
anything is off, 2 when there is no corpus or this machine cannot confine.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from sandbox import ConfinementUnavailable
from tests.hostile import traces
from tests.hostile.bystander import Latencies
from tests.hostile.corpus import DEFAULT, Probe, allowed_leaks, probes
from tests.hostile.storm import Storm, Verdict

_LEAKS: Final = Path(__file__).with_name("leaks.md")
_ENGINES: Final = ("blocking", "asyncio")
_CALM: Final = 2.0
_SLOWEST_P99: Final = 0.05
"""Seconds that the second plugin's 99th percentile may reach during the storm."""


def main(arguments: list[str]) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=DEFAULT, metavar="DIR")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="part of an id or path")
    parser.add_argument("--engine", choices=_ENGINES, help="only this one of the two")
    parser.add_argument("--quick", action="store_true", help="a cpu limit of 0.25s instead of 1s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all to FILE")
    options = parser.parse_args(arguments)
    try:
        chosen = probes(options.corpus)
    except FileNotFoundError as missing:
        sys.stderr.write(f"no corpus at {missing}: name its folder with --corpus DIR\n")
        return 2
    if options.only:
        chosen = [one for one in chosen if any(one.matches(only) for only in options.only)]
    faulthandler.dump_traceback_later(60 + 30 * len(chosen), exit=True)
    reports = {}
    for kind in [options.engine] if options.engine else _ENGINES:
        try:
            reports[kind] = _storm(chosen, 0.25 if options.quick else 1.0, kind)
        except ConfinementUnavailable as error:
            sys.stderr.write(f"{error}\n")
            return 2
        sys.stdout.write(f"engine: {kind}\n{reports[kind].text()}\n")
        sys.stdout.flush()
    faulthandler.cancel_dump_traceback_later()
    if options.json:
        found = {kind: report.as_dict() for kind, report in reports.items()}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if any(report.off() for report in reports.values()) else 0


def _storm(chosen: list[Probe], cpu: float, kind: str) -> Report:
    files, threads = traces.open_files(), traces.threads()
    start = time.monotonic()
    with ExitStack() as stack:
        storm = Storm(cpu, stack, kind)
        bystander = storm.bystander
        bystander.calm(_CALM / 4)  # warm up
        before = bystander.calm(_CALM)
        verdicts = [storm.run(probe) for probe in chosen]
        report = Report(
            verdicts,
            before,
            during=bystander.latencies,
            replaced=bystander.replacements(),
        )
    report.calls, report.lost = bystander.calls, bystander.lost
    report.seconds = time.monotonic() - start
    left = [f"process {pid} is left" for pid in traces.descendants(os.getpid())]
    if traces.open_files() != files:
        left.append(f"{traces.open_files() - files} descriptors are left")
    if traces.threads() != threads:
        left.append(f"{traces.threads() - threads} threads are left")
    report.left = left
    return report


class Report:
    """What came of a storm."""

    def __init__(
        self, verdicts: list[Verdict], before: Latencies, during: Latencies, replaced: int
    ) -> None:
        self.verdicts = verdicts
        self.before = before
        self.during = during
        self.replaced = replaced
        self.calls = 0
        self.seconds = 0.0
        self.lost: list[str] = []
        self.left: list[str] = []
        self._allowed = allowed_leaks(_LEAKS)
        for verdict in verdicts:
            if verdict.leak and verdict.probe.id not in self._allowed:
                verdict.problems.append(f"not in leaks.md: {verdict.leak}")

    def off(self) -> list[str]:
        """Everything that is not as it must be, one line each."""
        lines = [
            f"{verdict.probe.id} {verdict.probe.folder}/{verdict.probe.file}: {problem}"
            for verdict in self.verdicts
            for problem in verdict.problems
        ]
        lines += [f"after all: {problem}" for problem in self.left]
        lines += [f"lost call: {problem}" for problem in self.lost[:20]]
        if not self.verdicts:
            lines.append("no probe was chosen")
        if self.replaced:
            lines.append("the second plugin's worker was replaced")
        if self.during.percentile(0.99) > _SLOWEST_P99:
            lines.append(f"the second plugin's p99 was over {_SLOWEST_P99 * 1e3:.0f} ms")
        return lines

    def _figures(self) -> dict[str, Any]:
        folders = Counter(verdict.probe.folder for verdict in self.verdicts)
        return {
            "probes run": len(self.verdicts),
            **{f"  {folder}": count for folder, count in folders.items()},
            "ESCAPED": sum(verdict.escaped() for verdict in self.verdicts),
            "LEAK": sum(bool(verdict.leak) for verdict in self.verdicts),
            "still running": sum(verdict.hung for verdict in self.verdicts) + len(self.left),
            "with any problem": sum(bool(verdict.problems) for verdict in self.verdicts),
            "host restarts": self.replaced,
            "second plugin's calls": self.calls,
            "lost calls": len(self.lost),
            "its p50 before, us": round(self.before.percentile(0.5) * 1e6),
            "its p50 during, us": round(self.during.percentile(0.5) * 1e6),
            "its p99 before, us": round(self.before.percentile(0.99) * 1e6),
            "its p99 during, us": round(self.during.percentile(0.99) * 1e6),
            "its longest call, ms": round(self.during.percentile(1.0) * 1e3, 1),
            "seconds": round(self.seconds, 1),
        }

    def text(self) -> str:
        """The table, after what is off and the leaks that are known."""
        lines = [f"OFF   {line}" for line in self.off()]
        for verdict in self.verdicts:
            if verdict.leak and verdict.probe.id in self._allowed:
                lines.append(f"LEAK  {verdict.probe.id}: {self._allowed[verdict.probe.id]}")
        figures = self._figures()
        width = max(len(name) for name in figures)
        lines += [f"{name.ljust(width)}  {value:>10}" for name, value in figures.items()]
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "figures": self._figures(),
            "off": self.off(),
            "probes": [
                {
                    "id": verdict.probe.id,
                    "file": f"{verdict.probe.folder}/{verdict.probe.file}",
                    "outcome": verdict.outcome,
                    "seconds": round(verdict.seconds, 4),
                    "leak": verdict.leak,
                    "problems": verdict.problems,
                }
                for verdict in self.verdicts
            ],
        }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
