"""The HTTP front end through a real client: which path runs what, and every kind of bad input."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from serving import BOUND, Serve, Served

from sandbox import AsyncEngine, Limits
from sandbox.servers.msx import MAX_BODY, create_app

ECHO_LUA = """
local server = require "server"
server.write(table.concat({ server.script, server.path, server.method, server.read() }, "|"))
"""
SECRET = "the secret of the machine"
LANGUAGES = ("lua", "python")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all kinds of plugins, good and broken."""
    root = tmp_path_factory.mktemp("root")
    plugins = root / "plugins"
    files: dict[str, str | bytes] = {
        "echo/main.lua": ECHO_LUA,
        "echo/other.lua": "require'server'.write('other')",
        "echo/upper.LUA": "require'server'.write('upper')",
        "echo/sub/main.py": "import server\nserver.write('sub ', server.path)",
        "echo/empty/x.txt": "x",
        "echo/empty.lua": "",
        "echo/text.txt": "0123456789",
        "echo/.hidden": SECRET,
        "echo/manifest.json": '{"Label": "Echo <b>&\\"\'"}',
        "names/a b\u00e9/main.py": "import server\nserver.write(server.plugin)",
        "loop/main.lua": "while true do end",
        "noisy/main.lua": "print('going') while true do end",
        "memory/main.py": "x = []\nwhile True:\n    x.append('x' * 100000)",
        "output/main.lua": "local s = require'server' while true do s.write(('x'):rep(1000)) end",
        "broken_json/manifest.json": '{"Label": <script>}',
        "broken_json/main.lua": "require'server'.write('runs')",
        "greedy/manifest.json": '{"Limits": {"cpu": "1h"}}',
        "greedy/main.lua": "",
        "syntax_lua/main.lua": "local x = = 1",
        "syntax_python/main.py": "x = = 1",
        "raises_lua/main.lua": "\nerror('it <broke>')",
        "raises_python/main.py": "\nraise ValueError('it <broke>')",
        "latin/main.py": b"x = '\xe9'\n",
        "nul/main.lua": b"x = \0 1",
        "folder/main.lua/x": "",
        "huge/main.lua": b"--" + b"x" * 50_000_000,
        "only_files/manifest.json": "{}",
        "only_files/a.txt": "a",
        "denied/main.py": "import os",
    }
    for name, content in files.items():
        path = plugins / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (root / "secret.txt").write_text(SECRET)
    (root / "outside").mkdir()
    (root / "outside" / "main.lua").write_text(f"require'server'.write('{SECRET}')")
    (plugins / "names" / "a b\u00e9").rename(plugins / "a b\u00e9")
    (plugins / "echo" / "link.txt").symlink_to(root / "secret.txt")
    (plugins / "echo" / "link.lua").symlink_to(root / "outside" / "main.lua")
    (plugins / "echo" / "linked").symlink_to(root / "outside")
    (plugins / "linked").symlink_to(root / "outside")
    (plugins / "file").write_text("not a folder")
    return root


@pytest.fixture(scope="module")
def served(root: Path, serve: Serve) -> Served:
    """The server over that folder."""
    return serve("--dir", str(root), "--cpu", "500ms", "--wall", "20s")


def test_bundled_plugins_answer(serve: Serve) -> None:
    served = serve()
    with httpx.Client(base_url=served.url, timeout=BOUND) as client:
        page = client.get("/")
        for language in LANGUAGES:
            assert f'href="/hello_{language}/"' in page.text
            base = f"/hello_{language}/"
            assert client.get(base).json()["headline"].endswith("visit 1")
            assert client.head(base).content == b""
            assert client.get(base).json()["headline"].endswith("visit 3")
            form = client.post(f"{base}greet?name=query", data={"name": "Bo <&> \u00e9"})
            assert form.json()["headline"] == "Hello, Bo <&> \u00e9!"
            assert (
                client.get(f"{base}greet").headers["location"] == f"{served.url}hello_{language}/"
            )
            assert client.get(f"{base}planet/99").status_code == 404
            logo = client.get(f"{base}logo.svg")
            assert logo.headers["content-type"] == "image/svg+xml"
    assert served.end() == (0, b"")


def test_interrupt_is_a_clean_end(serve: Serve) -> None:
    served = serve()
    served.process.send_signal(signal.SIGINT)
    printed, _ = served.process.communicate(timeout=BOUND)
    assert (served.process.returncode, printed) == (0, b"")


