"""What a script answers, the same in each language: `panic` of anything, and `write`'s rules."""

from __future__ import annotations

import socket

import pytest
from serving import Answer, Serve, Served

from sandbox.servers.running import listen

PANICS = {
    "404": ("404", "404", 404, "Not Found\n"),
    "418": ("418", "418", 418, "I'm a teapot\n"),
    "200": ("200", "200", 200, "OK\n"),
    "204": ("204", "204", 204, ""),
    "304": ("304", "304", 304, ""),
    "599": ("599", "599", 599, "\n"),
    "600": ("600", "600", 500, "Internal Server Error\n"),
    "101": ("101", "101", 500, "Internal Server Error\n"),
    "100": ("100", "100", 500, "Internal Server Error\n"),
    "99": ("99", "99", 500, "Internal Server Error\n"),
    "1000": ("1000", "1000", 500, "Internal Server Error\n"),
    "0": ("0", "0", 500, "Internal Server Error\n"),
    "-1": ("-1", "-1", 500, "Internal Server Error\n"),
    "max": ("math.maxinteger", "2**63 - 1", 500, "Internal Server Error\n"),
    "min": ("math.mininteger", "-(2**63)", 500, "Internal Server Error\n"),
    "beyond": ("math.maxinteger", "2**80", 500, "Internal Server Error\n"),
    "text": ('"boom"', '"boom"', 500, "boom\n"),
    "markup": ('"<b>\\n\\27"', '"<b>\\n\\x1b"', 500, "<b>\n\N{REPLACEMENT CHARACTER}\n"),
    "true": ("true", "True", 500, "true\n"),
    "false": ("false", "False", 500, "false\n"),
    "float": ("404.0", "404.0", 500, "404.0\n"),
    "nothing": ("nil", "None", 200, "went on"),
    "list": ('{1, "a", true}', '[1, "a", True]', 500, '[1, "a", true]\n'),
    "nested": ('{{1}, {"b"}}', '[[1], ("b",)]', 500, '[[1], ["b"]]\n'),
    "map": ('{b = 1, a = "x"}', '{"b": 1, "a": "x"}', 500, '{a: "x", b: 1}\n'),
    "caught": ("caught(404)", "caught(404)", 404, "Not Found\n"),
    "after": ("(s.write('written') or 403)", "s.write('written') or 403", 403, "Forbidden\n"),
}  # fmt: skip
"""Name -> the argument in Lua, in Python, the expected status and body."""

WRITES = {
    "order": ("w('a', 'b') w() w(nil) w('c')", "w('a', 'b'); w(); w(None); w('c')", 200, "abc"),
    "scalars": ("w(true, 1.5, false)", "w(True, 1.5, False)", 200, "true1.5false"),
    "nothing": ("", "pass", 200, ""),
    "status": ("w(404, 'gone')", "w(404, 'gone')", 404, "gone\n"),
    "status_alone": ("w(404)", "w(404)", 404, ""),
    "status_before": ("w(201) w('made')", "w(201); w('made')", 201, "made"),
    "no_content": ("w(204, 'dropped')", "w(204, 'dropped')", 204, ""),
    "too_low": ("w(99, 'x')", "w(99, 'x')", 500, "Internal Server Error\n"),
    "too_high": ("w(1000, 'x')", "w(1000, 'x')", 500, "Internal Server Error\n"),
    "redirect": ("w(302, '/a?b')", "w(302, '/a?b')", 302, '<a href="/a?b">Found</a>.\n\n'),
    "redirect_split": (
        "w(301, '/a\\r\\nX-Bad: 1')", "w(301, '/a\\r\\nX-Bad: 1')",
        301, '<a href="/a\r\nX-Bad: 1">Moved Permanently</a>.\n\n',
    ),
    "redirect_text": (
        "w(307, '/\u00e9?\u20ac#a%20')", "w(307, '/\u00e9?\u20ac#a%20')",
        307, '<a href="/\u00e9?\u20ac#a%20">Temporary Redirect</a>.\n\n',
    ),
    "headers": (
        "w({['X-A'] = {'1', '2'}, ['X-B'] = 'b'}, 201, 'x')",
        "w({'X-A': ['1', '2'], 'X-B': 'b'}, 201, 'x')", 201, "x",
    ),
    "header_text": (
        "w({['X-Bytes'] = '\u00e9', ['X-Space'] = ' \\t a b \\r\\n'}, 'x')",
        "w({'X-Bytes': '\u00e9', 'X-Space': ' \\t a b \\r\\n'}, 'x')", 200, "x",
    ),
    "bad_headers": (
        "w({['X-A'] = 'a\\r\\nX-Bad: 1', ['X Bad'] = '1', ['X-Bad\\n'] = '1'}, 'x')",
        "w({'X-A': 'a\\r\\nX-Bad: 1', 'X Bad': '1', 'X-Bad\\n': '1'}, 'x')", 200, "x",
    ),
    "ours": (
        "w({['Content-Length'] = '9', ['transfer-encoding'] = 'chunked',"
        " ['Access-Control-Allow-Origin'] = 'b'}, 'x')",
        "w({'Content-Length': '9', 'transfer-encoding': 'chunked',"
        " 'Access-Control-Allow-Origin': 'b'}, 'x')", 200, "x",
    ),
    "html": ("w(' <!doctype HTML>x')", "w(' <!doctype HTML>x')", 200, " <!doctype HTML>x"),
}  # fmt: skip
"""Name -> the calls in Lua, in Python, the expected status and body."""

