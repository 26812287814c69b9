"""Rows, the table of benchmarks, and how they are measured and printed.

Machines are noisy, so a benchmark alternates short rounds of its floor and of the thing itself
and compares the medians: what slows one round slows its neighbour too.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.  `ratio` is value / floor in the sense that the bar uses; a floor of None
    means that the figure stands for itself."""

    name: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None


Benchmark = Callable[[], Iterable[Row]]
BENCHMARKS: Final[dict[str, Benchmark]] = {}


def benchmark(name: str) -> Callable[[Benchmark], Benchmark]:
    """Register a benchmark under its name."""

    def register(function: Benchmark) -> Benchmark:
        BENCHMARKS[name] = function
        return function

    return register


def seconds_each(operation: Callable[[], object], count: int) -> float:
    """Seconds per call of `operation` over `count` calls."""
    start = time.perf_counter()
    for _ in range(count):
        operation()
    return (time.perf_counter() - start) / count


def timed(operation: Callable[[], object]) -> float:
    """Seconds that one call of `operation` takes."""
    return seconds_each(operation, 1)


def alternate(
    floor: Callable[[], float], subject: Callable[[], float], rounds: int
) -> tuple[float, float, float]:
    """Alternate rounds of both; the medians of floor and subject, and of their paired ratios."""
    floor(), subject()  # warm up
    pairs = [(floor(), subject()) for _ in range(rounds)]
    floors, subjects = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    return statistics.median(floors), statistics.median(subjects), ratio


def table(rows: list[Row]) -> str:
    """The rows as an aligned text table."""
    lines = [("name", "value", "unit", "floor", "ratio")]
    for row in rows:
        floor = "" if row.floor is None else f"{row.floor:.2f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append((row.name, f"{row.value:.2f}", row.unit, floor, ratio))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_json(rows: list[Row]) -> str:
    """The rows as JSON."""
    return json.dumps([asdict(row) for row in rows], indent=2)
