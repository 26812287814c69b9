"""Thumbnails of photos: what they are, what has none, and what it costs to ask for one."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import struct
import sys
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from talking import BASE, lay_out, talk

from sandbox.servers import thumbnails
from sandbox.servers.house import House

BOUND = 60.0
"""Seconds after which a wait counts as failed."""

RED, BLUE = (200, 30, 20), (20, 30, 200)


def photo(form: str = "JPEG", size: tuple[int, int] = (800, 600), **more: Any) -> bytes:
    """A picture whose upper half is red and whose lower half is blue."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (0, size[1] // 2, *size))
    return written(picture, form, **more)


def written(picture: Image.Image, form: str, **more: Any) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    picture.save(file, form, **more)
    return file.getvalue()


def claimed(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says to have so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def opened(answer: httpx.Response) -> Image.Image:
    """The thumbnail in an answer."""
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == "*"
    picture = Image.open(io.BytesIO(answer.content), formats=["JPEG"])
    assert max(picture.size) <= thumbnails.SIDE
    return picture


def near(picture: Image.Image, place: tuple[int, int], color: tuple[int, int, int]) -> bool:
    """Whether a pixel has about that color."""
    found = picture.convert("RGB").getpixel(place)
    assert isinstance(found, tuple)
    return all(abs(one - other) < 16 for one, other in zip(found, color, strict=True))


def choose(house: House, root: Path) -> Path:
    """Serve `pictures` as the folder of photos."""
    folder = root / "pictures"
    house.change(house.settings.changed({"photo": str(folder)}))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A server's folder with one photo."""
    return lay_out(tmp_path, {"pictures/a \u00e9#.JPG": photo()})


# ---------------------------------------------------------------------- what is shown


def test_a_page_shows_thumbnails(root: Path) -> None:
    others = {"pictures/b.tif": "x", "pictures/c.avif": "x", "pictures/folder.jpg/d.png": "x"}
    lay_out(root, {**others, "songs/a.mp3": "x"})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, root)
        folder, a, b, c = (await client.get("/msx/photo/")).json()["items"]
        address = f"{BASE}/msx/photo/a%20%C3%A9%23.JPG"
        assert list(a.items()) == [
            ("action", f"image:{address}"),
            ("extensionLabel", a["extensionLabel"]),
            ("image", f"{address}?thumb"),
            ("label", "a \u00e9#.JPG"),
            ("playerLabel", "a \u00e9#.JPG"),
        ]
        for other in (folder, b, c):
            assert "image" not in other
        picture = opened(await client.get(a["image"]))
        assert picture.size == (320, 240)
        assert near(picture, (160, 40), RED)
        assert near(picture, (160, 200), BLUE)
        house.change(house.settings.changed({"music": str(root / "songs")}))
        (song,) = (await client.get("/msx/music/")).json()["items"]
        assert "image" not in song
        assert (await client.get("/msx/music/a.mp3?thumb")).text == "x"

    talk(root, scenario)


def test_without_pillow_everything_is_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, target = photo(), "/msx/photo/a \u00e9%23.JPG?thumb"
    monkeypatch.setitem(sys.modules, "PIL", None)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, root)
        (item,) = (await client.get("/msx/photo/")).json()["items"]
        assert list(item) == ["action", "extensionLabel", "label", "playerLabel"]
        assert (await client.get(target)).content == whole
        # It is there, and cannot be imported.
        monkeypatch.setattr(thumbnails, "installed", lambda: True)
        assert (await client.get(target)).content == whole
        # This says nothing about the photo.
        monkeypatch.undo()
        opened(await client.get(target))

    talk(root, scenario)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", photo("PNG")),
        ("a.gif", photo("GIF")),
        ("a.webp", photo("WEBP")),
        ("a.bmp", photo("BMP")),
        ("a.jpeg", photo(progressive=True)),
        ("png.jpg", photo("PNG")),
        ("numbers.png", written(Image.open(io.BytesIO(photo())).convert("P"), "PNG")),
    ],
)
def test_formats(tmp_path: Path, name: str, data: bytes) -> None:
    lay_out(tmp_path, {f"pictures/{name}": data})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)
        (item,) = (await client.get("/msx/photo/")).json()["items"]
        picture = opened(await client.get(item["image"]))
        assert picture.size == (320, 240)
        assert near(picture, (160, 40), RED)

    talk(tmp_path, scenario)


