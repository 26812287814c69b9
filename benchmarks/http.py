"""http.*: scripts behind the HTTP front end, against a bare Starlette app on the same uvicorn.

`wrk` loads both in turns.  Rows are requests per second, where the ratio is ours to the bare
app's (more is better), and the 99th percentile of the time to an answer (less is better).
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import urllib3

from benchmarks.peers import placements
from benchmarks.report import Row, benchmark
from sandbox.engine.runtimes import installed

_PLUGINS: Final = ("hello", "json", "parse")
_CONNECTIONS: Final = (1, 32)
_SECONDS: Final = 2
_ROUNDS: Final = 3
_BOUND: Final = 60.0
_SCALES: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@contextmanager
def _server(*arguments: str) -> Iterator[str]:
    """A process of `benchmarks.serving`; gives its address."""
    command = [sys.executable, "-m", "benchmarks.serving", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, f"{arguments[0]} did not start"
            yield address
        finally:
            process.terminate()
            process.wait(_BOUND)


def _load(url: str, connections: int) -> tuple[float, float]:
    """Requests per second, and the 99th percentile of the latency in milliseconds."""
    core = placements()[""][1]
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{_SECONDS}s"]
    report = subprocess.run([*command, "--latency", url], capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", report)
    assert "Non-2xx" not in report, report
    assert "Socket errors" not in report, report
    assert rate, report
    assert slow, report
    return float(rate[1]), float(slow[1]) * _SCALES[slow[2]]


def _measure(name: str) -> Iterator[Row]:
    if shutil.which("wrk") is None or shutil.which("taskset") is None:
        sys.stderr.write(f"http.{name}: not measured, it needs wrk and taskset\n")
        return
    with ExitStack() as stack:
        origin = stack.enter_context(_server("origin"))
        bare = stack.enter_context(_server("bare"))
        ours = stack.enter_context(_server("ours", origin))
        query = f"?from={origin}" if name == "parse" else ""
        floor = f"{bare}{name}/{query}"
        for language, runtime in sorted(installed().items()):
            subject = f"{ours}{name}/main.{runtime.extension}{query}"
            _check(name, floor, subject)
            for connections in _CONNECTIONS:
                yield from _compare(f"http.{name}.{language}.c{connections}", floor, subject)


def _check(name: str, *urls: str) -> None:
    """Both answer, and with the same content but for their own addresses."""
    with urllib3.PoolManager() as client:
        answers = [client.request("GET", url) for url in urls]
    assert [answer.status for answer in answers] == [200, 200], answers[-1].data
    if name == "hello":
        assert answers[0].data == answers[1].data
    else:
        counts = [len(re.findall(r'"title"', str(answer.data))) for answer in answers]
        assert counts[0] == counts[1] > 0


def _compare(name: str, floor: str, subject: str) -> Iterator[Row]:
    connections = int(name.rpartition(".c")[2])
    pairs = [(_load(floor, connections), _load(subject, connections)) for _ in range(_ROUNDS)]
    for index, (suffix, unit) in enumerate((("", "req/s"), (".p99", "ms"))):
        bare = statistics.median(pair[0][index] for pair in pairs)
        ours = statistics.median(pair[1][index] for pair in pairs)
        ratio = statistics.median(pair[1][index] / pair[0][index] for pair in pairs)
        yield Row(name + suffix, ours, unit, bare, ratio)


for _name in _PLUGINS:
    benchmark(f"http.{_name}")(lambda name=_name: _measure(name))  # type: ignore[misc]
