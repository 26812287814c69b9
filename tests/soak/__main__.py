"""`python -m tests.soak [--seconds 600] [--connections 32] [--json FILE]`: a long run over HTTP.

Good and hostile plugins in one `sandbox serve` process, side by side.  At the end good plugins
must never have been answered wrong, nothing may be left of what was ended, and the server's
memory and descriptors must be what they were after the first part.  Exit status 0 or 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tests.soak.clients import Tally, load, origin_server
from tests.soak.plugins import KINDS, write_to
from tests.soak.served import Served, Sight

_WORKERS: Final = 2
_WARM_SHARE: Final = 0.3
"""The part of the time after which the server has made all that it keeps."""

_MORE_FILES: Final = 8
_MORE_MEMORY: Final = 24 * 2**20
"""Bytes that the server's resident memory may grow by after that, however long it runs: what
allocators keep of the largest bodies on their way."""

_MOST_WORKERS: Final = _WORKERS * len(KINDS)


async def soak(seconds: float, connections: int, folder: Path) -> dict[str, Any]:
    """Run it; returns the report."""
    write_to(folder)
    async with origin_server() as origin:
        served = Served(
            folder, folder / "log", "--workers", str(_WORKERS),
            "--cpu", "200ms", "--wall", "3s", "--memory", "32MiB",
            "--grant", f"http:{origin.split('/')[2]}",
        )  # fmt: skip
        try:
            warm = seconds * _WARM_SHARE
            parts = [await load(served.address, origin, connections, warm, seed=1)]
            before = await asyncio.to_thread(served.see_until, _is_calm)
            parts.append(await load(served.address, origin, connections, seconds - warm, seed=2))
            after = await asyncio.to_thread(
                served.see_until, lambda sight: _is_calm(sight) and not _grown(before, sight)
            )
        finally:
            status, left = await asyncio.to_thread(served.end)
    tallies = {name: _together([part[name] for part in parts]) for name in parts[0]}
    text = served.log.read_text(errors="replace")
    problems = _grown(before, after)
    problems += [wrong for tally in tallies.values() for wrong in tally.wrong[:3]]
    if not _is_calm(after):
        problems.append(f"processes left behind: {after}")
    if left:
        problems.append(f"{left} processes outlived the server")
    if status != 0:
        problems.append(f"the server ended with status {status}")
    if "Traceback" in text:
        problems.append("the server's log has a traceback:" + text.partition("Traceback")[2][:2000])
    return {"tallies": tallies, "before": before, "after": after, "problems": problems}


def _is_calm(sight: Sight) -> bool:
    return not sight.zombies and sight.workers <= _MOST_WORKERS


def _grown(before: Sight, after: Sight) -> list[str]:
    """What is more than it was, beyond the bounds."""
    found = []
    if after.files > before.files + _MORE_FILES:
        found.append(f"descriptors grew from {before.files} to {after.files}")
    if after.resident > before.resident + _MORE_MEMORY:
        found.append(f"memory grew from {before.resident} to {after.resident} bytes")
    return found


def _together(parts: list[Tally]) -> Tally:
    whole = Tally()
    for part in parts:
        whole.statuses += part.statuses
        whole.wrong += part.wrong
        whole.seconds += part.seconds
    return whole


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    lines = [f"{'kind':<10}{'requests':>10}{'wrong':>7}{'p50 ms':>9}{'p99 ms':>9}  answers"]
    for name, tally in report["tallies"].items():
        answers = ", ".join(
            f"{count} x {status or 'left'}" for status, count in sorted(tally.statuses.items())
        )
        count, wrong = len(tally.seconds), len(tally.wrong)
        p50, p99 = tally.percentile(0.5), tally.percentile(0.99)
        lines.append(f"{name:<10}{count:>10}{wrong:>7}{p50:>9.1f}{p99:>9.1f}  {answers}")
    for when in ("before", "after"):
        sight = report[when]
        lines.append(
            f"{when}: {sight.workers} workers, {sight.zombies} zombies, {sight.files} other "
            f"descriptors, {sight.resident / 2**20:.1f} MiB"
        )
    lines += [f"PROBLEM: {problem}" for problem in report["problems"]] or ["all is well"]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report to FILE")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(soak(options.seconds, options.connections, Path(folder)))
    sys.stdout.write(table(report) + "\n")
    if options.json:
        parts = ("before", "after")
        shown = {**report, **{part: asdict(report[part]) for part in parts}}
        shown["tallies"] = {
            name: {"statuses": tally.statuses, "wrong": len(tally.wrong)}
            for name, tally in report["tallies"].items()
        }
        options.json.write_text(json.dumps(shown, indent=2) + "\n")
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
