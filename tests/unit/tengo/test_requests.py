"""Scripts: one request each, with the module `server` and a plugin's own modules."""

from __future__ import annotations

from typing import Any, NoReturn

import probes
import pytest

from runtimes.tengo.runtime import TengoRuntime
from sandbox.wire.codec import decode, encode


class Plugin:
    """A host with a plugin's files and its memory; what `refused` names, is not granted."""

    def __init__(self, files: dict[str, str] | None = None, refused: str = "") -> None:
        self.files = files or {}
        self.refused = refused
        self.memory: Any = None
        self.stored: dict[str, bytes] = {}
        self.asked: list[Any] = []
        self.calls: list[str] = []
        self.notes = b""

    def call(self, body: bytes) -> bytes:
        kind, number, name, arguments = decode(body)
        assert kind == 5
        self.calls.append(name)
        if name == self.refused:
            why = {"type": "PolicyDenied", "message": "not granted", "capability": name}
            return encode([7, number, why])
        result: Any = None
        if name == "plugin.file" and arguments[1] in self.files:
            result = [arguments[1], self.files[arguments[1]].encode()]
        elif name == "memory.get":
            result = self.memory
        elif name == "memory.set":
            self.memory = arguments[1]
        elif name == "file.read":
            result = self.stored.get(arguments[0])
        elif name == "file.write":
            self.stored[arguments[0]] = arguments[1]
        elif name == "file.remove":
            self.stored.pop(arguments[0], None)
        elif name == "http.request":
            self.asked = arguments
            result = {"status": 204, "body": b"", "header": {"X-A": ["1"]}, "size": 0}
        return encode([6, number, result])

    def logged(self) -> list[Any]:
        """What the notes say."""
        found, notes = [], self.notes
        while notes:
            size = 4 + int.from_bytes(notes[:4], "big")
            found.append(decode(notes[4:size])[2])
            notes = notes[size:]
        return found

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
    form: dict[str, Any] = {
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
    assert answer["body"] == b'<a href="/elsewhere">Found</a>.\n\n'
    _, answer = request(runtime, 's.write(302); s.write("/elsewhere")')
    assert (answer["status"], answer["redirect"], answer["body"]) == (302, None, b"/elsewhere")
    assert request(runtime, "s.write(404)")[1]["status"] == 404
    for calls in ('s.write(404, "x", "y")', 's.write(404); s.write("x", "y")'):
        _, answer = request(runtime, calls)
        assert (answer["status"], answer["body"]) == (404, b"x\ny")
        assert ["Content-Type", ["text/plain; charset=utf-8"]] in answer["headers"]
    _, answer = request(runtime, 's.write({"Content-Type": ["application/json"]}, 404, "{}")')
    assert answer["headers"] == [["Content-Type", ["application/json"]]]
    assert answer["body"] == b"{}"
    _, answer = request(runtime, 's.write({"X-A": undefined, "X-B": [undefined]}, 150, "x")')
    assert (answer["status"], answer["body"]) == (None, b"x")
    assert answer["headers"] == [["X-A", [""]], ["X-B", [""]]]
    assert request(runtime, 's.write(99, "x")')[1]["message"].endswith("WriteHeader code 99")
    kind, answer = request(runtime, 's.write("a", 404)')
    assert kind == 4
    assert answer["message"].endswith("expected nor map or int, found int")


def test_modules_are_files_of_the_plugin(runtime: TengoRuntime) -> None:
    plugin = Plugin(
        {
            "lib/a.tengo": 'b := import("./b.tengo"); export {n: b.n + 1}',
            "lib/b.tengo": 's := import("server"); export {n: s.method == "GET" ? 1 : 2}',
        }
    )
    source = 's.write(import("lib/a").n)'
    assert body(runtime, source.replace("s.write(", "s.write(string(") + ")", plugin) == b"2"
    plugin.files["lib/b.tengo"] = "export {n: 41}"  # a changed file counts at once
    assert body(runtime, source.replace("s.write(", "s.write(string(") + ")", plugin) == b"42"
    kind, answer = request(runtime, 'import("../x")')
    assert kind == 4
    assert answer["message"] == (
        "Compile Error: module file path error: module '../x' not found at: ../x.tengo"
    )


def test_memory_and_panic(runtime: TengoRuntime) -> None:
    plugin = Plugin()
    request(runtime, "s.memory({a: [1, 'c', bytes(\"x\"), error(2)]})", plugin)
    assert body(runtime, "s.write(string(s.memory()))", plugin) == b"{a: [1, c, x, error: 2]}"
    assert request(runtime, "panic(404)")[1]["panic"] == {"status": 404}
    assert request(runtime, 'panic(["x"])')[1]["panic"] == {"text": '["x"]'}
    kind, answer = request(runtime, "panic()")
    assert kind == 4
    assert answer["message"].endswith("in call to 'builtin-function:panic'")


def test_memory_is_changed_in_place(runtime: TengoRuntime) -> None:
    plugin = Plugin()
    body(runtime, "s.memory({a: 1})", plugin)
    # As with ServeMSX, where it is the object itself.
    assert (
        body(runtime, "m := s.memory(); m.b = [2]; s.write(string(s.memory().b))", plugin) == b"[2]"
    )
    assert plugin.memory == {"a": 1, "b": [2]}
    # Also of a script that fails, or ends itself.
    request(runtime, "m := s.memory(); m.b[0] = 3; x := 1 + {}", plugin)
    request(runtime, "m := s.memory(); m.c = true; panic(404)", plugin)
    assert plugin.memory == {"a": 1, "b": [3], "c": True}
    plugin.calls = []
    body(runtime, "s.memory(); s.memory()", plugin)
    assert plugin.calls == ["memory.get"]
    kind, _ = request(runtime, "m := s.memory(); m.f = func() {}", plugin)
    assert (kind, plugin.memory) == (3, {"a": 1, "b": [3], "c": True})
    assert plugin.logged() == [["t", "", "error", "memory: a function cannot cross"]]


def test_files(runtime: TengoRuntime) -> None:
    plugin = Plugin()
    script = 's.file("/a/./b.txt", {x: [1]}); s.write(s.file("a/c/../b.txt"), s.file("none"))'
    assert body(runtime, script, plugin) == b"{x: [1]}"
    assert plugin.stored == {"a/b.txt": b"{x: [1]}"}
    assert body(runtime, 's.file("a/b.txt", undefined); s.write(1 == 1)', plugin) == b"true"
    assert plugin.stored == {}
    # What leads out is left to the engine to refuse.
    body(runtime, 's.file("a/../../b", "x")', plugin)
    assert list(plugin.stored) == ["a/../../b"]
    shown = body(runtime, 's.write(s.file("."), s.file("a/.."))', plugin)
    assert shown == b'error: "read plugins/t: is a directory"' * 2
    for call in ("s.file()", 's.file("a", 1, 2)', 's.file("")', "s.file(undefined)"):
        assert request(runtime, call, plugin)[0] == 4


def test_a_refusal_is_an_error_value_and_in_the_log(runtime: TengoRuntime) -> None:
    for call, name in (
        ('s.file("a")', "file.read"),
        ('s.file("a", "b")', "file.write"),
        ('s.request("http://a.example/")', "http.request"),
    ):
        plugin = Plugin(refused=name)
        assert (
            body(runtime, f"r := {call}; s.write(is_error(r), r)", plugin)
            == b'trueerror: "not granted"'
        )
        assert plugin.logged() == [["t", "", "error", "not granted"]]


AGENT = {"User-Agent": "Go-http-client/1.1"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", {"header": AGENT}),
        (', "put"', {"method": "put", "header": AGENT}),
        (', bytes("b")', {"body": b"b", "header": AGENT}),
        (
            ', {method: "patch", body: 5, query: {b: [1, "x"], a: "y"}, follow: undefined, '
            "timeout: 3}",
            {
                "method": "PATCH",
                "body": "5",
                "query": {"a": ["y"], "b": ["1", "x"]},
                "follow": False,
                "timeout": 3,
                "header": AGENT,
            },
        ),
        (
            ', {body: {f: "1"}, header: {"user-agent": "me"}, user: "u", pass: "", timeout: "x"}',
            {"body": {"f": ["1"]}, "header": {"user-agent": ["me"]}, "user": "u"},
        ),
        (
            ', {cookies: [{name: "a", value: 1}, 5], query: ""}',
            {"cookies": [{"name": "a", "value": "1"}], "header": AGENT},
        ),
    ],
)
def test_request_passes_options_on(runtime: TengoRuntime, given: str, wanted: Any) -> None:
    plugin = Plugin()
    shown = body(runtime, f's.write(s.request("http://a.example/x"{given}).status == 204)', plugin)
    assert (shown, plugin.asked) == (b"true", ["http://a.example/x", wanted])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('""', r'Get "": unsupported protocol scheme ""'),
        ('"ftp://h/"', r'Get "ftp://h/": unsupported protocol scheme "ftp"'),
        ('"http://[::1"', "parse \"http://[::1\": missing ']' in host"),
        ('"http://h/", "B AD"', 'net/http: invalid method "B AD"'),
    ],
)
def test_request_that_cannot_be_made(runtime: TengoRuntime, arguments: str, problem: str) -> None:
    plugin = Plugin()
    shown = body(runtime, f"r := s.request({arguments}); s.write(r.value)", plugin)
    assert (shown.decode(), plugin.calls) == (problem, [])
    for wrong in ('"http://h/", 5', '"http://h/", undefined', "", '"http://h/", "GET", 1'):
        assert request(runtime, f"s.request({wrong})")[0] == 4


