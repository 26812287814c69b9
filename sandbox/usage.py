"""How much of each limit was used: the matrix *limit, current, peak*.

Plain data; the engine measures (`engine/usage.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the usage matrix, in the limit's own unit (seconds, bytes or a count)."""

    limit: float
    current: float
    peak: float


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage matrix of one sandbox, or of one `execute`.

    `current` is the last (or running) call, `peak` the highest so far, through the deaths of
    workers.  `memory` counts the resident bytes of the worker: the interpreter's own pages are
    included.  `storage` is what the plugin keeps now, `log_lines` what it logged in the last
    second that it logged in.
    """

    cpu: Measure
    wall: Measure
    memory: Measure
    output: Measure
    host_calls: Measure
    egress: Measure
    storage: Measure
    log_lines: Measure

    def as_dict(self) -> dict[str, dict[str, float]]:
        """The matrix as nested plain dicts, for JSON."""
        return {
            field.name: {
                "limit": getattr(self, field.name).limit,
                "current": getattr(self, field.name).current,
                "peak": getattr(self, field.name).peak,
            }
            for field in fields(self)
        }