def test_thumbnails_are_upright_and_say_nothing(tmp_path: Path) -> None:
    about = Image.Exif()
    about[0x0112], about[0x010E] = 6, "where it was taken"
    data = photo(exif=about, comment=b"who took it", icc_profile=b"profile")
    lay_out(tmp_path, {"pictures/a.jpg": data})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)
        answer = await client.get("/msx/photo/a.jpg?thumb")
        picture = opened(answer)
        assert picture.size == (240, 320)
        assert near(picture, (200, 160), RED)  # what was above is to the right
        assert near(picture, (40, 160), BLUE)
        assert not picture.getexif()
        assert not {"exif", "comment", "icc_profile", "xmp"} & set(picture.info)
        assert b" it" not in answer.content

    talk(tmp_path, scenario)


def test_what_is_clear_is_black(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (20, 10), (*RED, 0))
    clear.paste((*BLUE, 255), (10, 0, 20, 10))
    lay_out(tmp_path, {"pictures/a.png": written(clear, "PNG")})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)
        picture = opened(await client.get("/msx/photo/a.png?thumb"))
        assert picture.size == (20, 10)  # never larger than it was
        assert near(picture, (2, 5), (0, 0, 0))
        assert near(picture, (18, 5), BLUE)

    talk(tmp_path, scenario)


# ---------------------------------------------------------------------- what has none


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("truncated.jpg", photo()[:-500]),
        ("truncated.png", photo("PNG")[:-500]),
        ("head.jpg", photo()[:30]),
        ("text.jpg", b"<script>alert(1)</script>"),
        ("empty.gif", b""),
        ("other.jpg", photo("TIFF")),
        ("warned-of.png", claimed(10_000, 10_000)),
        ("refused.png", claimed(60_000, 60_000)),
        ("none.png", claimed(0, 0)),
        ("decoded-whole.jpg", photo(size=(6000, 5000), progressive=True)),
        ("deep.png", written(Image.new("I;16", (4, 4)), "PNG")),
        ("short.webp", b"RIFF\xff\xff\xff\xffWEBPVP8 "),
        ("no-colors.bmp", b"BM" + bytes(60)),
    ],
)
def test_the_photo_itself_where_there_is_no_thumbnail(
    tmp_path: Path, name: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    lay_out(tmp_path, {f"pictures/{name}": data})
    caplog.set_level(logging.DEBUG, thumbnails.log.name)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)
        whole = await client.get(f"/msx/photo/{name}")
        for _ in range(2):
            answer = await client.get(f"/msx/photo/{name}?thumb")
            assert answer.status_code == 200
            assert answer.content == data
            assert answer.headers == whole.headers

    talk(tmp_path, scenario)
    # What cannot have one is tried once.
    (record,) = (one for one in caplog.records if one.name == thumbnails.log.name)
    assert record.levelno == logging.DEBUG
    assert name in record.getMessage()


def test_too_many_bytes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_FILE", len(photo()) - 1)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, root)
        (item,) = (await client.get("/msx/photo/")).json()["items"]
        assert "image" not in item
        assert (await client.get("/msx/photo/a \u00e9%23.JPG?thumb")).content == photo()

    talk(root, scenario)


def test_too_many_scans(tmp_path: Path) -> None:
    data = photo(progressive=True)
    last = data.rindex(b"\xff\xda")
    data = data[:-2] + data[last:-2] * 100 + data[-2:]
    lay_out(tmp_path, {"pictures/a.jpg": data})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)
        assert (await client.get("/msx/photo/a.jpg?thumb")).content == data

    talk(tmp_path, scenario)


def test_pillow_s_warnings_are_not_shown(tmp_path: Path) -> None:
    lay_out(tmp_path, {"pictures/a.png": claimed(10_000, 10_000)})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)
        assert (await client.get("/msx/photo/a.png?thumb")).content == claimed(10_000, 10_000)

    with warnings.catch_warnings(record=True) as seen:
        warnings.resetwarnings()
        Image.open(io.BytesIO(claimed(10_000, 10_000))).close()
        assert [one.category for one in seen] == [Image.DecompressionBombWarning]
        seen.clear()
        thumbnails._pillow.cache_clear()
        talk(tmp_path, scenario)
        assert [one for one in seen if "PIL" in one.filename] == []


def test_nothing_else_is_reached(root: Path) -> None:
    lay_out(
        root, {"secret.jpg": photo("PNG"), "pictures/.hidden.jpg": photo(), "pictures/x.txt": ""}
    )
    (root / "pictures" / "out.jpg").symlink_to(root / "secret.jpg")
    (root / "pictures" / "up").symlink_to(root)
    (root / "pictures" / "in.jpg").symlink_to("a \u00e9#.JPG")

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.get("/msx/photo/in.jpg?thumb")).status_code == 404
        choose(house, root)
        opened(await client.get("/msx/photo/in.jpg?thumb"))
        for target in (
            "nothing.jpg", "../secret.jpg", "..%2fsecret.jpg", "out.jpg", "up/secret.jpg",
            ".hidden.jpg", "x.txt", "%00.jpg", "in.jpg/x", "x" * 300, "%ff.jpg",
        ):  # fmt: skip
            answer = await client.get(f"/msx/photo/{target}?thumb", follow_redirects=True)
            assert answer.status_code == 404, target
        page = await client.get("/msx/photo/?thumb")
        assert page.json()["type"] == "list"

    talk(root, scenario)


