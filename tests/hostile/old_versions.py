"""The corpus bites: `python -m tests.hostile.old_versions [--corpus DIR] [VERSION ...]`.

Old versions of RestrictedPython had holes that the Python probes were written for.  Each version is
installed into a folder of its own for the time of the run, every Python probe runs in a process of
its own under the stock policy of that version (`stock_policy.py`), and the probes that get out are
listed.  A corpus that finds nothing in versions with known holes would find nothing here either.
Exit status: 0 when it is as `EXPECTED` says, 1 when not, 2 when it cannot be tried.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.hostile.corpus import CANARY_FILE, DEFAULT, Probe, probes

EXPECTED: Final = {"6.0": True, "8.2": True, "8.3": False, "9.0": False}
"""Whether any probe gets out of a version."""

_SECONDS: Final = 5
_INSTALL_SECONDS: Final = 120
_POLICY: Final = Path(__file__).with_name("stock_policy.py")
_CANARY: Final = "CANARY-{}-old-versions"


class Unavailable(Exception):
    """A version cannot be installed: no index, most likely."""


@dataclass(frozen=True, slots=True)
class Count:
    """What came of one version."""

    version: str
    probes: int
    escaped: tuple[Probe, ...]


@contextmanager
def installed(version: str) -> Iterator[Path]:
    """A folder with this version of RestrictedPython and nothing else, for a while."""
    with tempfile.TemporaryDirectory(prefix="old-version-") as name:
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-input",
            "--ignore-requires-python", "--disable-pip-version-check", "--retries", "0",
            "--target", name, f"RestrictedPython=={version}",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"pip did not install RestrictedPython {version} in time") from None
        if done.returncode != 0:
            last = (done.stderr.strip() or "pip failed").splitlines()[-1]
            raise Unavailable(f"RestrictedPython {version} cannot be installed: {last[:200]}")
        yield Path(name)


def said_by(probe: Probe, version: Path, folder: Path) -> str:
    """What a probe says under the stock policy; empty when it dies or does not end."""
    canary = folder / "canary"
    canary.write_text(_CANARY.format("FILE"))
    file = folder / "probe.py"
    file.write_text(
        probe.source.replace(CANARY_FILE, str(canary)), encoding="utf-8", errors="surrogateescape"
    )
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(version),
        "SANDBOX_CANARY": _CANARY.format("ENV"),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-s", "-B", "-W", "ignore", str(_POLICY), str(file)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    said = done.stdout.decode("utf-8", "replace")
    if (folder / "canary_pwned").exists():
        (folder / "canary_pwned").unlink()
        said += " ESCAPED: left its mark"
    return said


def got_out(said: str) -> bool:
    """Whether what a probe said means that it escaped.  A leak is not an escape."""
    return "ESCAPED" in said or "CANARY-" in said


def tried(version: str, corpus: Path) -> Count:
    """Every Python probe under one version.  Raises `Unavailable` or `FileNotFoundError`."""
    chosen = [probe for probe in probes(corpus) if probe.folder == "python"]
    with installed(version) as where, tempfile.TemporaryDirectory(prefix="old-probe-") as name:
        escaped = tuple(probe for probe in chosen if got_out(said_by(probe, where, Path(name))))
    return Count(version, len(chosen), escaped)


def main(arguments: Sequence[str]) -> int:
    """Print how many probes get out of each version, and which."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile.old_versions", description=__doc__
    )
    parser.add_argument("--corpus", type=Path, default=DEFAULT, metavar="DIR")
    parser.add_argument("versions", nargs="*", default=list(EXPECTED), metavar="VERSION")
    options = parser.parse_args(arguments)
    off = False
    for version in options.versions:
        try:
            count = tried(version, options.corpus)
        except FileNotFoundError as missing:
            sys.stderr.write(f"no corpus at {missing}: name its folder with --corpus DIR\n")
            return 2
        except Unavailable as reason:
            sys.stderr.write(f"skipped: {reason}\n")
            return 2
        out = len(count.escaped)
        which = f": {', '.join(probe.id for probe in count.escaped)}" if out else ""
        sys.stdout.write(
            f"RestrictedPython {version}: {out} of {count.probes} probes got out{which}\n"
        )
        off = off or bool(out) != EXPECTED.get(version, bool(out))
    return int(off)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
