"""Installing packages: one step, whatever is interrupted, and nothing outside its own folder.

What happens to one that is interrupted is in `test_packages_interrupted`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed_samples import NEW, OLD, VERSION, content, left, package

from sandbox import ConfigurationError, Engine, PackageRejected, Request
from sandbox.packages import renames, store
from sandbox.packages.archive import read_package
from sandbox.packages.install import RECORD, install, installed, recover, uninstall


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """No test leaves a descriptor open."""
    before = os.listdir("/proc/self/fd")
    yield
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.fixture(params=["exchange", "two renames", "no renameat2"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How names are exchanged: in one step, or as where the system cannot."""
    if request.param == "two renames":
        monkeypatch.setattr(renames, "exchange", lambda *names: False)
    elif request.param == "no renameat2":
        monkeypatch.setattr(renames, "_renameat2", None)
    return str(request.param)


# ---------------------------------------------------------------------- the ordinary course


def test_install_upgrade_and_uninstall(tmp_path: Path, way: str) -> None:
    data = tmp_path.parent / f"{tmp_path.name}-data"
    assert installed(tmp_path) == []
    first = install(package(OLD), tmp_path, version=VERSION)
    assert (first.name, first.engine_version, first.files) == ("radio", 203, 3)
    assert first.size == sum(map(len, OLD.values()))
    assert content(tmp_path) == OLD
    second = install(package(NEW), tmp_path, version=VERSION)
    assert content(tmp_path) == NEW
    assert installed(tmp_path) == [second]
    assert left(tmp_path) == []
    assert uninstall("radio", tmp_path) == second
    assert content(tmp_path) is None
    assert installed(tmp_path) == left(tmp_path) == []
    assert not data.exists()


def test_modes_are_ours(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        install(package(NEW), tmp_path, version=VERSION)
    finally:
        os.umask(before)
    for path in (tmp_path / "radio").rglob("*"):
        assert path.stat().st_mode & 0o7777 == (0o755 if path.is_dir() else 0o644)
    assert (tmp_path / store.PRIVATE).stat().st_mode & 0o7777 == 0o700


def test_an_ordinary_tgz_installs_and_runs(tmp_path: Path) -> None:
    author, plugins = tmp_path / "author", tmp_path / "plugins"
    author.mkdir()
    plugins.mkdir()
    (author / "manifest.json").write_text('{"Label": "Radio"}')
    (author / "main.lua").write_text(
        'require("server").write("installed " .. require("lib.text"))\n'
    )
    (author / "lib").mkdir()
    (author / "lib" / "text.lua").write_text('return "and runs"\n')
    path = tmp_path / "radio.203.tgz"
    subprocess.run(["tar", "czf", path, "-C", author, "."], check=True, timeout=60)
    install(read_package(path), plugins, version=VERSION)
    with Engine([plugins]) as engine:
        answer = engine.request("radio", Request("GET", "/radio/"))
        assert (answer.status, answer.body) == (200, b"installed and runs")
        hidden = engine.request("radio", Request("GET", f"/radio/{RECORD}"))
        assert hidden.body == answer.body


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize("version", ["", "5", "0.5.204", "0.05.2040", "0.05.204\n", "0.05.\u0662"])
def test_versions_that_are_none(tmp_path: Path, version: str) -> None:
    with pytest.raises(ConfigurationError, match=r"not of the form M\.VV\.PPP"):
        install(package(OLD), tmp_path, version=version)


@pytest.mark.parametrize(("needs", "fine"), [(0, True), (204, True), (205, False), (999, False)])
def test_the_engine_version(tmp_path: Path, needs: int, fine: bool) -> None:
    if fine:
        install(package(OLD, version=needs), tmp_path, version=VERSION)
        return
    with pytest.raises(PackageRejected, match=f"engine version {needs}; this one is 204"):
        install(package(OLD, version=needs), tmp_path, version=VERSION)
    assert os.listdir(tmp_path) == []


def test_reserved_names(tmp_path: Path) -> None:
    for name in ("msx", "MSX", "host", "..", ".packages", "a/b"):
        with pytest.raises(PackageRejected, match="plugin name"):
            install(package(OLD, name), tmp_path, version=VERSION)
        with pytest.raises(PackageRejected, match="plugin name"):
            uninstall(name, tmp_path)
    with pytest.raises(PackageRejected, match="reserved by this server"):
        install(package(OLD, "Status"), tmp_path, version=VERSION, reserved=["status"])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["../x", "/x", ".package.json", "a/../x"])
def test_names_are_checked_again(tmp_path: Path, name: str) -> None:
    """A `Package` that somebody made by hand."""
    with pytest.raises(PackageRejected, match="member "):
        install(package({**OLD, name: b"x"}), tmp_path, version=VERSION)
    with pytest.raises(PackageRejected, match="no manifest"):
        install(package({"main.lua": b""}), tmp_path, version=VERSION)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("entry", "name", "rule"),
    [
        ("radio", "radio", "not installed from a package"),
        ("Radio", "radio", "only in upper and lower case"),
        ("mod_radio.lua", "radio", "in place of the module 'mod_radio.lua'"),
        ("mod_radio", "radio", "in place of the module"),
        ("mod_radio.py", "mod_radio", "in place of the module"),
    ],
)
def test_what_the_operator_put_there_stays(
    tmp_path: Path, entry: str, name: str, rule: str
) -> None:
    (tmp_path / entry).mkdir()
    (tmp_path / entry / "mine.txt").write_text("mine")
    with pytest.raises(PackageRejected, match=rule):
        install(package(OLD, name), tmp_path, version=VERSION)
    with pytest.raises(PackageRejected, match="no package"):
        uninstall(name, tmp_path)
    assert content(tmp_path, entry) == {"mine.txt": b"mine"}
    assert installed(tmp_path) == left(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "link", "pipe"])
