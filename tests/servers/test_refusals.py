"""Requests that are refused: which methods a page has, and what the operator reads in the log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from talking import HELLO, lay_out, talk

from sandbox.errors import EngineClosed
from sandbox.servers.answers import failed
from sandbox.servers.house import House
from sandbox.servers.requests import MAX_BODY

SECRET = "TokenTokenToken_Token"

READ = ("/", "/logo.png", "/logotype.png", "/favicon.ico", "/static/page.css", "/proxy.m3u8")
EXECUTED = (
    "/restart", "/settings", "/install", "/update", "/msx/start.json", "/msx/menu.json",
    "/msx/menu", "/msx/dictionary.json", "/msx/dictionary", "/msx/torr", "/msx/input",
    "/msx/dialog", "/msx/videowall", "/msx/video/", "/msx/photo/a.jpg",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A server's folder."""
    return lay_out(tmp_path, {"plugins/p/main.lua": HELLO, "plugins/p/a.txt": "x"})


# ---------------------------------------------------------------------- methods


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "FOO"])
def test_methods_that_a_page_does_not_have(root: Path, method: str) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        asked: list[int] = []
        house.restart = lambda: asked.append(1)
        for allowed, pages in (
            ("GET, HEAD, OPTIONS", READ),
            ("GET, HEAD, POST, OPTIONS", EXECUTED),
        ):
            for page in pages:
                answer = await client.request(method, page)
                assert (answer.status_code, answer.text) == (405, "Method Not Allowed\n"), page
                assert answer.headers["allow"] == allowed
        assert not asked
        assert (await client.request(method, "/p/")).text == "hello"

    talk(root, scenario)


def test_pages_that_are_only_read(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        for page in READ:
            assert (await client.post(page)).status_code == 405, page

    talk(root, scenario)


def test_a_tunnel_is_no_method_either(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.request("CONNECT", "/p/")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"

    talk(root, scenario)


def test_head_is_get_without_effect(root: Path) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert (await client.head("/restart")).status_code == 501
        asked: list[int] = []
        house.restart = lambda: asked.append(1)
        assert (await client.head("/restart")).status_code == 200
        other = {"Origin": "http://evil.example"}
        assert (await client.head("/restart", headers=other)).status_code == 403
        assert not asked
        assert (await client.post("/restart")).status_code == 200
        assert asked == [1]
        await client.head("/msx/menu?player=tizen&platform=tizen&id=tv")
        assert house.seen("tv")["player"] == ""
        for page in ("/", "/logo.png", "/msx/start.json", "/msx/input", "/msx/dictionary"):
            head, whole = await client.head(page), await client.get(page)
            assert (head.status_code, head.headers) == (200, whole.headers), page
        assert (await client.head("/msx/dialog")).status_code == 400
        assert (await client.head("/install")).status_code == 404

    talk(root, scenario)


# ---------------------------------------------------------------------- the log


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """The level and the text of each line of the front end since the last call."""
    found = [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name.startswith("sandbox.servers.")
    ]
    caplog.clear()
    return found


def test_refusals_are_logged(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        async def lines(method: str, target: str, **more: Any) -> list[tuple[str, str]]:
            caplog.clear()
            await client.request(method, target, **more)
            return logged(caplog)

        assert await lines("DELETE", "/logo.png?token=x") == [
            ("INFO", "/logo.png: 405 Method Not Allowed")
        ]
        assert await lines("POST", "/msx/input", content=b"x") == [
            ("INFO", "/msx/input: 400 Bad Request")
        ]
        assert await lines("POST", "/msx/input", content=bytes(100_000)) == [
            ("INFO", "/msx/input: 413 the body is longer than 65536 bytes")
        ]
        assert await lines("GET", "/restart", headers={"Origin": "http://evil.example"}) == [
            ("INFO", "/restart: 403 only an operator may restart the server")
        ]
        assert await lines("GET", "/restart") == [
            ("INFO", "/restart: 501 this server cannot restart itself")
        ]
        assert await lines("GET", "/p/x%0a", headers={"Host": "a b"}) == [
            ("INFO", "/p/x%0a: 400 malformed Host header")
        ]
        assert await lines("POST", "/p/", content=bytes(MAX_BODY + 1)) == [
            ("INFO", f"plugin p: the body is longer than {MAX_BODY} bytes")
        ]
        assert house.logs.lines("p")[-1].text.endswith(f"longer than {MAX_BODY} bytes")
        # Whoever looks for what is not there would fill the log.
        for target in ("/nothing/", "/p", "/msx/video/", "/install", "/msx/ffmpeg/x"):
            assert await lines("GET", target) == []

    talk(root, scenario)


def test_failures_elsewhere_are_logged(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        async def line(target: str, **query: str) -> tuple[str, str]:
            caplog.clear()
            await client.get(target, params=query)
            (only,) = logged(caplog)
            return only

        level, text = await line("/proxy.m3u8", link="http://127.0.0.1:1/a.m3u8")
        assert (level, text[:18]) == ("INFO", "/proxy.m3u8: 403 1")
        assert text.count("needs the capability 'http:127.0.0.1:1'") == 1
        assert await line("/proxy.m3u8", link="nonsense") == (
            "INFO",
            "/proxy.m3u8: 400 unsupported protocol scheme in 'nonsense'; write http:// or https://",
        )
        level, text = await line("/msx/torr")
        assert (level, text) == ("INFO", "/msx/torr: 500 TorrServer: no address is set")
        house.change(house.settings.changed({"TorrServer": "127.0.0.1:1"}))
        level, text = await line("/msx/torr")
        assert (level, text[:27]) == ("WARNING", "/msx/torr: 500 TorrServer: ")
        caplog.clear()
        await client.post("/settings", json={"data": "127.0.0.1:1"})
        (_, why), answered = logged(caplog)
        assert why.startswith("TorrServer at 127.0.0.1:1: ")
        text = "/settings: 500 TorrServer: nothing answers at 127.0.0.1:1"
        assert answered == ("WARNING", text)
        house.egress.close()
        level, text = await line("/proxy.m3u8", link="http://192.0.2.1/a.m3u8")
        assert (level, text[:17]) == ("WARNING", "/proxy.m3u8: 502 ")

    talk(root, scenario)


def unreadable(*_: object) -> int:
    """As `open_file` for a file that its owner alone may read."""
    raise PermissionError(13, "Permission denied")


def test_failures_of_ours_are_logged(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(root, {"dictionary.json": "{"})

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        assert str(root) not in (await client.get("/msx/dictionary.json")).text
        level, text = logged(caplog)[-1]
        assert (level, text[:57]) == (
            "ERROR",
            "/msx/dictionary.json: 500 the dictionary cannot be read (",
        )
        assert f"{root}/dictionary.json:1: is not JSON" in text
        assert house.logs.lines("")[-1].text == text
        with monkeypatch.context() as patched:
            patched.setattr("sandbox.servers.files.open_file", unreadable)
            assert (await client.get("/p/a.txt")).status_code == 403
        ((level, text),) = logged(caplog)
        assert level == "ERROR"
        assert text.endswith("/p/a.txt: this server may not read it")

        def broken() -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(house.engine, "plugin_names", broken)
        with pytest.raises(ZeroDivisionError):
            await client.get(f"/msx/menu?token={SECRET}")
        assert logged(caplog) == [("ERROR", "/msx/menu: ZeroDivisionError")]

    talk(root, scenario)


def test_a_plugin_s_failures_name_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert failed("p\n", EngineClosed("closed")).status == 503
    assert logged(caplog) == [("INFO", "plugin p\\n: the server is stopping")]
