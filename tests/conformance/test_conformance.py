"""Every case in every language, isolation level and engine has the one result of its steps.json.

Owns no case and no rule: those are in `cases/` and in the harness, `conformance.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conformance import Case, Run, all_cases

PLACES = (
    ("confined", "Engine"),
    ("process", "Engine"),
    ("inline", "Engine"),
    ("confined", "AsyncEngine"),
    ("inline", "AsyncEngine"),
)


def _parameters() -> list[object]:
    found: list[object] = []
    for case in all_cases():
        # A case may say where it cannot run and why: limits are only reported inline.
        without = case.spec.get("without", {})
        for isolation, engine in PLACES:
            if isolation not in without:
                name = f"{case.folder.name}-{case.label}-{isolation}-{engine}"
                found.append(pytest.param(case, isolation, engine, id=name))
    return found


@pytest.mark.parametrize(("case", "isolation", "engine"), _parameters())
def test_case(case: Case, isolation: str, engine: str, tmp_path: Path) -> None:
    run = Run(case, engine, isolation, tmp_path)
    try:
        run.run()
    finally:
        run.engine.close()


def test_every_case_is_there_in_every_language() -> None:
    """A file that is missing in one language would silently test less."""
    for case in all_cases():
        stems: dict[str, set[str]] = {"lua": set(), "py": set()}
        for path in case.folder.rglob("*"):
            if path.suffix[1:] in stems:
                stems[path.suffix[1:]].add(str(path.relative_to(case.folder).with_suffix("")))
        if not case.spec.get("languages"):
            assert stems["lua"] == stems["py"], case.folder.name
        assert case.spec["steps"], case.folder.name
