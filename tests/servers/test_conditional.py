"""Files over HTTP: conditions, ranges that make sense and ranges that make none, odd times."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from talking import HELLO, lay_out, talk

from sandbox.servers import files, media
from sandbox.servers.house import House

TIME = 1_700_000_000
OLD, SAME, NEW = (formatdate(TIME + by, usegmt=True) for by in (-1, 0, 1))
NINE = {"Range": "bytes=9-"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A plugin with a file of ten bytes and an empty one, and a folder of films and photos."""
    root = lay_out(
        tmp_path,
        {
            "plugins/p/main.lua": HELLO,
            "plugins/p/a.txt": "0123456789",
            "plugins/p/a.html": "0123456789",
            "plugins/p/empty.txt": "",
            "films/a.mp4": "0123456789",
            "films/a.png": "0123456789",
        },
    )
    for file in root.rglob("a.*"):
        os.utime(file, (TIME, TIME))
    return root


def settled(root: Path, house: House) -> None:
    """Have the house show the films and photos."""
    films = str(root / "films")
    house.change(house.settings.changed({"video": films, "photo": films}))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": 'W/"other", "x,y"'}, 412),
        ({"If-Match": "nonsense"}, 412),
        ({"If-Match": "*"}, 200),
        ({"If-Match": "*", "If-Unmodified-Since": OLD}, 200),
        ({"If-Match": '"other"', "If-None-Match": "*"}, 412),
        ({"If-Unmodified-Since": OLD}, 412),
        ({"If-Unmodified-Since": SAME}, 200),
        ({"If-Unmodified-Since": NEW}, 200),
        ({"If-Unmodified-Since": "yesterday"}, 200),
        ({"If-Unmodified-Since": OLD, "If-Modified-Since": NEW}, 412),
        ({"If-Unmodified-Since": OLD, **NINE}, 412),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"', "If-Modified-Since": NEW}, 200),
        ({"If-Modified-Since": OLD}, 200),
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Modified-Since": SAME, "Range": "bytes=abc"}, 304),
        ({"If-Range": SAME, **NINE}, 206),
        ({"If-Range": OLD, **NINE}, 200),
        ({"If-Range": '"other"', **NINE}, 200),
        ({"If-Range": '"other"', "Range": "bytes=abc"}, 200),
        ({"If-Range": OLD}, 200),
    ],
)
def test_conditions(root: Path, fields: dict[str, str], status: int) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        settled(root, house)
        for target in ("/p/a.txt", "/p/a.html", "/msx/video/a.mp4"):
            for method in ("GET", "HEAD"):
                answer = await client.request(method, target, headers=fields)
                assert answer.status_code == status, (method, target)
            assert (answer.headers.get("content-length") == "1") is (status == 206)

    talk(root, scenario)


def test_tags(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        settled(root, house)
        for target in ("/p/a.html", "/msx/video/a.mp4"):
            tag = (await client.get(target)).headers["etag"]
            for fields, status in (
                ({"If-Match": tag}, 200),
                ({"If-Match": f'"other", {tag}'}, 200),
                ({"If-Match": f"W/{tag}"}, 412),
                ({"If-Match": tag, "If-None-Match": tag}, 304),
                ({"If-None-Match": f"W/{tag}"}, 304),
                ({"If-Range": tag, **NINE}, 206),
                ({"If-Range": f"W/{tag}", **NINE}, 200),
            ):
                answer = await client.get(target, headers=fields)
                assert answer.status_code == status, (target, fields)

    talk(root, scenario)


def test_conditions_of_reading_are_of_reading_alone(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        for fields, status in (
            ({"If-Modified-Since": NEW}, 200),
            ({"Range": "bytes=abc"}, 200),
            ({"Range": "bytes=0-3"}, 200),
            ({"If-Unmodified-Since": OLD}, 412),
        ):
            answer = await client.post("/p/a.txt", headers=fields)
            assert answer.status_code == status, fields

    talk(root, scenario)


@pytest.mark.parametrize(
    ("wanted", "body"),
    [
        ("bytes=2-4", "234"),
        ("Bytes=2-4", "234"),
        ("bytes= 2 - 4 ", "234"),
        ("bytes=8-", "89"),
        ("bytes=-3", "789"),
        ("bytes=-30", "0123456789"),
        ("bytes=5-1000000000000", "56789"),
        ("bytes=20-30,1-1,-0", "1"),
        ("bytes=0-,1-", None),
        ("bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0", None),
        ("bytes=", None),
        ("bytes=,", None),
        ("bytes", None),
        ("lines=0-3", None),
        ("lines=abc", None),
        ("", None),
    ],
)
def test_ranges(root: Path, wanted: str, body: str | None) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.get("/p/a.txt", headers={"Range": wanted})
        if body is None:
            assert (answer.status_code, answer.text) == (200, "0123456789")
        else:
            assert (answer.status_code, answer.text) == (206, body)
            start = "0123456789".index(body)
            last = start + len(body) - 1
            assert answer.headers["content-range"] == f"bytes {start}-{last}/10"

    talk(root, scenario)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("bytes=abc", "invalid range"),
        ("bytes=5-2", "invalid range"),
        ("bytes=-", "invalid range"),
        ("bytes=--3", "invalid range"),
        ("bytes=+1-2", "invalid range"),
        ("bytes=1_0-", "invalid range"),
        ("bytes=0-3,x", "invalid range"),
        ("bytes=0-" + "9" * 5000, "invalid range"),
        ("bytes=10-", "invalid range: failed to overlap"),
        ("bytes=-0", "invalid range: failed to overlap"),
        ("bytes=99-100,200-", "invalid range: failed to overlap"),
    ],
)
def test_ranges_that_are_not_there(root: Path, wanted: str, text: str) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        settled(root, house)
        for target in ("/p/a.txt", "/p/a.html", "/msx/video/a.mp4"):
            answer = await client.get(target, headers={"Range": wanted})
            assert (answer.status_code, answer.text) == (416, f"{text}\n")
            assert answer.headers["content-range"] == "bytes */10"
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        answer = await client.get("/p/empty.txt", headers={"Range": wanted})
        assert answer.headers["content-range"] == "bytes */0"

    talk(root, scenario)