def test_settings(runtime: TengoRuntime) -> None:
    given = {"compressed": True, "torr": "h:8090", "player": "tizen", "html5x": False, "own": [1]}

    def shown(expression: str, **settings: Any) -> str:
        return body(runtime, f"s.write([{expression}])", settings=settings).decode()

    assert shown("s.settings.compressed, s.settings.torr(), s.settings.player()", **given) == (
        '[true, "h:8090", "tizen"]'
    )
    assert shown("len(s.settings), s.settings.own", **given) == "[6, [1]]"
    assert shown("s.settings.compressed, s.settings.torr(), s.settings.ffmpeg()") == (
        '[false, "", <undefined>]'
    )
    assert shown('s.settings.torr("a&", "", "i")') == (
        '["content:http://h:1/msx/torr?link=a%26&img=i"]'
    )
    assert shown(
        's.settings.player("video:x"), s.settings.player(), s.settings.player("y")', html5x=True
    ) == (
        '["video:plugin:http://msx.benzac.de/plugins/html5x.html?url=x", "html5x", '
        '"plugin:http://msx.benzac.de/plugins/html5x.html?url=y"]'
    )
    assert shown('s.settings.player(true)["button:restart:display"]') == '["false"]'
    assert shown("s.settings.dic()", dic="de.json") == '["de.json"]'
    assert shown("is_error(s.settings.dic()), is_error(s.settings.ffmpeg(1, []))") == "[true, true]"
    for wrong in ("torr(1, 2, 3, 4)", "player(5)", 'ffmpeg("")', 'ffmpeg("x", 5)'):
        assert request(runtime, f"s.settings.{wrong}")[0] == 4


