"""`server.request` and `server.file`: what ServeMSX sent and answered in recorded exchanges.

Each case is one call, written once, made in both languages; the upstream is a server of the test.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox import Engine, Policy, Request

pytest.importorskip("urllib3", reason="the extra `http` is not installed")

LUA: Final = """
local server = require "server"
local function texts(list)
	local found = {}
	for i, cookie in ipairs(list) do found[i] = cookie.name .. "=" .. cookie.value end
	return table.concat(found, ",")
end
local asked = server.memory()
local last
for _, one in ipairs(asked) do
	local answer, problem = server.request(one.url, one.options)
	if not answer then server.write("failed: ", problem); return end
	local login, cookies = { answer.user, answer.pass }, texts(answer.cookies)
	server.write({ answer.status, answer.size, answer.url, login[1], login[2], cookies }, "\\n")
	last = answer
end
local header = last.header
server.write(last.body, "\\n", { header["X-A"] or "none", header["Content-Encoding"] or "none" })
"""

PYTHON: Final = """
import server

last = None
try:
    for one in server.memory():
        answer = server.request(one["url"], one.get("options"))
        cookies = ",".join(f"{cookie['name']}={cookie['value']}" for cookie in answer["cookies"])
        names = ("status", "size", "url", "user", "pass")
        server.write([*(answer[name] for name in names), cookies], "\\n")
        last = answer
    fields = [last["header"].get(name, "none") for name in ("X-A", "Content-Encoding")]
    server.write(last["body"], "\\n", fields)
except RuntimeError as error:
    server.write("failed: ", error)