def test_several_ranges(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.get("/p/a.txt", headers={"Range": "bytes=0-1, 99-, -2"})
        assert answer.status_code == 206
        assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
        assert "bytes 0-1/10\r\n\r\n01\r\n" in answer.text
        assert "bytes 8-9/10\r\n\r\n89\r\n" in answer.text
        assert int(answer.headers["content-length"]) == len(answer.content)

    talk(root, scenario)


@pytest.mark.parametrize("time", [2**62, 2**38, 253402300800, -(2**37)])
def test_times_that_http_cannot_write(
    root: Path, monkeypatch: pytest.MonkeyPatch, time: int
) -> None:
    stat, fstat = os.stat, os.fstat

    def told(path: Any, **more: Any) -> os.stat_result:
        """A file's state on a system that keeps any time."""
        status = fstat(path) if isinstance(path, int) else stat(path, **more)
        name = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else str(path)
        if not name.endswith(("a.txt", "a.html", "a.mp4", "a.png")):
            return status
        exact = {"st_ctime_ns": status.st_ctime_ns, "st_mtime_ns": time * 10**9}
        return os.stat_result((*status[:8], time, status[9]), exact)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        settled(root, house)
        for target in ("/p/a.txt", "/p/a.html", "/msx/video/a.mp4", "/msx/photo/a.png?thumb"):
            answer = await client.get(target)
            assert (answer.status_code, answer.text) == (200, "0123456789"), target
            assert "last-modified" not in answer.headers
            for fields, status in (
                ({"If-Modified-Since": SAME, "If-Unmodified-Since": SAME}, 200),
                ({"If-Range": SAME, **NINE}, 200),
                (NINE, 206),
            ):
                answer = await client.get(target, headers=fields)
                assert answer.status_code == status, (target, fields)

    monkeypatch.setattr(os, "stat", told)
    monkeypatch.setattr(os, "fstat", told)
    talk(root, scenario)


def test_times_before_the_epoch(root: Path) -> None:
    os.utime(root / "plugins" / "p" / "a.txt", (-(10**9), -(10**9)))

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.get("/p/a.txt")
        assert answer.headers["last-modified"] == "Sun, 24 Apr 1938 22:13:20 GMT"

    talk(root, scenario)


# ---------------------------------------------------------------------- what changes meanwhile


def swapped(path: Path, late: str) -> None:
    """Put something else in a file's place."""
    path.unlink()
    if late == "pipe":
        os.mkfifo(path)
    elif late == "folder":
        path.mkdir()
    elif late == "link out":
        path.symlink_to(path.parents[2] / "secret.mp4")


LATE = pytest.mark.parametrize("late", ["pipe", "folder", "nothing", "link out"])


def before(function: Callable[..., Any], change: Callable[[], object]) -> Callable[..., Any]:
    """The function, which has something changed once, when it is done."""
    left = [change]

    def changing(*given: Any) -> Any:
        found = function(*given)
        while left:
            left.pop()()
        return found

    return changing


@LATE
def test_a_file_that_is_none_any_more_is_not_there(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, late: str
) -> None:
    """As if somebody had won the race between the check and the use."""
    lay_out(root, {"secret.mp4": "secret", "plugins/secret.mp4": "secret"})
    caplog.set_level(logging.INFO)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        settled(root, house)
        file, film = root / "plugins/p/a.txt", root / "films/a.mp4"
        resolve = before(house.engine.resolve, lambda: swapped(file, late))
        monkeypatch.setattr(house.engine, "resolve", resolve)
        monkeypatch.setattr(media, "wanted", before(media.wanted, lambda: swapped(film, late)))
        for target in ("/p/a.txt", "/msx/video/a.mp4"):
            answer = await client.get(target)
            assert (answer.status_code, answer.text) == (404, "Not Found\n"), target
        # Nobody waits for a pipe, nor is it anybody's fault.
        assert not [one for one in caplog.records if one.levelno >= logging.WARNING]

    (root / "films").rename(root / "plugins" / "films")
    (root / "films").symlink_to(root / "plugins" / "films")
    talk(root, scenario)


@LATE
def test_what_was_opened_is_what_is_sent(
    root: Path, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    lay_out(root, {"plugins/p/plain": "0123456789", "secret.mp4": "secret"})
    path = root / "plugins/p/plain"
    monkeypatch.setattr(files, "guessed", before(files.guessed, lambda: swapped(path, late)))

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.get("/p/plain")
        assert (answer.status_code, answer.text) == (200, "0123456789")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    talk(root, scenario)


def test_files_are_closed(root: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        settled(root, house)
        await client.get("/p/a.txt")
        opened = count()
        for fields, status in (
            ({}, 200),
            (NINE, 206),
            ({"If-Match": '"other"'}, 412),
            ({"If-Modified-Since": SAME}, 304),
            ({"Range": "bytes=abc"}, 416),
        ):
            for target in ("/p/a.txt", "/msx/video/a.mp4"):
                for method in ("GET", "HEAD"):
                    answer = await client.request(method, target, headers=fields)
                    assert (answer.status_code, count()) == (status, opened), (method, target)

    talk(root, scenario)