def test_other_things_of_that_name_stay(tmp_path: Path, kind: str) -> None:
    plugins, place = tmp_path / "plugins", tmp_path / "plugins" / "radio"
    plugins.mkdir()
    (tmp_path / "elsewhere").mkdir()
    if kind == "file":
        place.write_text("mine")
    elif kind == "link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(place)
    with pytest.raises(PackageRejected, match="not installed from a package"):
        install(package(OLD), plugins, version=VERSION)
    assert installed(plugins) == []
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize(
    "record",
    [
        b"", b"{", b"[]", b"{}", b"[" * 4000, b"\xff", b'{"name": "radio"}',
        b'{"name": "other", "engine_version": 1, "sha256": "", "files": 1, "size": 1}',
        b'{"name": "radio", "engine_version": "1", "sha256": "", "files": 1, "size": 1}',
    ],
)  # fmt: skip
def test_broken_records(tmp_path: Path, record: bytes) -> None:
    (tmp_path / "radio").mkdir()
    (tmp_path / "radio" / RECORD).write_bytes(record)
    assert installed(tmp_path) == []


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    for action in (
        lambda: install(package(OLD), missing, version=VERSION),
        lambda: installed(missing),
        lambda: uninstall("radio", missing),
    ):
        with pytest.raises(ConfigurationError, match="No such file or directory"):
            action()
    recover(missing)
    assert not missing.exists()


# ---------------------------------------------------------------------- two installers


def test_only_one_installer_at_a_time(tmp_path: Path) -> None:
    install(package(OLD), tmp_path, version=VERSION)
    with store.Store(tmp_path):
        for action in (
            lambda: install(package(NEW), tmp_path, version=VERSION),
            lambda: uninstall("radio", tmp_path),
            lambda: recover(tmp_path),
        ):
            with pytest.raises(PackageRejected, match="another installation is at work"):
                action()
        assert content(tmp_path) == OLD
    install(package(NEW), tmp_path, version=VERSION)
    assert content(tmp_path) == NEW


_INSTALLER = """\
import sys
from types import MappingProxyType
from sandbox import PackageRejected
from sandbox.manifest import Manifest
from sandbox.packages.archive import Package
from sandbox.packages.install import install
folder, text = sys.argv[1:]
files = {f"{n}.txt": text.encode() for n in range(50)} | {"manifest.json": b"{}"}
package = Package("radio", 1, MappingProxyType(files), Manifest(), text)
done = 0
for _ in range(30):
    try:
        install(package, folder, version="0.05.204")
        done += 1
    except PackageRejected as busy:
        assert "another installation" in str(busy), busy
print(done)
"""


def test_many_installers_in_many_processes(tmp_path: Path) -> None:
    """Whoever comes through, what is there is always all of one and nothing of another."""
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _INSTALLER, str(tmp_path), text],
            stdout=subprocess.PIPE,
        )
        for text in ("one", "two", "three")
    ]
    done = [int(process.communicate(timeout=120)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum(done) > 0
    found = content(tmp_path)
    assert found is not None
    assert len(found) == 51
    assert len({text for name, text in found.items() if name.endswith(".txt")}) == 1
    assert left(tmp_path) == []


# ---------------------------------------------------------------------- links


@pytest.mark.parametrize("name", [store.PRIVATE, f"{store.PRIVATE}/lock"])
def test_private_things_are_never_links(tmp_path: Path, name: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "plugins"
    outside.mkdir()
    folder.mkdir()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(outside if name == store.PRIVATE else outside / "lock")
    with pytest.raises(ConfigurationError, match="cannot work in"):
        install(package(OLD), folder, version=VERSION)
    assert os.listdir(outside) == []


def test_a_private_folder_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    (tmp_path / store.PRIVATE).mkdir()
    (tmp_path / store.PRIVATE).chmod(0o777)
    with pytest.raises(ConfigurationError, match="open to other users"):
        install(package(OLD), tmp_path, version=VERSION)


@pytest.mark.parametrize("before", [None, OLD])
def test_what_is_moved_into_place_is_what_was_staged(
    tmp_path: Path, way: str, before: dict[str, bytes] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The staged folder is replaced between the last look and the rename."""
    if before is not None:
        install(package(before), tmp_path, version=VERSION)
    private = tmp_path / store.PRIVATE
    place = store.Store._place

    def replacing(self: store.Store, new: str, *rest: Any) -> None:
        (private / new).rename(private / "new-moved")
        (private / new).mkdir()
        (private / new / "main.lua").write_bytes(b"return 'other'\n")
        place(self, new, *rest)

    monkeypatch.setattr(store.Store, "_place", replacing)
    with pytest.raises(PackageRejected, match="replaced the staged folder"):
        install(package(NEW), tmp_path, version=VERSION)
    assert content(tmp_path) == before
    recover(tmp_path)
    assert left(tmp_path) == []


def test_the_lock_is_let_go(tmp_path: Path) -> None:
    install(package(OLD), tmp_path, version=VERSION)
    with open(tmp_path / store.PRIVATE / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ---------------------------------------------------------------------- renames


def test_moving_does_not_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    number = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(2):
            with pytest.raises(FileExistsError):
                renames.move("a", number, "b", number)
            with pytest.raises(FileNotFoundError):
                renames.move("x", number, "y", number)
            monkeypatch.setattr(renames, "_renameat2", None)
        assert not renames.exchange("a", number, "b", number)
    finally:
        os.close(number)
