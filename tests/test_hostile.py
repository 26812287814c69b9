"""The hostile corpus, where it is there: nothing gets out, nothing is lost, nothing is left.

Runs `python -m tests.hostile` in a process of its own, whose descriptors, threads and children
can be counted.  SANDBOX_HOSTILE=full gives every probe its whole second of processor time;
SANDBOX_CORPUS names another folder than the one next to the checkout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_CORPUS = Path(os.environ.get("SANDBOX_CORPUS", _ROOT.parent / "shared" / "hostile"))
_BOUND = 900

pytestmark = pytest.mark.skipif(
    not _CORPUS.is_dir(), reason="no hostile corpus next to the checkout (SANDBOX_CORPUS)"
)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", *arguments, "--corpus", str(_CORPUS)]
    return subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, timeout=_BOUND, check=False
    )


def test_nothing_gets_out_of_the_sandbox(tmp_path: Path) -> None:
    """Every probe, with a well-behaved plugin served all the while."""
    pace = [] if os.environ.get("SANDBOX_HOSTILE") == "full" else ["--quick"]
    file = tmp_path / "storm.json"
    done = _python("tests.hostile", "--json", str(file), *pace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    reports = json.loads(file.read_text())
    assert set(reports) == {"blocking", "asyncio"}
    for report in reports.values():
        assert report["off"] == []
        figures = report["figures"]
        for what in ("ESCAPED", "still running", "host restarts", "lost calls"):
            assert figures[what] == 0
        assert figures["second plugin's calls"] > 1000
        assert {"python", "lua", "resource", "protocol"} <= {name.strip() for name in figures}


def test_the_same_probes_get_out_of_bare_interpreters() -> None:
    """The positive control: the corpus bites, and the harness notices."""
    done = _python("tests.hostile.control")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_corpus_is_said_and_not_passed(tmp_path: Path) -> None:
    """Status 2: neither a success nor a finding."""
    command = [sys.executable, "-m", "tests.hostile", "--corpus", str(tmp_path / "none")]
    done = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "no corpus" in done.stderr