"""

KEEP: Final = {
    "lua": ("keep.lua", 'local s = require "server" s.memory(s.settings.asked)'),
    "python": ("keep.py", "import server\nserver.memory(server.settings.asked)"),
}
MAIN: Final = {"lua": ("main.lua", LUA), "python": ("main.py", PYTHON)}


class Upstream(BaseHTTPRequestHandler):
    """Says what it was sent."""

    protocol_version = "HTTP/1.1"

    def _send(self, status: int, body: bytes, *fields: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if "Transfer-Encoding" not in dict(fields):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("latin-1")
        path = self.path.partition("?")[0]
        if path == "/echo":
            kept = {"Accept-Encoding", "Authorization", "Content-Type", "Cookie", "Referer", "X-B"}
            sent = {n.title(): value for n, value in self.headers.items() if n.title() in kept}
            sent["Host"] = self.headers["Host"].partition(":")[0]
            self._send(200, json.dumps([self.command, self.path, sent, body]).encode())
        elif path == "/redir":
            self._send(302, b"moved", ("Location", "/hello"))
        elif path == "/redir307":
            self._send(307, b"", ("Location", "/echo"))
        elif path == "/loop":
            self._send(302, b"", ("Location", "/loop"))
        elif path == "/204":
            self._send(204, b"")
        elif path == "/cookies":
            cookies = ("a=1; Path=/; HttpOnly", 'b="t w"')
            self._send(200, b"c", *(("Set-Cookie", line) for line in cookies))
        elif path == "/gzip":
            self._send(200, gzip.compress(b"zipped", mtime=0), ("Content-Encoding", "gzip"))
        elif path == "/chunked":
            self._send(200, b"7\r\nchunked\r\n0\r\n\r\n", ("Transfer-Encoding", "chunked"))
        elif path == "/multi":
            self._send(200, b"m", ("X-A", "1"), ("x-a", "2"))
        else:
            self._send(200 if path == "/hello" else 404, path[1:].encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = do_put = _answer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the upstream listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@dataclass
class House:
    """An engine with the plugin in one language."""

    engine: Engine
    language: str

    def ask(self, asked: list[Any]) -> str:
        """The answers to the requests, as the plugin shows them."""
        keep = f"/p/{KEEP[self.language][0]}"
        self.engine.request("p", Request("GET", keep, settings={"asked": asked}))
        return self.engine.request("p", Request("GET", "/p/")).body.decode("latin-1")


@pytest.fixture(scope="module", params=sorted(MAIN))
def house(request: pytest.FixtureRequest, port: int, tmp_path_factory: Any) -> Iterator[House]:
    """See `House`."""
    folder: Path = tmp_path_factory.mktemp("house")
    (folder / "p").mkdir()
    for name, source in (MAIN[request.param], KEEP[request.param]):
        (folder / "p" / name).write_text(source)
    with Engine([folder], policy=Policy(f"http:127.0.0.1:{port}"), workers=1) as engine:
        yield House(engine, request.param)


def _one(path: str, options: Any = None, host: str = "") -> dict[str, Any]:
    return {"url": f"{host}{path}", **({} if options is None else {"options": options})}


def _echo(method: str, path: str = "/echo", body: str = "", **fields: str) -> str:
    sent = {"Host": "127.0.0.1", "Accept-Encoding": "gzip"}
    sent |= {name.replace("_", "-"): value for name, value in fields.items()}
    return json.dumps([method, path, sent, body])


TEXT: Final = "text/plain"
FORM: Final = "application/x-www-form-urlencoded"
# id of the recording: the request's path and options, then status and, where it is not that of
# the URL asked for, the final path; the size where it is not the body's length; the body.
CASES: Final[dict[str, tuple[str, Any, int, str | None, int | None, Any]]] = {
    "get": ("/hello", None, 200, None, None, "hello"),
    "404": ("/nope", None, 404, None, None, "nope"),
    "lower": ("/echo", "put", 200, None, None, _echo("put")),
    "body_int": ("/echo", {"body": 5}, 200, None, None,
                 _echo("POST", body="5", Content_Type=TEXT)),
    "body_map": ("/echo", {"body": {"b": ["x", "y"], "a": "1 2"}}, 200, None, None,
                 _echo("POST", body="a=1+2&b=x&b=y", Content_Type=FORM)),
    "method_body": ("/echo", {"method": "patch", "body": "x"}, 200, None, None,
                    _echo("PATCH", body="x", Content_Type=TEXT)),
    "query_map": ("/echo?old=1", {"query": {"a": "1 2", "b": ["x", "y"]}}, 200,
                  "/echo?a=1+2&b=x&b=y", None, _echo("GET", "/echo?a=1+2&b=x&b=y")),
    "query_text": ("/echo?old=1", {"query": "n=%20"}, 200, "/echo?n=%20", None,
                   _echo("GET", "/echo?n=%20")),
    "header_host": ("/echo", {"header": {"Host": "other", "x-b": ["1"]}}, 200, None, None,
                    _echo("GET", X_B="1")),
    "header_ct": ("/echo", {"body": "x", "header": {"Content-Type": "application/json"}}, 200,
                  None, None, _echo("POST", body="x", Content_Type="application/json")),
    "header_ae": ("/echo", {"header": {"Accept-Encoding": "identity"}}, 200, None, None,
                  _echo("GET").replace('"gzip"', '"identity"')),
    "auth_nopass": ("/echo", {"user": "u"}, 200, None, None, _echo("GET")),
    "redir": ("/redir", None, 200, "/hello", None, "hello"),
    "redir_nofollow": ("/redir", {"follow": False}, 302, None, None, "moved"),
    "redir307": ("/redir307", {"body": "keep"}, 200, "/echo", None, None),
    "gzip": ("/gzip", None, 200, None, -1, "zipped"),
    "chunked": ("/chunked", None, 200, None, -1, "chunked"),
    "head": ("/hello", "HEAD", 200, None, 5, ""),
    "frag": ("/hello#frag", None, 200, None, None, "hello"),
    "st204": ("/204", None, 204, None, 0, ""),
    "cookies_ok": ("/echo", {"cookies": [{"name": "a", "value": "1"},
                                         {"name": "b", "value": "x y"}, 5]}, 200, None, None,
                   _echo("GET", Cookie='a=1; b="x y"')),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_request(house: House, port: int, name: str) -> None:
    path, options, status, final, size, body = CASES[name]
    host = f"http://127.0.0.1:{port}"
    first, rest = house.ask([_one(path, options, host)]).split("\n", 1)
    text = rest.rpartition("\n")[0]
    if body is None:  # with the field that says where it came from
        text_sent = json.loads(text)
        assert text_sent[0] == "POST" and text_sent[3] == "keep"
        assert text_sent[2]["Referer"] == f"{host}/redir307"
    elif body.startswith("["):
        assert json.loads(text) == json.loads(body)
    else:
        assert text == body
    size = len(text) if size is None else size
    assert first == f'[{status}, {size}, "{host}{final or path}", "", "", ""]'


def test_credentials(house: House, port: int) -> None:
    for url, options, user in (
        (f"http://127.0.0.1:{port}/echo", {"user": "u", "pass": "p"}, '"u", "p"'),
        (f"http://uu:pp@127.0.0.1:{port}/echo", None, '"uu", "pp"'),
    ):
        first, body, _ = house.ask([_one(url, options)]).split("\n")
        assert first == f'[200, {len(body)}, "{url}", {user}, ""]'
        assert json.loads(body)[2]["Authorization"].startswith("Basic ")


def test_what_comes_back_besides(house: House, port: int) -> None:
    host = f"http://127.0.0.1:{port}"
    assert house.ask([_one("/cookies", None, host)]).split("\n")[0].endswith('"a=1,b=t w"]')
    assert house.ask([_one("/multi", None, host)]).endswith('[["1", "2"], "none"]')
    own = {"header": {"Accept-Encoding": "gzip"}}
    first, _, rest = house.ask([_one("/gzip", own, host)]).partition("\n")
    assert first.startswith("[200, 26, ") and rest.endswith('["none", ["gzip"]]')


def test_follow_holds_for_one_request(house: House, port: int) -> None:
    """ServeMSX remembers it for the rest of the script; its document says nothing of that."""
    host = f"http://127.0.0.1:{port}"
    asked = [_one("/redir", {"follow": False}, host), _one("/redir", None, host)]
    lines = house.ask(asked).split("\n")
    assert [line[:4] for line in lines[:2]] == ["[302", "[200"]


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("/loop", None, "stopped after 10 redirects"),
        ("/echo", "B AD", "invalid method"),
        ("http://[::1", None, "[::1"),
        ("127.0.0.1:80/hello", None, ""),
        ("", None, ""),
        ("/hello", None, None),
        ("file:///etc/passwd", None, "file"),
        ("/echo", {"cookies": [{"name": "n"}]}, "a cookie has a name and a value"),
    ],
)
def test_what_fails_says_why(
    house: House, port: int, url: str, options: Any, words: str | None
) -> None:
    host = f"http://127.0.0.1:{port}" if url.startswith("/") and words is not None else ""
    said = house.ask([_one(url, options, host)])
    assert said.startswith("failed: ")
    assert (words or "") in said


FILES: Final = {
    "lua": (
        "main.lua",
        """
