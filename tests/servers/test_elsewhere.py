"""`/msx/torr` and `/proxy.m3u8` against other servers: what is asked, passed on and refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from talking import BASE, lay_out, talk

from sandbox.servers.house import House
from sandbox.servers.playlist import TYPE, rewritten

HASH = "0123456789abcdef"
PLAYLIST = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="sound/en.m3u8",NAME="e"
#EXT-X-KEY:METHOD=AES-128,URI="key.bin"
#EXT-X-STREAM-INF:BANDWIDTH=1
low
#EXTINF:9,
one.ts?x=1
#EXTINF:9,
data:text/plain,x
//other.example/two.ts
"""


class Elsewhere(BaseHTTPRequestHandler):
    """A TorrServer and a server of playlists; what it is asked is written down."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, str]] = []  # noqa: RUF012 - one server, one list

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    def _send(self, body: bytes, status: int = 200, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """TorrServer's list."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append(("POST", self.path, body))
        torrents = [
            {"hash": HASH, "title": "A <film>", "poster": "http://p/", "torrent_size": 2048},
            {"hash": HASH},
            "nonsense",
        ]
        self._send(json.dumps(torrents).encode())

    def do_GET(self) -> None:
        """A torrent's files, or a playlist."""
        self.asked.append(("GET", self.path, self.headers.get("X-Key", "")))
        path = urlsplit(self.path).path
        if path == "/stream/":
            files = [
                {"id": 1, "path": "A film/one two.mkv", "length": 1024},
                {"id": 2, "path": "A film/readme.txt", "length": 10},
                {"id": "x", "path": "a.mp4"},
                {"path": 5},
                7,
            ]
            self._send(json.dumps({"hash": HASH, "title": "A film", "file_stats": files}).encode())
        elif path == "/list/a.m3u8":
            self._send(PLAYLIST.encode(), **{"Set-Cookie": "a=b", "X-Other": "c"})
        elif path == "/moved.m3u8":
            self._send(b"", 302, Location="/list/a.m3u8")
        elif path == "/moved-to-a-file.m3u8":
            self._send(b"", 302, Location="file:///etc/passwd")
        elif path == "/echo":
            self._send(b"1.2")
        else:
            self._send(b"<html>private</html>", 200 if path == "/page" else 404)


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The other server's `host:port`."""
    Elsewhere.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_torrents(tmp_path: Path, elsewhere: str) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        answer = await client.get("/msx/torr")
        assert (answer.status_code, answer.text) == (500, "TorrServer: no address is set\n")
        answer = await client.post("/settings", json={"data": "127.0.0.1:1"})
        assert answer.status_code == 500
        assert house.settings.torrserver == ""
        assert (await client.post("/settings", json={"data": elsewhere})).status_code == 200
        items = (await client.get("/msx/torr")).json()["items"]
        assert items[0] == {
            "action": f"content:{BASE}/msx/torr?link={HASH}&id={{ID}}",
            "label": "A <film>",
            "image": "http://p/",
            "extensionLabel": "2.00 KB",
        }
        assert items[1]["label"] == HASH
        link = {"link": "magnet:?x=1&y=2", "ttl": "T t", "img": "http://i/"}
        page = (await client.get("/msx/torr", params=link)).json()
        play = f"http://{elsewhere}/stream/one%20two.mkv?link={HASH}&index=1&play"
        assert [item["action"] for item in page["items"]] == [f"video:{play}"]
        assert page["headline"] == "T t"
        add = page["options"]["items"][0]["action"].removeprefix(f"execute:{BASE}")
        assert (await client.post(add, json={"data": None})).status_code == 200
        assert json.loads(Elsewhere.asked[-1][2]) == {
            "action": "add",
            "link": link["link"],
            "title": "T t",
            "poster": "http://i/",
            "save_to_db": True,
        }
        asked = [one for one in Elsewhere.asked if one[1].startswith("/stream/")]
        assert parse_qs(urlsplit(asked[0][1]).query)["link"] == [link["link"]]
        assert "options" not in (await client.get("/msx/torr?link=x")).json()
        assert (await client.get(f"/msx/torr?link={'x' * 5000}")).status_code == 400

    talk(lay_out(tmp_path, {}), scenario)


