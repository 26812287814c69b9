"""Recorded requests to the real ServeMSX get the recorded answers, but for the listed deviations.

The recordings and the code that sends and compares them are in `../shared`; `msx_deviations.json`
says why an answer is another one.  They hold the ports that both servers listen on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

import pytest

ORACLE: Final = Path(__file__).resolve().parents[3] / "shared" / "oracle" / "msx"
DEVIATIONS: Final = json.loads(
    Path(__file__).with_name("msx_deviations.json").read_text(encoding="utf-8")
)
UPSTREAM: Final = 18900
PORT: Final = 18901
BOUND: Final = 60.0
"""Seconds after which a wait counts as failed."""

if not (ORACLE / "replay.py").is_file():
    pytest.skip("the recordings in ../shared are not there", allow_module_level=True)


def _replay() -> ModuleType:
    spec = importlib.util.spec_from_file_location("msx_replay", ORACLE / "replay.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REPLAY: Final = _replay()
CASES: Final[dict[str, dict[str, Any]]] = {
    case["id"]: case for case in json.loads((ORACLE / "cases.json").read_bytes())["cases"]
}


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: what is left of closed connections does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@contextlib.contextmanager
def _running(command: list[str], root: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (
        open(log, "wb") as stderr,
        subprocess.Popen(
            command,
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "TZ": "UTC"},
        ) as process,
    ):
        give_up = threading.Timer(BOUND, process.kill)
        give_up.start()
        try:
            yield process
        finally:
            give_up.cancel()
            give_up.join()
            process.terminate()


Compared = dict[str, tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Every case by its id: what was recorded, and what came now."""
    for port in (UPSTREAM, PORT):
        if _is_taken(port):
            pytest.skip(f"port {port} is taken, and the recordings hold it")
    root = tmp_path_factory.mktemp("msx")
    folder, cases = str(root), list(CASES.values())
    REPLAY.lay_out(folder, json.loads((ORACLE / "fixtures.json").read_bytes()), cases)
    upstream = [sys.executable, str(ORACLE / "upstream.py"), str(UPSTREAM)]
    server = [sys.executable, "-m", "sandbox.cli", "serve", "--http", f"127.0.0.1:{PORT}"]
    server += ["--dir", folder, "--grant", f"http:127.0.0.1:{UPSTREAM}"]
    logs = tmp_path_factory.mktemp("logs")
    found: Compared = {}
    with _running(upstream, root, logs / "upstream"), _running(server, root, logs / "own") as own:
        assert own.stdout
        assert own.stdout.readline(), (logs / "own").read_text()
        REPLAY.wait_for(UPSTREAM)
        for case in cases:
            answer = REPLAY.exchange(REPLAY.request_bytes(case, folder), PORT)
            found[case["id"]] = cast(
                tuple[dict[str, Any], dict[str, Any]],
                tuple(
                    REPLAY.comparable(one, case, False, folder)
                    for one in (REPLAY.recorded(case), REPLAY.parse(answer))
                ),
            )
    return found


def test_every_deviation_names_a_recording() -> None:
    assert set(DEVIATIONS) <= set(CASES)
    assert all(DEVIATIONS.values())


@pytest.mark.parametrize("name", CASES)
def test_case(compared: Compared, name: str) -> None:
    recorded, now = compared[name]
    if name in DEVIATIONS:
        assert now != recorded, "it is as recorded: take it from the list of deviations"
    else:
        assert now == recorded