local server = require "server"
local name = "d/kept.txt"
local function read()
	local text = server.file(name)
	server.write(text == nil and "nothing" or { text }, ";")
end
read()
for _, value in ipairs { "data", 5, true, { 1, "a" }, { a = 1 }, "" } do
	assert(select("#", server.file(name, value)) == 0)
	read()
end
server.file(name, nil); read()
server.file(name, nil); read()
""",
    ),
    "python": (
        "main.py",
        """
import server

name = "d/kept.txt"


def read():
    data = server.file(name)
    server.write("nothing" if data is None else [data.decode()], ";")


read()
for value in [b"data", 5, True, [1, "a"], {"a": 1}, ""]:
    assert server.file(name, value) is None
    read()
for _ in range(2):
    server.file(name, None)
    read()
""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", sorted(FILES))
def test_files_hold_what_was_written(language: str, tmp_path: Path) -> None:
    """ServeMSX writes the file's name in place of all but bytes, and never removes."""
    (tmp_path / "plugins" / "p").mkdir(parents=True)
    name, source = FILES[language]
    (tmp_path / "plugins" / "p" / name).write_text(source)
    with Engine([tmp_path / "plugins"], data=tmp_path / "data", workers=1) as engine:
        said = engine.request("p", Request("GET", "/p/")).body.decode()
    wanted = ["data", "5", "true", '[1, \\"a\\"]', "{a: 1}", ""]
    shown = [f'["{text}"]' for text in wanted]
    assert said.split(";") == ["nothing", *shown, "nothing", "nothing", ""]