def test_a_torrserver_that_is_none(tmp_path: Path, elsewhere: str) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        house.change(house.settings.changed({"TorrServer": "localhost:" + elsewhere[10:]}))
        assert (await client.get("/msx/torr?link=x")).status_code == 200
        house.change(house.settings.changed({"TorrServer": "127.0.0.1:1"}))
        answer = await client.get("/msx/torr")
        assert answer.status_code == 500
        assert answer.text.startswith("TorrServer: ")

    talk(lay_out(tmp_path, {}), scenario)


def test_a_playlist(tmp_path: Path, elsewhere: str) -> None:
    there = f"http://{elsewhere}"

    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        query: Any = {"link": f"{there}/moved.m3u8", "header": ["X-Key: k:1", "X-Two:2"]}
        answer = await client.get("/proxy.m3u8", params=query)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == TYPE
        assert "set-cookie" not in answer.headers
        assert "x-other" not in answer.headers
        assert Elsewhere.asked[-1] == ("GET", "/list/a.m3u8", "k:1")
        lines = answer.text.splitlines()
        assert f'URI="{there}/list/key.bin"' in lines[2]
        assert lines[6] == f"{there}/list/one.ts?x=1"
        low = parse_qs(urlsplit(lines[4]).query)
        assert lines[4].startswith(f"{BASE}/proxy.m3u8?")
        assert low == {"link": [f"{there}/list/low"], "header": ["X-Key: k:1", "X-Two:2"]}
        assert f'URI="{BASE}/proxy.m3u8?link=' in lines[1]
        for bad, status in (
            ({}, 400),
            ({"link": "x" * 5000}, 400),
            ({"link": f"{there}/list/a.m3u8", "header": "nonsense"}, 400),
            ({"link": f"{there}/list/a.m3u8", "header": "a\r\nb: c"}, 400),
            ({"link": f"{there}/list/a.m3u8", "header": "a b: c"}, 400),
            ({"link": f"{there}/list/a.m3u8", "header": "a: b\x00"}, 400),
            ({"link": "file:///etc/passwd"}, 400),
            ({"link": "nonsense"}, 400),
            ({"link": "http://"}, 400),
            ({"link": "http://x:99999/"}, 400),
            ({"link": f"{there}/moved-to-a-file.m3u8"}, 502),
            ({"link": f"{there}/page"}, 502),
            ({"link": f"{there}/nothing"}, 502),
            ({"link": "http://127.0.0.1:1/a.m3u8"}, 403),
            ({"link": f"http://localhost:{elsewhere[10:]}/page"}, 502),
            ({"link": "http://169.254.169.254/"}, 403),
            ({"link": "http://[::1]/"}, 403),
        ):
            answer = await client.get("/proxy.m3u8", params=bad)
            assert answer.status_code == status, (bad, answer.text)
            assert "private" not in answer.text

    talk(lay_out(tmp_path, {}), scenario, grants=[f"http:{elsewhere}"])


def test_no_address_of_this_machine_without_a_grant(tmp_path: Path, elsewhere: str) -> None:
    async def scenario(client: httpx.AsyncClient, house: House) -> None:
        for host in (elsewhere, f"localhost:{elsewhere[10:]}"):
            answer = await client.get("/proxy.m3u8", params={"link": f"http://{host}/list/a.m3u8"})
            assert answer.status_code == 403
        assert Elsewhere.asked == []

    talk(lay_out(tmp_path, {}), scenario)


def test_what_a_playlist_names() -> None:
    text = "#EXTM3U\r\nhttp://[\r\nmailto:x\r\n  a b.ts \r\n\r\n../up.M3U8\r\n"
    lines = rewritten(text, "http://h/d/e/l.m3u8", "P?", []).splitlines()
    assert lines[1:4] == ["http://[", "mailto:x", "http://h/d/e/a b.ts"]
    assert lines[5] == "P?link=http%3A%2F%2Fh%2Fd%2Fup.M3U8"