@pytest.mark.parametrize("late", ["pipe", "link out"])
def test_a_photo_that_is_none_any_more_is_not_there(
    root: Path, monkeypatch: pytest.MonkeyPatch, made: list[bytes], late: str
) -> None:
    """As if somebody had won the race between the check and the use."""
    lay_out(root, {"secret.jpg": photo()})
    path = root / "pictures" / "a \u00e9#.JPG"

    def installed() -> bool:
        path.unlink()
        if late == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(root / "secret.jpg")
        return True

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, root)
        monkeypatch.setattr(thumbnails, "installed", installed)
        answer = await client.get("/msx/photo/a \u00e9%23.JPG?thumb")
        assert (answer.status_code, made) == (404, [])

    talk(root, scenario)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read(root: Path) -> None:
    (root / "pictures" / "a \u00e9#.JPG").chmod(0)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, root)
        assert (await client.get("/msx/photo/a \u00e9%23.JPG?thumb")).status_code == 403

    talk(root, scenario)


# ---------------------------------------------------------------------- what it costs


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The thumbnails that are made, in turn."""
    some: list[bytes] = []
    small = thumbnails._small

    def counted(data: bytes) -> bytes:
        assert threading.current_thread() is not threading.main_thread()
        some.append(small(data))
        return some[-1]

    monkeypatch.setattr(thumbnails, "_small", counted)
    return some


def test_a_thumbnail_is_made_once(root: Path, made: list[bytes]) -> None:
    target = "/msx/photo/a \u00e9%23.JPG?thumb"

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        folder = choose(house, root)
        first = await client.get(target)
        assert (await client.get(target)).content == first.content
        assert len(made) == 1
        lay_out(root, {"pictures/new.jpg": photo(size=(600, 800))})
        (folder / "new.jpg").replace(folder / "a \u00e9#.JPG")
        assert opened(await client.get(target)).size == (240, 320)
        assert len(made) == 2

    talk(root, scenario)


def test_conditional_requests(root: Path, made: list[bytes]) -> None:
    target = "/msx/photo/a \u00e9%23.JPG?thumb"

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, root)
        first = await client.get(target)
        for name, value in (
            ("If-None-Match", first.headers["etag"]),
            ("If-Modified-Since", first.headers["last-modified"]),
        ):
            again = await client.get(target, headers={name: value})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
        assert (await client.get(target, headers={"If-None-Match": '"x"'})).status_code == 200

    talk(root, scenario)


def test_memory_is_bounded(
    tmp_path: Path, made: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, {f"pictures/{name}.jpg": photo() for name in "abc"})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)

        async def ask(names: str) -> int:
            before = len(made)
            for name in names:
                opened(await client.get(f"/msx/photo/{name}.jpg?thumb"))
            return len(made) - before

        assert await ask("a") == 1
        monkeypatch.setattr(thumbnails, "MAX_KEPT", 2 * (len(made[0]) + 600))
        assert await ask("b") == 1
        assert await ask("ac") == 1  # b was not asked for longest
        assert await ask("ac") == 0
        assert await ask("b") == 1
        monkeypatch.setattr(thumbnails, "MAX_KEPT", 0)
        assert await ask("aa") == 2

    talk(tmp_path, scenario)


def test_two_are_made_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number}.jpg" for number in range(6)]
    lay_out(tmp_path, {f"pictures/{name}": photo() for name in names})
    together, most, lock = 0, 0, threading.Lock()
    pair = threading.Barrier(2)
    small = thumbnails._small

    def counted(data: bytes) -> bytes:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        pair.wait(BOUND)
        try:
            return small(data)
        finally:
            with lock:
                together -= 1

    monkeypatch.setattr(thumbnails, "_small", counted)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)
        asked = [client.get(f"/msx/photo/{name}?thumb") for name in names]
        for answer in await asyncio.gather(*asked):
            opened(answer)

    talk(tmp_path, scenario)
    assert most == 2


def test_many_who_ask_at_once_share_what_is_made(tmp_path: Path, made: list[bytes]) -> None:
    lay_out(tmp_path, {"pictures/a.jpg": photo()})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        choose(house, tmp_path)
        asked = [client.get("/msx/photo/a.jpg?thumb") for _ in range(8)]
        for answer in await asyncio.gather(*asked):
            opened(answer)
        assert len(made) <= 2

    talk(tmp_path, scenario)