LUA_HEAD = """local s = require "server"
local w = s.write
local function caught(x) pcall(panic, x) pcall(error) s.write("caught") end
"""
PYTHON_HEAD = """import server as s
w = s.write
def caught(x):
    try:
        panic(x)
    except Exception:
        w("caught")
    finally:
        w("cleaned")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Served:
    """One plugin per language with one script per case."""
    root = tmp_path_factory.mktemp("root")
    lua, python = root / "plugins" / "lua", root / "plugins" / "python"
    for folder in (lua, python):
        folder.mkdir(parents=True)
    for name, (in_lua, in_python, *_) in PANICS.items():
        (lua / f"panic_{name}.lua").write_text(f"{LUA_HEAD}panic({in_lua}) w('went on')")
        (python / f"panic_{name}.py").write_text(f"{PYTHON_HEAD}panic({in_python})\nw('went on')")
    for name, (in_lua, in_python, *_) in WRITES.items():
        (lua / f"write_{name}.lua").write_text(LUA_HEAD + in_lua)
        (python / f"write_{name}.py").write_text(PYTHON_HEAD + in_python)
    for folder, main in ((lua, "main.lua"), (python, "main.py")):
        (folder / main).write_text("")
    (lua / "raw_header.lua").write_text("require'server'.write({['X-Bytes'] = '\\255\\233'}, 'x')")
    (lua / "echo_header.lua").write_text("local s = require'server' s.write(s.header['X-In'][1])")
    (python / "echo_header.py").write_text("import server\nserver.write(server.header['X-In'][0])")
    (python / "names.py").write_text("import server\nserver.write(repr(panic), repr(server))")
    (lua / "bytes.lua").write_text("require 'server'.write('\\255\\0')")
    (python / "bytes.py").write_text("import server\nserver.write(b'\\xff\\0')")
    return serve("--dir", str(root))


def in_both(served: Served, name: str) -> list[Answer]:
    """The answers of the Lua and of the Python script of that name."""
    return [served.ask(f"/lua/{name}.lua"), served.ask(f"/python/{name}.py")]


@pytest.mark.parametrize("name", PANICS)
def test_panic(served: Served, name: str) -> None:
    _, _, status, body = PANICS[name]
    for answer in in_both(served, f"panic_{name}"):
        assert (answer.status, answer.text) == (status, body)
    assert served.process.poll() is None


@pytest.mark.parametrize("name", WRITES)
def test_write(served: Served, name: str) -> None:
    _, _, status, body = WRITES[name]
    for answer in in_both(served, f"write_{name}"):
        assert (answer.status, answer.text) == (status, body)
        assert "x-bad" not in answer.headers
        assert "transfer-encoding" not in answer.headers
        assert len(answer.headers.get("access-control-allow-origin", [])) == 1


def test_headers(served: Served) -> None:
    for answer in in_both(served, "write_headers"):
        assert answer.headers["x-a"] == ["1", "2"]
        assert answer.headers["x-b"] == ["b"]
    for answer in in_both(served, "write_bad_headers"):
        assert answer.headers["x-a"] == ["a  X-Bad: 1"]
    for answer in in_both(served, "write_header_text"):
        # As bytes of UTF-8, which are what Go sends as well; and no blanks around (RFC 9110, 5.5).
        assert answer.header("x-bytes").encode("latin-1") == "\u00e9".encode()
        assert answer.header("x-space") == "a b"
    raw = served.ask("/lua/raw_header.lua")
    assert raw.header("x-bytes").encode("latin-1") == b"\xff\xe9"
    for answer in in_both(served, "write_redirect"):
        assert answer.header("location") == "/a?b"
    for answer in in_both(served, "write_redirect_text"):
        assert answer.header("location") == "/%C3%A9?%E2%82%AC#a%20"
    for answer in in_both(served, "write_html"):
        assert answer.header("content-type") == "text/html; charset=utf-8"
    for answer in in_both(served, "write_status"):
        assert answer.header("content-type") == "text/plain; charset=utf-8"
    for answer in in_both(served, "bytes"):
        assert answer.body == b"\xff\0"
        assert answer.header("content-type") == "application/octet-stream"


def test_what_is_ours_has_names_of_the_guests_world(served: Served) -> None:
    shown = served.ask("/python/names.py").text
    assert "<panic>" in shown
    assert shown.endswith("<Server>")
    assert "runtimes" not in shown
    assert "0x" not in shown


@pytest.mark.parametrize("sent", ["\u00e9".encode(), b"\xe9"])
def test_header_of_a_request_is_text(served: Served, sent: bytes) -> None:
    for script in ("/lua/echo_header.lua", "/python/echo_header.py"):
        answer = served.ask(script, headers={"X-In": sent.decode("latin-1")})
        assert answer.text == "\u00e9"


def test_answers_do_not_wait_for_acknowledgements() -> None:
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol.
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
