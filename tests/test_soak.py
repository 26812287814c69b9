"""A short soak; `python -m tests.soak` is the long one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.soak.__main__ import soak, table

SECONDS = 10.0
CONNECTIONS = 32


def test_good_and_hostile_plugins_side_by_side(tmp_path: Path) -> None:
    report = asyncio.run(soak(SECONDS, CONNECTIONS, tmp_path))
    assert not report["problems"], table(report)
    # All of it happened: a soak in which nobody was hostile would prove nothing.
    silent = [name for name, tally in report["tallies"].items() if not tally.statuses]
    assert not silent, table(report)
