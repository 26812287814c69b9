"""The engine as an ordinary user: confined workers, limits and all, without root's powers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = 65534
PROGRAM = """
import os
from sandbox import Engine, LimitExceeded, Limits

assert os.geteuid() != 0
with Engine(limits=Limits(cpu=0.3, wall=5)) as engine:
    assert engine.execute("return 1 + 1", language="lua").value == 2
    assert engine.execute("1 + 1", language="python").value == 2
    run = engine.execute("while True: pass", language="python")
    assert isinstance(run.error, LimitExceeded), run.error
    assert engine.execute("1 + 1", language="python").value == 2
print("confined")
"""


def interpreter_for_everybody() -> str:
    """A Python of our version that an ordinary user may run; skips when there is none."""
    system = shutil.which("python3.11", path="/usr/local/bin:/usr/bin:/bin")
    for candidate in filter(None, [sys.executable, system]):
        check = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2])"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            env={},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        ) if _may_run(candidate) else None  # fmt: skip
        if check and check.returncode == 0 and check.stdout.split() == ["3", "11"]:
            return candidate
    pytest.skip("no Python 3.11 on this machine that an ordinary user may run")


def _may_run(path: str) -> bool:
    """Whether every folder on the way to `path`, links followed, is open to everybody."""
    real = Path(path).resolve()
    return all(parent.stat().st_mode & 0o001 for parent in real.parents)


def test_as_an_ordinary_user() -> None:
    if os.geteuid() != 0:
        user: dict[str, object] = {}
        python = sys.executable
    else:
        python = interpreter_for_everybody()
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    paths = [path for path in sys.path if path and Path(path).is_dir()]
    ours = [path for path in paths if "site-packages" in path or (Path(path) / "sandbox").is_dir()]
    if not all(_may_run(os.path.join(path, "x")) for path in ours):
        pytest.skip("the packages are in a folder that an ordinary user may not enter")
    done = subprocess.run(  # type: ignore[call-overload]
        [python, "-c", PROGRAM],
        env={"PYTHONPATH": os.pathsep.join(ours), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **user,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "confined\n"
