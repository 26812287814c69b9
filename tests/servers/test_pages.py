"""The pages that Media Station X asks for: their JSON, and every request that makes no sense."""

from __future__ import annotations

import asyncio
import struct
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from talking import BASE, HELLO, LAN, lay_out, package, talk

from sandbox.servers.house import House
from sandbox.servers.keyboard import EXPIRES, MAX_INPUTS, MAX_TEXT, Keyboard
from sandbox.servers.media import amount
from sandbox.servers.names import VERSION
from sandbox.servers.paths import cleaned

RELOAD = "[cleanup|reload:menu]"


def action_of(answer: httpx.Response) -> Any:
    """What a device is told to do."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    content = answer.json()
    assert content["response"]["status"] == 200
    return content["response"]["data"]["action"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A server's folder."""
    return lay_out(
        tmp_path,
        {
            "plugins/radio/manifest.json": '{"Label": "R<b>&", "Icon": "radio", '
            '"URL": "{BASE_URL}start?x={BASE_URL}"}',
            "plugins/radio/main.lua": HELLO,
            "plugins/logo/manifest.json": '{"Image": "{BASE_URL}i.png", "Icon": "ignored"}',
            "plugins/torr/manifest.json": '{"Torrent": true}',
            "plugins/broken/manifest.json": "{",
            "plugins/broken/main.lua": HELLO,
            "films/b.mp4": "0123456789",
            "films/a \u00e9#.mkv": "x" * 2048,
            "films/series/1.avi": "",
            "films/notes.txt": "secret",
            "films/page.svg": "<svg/>",
            "films/.hidden.mp4": "secret",
            "secret.mp4": "secret",
        },
    )