def test_the_end_does_not_wait_for_an_endless_loop(root: Path, serve: Serve) -> None:
    served = serve("--dir", str(root), "--cpu", "1h", "--wall", "1h")
    with ThreadPoolExecutor() as pool:
        loop = pool.submit(served.ask, "/noisy/")
        while "noisy: going" not in served.log.read_text():
            served.ask("/echo/")
        assert served.end() == (0, b"")
        assert loop.result().status in (502, 503)
    assert "Traceback" not in served.log.read_text()


def test_start_page(served: Served) -> None:
    page = served.ask("/")
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert "Echo &lt;b&gt;&amp;&quot;&#x27;" in page.text
    assert 'href="/a%20b%C3%A9/"' in page.text
    assert "manifest.json:1: manifest.json is not JSON" in page.text
    assert "main.lua is a folder" in page.text
    assert page.text.count("<script") == 1
    assert "linked" not in page.text
    assert served.ask("/", "HEAD").body == b""
    assert served.ask("/", "POST", b"x").status == 405


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/echo/", "main.lua||GET|"),
        ("/echo/?x=1", "main.lua||GET|"),
        ("/echo/opa/y?x", "main.lua|opa/y|GET|"),
        ("/echo/main.lua", "main.lua|main.lua|GET|"),
        ("/echo/other.lua", "other"),
        ("/echo/other.lua/more", "main.lua|other.lua/more|GET|"),
        ("/echo/upper.LUA", "upper"),
        ("/echo/empty.lua", ""),
        ("/echo/sub", "sub sub"),
        ("/echo/sub/", "sub sub/"),
        ("/echo/sub/x", "main.lua|sub/x|GET|"),
        ("/echo/text.txt", "0123456789"),
        ("/echo/manifest.json", "main.lua|manifest.json|GET|"),
        ("/echo/.hidden", "main.lua|.hidden|GET|"),
        ("/echo/a%20b%25", "main.lua|a b%|GET|"),
        ("/a%20b%C3%A9/", "a b\u00e9"),
        ("http://elsewhere.example/echo/x", "main.lua|x|GET|"),
        ("/only_files/a.txt", "a"),
        ("/broken_json/text", "manifest.json:1: manifest.json is not JSON: Expecting value\n"),
    ],
)
def test_which_path_runs_what(served: Served, target: str, body: str) -> None:
    assert served.ask(target).text == body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "FOO"])
def test_any_method_runs_the_script(served: Served, method: str) -> None:
    assert served.ask("/echo/", method, b"body").text == f"main.lua||{method}|body"


def test_options_and_connect(served: Served) -> None:
    for target in ("/echo/", "/unknown/", "*"):
        answer = served.ask(target, "OPTIONS")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("access-control-allow-methods") == "POST, GET, OPTIONS"
    assert served.ask("/echo/../../outside/main.lua", "CONNECT").status == 405
    assert served.ask("elsewhere", "GET").status == 400


def test_static_files(served: Served) -> None:
    whole = served.ask("/echo/text.txt")
    assert whole.header("content-type") == "text/plain; charset=utf-8"
    part = served.ask("/echo/text.txt", headers={"Range": "bytes=2-4"})
    assert (part.status, part.body) == (206, b"234")
    assert served.ask("/echo/text.txt", headers={"Range": "bytes=99-"}).status == 416
    unchanged = {"If-Modified-Since": whole.header("last-modified")}
    assert served.ask("/echo/text.txt", headers=unchanged).status == 304
    assert served.ask("/echo/text.txt", "HEAD").header("content-length") == "10"


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/unknown/", 404, "Not Found\n"),
        ("/echo", 404, "Not Found\n"),
        ("/file/", 404, "Not Found\n"),
        ("/linked/", 404, "Not Found\n"),
        ("/only_files/", 404, "Not Found\n"),
        ("/echo/empty", 404, "Not Found\n"),
        ("/" + "x" * 300 + "/", 404, "Not Found\n"),
        ("/" + "%C3%A9" * 200 + "/", 404, "Not Found\n"),
        ("/greedy/", 500, "Limits.cpu: 3600.0 is more than the operator allows, which is 0.5\n"),
        ("/syntax_lua/", 500, "main.lua:1: unexpected symbol near '='\n"),
        ("/syntax_python/", 500, "main.py:1: invalid syntax\n"),
        ("/raises_lua/", 500, "main.lua:2: it <broke>\n"),
        ("/raises_python/", 500, "main.py:2: it <broke>\n"),
        ("/folder/", 500, "main.lua is a folder, not a script\n"),
        ("/huge/", 500, "main.lua is 50000002 bytes long, more than 262144\n"),
        ("/latin/", 500, None),
        ("/nul/", 500, None),
        ("/denied/", 500, None),
        ("/memory/", 503, "plugin memory: memory limit exceeded\n"),
        ("/output/", 503, "plugin output: output limit exceeded\n"),
    ],
)
def test_bad_plugins(served: Served, target: str, status: int, text: str | None) -> None:
    answer = served.ask(target)
    assert answer.status == status
    assert answer.header("content-type").startswith("text/plain")
    assert text is None or answer.text == text


