"""script.tengo.*: Tengo programs in the sandbox against bare Lua 5.4 doing the same by hand.

Where the environment variable TENGO names the original's program (Go), each is also run there;
its own start, measured with an empty program, is taken off.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.peers import held_on, placements
from benchmarks.report import Row, alternate, benchmark, timed
from benchmarks.tengo_programs import PROGRAMS
from sandbox import Engine, Limits

_LIMITS: Final = Limits(cpu=60, wall=60, memory="256MiB")
_ROUNDS: Final = 15
_ratios: Final[dict[str, float]] = {}


def _bare_lua(source: str) -> Any:
    from lupa import lua54

    return lua54.LuaRuntime().execute(source)


def _go(source: str, program: str) -> float:
    """Seconds of the original for a program, the best of some runs, without its start."""
    with tempfile.TemporaryDirectory() as folder:
        best = []
        for text in ("", source):
            file = Path(folder, "program.tengo")
            file.write_text(text)
            start = partial(subprocess.run, [program, str(file)], check=True)
            best.append(min(timed(start) for _ in range(5)))
    return best[1] - best[0]


def _run(name: str, tengo: str, lua: str) -> Iterator[Row]:
    with held_on(placements()[""][0]), Engine(limits=_LIMITS, workers=1) as engine:
        run = engine.execute(tengo, language="tengo")
        if run.error is not None:
            raise run.error
        assert run.globals["out"] == _bare_lua(lua)
        bare, ours, ratio = alternate(
            lambda: timed(lambda: _bare_lua(lua)),
            lambda: timed(lambda: engine.execute(tengo, language="tengo")),
            _ROUNDS,
        )
        program = os.environ.get("TENGO")
        go = _go(tengo, program) if program else 0.0
    yield Row(f"script.tengo.{name}", ours * 1e3, "ms", bare * 1e3, ratio)
    if go:
        yield Row(f"script.tengo.{name}.go", ours * 1e3, "ms", go * 1e3, ours / go)
    _ratios[name] = ratio


for _name, (_tengo, _lua) in PROGRAMS.items():
    benchmark(f"script.tengo.{_name}")(
        lambda name=_name, tengo=_tengo, lua=_lua: _run(name, tengo, lua)  # type: ignore[misc]
    )


@benchmark("script.tengo")
def mean() -> Iterator[Row]:
    """The geometric mean of the programs' ratios; those measured before are not run again."""
    for name, (tengo, lua) in PROGRAMS.items():
        if name not in _ratios:
            yield from _run(name, tengo, lua)
    middle = math.exp(sum(map(math.log, _ratios.values())) / len(_ratios))
    yield Row("script.tengo.mean", middle, "x", 1.0, middle)
