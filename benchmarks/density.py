"""density: many idle sandboxes alive at once, each of which answers, and the memory of all.

SANDBOX_DENSITY says how many (200 by default; 1000 for the full figure).
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.report import Row, benchmark
from benchmarks.start import pss
from sandbox import Engine
from sandbox.engine.runtimes import by_name
from sandbox.engine.sandbox import Sandbox

_COUNT: Final = int(os.environ.get("SANDBOX_DENSITY", "200"))
_BOUND: Final = 300.0
"""Seconds after which no more sandboxes are made."""
_FILES_EACH: Final = 2  # a socket and a pidfd
_OTHER_FILES: Final = 100


def _may_open(count: int) -> int:
    """How many of `count` sandboxes our descriptors suffice for, with the limit raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count * _FILES_EACH + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(count, (soft - _OTHER_FILES) // _FILES_EACH) if soft > 0 else count


@benchmark("density")
def density() -> Iterator[Row]:
    """Sandboxes alive, and their proportional memory together and each, the zygote included."""
    for language, answer in (("lua", b"return n + 1"), ("python", b"n + 1")):
        yield from _density(language, answer, _may_open(_COUNT))


def _density(language: str, source: bytes, count: int) -> Iterator[Row]:
    with Engine() as engine:
        core = engine._core
        start = time.perf_counter()
        sandboxes: list[Sandbox] = []
        for number in range(count):
            if time.perf_counter() - start > _BOUND:
                break
            one = Sandbox(f"dense{number}", "code", ("",), by_name(language), core.limits)
            core.sandboxes.append(one)
            engine._run(core.spawn(one))
            sandboxes.append(one)
        up = time.perf_counter() - start
        for number, one in enumerate(sandboxes):
            answer = engine._run(core.call(one, "execute", ["(main)", source, {"n": number}, {}]))
            assert isinstance(answer, dict)
            assert answer["value"] == number + 1
        pids = [one.worker.pid for one in sandboxes if one.worker is not None]
        assert len(pids) == len(sandboxes)
        pids += [zygote.pid for zygote in core._zygotes.values()]
        total = sum(pss(pid) for pid in pids) / 2**20
    yield Row(f"density.{language}.alive", len(sandboxes), "sandboxes", None, None)
    yield Row(f"density.{language}.started", up / len(sandboxes) * 1e3, "ms each", None, None)
    yield Row(f"density.{language}.memory", total, "MiB", None, None)
    yield Row(f"density.{language}.each", total / len(sandboxes), "MiB", None, None)
