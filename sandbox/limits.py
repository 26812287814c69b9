"""Limits: plain numbers with units.

This file parses `"64MiB"` and `"250ms"`.  It does not measure and does not enforce anything; the
engine does (`engine/usage.py`, `watchdog.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from sandbox.errors import ConfigurationError

_SIZES: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_BINARY: Final = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "k": 2**10, "m": 2**20, "g": 2**30}
_TIMES: Final = {"": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_QUANTITY: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)
MIB: Final = 2**20
MAX_OUTPUT: Final = 15 * MIB
"""Highest limit of output in bytes: an answer travels in one piece, and no piece has 16 MiB."""


def _parse(field: str, value: object, units: Mapping[str, float], example: str) -> float:
    if isinstance(value, bool):
        raise ConfigurationError(f"{field}: {value!r} is not a quantity; write it like {example}")
    if isinstance(value, (int, float)):
        number = float(value)
    else:
        match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
        factor = units.get(match[2].lower()) if match else None
        if match is None or factor is None:
            raise ConfigurationError(f"{field}: cannot read {value!r}; write it like {example}")
        number = float(match[1]) * factor
    if not 0 < number < 2**53:
        raise ConfigurationError(f"{field}: {value!r} must be more than nothing and finite")
    return number


def parse_seconds(field: str, value: object) -> float:
    """Seconds from a number or a text such as `"250ms"`; `field` names it in the error."""
    return _parse(field, value, _TIMES, '"250ms" or "1s"')


def parse_bytes(field: str, value: object) -> int:
    """Bytes from a number or a text such as `"64MiB"`; `field` names it in the error."""
    size = int(_parse(field, value, {**_SIZES, **_BINARY}, '"64MiB"'))
    if size < 1:
        raise ConfigurationError(f"{field}: {value!r} is less than one byte")
    return size


def parse_count(field: str, value: object) -> int:
    """A positive whole number; `field` names it in the error."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{field}: {value!r} is not a positive whole number")
    return value


@dataclass(frozen=True, slots=True, init=False)
class Limits:
    """What a plugin may use at most.  Hitting any limit ends its worker.

    Of one call: `cpu` and `wall` in seconds count script time only: while the engine works for
    the script (a host call) both clocks stand still.  `output` in bytes is what it may print, log
    and answer (15 MiB at most); `host_calls` how often it may ask the engine for something;
    `egress` the bytes that its requests to other servers may send and receive.

    Of the plugin: `memory` in bytes is what its worker may add to the bare interpreter; `storage`
    the bytes that it may keep in `memory` and `file`; `log_lines` how many lines it may log in a
    second.

    Times and sizes are numbers or texts (`"250ms"`, `"64MiB"`).  Raises `ConfigurationError`
    naming the field when a value makes no sense.
    """

    cpu: float
    wall: float
    memory: int
    output: int
    host_calls: int
    egress: int
    storage: int
    log_lines: int

    def __init__(
        self,
        cpu: float | str = 1.0,
        wall: float | str = 5.0,
        memory: int | str = 64 * MIB,
        output: int | str = MIB,
        host_calls: int | str = 10_000,
        egress: int | str = 16 * MIB,
        storage: int | str = 16 * MIB,
        log_lines: int | str = 1000,
    ) -> None:
        put = object.__setattr__
        put(self, "cpu", parse_seconds("cpu", cpu))
        put(self, "wall", parse_seconds("wall", wall))
        put(self, "memory", parse_bytes("memory", memory))
        put(self, "output", parse_bytes("output", output))
        put(self, "host_calls", parse_count("host_calls", host_calls))
        put(self, "egress", parse_bytes("egress", egress))
        put(self, "storage", parse_bytes("storage", storage))
        put(self, "log_lines", parse_count("log_lines", log_lines))
        if self.memory < MIB:
            raise ConfigurationError(f"memory: {memory!r} is less than 1MiB; nothing would run")
        if self.output > MAX_OUTPUT:
            raise ConfigurationError(
                f"output: {output!r} is more than 15MiB, the most that an answer can have"
            )

    def replace(self, /, **changes: float | str) -> Limits:
        """A copy with some limits changed; unknown names raise `ConfigurationError`."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in changes:
            if name not in known:
                raise ConfigurationError(f"{name}: no such limit; there are {', '.join(known)}")
        return Limits(**{**known, **changes})

    def within(self, allowed: Limits) -> Limits:
        """These limits; raises `ConfigurationError` naming the first one above `allowed`."""
        for field in fields(self):
            own, most = getattr(self, field.name), getattr(allowed, field.name)
            if own > most:
                raise ConfigurationError(
                    f"Limits.{field.name}: {own} is more than the operator allows, which is {most}"
                )
        return self