TRAVERSALS = [
    "../../secret.txt", "..%2f..%2fsecret.txt", "%2e%2e/%2e%2e/secret.txt", "/../../secret.txt",
    "%2E%2E%2F%2e%2e%2fsecret.txt", "%252e%252e%252f%252e%252e%252fsecret.txt", "%2e", "..",
    "..%5c..%5csecret.txt", "....//....//secret.txt", "sub/../../../secret.txt", "../file",
    "./.././../secret.txt", "%00", "text.txt%00.lua", "..%c0%af..%c0%afsecret.txt", "%ff%fe",
    "%c0%ae%c0%ae/secret.txt", "%0d%0aX-Bad:%20yes", "a%0ab", "link.txt", "link.lua", "linked",
    "linked/main.lua", "x" * 5000, "a/" * 3000, "%C3%A9" * 200, "/etc/passwd", "%2fetc%2fpasswd",
    ".hidden", "sub/.%2e/.hidden",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS, ids=range(len(TRAVERSALS)))
def test_paths_stay_inside(served: Served, path: str) -> None:
    answer = served.ask(f"/echo/{path}")
    if answer.status == 301:  # to the path without dots, which leads nowhere else
        target = answer.header("location")
        assert target.startswith("/")
        assert not target.startswith("//")
        assert "/.." not in unquote(target) or "/...." in target
        answer = served.ask(target)
        assert answer.status != 301
    assert answer.status == 404 or answer.body.startswith((b"main.lua|", b"<!DOCTYPE html>"))
    assert SECRET.encode() not in answer.body
    assert "x-bad" not in answer.headers


def test_bodies_are_capped(served: Served) -> None:
    assert len(served.ask("/echo/", "POST", b"x" * MAX_BODY).body) > MAX_BODY
    for head in (
        f"Content-Length: {10**12}\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffff\r\n",
    ):
        with socket.create_connection((served.host, served.port), BOUND) as client:
            client.sendall(f"POST /echo/ HTTP/1.1\r\nHost: x\r\n{head}".encode())
            client.sendall(b"x" * (MAX_BODY + 1))
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while part := client.recv(65536):
                    answer += part
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert f"the body is longer than {MAX_BODY} bytes".encode() in answer


def test_an_endless_loop_disturbs_nobody(served: Served) -> None:
    with ThreadPoolExecutor() as pool:
        loops = [pool.submit(served.ask, "/loop/") for _ in range(3)]
        while not all(loop.done() for loop in loops):
            assert served.ask("/echo/").text == "main.lua||GET|"
        for loop in loops:
            assert loop.result().status == 503
            assert loop.result().text == "plugin loop: cpu limit exceeded\n"
    assert "cpu limit exceeded" in served.log.read_text()


def test_errors_are_logged_with_frames(served: Served) -> None:
    served.ask("/raises_python/")
    assert "main.py:2: it <broke> [main.py:2: in " in served.log.read_text()


def test_a_client_that_leaves_ends_its_script(root: Path) -> None:
    async def scenario() -> list[Any]:
        sent: list[Any] = []
        messages = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

        async def receive() -> MutableMapping[str, Any]:
            return messages.pop(0)

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/loop/", "raw_path": b"/loop/", "headers": [],
            "query_string": b"", "http_version": "1.1", "asgi": {"version": "3.0"},
        }  # fmt: skip
        limits = Limits(cpu=10 * BOUND, wall=10 * BOUND)
        async with AsyncEngine([root / "plugins"], limits=limits) as engine, asyncio.timeout(BOUND):
            await create_app(engine)(scope, receive, send)
            assert engine.usage() == {}
        return sent

    assert asyncio.run(scenario()) == []