def test_starting(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        start = (await client.get("/msx/start.json")).json()
        assert start["parameter"] == "menu:http://{SERVER}/msx/menu.json"
        assert start["version"] == VERSION
        menu = (await client.get("/msx/menu.json", headers={"Host": "tv.lan:81"})).json()
        assert menu["reference"] == (
            "http://tv.lan:81/msx/menu?player={PLAYER}&platform={PLATFORM}&id={ID}"
        )
        for name in ("logo", "logotype"):
            answer = await client.get(f"/{name}.png")
            assert answer.headers["content-type"] == "image/png"
            _check_png(answer.content)
        answer = await client.get("/msx/menu.json")
        assert answer.headers["access-control-allow-origin"] == "*"

    talk(root, scenario)


def _check_png(data: bytes) -> None:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, kinds, pixels = 8, [], b""
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 4 : place + 8 + size]
        (check,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
        assert zlib.crc32(body) == check
        kinds.append(kind)
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[4:12])
        if kind == b"IDAT":
            pixels = zlib.decompress(body[4:])
        place += 12 + size
    assert kinds == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    assert len(pixels) == height * (1 + (width + 7) // 8)


def test_the_menu(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.get("/msx/menu?player=tizen/2&platform=tizen&id=tv")
        assert "R\\u003cb\\u003e\\u0026" in answer.text
        lines = answer.json()["menu"]
        assert [line.get("label", "-") for line in lines] == [
            "-", "logo", "R<b>&", "-", "{dic:label:settings|Settings}",
        ]  # fmt: skip
        assert lines[1]["image"] == f"{BASE}/logo/i.png"
        assert "icon" not in lines[1]
        assert lines[2]["data"] == f"{BASE}/radio/start?x={BASE}/radio/"
        assert house.seen("tv")["player"] == "tizen"
        assert house.seen("other")["player"] == ""
        house.change(
            house.settings.changed({"video": str(root / "films"), "torrserver": "10.0.0.1:8090"})
        )
        labels = [one.get("label", "-") for one in (await client.get("/msx/menu")).json()["menu"]]
        assert labels[:3] == ["{dix:video}My video", "{dix:torrents}My torrents", "-"]
        assert "torr" in labels

    talk(root, scenario)


def test_settings_are_shown(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        house.change(house.settings.changed({"video": str(root / "films")}))
        shown = (await client.get("/settings")).json()
        assert shown["Video"] == str(root / "films")
        plugins = {one["Name"]: one for one in shown["Plugins"]}
        assert plugins["broken"]["Error"].startswith("manifest.json:1: ")
        assert plugins["torr"]["Torrent"] is True
        # Whoever else asks does not learn how this machine's folders are called.
        cross = await client.get("/settings", headers={"Origin": "http://evil.example"})
        assert str(root) not in cross.text

    talk(root, scenario)


def test_settings_are_changed_by_operators(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        async def change(value: Any, **more: Any) -> httpx.Response:
            return await client.post("/settings", json={"data": value}, **more)

        assert action_of(await change({"Video": str(root / "films")})) == "info:OK"
        assert action_of(await change(103)) == RELOAD
        wall = action_of(await client.get("/msx/videowall"))
        assert wall.endswith("atmos3.mp4")
        assert action_of(await change(100)) == RELOAD
        assert action_of(await client.post("/msx/videowall")) == "[]"
        assert action_of(await change(True)) == f"execute:{BASE}/msx/input?addr"
        assert action_of(await change("")) == RELOAD
        for bad in ({"Video": "/no/such"}, {"FFstream": "x"}, 107, 1.5, [], False, "a b"):
            answer = await change(bad)
            assert answer.status_code == 400, (bad, answer.text)
            assert str(root) not in answer.text
        evil = {"headers": {"Origin": "http://evil.example"}}
        for value in ({"Video": str(root)}, 103, None, "10.0.0.1:8090"):
            assert (await change(value, **evil)).status_code == 403
        # A device may choose how it is shown its pages.
        answer = await client.post("/settings?id=tv", json={"data": 2}, **evil)
        assert action_of(answer) == RELOAD
        assert house.seen("tv")["compressed"] is True
        assert (await client.post("/settings", json={"data": 2}, **evil)).status_code == 400
        assert house.settings.video == str(root / "films")

    talk(root, scenario)


def test_a_server_for_a_network_asks_for_the_token(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        form = {"files": {"file": ("news.203.tgz", package())}}
        for method, target, more in (
            ("POST", "/settings", {"json": {"data": {"Music": ""}}}),
            ("POST", "/install", form),
            ("GET", "/restart", {}),
            ("POST", "/msx/dictionary", {"json": {"data": ""}}),
        ):
            assert (await client.request(method, target, **more)).status_code == 403, target
        bearer = {"Authorization": f"Bearer {house.admin}"}
        answer = await client.post("/install", **form, headers=bearer)
        assert answer.text == "true"
        answer = await client.post(f"/settings?token={house.admin}", json={"data": {"Music": ""}})
        assert answer.status_code == 200

    talk(root, scenario, base=LAN, loopback=False)


# ---------------------------------------------------------------------- packages, restart


def test_install_and_remove(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        async def send(name: str, data: bytes) -> httpx.Response:
            return await client.post("/install", files={"file": (name, data)})

        answer = await send("../news.203.tgz", package())
        assert (answer.status_code, answer.text) == (200, "true")
        assert (await client.get("/news/")).text == "hello"
        for name, data in (
            ("news.999.tgz", package()),
            ("news.203.tgz", package()[:50]),
            ("news.203.tgz", b"no gzip"),
            ("news.203.tgz", b""),
            (".203.tgz", package()),
            ("news.tgz", package()),
            ("msx.203.tgz", package()),
            ("radio.203.tgz", package()),
            ("slip.203.tgz", package({"manifest.json": "{}", "../../x.lua": ""})),
        ):
            answer = await send(name, data)
            assert answer.status_code == 400, name
            assert str(root) not in answer.text
        assert (await client.get("/news/")).text == "hello"
        for name, status in (
            ("news", 200), ("news", 200), ("radio", 400), ("../films", 400), ("", 400), (".", 400),
        ):  # fmt: skip
            answer = await client.post("/install", data={"remove": name})
            assert answer.status_code == status, name
        assert (await client.get("/news/")).status_code == 404
        assert (root / "films" / "b.mp4").exists()

    talk(root, scenario)


def test_install_takes_forms_alone(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.get("/install")).status_code == 404
        kind = {"Content-Type": "multipart/form-data; boundary=XX"}
        for body, headers, status in (
            (package(), {"Content-Type": "application/gzip"}, 400),
            (b"", {"Content-Type": "multipart/form-data"}, 400),
            (b"--XX\r\n\r\n\r\n--XX--", kind, 400),
            (b"nonsense", kind, 400),
            (b'--XX\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n--XX--\r\n', kind, 400),
            (b"remove=", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
            (b"a=b&" * 10_000, {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        ):
            answer = await client.post("/install", content=body, headers=headers)
            assert answer.status_code == status, (body[:50], answer.text)
        long = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="n.203.tgz"\r\n\r\n'
        answer = await client.post("/install", content=long + bytes(17 * 2**20), headers=kind)
        assert answer.status_code == 413

    talk(root, scenario)


def test_restart(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.get("/restart")).status_code == 501
        asked = []
        house.restart = lambda: asked.append(1)
        for headers in (
            {"Origin": "http://evil.example"},
            {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"},
        ):
            assert (await client.get("/restart", headers=headers)).status_code == 403
        assert not asked
        assert action_of(await client.get("/restart")) == RELOAD
        assert asked == [1]

    talk(root, scenario)


# ---------------------------------------------------------------------- panels


def test_the_keyboard(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        async def key(value: Any) -> Any:
            answer = await client.post("/msx/input?id=tv", json={"data": value})
            assert answer.status_code == 200
            return answer.json()["response"]["data"]

        what = {"action": "execute:http://x/{INPUT}", "headline": "H", "value": "ab"}
        asked = {"action": f"panel:{BASE}/msx/input?id=tv", "data": None}
        assert await key(what) == asked
        panel = (await client.get("/msx/input?id=tv")).json()
        assert panel["headline"] == "H"
        assert panel["pages"][0]["items"][0]["label"] == "ab"
        assert (await key(" "))["data"] == {"label": "ab{txt:msx-white-soft:_}"}
        assert (await key("<del>"))["data"] == {"label": "ab"}
        assert (await key("\u044f"))["data"] == {"label": "ab\u044f"}
        assert await key("\n") == {"action": "execute:http://x/ab%D1%8F", "data": "ab\u044f"}
        assert (await key("<clr>"))["data"] == {"label": ""}
        assert (await key("<lng>"))["action"] == "reload:panel"
        assert (await key("x" * MAX_TEXT))["data"] == {"label": "x" * MAX_TEXT}
        for bad in ("x", 5, [], True, {"action": 5}, {"value": "x" * (MAX_TEXT + 1)}):
            answer = await client.post("/msx/input?id=tv", json={"data": bad})
            assert answer.status_code == 400, bad
        for content in (b"nope", b"[]", b"", b"[" * 50_000):
            assert (await client.post("/msx/input", content=content)).status_code == 400
        answer = await client.post("/msx/input", content=b'"' + b"x" * 100_000)
        assert answer.status_code == 413
        assert (await client.get(f"/msx/input?id={'x' * 200}")).status_code == 400

    talk(root, scenario)


def test_inputs_are_few_and_end() -> None:
    now = 0.0
    keyboard = Keyboard(cyrillic=lambda: True, clock=lambda: now)

    async def ask(device: str, content: bytes | None = None) -> str:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content or b""}

        method = "GET" if content is None else "POST"
        query = f"id={device}".encode()
        scope = {"type": "http", "method": method, "headers": [], "query_string": query}
        answer = await keyboard.answer(Request(scope, receive))
        return bytes(answer.body).decode()

    async def scenario() -> None:
        nonlocal now
        for number in range(MAX_INPUTS + 1):
            await ask(f"tv{number}", b'{"data": "<typed>"}')
        assert "typed" not in await ask("tv0")
        assert "typed" in await ask("tv1")
        await ask("tv1", b'{"data": "<lng>"}')
        assert "\u042f" in await ask("tv1")
        now = EXPIRES + 1
        assert "typed" not in await ask("tv1")

    asyncio.run(scenario())


def test_the_dialog(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        what = {"action": "A", "headline": "H", "value": "V"}
        answer = await client.post("/msx/dialog", json={"data": what})
        panel = answer.json()["response"]["data"]["data"]
        assert panel["headline"] == "H"
        assert panel["pages"][0]["items"][1]["action"] == "A"
        assert "extension" not in panel
        for bad in (None, "x", {"action": 1}):
            answer = await client.post("/msx/dialog", json={"data": bad})
            assert answer.status_code == 400
        assert (await client.get("/msx/dialog")).status_code == 400

    talk(root, scenario)


def test_dictionaries(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.get("/msx/dictionary.json")).json()["name"] == "default"
        lay_out(root, {"dictionaries/Russian.json": '{"name": "R"}', "dictionary.json": "{"})
        answer = await client.get("/msx/dictionary.json")
        assert answer.status_code == 500
        assert str(root) not in answer.text
        items = (await client.get("/msx/dictionary")).json()["items"]
        assert [item["data"] for item in items] == ["", "Russian"]
        for name, status in (("Russian", 200), ("../settings", 400), (5, 400), (None, 200)):
            answer = await client.post("/msx/dictionary", json={"data": name})
            assert answer.status_code == status
        assert (await client.get("/msx/dictionary.json")).json() == {"name": "R"}
        keyboard = (await client.get("/msx/input")).text
        assert '"data": "\\u003clng\\u003e",\n          "icon"' in keyboard

    talk(root, scenario)


# ---------------------------------------------------------------------- folders


def test_a_folder_s_pages(root: Path) -> None:
    (root / "films" / "out.mp4").symlink_to(root / "secret.mp4")
    (root / "films" / "up").symlink_to(root)
    (root / "films" / "loop").symlink_to(root / "films" / "loop")

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.get("/msx/video/")).status_code == 404
        house.change(house.settings.changed({"video": str(root / "films")}))
        assert (await client.get("/msx/video")).headers["location"] == "/msx/video/"
        page = (await client.get("/msx/video/?id=tv")).json()
        assert "compress" not in page
        assert [item["label"] for item in page["items"]] == ["series", "a \u00e9#.mkv", "b.mp4"]
        assert page["items"][1]["action"] == f"video:{BASE}/msx/video/a%20%C3%A9%23.mkv"
        assert page["items"][1]["extensionLabel"] == "2.00 KB"
        assert page["items"][0]["action"] == f"content:{BASE}/msx/video/series/?id={{ID}}"
        below = (await client.get("/msx/video/series/")).json()
        assert below["headline"] == "series"
        assert [item["label"] for item in below["items"]] == ["1.avi"]
        house.change(house.settings.toggled("tv", 2))
        assert (await client.get("/msx/video/?id=tv")).json()["compress"] is True
        part = await client.get("/msx/video/b.mp4", headers={"Range": "bytes=2-4"})
        assert (part.status_code, part.content) == (206, b"234")
        assert part.headers["content-type"] == "video/mp4"
        for target in (
            "notes.txt", "page.svg", ".hidden.mp4", "out.mp4", "up/secret.mp4", "up/", "loop",
            "nothing.mp4", "b.mp4/x", "%00.mp4", "..%2fsecret.mp4", "x" * 300, "%ff.mp4",
        ):  # fmt: skip
            answer = await client.get(f"/msx/video/{target}", follow_redirects=True)
            assert answer.status_code == 404, target
            assert "secret" not in answer.text

    talk(root, scenario)


def test_photos_and_music(root: Path) -> None:
    lay_out(root, {"pictures/a.JPG": "x", "songs/b.flac": "x", "songs/a.jpg": "x"})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        folders = {"photo": str(root / "pictures"), "music": str(root / "songs")}
        house.change(house.settings.changed(folders))
        photo = (await client.get("/msx/photo/")).json()
        assert photo["items"][0]["action"] == f"image:{BASE}/msx/photo/a.JPG"
        assert photo["template"]["imageFiller"] == "default"
        music = (await client.get("/msx/music/")).json()
        assert [item["action"] for item in music["items"]] == [f"audio:{BASE}/msx/music/b.flac"]
        (root / "songs" / "b.flac").unlink()
        (root / "songs" / "a.jpg").unlink()
        (root / "songs").rmdir()
        assert (await client.get("/msx/music/")).status_code == 404

    talk(root, scenario)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.00 B"), (1, "1.00 B"), (1536, "1.50 KB"), (2**30, "1.00 GB"), (2**60, "1048576.00 TB")],
)
def test_amounts(size: int, text: str) -> None:
    assert amount(size) == text


# ---------------------------------------------------------------------- what plugins send


@pytest.mark.parametrize(
    ("kind", "isolated"),
    [
        ("text/html", True), ("text/html; charset=utf-8", True), ("application/xhtml+xml", True),
        ("image/svg+xml", True), ("text/xml", True), ("", True), ("nonsense", True),
        ("text/plain, text/html", True), ("text/plain; x, text/html", True),
        ("application/pdf", False), ("text/plain", False), ("text/plain; charset=x", False),
        ("application/json", False), ("image/png", False), ("VIDEO/mp4", False),
    ],
)  # fmt: skip
def test_pages_of_plugins_have_an_origin_of_their_own(
    tmp_path: Path, kind: str, isolated: bool
) -> None:
    script = f"""require'server'.write({{["Content-Type"] = {{"{kind}"}}}}, "x")"""
    lay_out(tmp_path, {"plugins/p/main.lua": script, "plugins/p/a.html": "x", "plugins/p/b": "x"})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.get("/p/")
        policy = answer.headers.get("content-security-policy", "")
        assert policy.startswith("sandbox ") is isolated
        assert "allow-same-origin" not in policy
        assert (await client.get("/p/a.html")).headers["content-security-policy"].startswith("s")
        plain = await client.get("/p/b")
        assert plain.headers["content-type"] == "text/plain; charset=utf-8"
        assert "content-security-policy" not in plain.headers

    talk(tmp_path, scenario)


def test_scripts_see_settings_and_no_token(tmp_path: Path) -> None:
    script = """local s = require "server"
    s.write(tostring(s.settings.compressed), "|", s.settings.torr(), "|", s.uri, "|",
        tostring((s.header.Cookie or {})[1]), "|", tostring((s.header.Authorization or {})[1]))"""
    lay_out(tmp_path, {"plugins/p/main.lua": script})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        house.change(house.settings.toggled("tv", 2).changed({"torrserver": "10.0.0.1:8090"}))
        fields = {"Cookie": f"sandbox-token={house.admin}"}
        fields["Authorization"] = f"Bearer {house.admin}"
        answer = await client.get(f"/p/?id=tv&token={house.admin}", headers=fields)
        assert answer.text == "true|10.0.0.1:8090|/p/?id=tv&token=|sandbox-token=|Bearer "

    talk(tmp_path, scenario)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"), ("//", "/"), ("/a//b", "/a/b"), ("/a/./b/", "/a/b/"), ("/a/..", "/"),
        ("/../..", "/"), ("/a/../b/", "/b/"), ("/....//x", "/..../x"), ("/.x/.y", "/.x/.y"),
        ("/a/.", "/a"), ("//evil.example/..", "/"), ("///evil.example", "/evil.example"),
    ],
)  # fmt: skip
def test_paths_are_cleaned(path: str, expected: str) -> None:
    assert cleaned(path) == expected
    assert cleaned(expected) == expected


def test_other_requests_of_no_sense(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        for host in (b'evil"<x>', b"a b", b"a/b", b"\xc3\xa9", b"a@b"):
            answer = await client.get("/msx/menu", headers=[(b"Host", host)])
            assert answer.status_code == 400
        for target in ("/msx/ffmpeg/x", "/msx/nothing", "/settings/x", "/icon.ico", "/admin-x"):
            assert (await client.get(target)).status_code == 404
        assert action_of(await client.get("/update")).startswith("info:")
        answer = await client.options("/settings")
        assert answer.status_code == 200
        moved = await client.get("/radio//x?y=1")
        assert (moved.status_code, moved.headers["location"]) == (301, "/radio/x?y=1")

    talk(root, scenario)
