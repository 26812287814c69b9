"""The positive control: `python -m tests.hostile.control [--corpus DIR]`.

The same probes without a sandbox, under a bare `exec` and a bare `LuaRuntime()`, must get out:
otherwise a storm without escapes would prove nothing.  Each probe runs in a forked process with
resource limits, an own working directory and the canaries of this run; all of them only look and
leave marks.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.hostile.corpus import CANARY_FILE, DEFAULT, Probe, probes

_SECONDS: Final = 3
_MEMORY: Final = 2**30
_TEXT: Final = 65_536
SHARE: Final = {"python": 0.5, "lua": 0.5}
"""The share of each folder that must print ESCAPED (or LEAK) when nothing is in its way."""


def _limit() -> None:
    signal.alarm(_SECONDS)
    for limit, value in (
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _run_bare(probe: Probe, source: str) -> Any:
    if probe.language == "lua":
        from lupa import lua54

        return lua54.LuaRuntime().execute(source)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "(main)", "exec"), space)
    return space.get("RESULT")


def _child(probe: Probe, folder: Path, pipe: int) -> NoReturn:
    os.setsid()
    _limit()
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    said = ""
    try:
        said = str(_run_bare(probe, probe.source.replace(CANARY_FILE, f"{folder}/canary")))
    except BaseException as error:  # noqa: BLE001 - a probe may raise anything
        said = f"{type(error).__name__}: {error}"
    os.write(pipe, said.encode("utf-8", "backslashreplace")[:_TEXT])
    os._exit(0)


def said_by(probe: Probe, folder: Path) -> str:
    """What a probe says without a sandbox; empty when it dies or does not end."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _child(probe, folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    parts = []
    with os.fdopen(reading, "rb") as pipe:
        parts.append(pipe.read(_TEXT))
    os.waitpid(pid, 0)
    return b"".join(parts).decode("utf-8", "replace")


def counted(corpus: Path) -> tuple[Counter[str], Counter[str]]:
    """How many probes of each folder there are, and how many got out."""
    os.environ["SANDBOX_CANARY"] = "CANARY-ENV-control"
    total: Counter[str] = Counter()
    out: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="control-") as name:
        folder = Path(name)
        for probe in probes(corpus):
            if probe.folder in SHARE:
                (folder / "canary").write_text("CANARY-FILE-control")
                said = said_by(probe, folder)
                total[probe.folder] += 1
                out[probe.folder] += "ESCAPED" in said or "LEAK" in said or "CANARY-" in said
    return total, out


def main(arguments: list[str]) -> int:
    """Run the control; 0 when enough probes get out."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.control", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=DEFAULT, metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        total, out = counted(options.corpus)
    except FileNotFoundError as missing:
        sys.stderr.write(f"no corpus at {missing}: name its folder with --corpus DIR\n")
        return 2
    for folder, least in SHARE.items():
        share = out[folder] / max(total[folder], 1)
        sys.stdout.write(
            f"{folder}: {out[folder]} of {total[folder]} got out of a bare interpreter "
            f"({share:.0%}, at least {least:.0%})\n"
        )
    return int(any(out[one] < total[one] * least for one, least in SHARE.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
