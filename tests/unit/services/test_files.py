"""Files of plugins: what is kept, and every way out of the folder that is shut."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.engine.services.files import Files
from sandbox.engine.services.plain_names import plain_name
from sandbox.errors import LimitExceeded, PluginError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "files"


@pytest.fixture
def files(root: Path) -> Files:
    return Files(root)


def refusal(action: Callable[..., object], *arguments: object, root: Path) -> str:
    """The text of the error; it names the plugin and no path of the machine."""
    with pytest.raises(PluginError) as caught:
        action(*arguments)
    text = str(caught.value)
    assert str(root) not in text
    assert str(root.parent.parent) not in text
    assert caught.value.plugin == arguments[0]
    return text


# ---------------------------------------------------------------------- ordinary use


def test_write_read_remove(files: Files, root: Path) -> None:
    assert files.read("radio", "a.txt") is None
    assert files.size("radio") == 0
    assert not root.exists()
    files.write("radio", "a.txt", b"one")
    files.write("radio", "deep/er/b \u044e.txt", b"two!")
    assert files.read("radio", "a.txt") == b"one"
    assert files.read("radio", "/deep/er/b \u044e.txt") == b"two!"
    assert files.size("radio") == 7
    files.write("radio", "a.txt", b"")
    assert files.read("radio", "a.txt") == b""
    assert files.remove("radio", "deep/er/b \u044e.txt")
    assert not files.remove("radio", "deep/er/b \u044e.txt")
    assert not files.remove("radio", "a.txt/x")
    assert not (root / "radio" / "deep").exists()
    assert files.remove("radio", "a.txt")
    assert files.read("radio", "a.txt") is None


def test_files_are_laid_over_the_plugins_own(files: Files, tmp_path: Path) -> None:
    plugin = tmp_path / "plugins" / "radio"
    (plugin / "sub").mkdir(parents=True)
    (plugin / "sub" / "a.txt").write_bytes(b"installed")
    assert files.read("radio", "sub/a.txt", plugin) == b"installed"
    files.write("radio", "sub/a.txt", b"changed")
    assert files.read("radio", "sub/a.txt", plugin) == b"changed"
    assert (plugin / "sub" / "a.txt").read_bytes() == b"installed"
    assert files.remove("radio", "sub/a.txt")
    assert files.read("radio", "sub/a.txt", plugin) == b"installed"
    assert not files.remove("radio", "sub/a.txt")
    assert files.read("radio", "nothing", plugin) is None
    # A file of its own where the installed plugin has a folder.
    files.write("radio", "sub", b"file")
    assert files.read("radio", "sub/a.txt", plugin) == b"installed"
    assert files.read("radio", "x", tmp_path / "gone") is None


def test_folders_are_not_files(files: Files, root: Path) -> None:
    files.write("radio", "sub/a.txt", b"x")
    assert "directory" in refusal(files.read, "radio", "sub", root=root)
    assert "directory" in refusal(files.write, "radio", "sub", b"y", root=root)
    assert "directory" in refusal(files.remove, "radio", "sub", root=root)
    assert "directory" in refusal(files.write, "radio", "sub/a.txt/b", b"y", root=root)
    assert files.read("radio", "sub/a.txt/b") is None
    assert files.read("radio", "sub/a.txt") == b"x"


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "//", ".", "..", "./a", "../a", "a/../b", "a/./b", "a//b", "a/", "//etc/passwd",
        "a\x00b", "a\nb", "\x7f", "\x85", "\ud800", "x" * 256, "\u044e" * 128, "a/" * 16 + "b",
        "/".join(["y" * 250] * 5), ".~0123456789abcdef", "sub/.~x",
    ],
)  # fmt: skip
def test_names_that_are_refused(files: Files, root: Path, name: str) -> None:
    files.write("radio", "keep", b"1")
    for action, arguments in ((files.read, ()), (files.write, (b"x",)), (files.remove, ())):
        with pytest.raises(PluginError, match="file: "):
            action("radio", name, *arguments)
    assert sorted(os.listdir(root / "radio")) == ["keep"]


@pytest.mark.parametrize(
    "name", ["...", "..a", "a..", ".hidden", "con", "a b", "~", "%2e%2e", "x" * 255]
)
def test_names_that_look_odd_but_are_not(files: Files, name: str) -> None:
    files.write("radio", name, b"x")
    assert files.read("radio", name) == b"x"


# ---------------------------------------------------------------------- plugins apart


NAMES = [
    "a", "A", "a.", ".", "..", "...", "%2e", "a b", "a%20b", "\u044e", "e\u0301", "\u00e9",
    "x" * 255, "x" * 254 + "y", "\u044e" * 120, "\u044e" * 119 + "\u044f", ".~t", "\ud800", "-",
]  # fmt: skip


def test_two_plugins_never_meet(files: Files, root: Path) -> None:
    for name in NAMES:
        files.write(name, "f", name.encode("utf-8", "surrogatepass"))
    for name in NAMES:
        assert files.read(name, "f") == name.encode("utf-8", "surrogatepass")
    found = os.listdir(root)
    assert len(found) == len(NAMES)
    assert len({name.lower() for name in found}) == len(NAMES), "on any file system"
    assert all(name.isascii() and len(name) <= 255 for name in found)
    with pytest.raises(PluginError):
        files.write("", "f", b"")


def test_plain_names_are_plain() -> None:
    assert plain_name("radio-2_x") == "radio-2_x"
    assert plain_name("Radio") == "%52adio"


# ---------------------------------------------------------------------- links and devices


def test_links_are_not_followed(files: Files, root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(b"TOP SECRET")
    files.write("radio", "real/a", b"x")
    home = root / "radio"
    (home / "link").symlink_to(secret / "key")
    (home / "folder").symlink_to(secret)
    (home / "dangling").symlink_to(secret / "new")
    overlay = tmp_path / "plugins" / "radio"
    overlay.mkdir(parents=True)
    (overlay / "over").symlink_to(secret / "key")
    (overlay / "folder2").symlink_to(secret)

    assert "not a regular file" in refusal(files.read, "radio", "link", root=root)
    assert files.read("radio", "folder/key") is None
    assert "not a regular file" in refusal(files.read, "radio", "over", overlay, root=root)
    assert files.read("radio", "folder2/key", overlay) is None
    refusal(files.write, "radio", "folder/new", b"x", root=root)
    assert not files.remove("radio", "folder/key")
    # A link at the end is replaced, not written through.
    files.write("radio", "link", b"mine")
    files.write("radio", "dangling", b"mine")
    assert (secret / "key").read_bytes() == b"TOP SECRET"
    assert os.listdir(secret) == ["key"]
    assert files.read("radio", "link") == b"mine"
    assert files.size("radio") == 9


def test_a_plugins_folder_may_not_be_a_link(files: Files, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    root.mkdir(parents=True)
    (root / "radio").symlink_to(other)
    refusal(files.write, "radio", "a", b"x", root=root)
    assert files.read("radio", "a") is None
    assert os.listdir(other) == []


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_only_regular_files_are_opened(files: Files, root: Path, kind: str) -> None:
    files.write("radio", "a", b"x")
    path = root / "radio" / "odd"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as one:
            here = os.getcwd()
            os.chdir(path.parent)  # the path of a socket is short
            one.bind(path.name)
            os.chdir(here)
    assert "not a regular file" in refusal(files.read, "radio", "odd", root=root)
    files.write("radio", "odd", b"now a file")
    assert files.read("radio", "odd") == b"now a file"


# ---------------------------------------------------------------------- quotas


def test_the_quota_counts_all_files(root: Path) -> None:
    files = Files(root, quota=100)
    files.write("radio", "a", b"x" * 60)
    files.write("radio", "sub/b", b"x" * 40)
    with pytest.raises(LimitExceeded, match="101 bytes of 100"):
        files.write("radio", "c", b"x")
    files.write("radio", "c", b"")
    files.write("radio", "a", b"y" * 60)
    with pytest.raises(LimitExceeded, match="101 bytes of 100"):
        files.write("radio", "a", b"y" * 61)
    assert files.read("radio", "a") == b"y" * 60
    files.write("tv", "a", b"x" * 100)
    assert files.remove("radio", "sub/b")
    files.write("radio", "a", b"z" * 100)
    assert files.size("radio") == 100


def test_files_and_folders_are_counted(root: Path) -> None:
    files = Files(root, max_files=4)
    files.write("radio", "a", b"")
    files.write("radio", "x/y/b", b"")
    assert "more than 4" in refusal(files.write, "radio", "c", b"", root=root)
    files.write("radio", "x/y/b", b"again")
    assert files.remove("radio", "x/y/b")
    files.write("radio", "c", b"")
    assert "more than 4" in refusal(files.write, "radio", "p/q/r", b"", root=root)
    assert not (root / "radio" / "p").exists()


def test_a_file_too_large_to_read(root: Path, tmp_path: Path) -> None:
    files = Files(root, max_read=10)
    (tmp_path / "big").write_bytes(b"x" * 11)
    (tmp_path / "fits").write_bytes(b"x" * 10)
    assert files.read("radio", "fits", tmp_path) == b"x" * 10
    assert "larger than 10" in refusal(files.read, "radio", "big", tmp_path, root=root)


# ---------------------------------------------------------------------- interruptions


DIES = """\
import os, signal, sys
from sandbox.engine.services.files import Files
os.rename = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
Files(sys.argv[1]).write("radio", "a", b"new " * 1000)
"""


def test_a_process_that_dies_between_write_and_rename(files: Files, root: Path) -> None:
    files.write("radio", "a", b"old")
    done = subprocess.run([sys.executable, "-c", DIES, str(root)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert files.read("radio", "a") == b"old"
    assert len(os.listdir(root / "radio")) == 2
    files.write("radio", "b", b"next")
    assert sorted(os.listdir(root / "radio")) == ["a", "b"]


def test_a_write_that_fails_leaves_nothing(
    files: Files, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("radio", "a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", str(root))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refusal(files.write, "radio", "a", b"new", root=root)
    monkeypatch.undo()
    assert files.read("radio", "a") == b"old"
    assert os.listdir(root / "radio") == ["a"]


def test_writers_do_not_disturb_each_other(files: Files, root: Path) -> None:
    values = [bytes([65 + number]) * 5000 for number in range(6)]
    seen: list[bytes | None] = []

    def work(value: bytes) -> None:
        for _ in range(15):
            files.write("radio", "a", value)
            seen.append(files.read("radio", "a"))

    threads = [threading.Thread(target=work, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) <= set(values)
    assert len(seen) == 90
    assert os.listdir(root / "radio") == ["a"]


def test_no_descriptor_is_left_open(files: Files, root: Path) -> None:
    files.write("radio", "x/y/a", b"1")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        files.write("radio", "x/y/a", b"2")
        files.read("radio", "x/y/a", root)
        files.read("radio", "x/gone/a", root)
        files.remove("radio", "x/gone")
        files.size("radio")
        refusal(files.read, "radio", "x", root=root)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    files = Files(tmp_path / "file" / "data")
    assert files.read("radio", "a") is None
    refusal(files.write, "radio", "a", b"x", root=tmp_path / "file" / "data")
