"""Scripts: one request each, with the module `server` and a plugin's own modules."""

from __future__ import annotations

from typing import Any, NoReturn

import probes
import pytest

from runtimes.tengo.runtime import TengoRuntime
from sandbox.wire.codec import decode, encode


class Plugin:
    """A host with a plugin's files and its memory."""

    def __init__(self, files: dict[str, str] | None = None) -> None:
        self.files = files or {}
        self.memory: Any = None
        self.notes = b""

    def call(self, body: bytes) -> bytes:
        kind, number, name, arguments = decode(body)
        assert kind == 5
        result: Any = None
        if name == "plugin.file" and arguments[1] in self.files:
            result = [f"{arguments[1]}.tengo", self.files[arguments[1]].encode()]
        elif name == "memory.get":
            result = self.memory
        elif name == "memory.set":
            self.memory = arguments[1]
        return encode([6, number, result])

    def write(self, frames: bytes) -> None:
        self.notes += frames

    def exceeded(self, limit: str, used: int) -> NoReturn:
        raise AssertionError(f"{limit} exceeded")


@pytest.fixture(scope="module")
def runtime() -> TengoRuntime:
    return probes.new_runtime()


def request(
    runtime: TengoRuntime, source: str, plugin: Plugin | None = None, **more: Any
) -> list[Any]:
    given = {
        "proto": "HTTP/1.1",
        "method": "GET",
        "host": "h:1",
        "remote_addr": "10.0.0.1:5",
        "headers": {"X-A": ["1", "2"]},
        "uri": "/t/x?q=1&q=2",
        "query": "q=1&q=2",
        "body": b"",
        "version": "0",
        "path": b"x",
        "base_url": "http://h:1/t/",
        **more,
    }
    content = ('s := import("server")\n' + source).encode()
    frame = encode([1, 7, "request", ["t", "main.tengo", content, given]])
    kind, _, answer = decode(runtime.handle(frame, plugin or Plugin()))
    return [kind, answer]


def body(runtime: TengoRuntime, source: str, plugin: Plugin | None = None, **more: Any) -> bytes:
    kind, answer = request(runtime, source, plugin, **more)
    assert kind == 3, answer
    content = answer["body"]
    return content.encode() if isinstance(content, str) else bytes(content)


def test_what_a_script_sees(runtime: TengoRuntime) -> None:
    shown = body(runtime, 's.write(s.method, s.header["X-A"], s.path, s.plugin, s.read("q"))')
    assert shown == b'GET["1", "2"]xt1'
    # The body is there once.
    assert body(runtime, 's.write(s.read(), s.read(), ".")', body=b"ab\xff") == b"ab\xff."


def test_form_fields_come_before_those_of_the_query(runtime: TengoRuntime) -> None:
    form = {
        "method": "POST",
        "headers": {"Content-Type": ["application/x-www-form-urlencoded"]},
        "body": b"q=3&r=%20",
    }
    assert body(runtime, 's.write(s.read("q"), s.read(false).q)', **form) == b'3["3", "1", "2"]'
    assert body(runtime, 's.write([s.read("r"), s.read("q", true)])', **form) == b'[" ", "3"]'


def test_status_headers_and_redirect(runtime: TengoRuntime) -> None:
    _, answer = request(runtime, 's.write({"X-B": ["1", 2]}, 201, "made")')
    assert answer["status"] == 201
    assert answer["headers"] == [["X-B", ["1", "2"]]]
    _, answer = request(runtime, 's.write(302, "/elsewhere")')
    assert (answer["status"], answer["redirect"]) == (302, "/elsewhere")
    _, answer = request(runtime, 's.write(404); s.write("x")')
    assert answer["status"] is None
    kind, answer = request(runtime, 's.write("a", 404)')
    assert kind == 4
    assert answer["message"].endswith("expected nor map or int, found int")


def test_modules_are_files_of_the_plugin(runtime: TengoRuntime) -> None:
    plugin = Plugin(
        {
            "lib/a": 'b := import("./b.tengo"); export {n: b.n + 1}',
            "lib/b": 's := import("server"); export {n: s.method == "GET" ? 1 : 2}',
        }
    )
    source = 's.write(import("lib/a").n)'
    assert body(runtime, source.replace("s.write(", "s.write(string(") + ")", plugin) == b"2"
    plugin.files["lib/b"] = "export {n: 41}"  # a changed file counts at once
    assert body(runtime, source.replace("s.write(", "s.write(string(") + ")", plugin) == b"42"
    kind, answer = request(runtime, 'import("../x")')
    assert kind == 4
    assert answer["message"] == "Compile Error: module '../x' not found"


def test_memory_and_panic(runtime: TengoRuntime) -> None:
    plugin = Plugin()
    request(runtime, "s.memory({a: [1, 'c', bytes(\"x\"), error(2)]})", plugin)
    assert body(runtime, "s.write(string(s.memory()))", plugin) == b"{a: [1, c, x, error: 2]}"
    assert request(runtime, "panic(404)")[1]["panic"] == {"status": 404}
    assert request(runtime, 'panic(["x"])')[1]["panic"] == {"text": '["x"]'}
    kind, answer = request(runtime, "panic()")
    assert kind == 4
    assert answer["message"].endswith("in call to 'builtin-function:panic'")


def test_log_is_a_note(runtime: TengoRuntime) -> None:
    plugin = Plugin()
    request(runtime, 's.log_err("it", [1]); s.log_inf(5)', plugin)
    first = 4 + int.from_bytes(plugin.notes[:4], "big")
    assert decode(plugin.notes[4:first]) == [8, "log", ["t", "", "error", "it [1]"]]
    assert decode(plugin.notes[first + 4 :]) == [8, "log", ["t", "", "info", "5"]]


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ('s.encode_uri("a b/я")', '"a+b%2F%D1%8F"'),
        ('s.encode_uri("a b/=", true)', '"a%20b%2F="'),
        ('s.encode_uri({b: ["1", 2], a: "x y"})', '"a=x+y&b=1&b=2"'),
        ('s.decode_uri("a+b%20c")', '"a b c"'),
        ('s.decode_uri("%zz")', 'error: "invalid URL escape \\"%zz\\""'),
        ('s.parse_url("http://u:p@h:80/a%20b?x=1#f").path', '"/a b"'),
        ("s.parse_url().query", '{q: ["1", "2"]}'),
        ('s.parse_url("http://[::1")', 'error: "parse \\"http://[::1\\": missing \']\' in host"'),
        ('s.resolve_url("../c?d", "http://h/a/b/e")', '"http://h/a/c?d"'),
        ('s.resolve_url("/x")', '"http://h:1/x"'),
        ('s.resolve_url("y")', '"http://h:1/t/y"'),
        ('s.resolve_url("//o/z", "https://h/a")', '"https://o/z"'),
    ],
)
def test_addresses(runtime: TengoRuntime, expression: str, wanted: str) -> None:
    assert body(runtime, f"s.write([{expression}])").decode() == f"[{wanted}]"