def test_multipart_forms(runtime: TengoRuntime) -> None:
    form: dict[str, Any] = {
        "method": "POST",
        "headers": {"Content-Type": ["multipart/form-data; boundary=XX"]},
        "body": b'--XX\r\nContent-Disposition: form-data; name="q"\r\n\r\nv\r\n'
        b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nbytes'
        b"\r\n--XX--\r\n",
    }
    assert body(runtime, 's.write([s.read("q"), s.read("q", true), s.read("f")])', **form) == (
        b'["v", "v", <undefined>]'
    )
    # The document makes no difference between the two kinds of forms.
    assert body(runtime, "s.write(string(s.read(true)))", **form) == b'{q: ["v"]}'


def test_the_host_is_no_header(runtime: TengoRuntime) -> None:
    headers = {"Host": ["h:1"], "Accept": ["*/*"]}
    assert body(runtime, "s.write(string(s.header), s.script)", headers=headers) == (
        b'{Accept: ["*/*"]}plugins/t/main.tengo'
    )


def test_the_names_of_a_program_are_those_in_its_code(runtime: TengoRuntime) -> None:
    source = (
        'a := "x \\" y\\\\" + `raw \\` // comment\n/* block\n c */ b := 4 / 2; '
        'c := \'"\'; d := \'\\\'\'; e := ""; f := import("server").file("g")'
    )
    kind, _, names = decode(
        runtime.handle(encode([1, 7, "check", ["m.tengo", source.encode()]]), Plugin())
    )
    assert (kind, names) == (3, ["a", "b", "c", "d", "e", "f", "import", "file"])


def test_log_is_a_note(runtime: TengoRuntime) -> None:
    plugin = Plugin()
    request(runtime, 's.log_err("it", [1]); s.log_inf(5)', plugin)
    assert plugin.logged() == [["t", "", "error", "it [1]"], ["t", "", "info", "5"]]


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
