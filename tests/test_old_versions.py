"""The Python probes get out of old RestrictedPython, not out of a new one, and not out of ours."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from tests.hostile.old_versions import Count, Unavailable, tried

_ROOT = Path(__file__).resolve().parents[1]
_CORPUS = Path(os.environ.get("SANDBOX_CORPUS", _ROOT.parent / "shared" / "hostile"))

pytestmark = pytest.mark.skipif(
    not _CORPUS.is_dir(), reason="no hostile corpus next to the checkout (SANDBOX_CORPUS)"
)


@cache
def _count(version: str) -> Count | str:
    try:
        return tried(version, _CORPUS)
    except Unavailable as reason:
        return str(reason)


def count(version: str) -> Count:
    """The probes that get out of a version; skips without an index of packages."""
    found = _count(version)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.parametrize("version", ["6.0", "8.2"])
def test_probes_get_out_of_old_versions(version: str) -> None:
    assert count(version).escaped


def test_none_gets_out_of_a_new_version() -> None:
    assert [probe.id for probe in count("9.0").escaped] == []


@pytest.mark.parametrize("version", ["6.0", "8.2"])
def test_those_that_bite_do_not_get_out_of_ours(version: str) -> None:
    from runtimes.python.environment import new_globals
    from runtimes.python.errors import GuestSyntaxError
    from runtimes.python.policy import compile_source

    for probe in count(version).escaped:
        space = new_globals(name="probe", filename="probe.py", extra_names={"print": None})
        try:
            exec(compile_source(probe.source, "probe.py"), space)
            said = str(space.get("RESULT"))
        except GuestSyntaxError as refused:
            said = f"refused: {refused.message}"
        except Exception as error:  # noqa: BLE001 - a probe may raise anything
            said = f"{type(error).__name__}: {error}"
        assert "ESCAPED" not in said, probe.id
