"""What decoding costs, measured one body at a time in a forked child of a small process.

Run as a program by `costs`: bodies on standard input, each with its length before it; one JSON
object per body on standard output.  A child that dies, hangs or eats memory harms nobody, and a
small process without free memory of its own makes the growth of the child's memory true.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

MAX_SECONDS = 0.1
MAX_MIB = 100.0
_ATTEMPTS = 5
_PACE = 0.0045
"""Seconds of `_pace` on the machine for which the bar was set."""


@dataclass(frozen=True)
class Cost:
    """How decoding a body ended and what it cost.

    What is over the bar on a machine that is slow now, by a loop run beside it, is told in the
    seconds of one that is not.
    """

    outcome: str
    """`value`, the error's class and text, or `signal N` for a child that died."""
    seconds: float
    mib: float

    @property
    def over(self) -> bool:
        """Whether it costs more than one frame may."""
        return self.seconds > MAX_SECONDS or self.mib > MAX_MIB or self.died

    @property
    def died(self) -> bool:
        """Whether the interpreter itself did not survive it."""
        return self.outcome.startswith("signal")


def costs(bodies: Sequence[bytes]) -> list[Cost]:
    """Decode each body in a child of its own; the best of five when it is over the bar."""
    sent = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    done = subprocess.run(
        [sys.executable, __file__], input=sent, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    found = [Cost(**json.loads(line)) for line in done.stdout.splitlines()]
    assert len(found) == len(bodies)
    return found


def _measure(body: bytes) -> Cost:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _decode_and_exit(body, writer)
    os.close(writer)
    with open(reader, "rb") as answer:
        data = answer.read()
    _, status, _ = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        return Cost(f"signal {os.WTERMSIG(status)}", 0.0, 0.0)
    return Cost(**json.loads(data))


def _decode_and_exit(body: bytes, writer: int) -> NoReturn:
    from sandbox.wire.codec import decode

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    try:
        kept = decode(body, lambda function: function)
        outcome = "value"
        del kept
    except Exception as error:  # noqa: BLE001 - told to the test
        outcome = f"{type(error).__name__}: {error}"[:200]
    seconds = time.process_time() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    os.write(
        writer,
        json.dumps({"outcome": outcome, "seconds": seconds, "mib": grown / 1024}).encode(),
    )
    os._exit(0)


def _pace() -> float:
    """Processor seconds that a fixed piece of work takes just now."""
    start = time.process_time()
    sum(number * number for number in range(100_000))
    return time.process_time() - start


def _main() -> None:
    import sandbox.wire.codec  # noqa: F401 - before the first fork

    while header := sys.stdin.buffer.read(4):
        body = sys.stdin.buffer.read(int.from_bytes(header, "big"))
        best = _measure(body)
        for _ in range(_ATTEMPTS - 1):
            if not best.over:
                break
            again = _measure(body)
            seconds = min(best.seconds, again.seconds / max(_pace() / _PACE, 1.0))
            best = Cost(again.outcome, seconds, min(best.mib, again.mib))
        sys.stdout.write(
            json.dumps({"outcome": best.outcome, "seconds": best.seconds, "mib": best.mib}) + "\n"
        )


if __name__ == "__main__":
    _main()
