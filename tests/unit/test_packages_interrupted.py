"""Installations that do not come to their end.

Every system call of one is made to fail in turn, and its process is killed at each of them: a
whole version has to be in place each time, and the next installation has to clean up.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from installed_samples import NEW, OLD, VERSION, content, left, package

from sandbox import ConfigurationError, PackageRejected
from sandbox.packages import install as installing
from sandbox.packages import renames, store
from sandbox.packages.install import install, recover, uninstall


@pytest.fixture(params=["exchange", "two renames", "no renameat2"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How names are exchanged: in one step, or as where the system cannot."""
    if request.param == "two renames":
        monkeypatch.setattr(renames, "exchange", lambda *names: False)
    elif request.param == "no renameat2":
        monkeypatch.setattr(renames, "_renameat2", None)
    return str(request.param)


class Interrupted(Exception):
    """What an interrupted call raises when it is not the system's own error."""


class Calls:
    """Stands in for `os` and the renames; the call numbered `at` does not happen.

    `after` makes it happen and interrupts then.
    """

    def __init__(self, at: int, act: Callable[[], None], after: bool = False) -> None:
        self.at = at
        self.count = 0
        self._act = act
        self._after = after

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.at and not self._after:
                self._act()
            result = function(*args, **kwargs)
            if self.count == self.at and self._after:
                self._act()
            return result

        return counted

    def install_into(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of every system call of the two modules."""
        names = {"open", "mkdir", "fsync", "write", "stat", "fstat", "listdir", "unlink"}
        if self._after:
            names.remove("open")  # nobody could close what it opened
        counted = {name: self.around(getattr(os, name)) for name in names}
        rest = {name: getattr(os, name) for name in dir(os) if name not in counted}
        stand_in = SimpleNamespace(**rest, **counted)
        monkeypatch.setattr(store, "os", stand_in)
        monkeypatch.setattr(installing, "os", stand_in)
        monkeypatch.setattr(
            store,
            "renames",
            SimpleNamespace(move=self.around(renames.move), exchange=self.around(renames.exchange)),
        )
        monkeypatch.setattr(
            store, "shutil", SimpleNamespace(rmtree=self.around(store.shutil.rmtree))
        )


def fail() -> None:
    """The disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt() -> None:
    """A signal's exception, such as KeyboardInterrupt is."""
    raise Interrupted


def die() -> None:
    """The power fails, as far as the process is concerned."""
    os.kill(os.getpid(), signal.SIGKILL)


def calls_of(action: Callable[[], object], after: bool = False) -> int:
    """How many system calls an action makes."""
    with pytest.MonkeyPatch.context() as patch:
        counter = Calls(0, fail, after)
        counter.install_into(patch)
        action()
    return counter.count


@pytest.mark.parametrize("act", [fail, interrupt])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("before", [None, OLD])
def test_every_call_fails_in_turn(
    tmp_path: Path,
    way: str,
    act: Callable[[], None],
    after: bool,
    before: dict[str, bytes] | None,
) -> None:
    def prepare(number: int) -> Path:
        folder = tmp_path / str(number)
        folder.mkdir()
        if before is not None:
            install(package(before), folder, version=VERSION)
        return folder

    first = prepare(0)
    total = calls_of(lambda: install(package(NEW), first, version=VERSION), after)
    assert total > 20
    outcomes = set()
    for number in range(1, total + 1):
        folder = prepare(number)
        raised = False
        with pytest.MonkeyPatch.context() as patch:
            Calls(number, act, after).install_into(patch)
            try:
                install(package(NEW), folder, version=VERSION)
            except (ConfigurationError, PackageRejected, Interrupted):
                raised = True
        found = content(folder)
        outcomes.add((raised, found == NEW))
        if found is None and before is not None:
            # Only where names cannot be exchanged, when even coming back was interrupted.
            assert way != "exchange"
            recover(folder)
            found = content(folder)
        assert found in (before, NEW), f"call {number} of {total}"
        if act is fail and not after and raised:
            assert found == before, f"call {number} of {total} failed and changed it"
        recover(folder)
        assert left(folder) == [] if (folder / store.PRIVATE).exists() else before is None
        install(package(NEW), folder, version=VERSION)
        assert content(folder) == NEW
    assert (True, False) in outcomes
    assert (False, True) in outcomes or act is interrupt


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("before", [None, OLD])
def test_killed_at_every_call(tmp_path: Path, way: str, before: dict[str, bytes] | None) -> None:
    def prepare(number: int) -> Path:
        folder = tmp_path / str(number)
        folder.mkdir()
        if before is not None:
            install(package(before), folder, version=VERSION)
        return folder

    first = prepare(0)
    total = calls_of(lambda: install(package(NEW), first, version=VERSION))
    found_new = 0
    for number in range(1, total + 1):
        folder = prepare(number)
        pid = os.fork()
        if pid == 0:
            try:
                with pytest.MonkeyPatch.context() as patch:
                    Calls(number, die).install_into(patch)
                    install(package(NEW), folder, version=VERSION)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        if way == "exchange" or before is None:
            assert content(folder) in (before, NEW)
        recover(folder)
        found = content(folder)
        assert found in (before, NEW), f"killed at call {number} of {total}"
        found_new += found == NEW
        if (folder / store.PRIVATE).exists():
            assert left(folder) == []
    assert 0 < found_new < total


def test_an_interrupted_uninstallation(tmp_path: Path) -> None:
    first = tmp_path / "0"
    first.mkdir()
    install(package(OLD), first, version=VERSION)
    total = calls_of(lambda: uninstall("radio", first))
    for number in range(1, total + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        install(package(OLD), folder, version=VERSION)
        with pytest.MonkeyPatch.context() as patch:
            Calls(number, fail).install_into(patch)
            try:
                uninstall("radio", folder)
            except (ConfigurationError, PackageRejected):
                assert content(folder) == OLD
            else:
                assert content(folder) is None
        recover(folder)
        assert left(folder) == []
    assert total > 8


def test_leftovers_of_any_kind_are_cleared(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    folder = tmp_path / "plugins"
    folder.mkdir()
    install(package(OLD), folder, version=VERSION)
    private = folder / store.PRIVATE
    (private / "new-radio").symlink_to(outside)
    (private / "new-x").mkdir()
    (private / "new-x" / "link").symlink_to(outside)
    (private / "gone-y").write_text("x")
    (private / "old-radio").mkdir()
    (private / "old-other").mkdir()
    recover(folder)
    assert left(folder) == []
    assert content(folder) == OLD
    assert content(folder, "other") == {}, "it was being replaced when the power failed"
    assert (outside / "mine.txt").read_text() == "mine"
