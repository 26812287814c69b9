"""Kept values on disk: what survives, and what a damaged disk may do."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.engine.services.store import FileStore, Store
from sandbox.errors import PluginError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "state" / "memory"


def the_file(root: Path) -> Path:
    (name,) = os.listdir(root)
    return root / name


def test_values_outlive_the_store(root: Path) -> None:
    store: Store = FileStore(root)
    assert store.load("radio") is None
    store.delete("radio")
    assert not root.exists()
    store.save("radio", b"\x81\xa1a\x01")
    store.save("tv", b"")
    again = FileStore(root)
    assert again.load("radio") == b"\x81\xa1a\x01"
    assert again.load("tv") == b""
    again.save("radio", b"new")
    again.delete("tv")
    again.delete("tv")
    assert store.load("radio") == b"new"
    assert store.load("tv") is None


@pytest.mark.parametrize(
    "name", ["..", ".", "../../x", "a/b", "A", "\x00", "\n", "\ud800", "x" * 5000, ".~", "%", "~"]
)
def test_any_name_is_safe(root: Path, name: str) -> None:
    store = FileStore(root)
    store.save("a", b"other")
    store.save(name, b"value")
    assert store.load(name) == b"value"
    assert store.load("a") == b"other"
    assert len(os.listdir(root)) == 2
    assert os.listdir(root.parent) == ["memory"]
    store.delete(name)
    assert store.load(name) is None


def test_the_quota(root: Path) -> None:
    store = FileStore(root, quota=10)
    store.save("radio", b"x" * 10)
    with pytest.raises(PluginError, match="11 bytes are more than 10") as caught:
        store.save("radio", b"x" * 11)
    assert caught.value.plugin == "radio"
    assert store.load("radio") == b"x" * 10


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:-3] + b"???",
        lambda content: b"other program's file\n" + content,
        lambda content: b"x" * 5_000_000,
    ],
)
def test_a_damaged_file_is_set_aside(
    root: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileStore(root)
    store.save("radio", b"value")
    path = the_file(root)
    content = damage(path.read_bytes())  # type: ignore[operator]
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR, "sandbox.engine"):
        assert store.load("radio") is None
    assert "radio.value was set aside" in caplog.text
    assert str(root) not in caplog.text
    aside = the_file(root)
    assert aside.name == path.name + ".corrupt"
    assert aside.read_bytes() == content
    store.save("radio", b"fresh")
    assert store.load("radio") == b"fresh"
    assert aside.exists()


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_file_is_set_aside(root: Path, tmp_path: Path, kind: str) -> None:
    store = FileStore(root)
    store.save("radio", b"value")
    path = the_file(root)
    path.unlink()
    target = tmp_path / "elsewhere"
    target.write_bytes(b"untouched")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert store.load("radio") is None
    store.save("radio", b"fresh")
    assert store.load("radio") == b"fresh"
    assert target.read_bytes() == b"untouched"


def test_a_disk_that_fails(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    root.parent.mkdir()
    root.write_bytes(b"a file where the folder should be")
    store = FileStore(root)
    assert store.load("radio") is None
    assert "cannot be read" in caplog.text
    for action in (lambda: store.save("radio", b"x"), lambda: store.delete("radio")):
        with pytest.raises(PluginError, match="memory: ") as caught:
            action()
        assert str(root) not in str(caught.value)


DIES = """\
import os, signal, sys
from sandbox.engine.services.store import FileStore
os.rename = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
FileStore(sys.argv[1]).save("radio", b"new")
"""


def test_a_process_that_dies_between_write_and_rename(root: Path) -> None:
    store = FileStore(root)
    assert store.clean() == 0
    store.save("radio", b"old")
    done = subprocess.run([sys.executable, "-c", DIES, str(root)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert store.load("radio") == b"old"
    assert len(os.listdir(root)) == 2
    assert store.clean() == 1
    assert store.load("radio") == b"old"
    assert len(os.listdir(root)) == 1
