"""What is large and crosses: answers of other servers, files, outputs; in each language, through
both engines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox import (
    AsyncEngine,
    ConfigurationError,
    Engine,
    LimitExceeded,
    Limits,
    PluginError,
    Policy,
    Request,
    Response,
)
from sandbox.limits import MAX_OUTPUT

pytest.importorskip("urllib3", reason="the extra `http` is not installed")

MIB: Final = 2**20

LUA: Final = """
local s = require "server"
local what, size = s.path:match("^(%w+)/(%d*)$")
local function shown(ok, answer, problem)
	if ok and answer then return tostring(#(answer.body or answer)) end
	return tostring(problem or answer)
end
if what == "get" then s.write(shown(pcall(s.request, s.read("from") .. size)))
elseif what == "say" then s.write(("y"):rep(tonumber(size)))
elseif what == "drip" then for i = 1, tonumber(size) // 1024 do s.write(("y"):rep(1024)) end
elseif what == "keep" then s.write(tostring(select(2, pcall(s.file, "f", ("z"):rep(size)))))
elseif what == "read" then s.write(shown(pcall(s.file, "f"))) end
"""

PYTHON: Final = """
import server as s

what, _, size = s.path.partition("/")
try:
    if what == "get":
        s.write(str(len(s.request(s.read("from") + size)["body"])))
    elif what == "say":
        s.write("y" * int(size))
    elif what == "drip":
        for i in range(int(size) // 1024):
            s.write("y" * 1024)
    elif what == "keep":
        s.file("f", b"z" * int(size))
        s.write("nil")
    elif what == "read":
        s.write(str(len(s.file("f"))))
except (RuntimeError, ValueError) as error:
    s.write(str(error))
"""

TENGO: Final = """
s := import("server")
text := import("text")
parts := text.split(s.path, "/")
what := parts[0]
size := parts[1]
if what == "get" {
	answer := s.request(s.read("from") + size)
	s.write(is_error(answer) ? string(answer) : string(len(answer.body)))
} else if what == "say" {
	s.write(text.repeat("y", int(size)))
} else if what == "drip" {
	for i := 0; i < int(size) / 1024; i++ { s.write(text.repeat("y", 1024)) }
} else if what == "keep" {
	answer := s.file("f", bytes(text.repeat("z", int(size))))
	s.write(is_error(answer) ? string(answer) : "nil")
} else if what == "read" {
	s.write(string(len(s.file("f"))))
}
"""

PLUGINS: Final = {
    "lua": ("main.lua", LUA), "python": ("main.py", PYTHON), "tengo": ("main.tengo", TENGO),
}  # fmt: skip


class Upstream(BaseHTTPRequestHandler):
    """A server whose pages have as many bytes as their path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send them; every byte there is, so that no decoder has it easy."""
        size = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write((bytes(range(256)) * (size // 256 + 1))[:size])

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


Asker = Callable[..., list[Response | LimitExceeded]]
"""Answers to requests, made one after the other."""


def blocking(folder: Path, plugin: str, paths: list[str], **options: Any) -> list[Any]:
    """The plugin's answers, or what was raised, from `Engine`."""
    found: list[Any] = []
    with Engine([folder / "p"], data=folder / "d", workers=1, **options) as engine:
        for path in paths:
            try:
                found.append(engine.request(plugin, Request("GET", f"/{plugin}/{path}")))
            except LimitExceeded as error:
                found.append(error)
    return found


def in_a_loop(folder: Path, plugin: str, paths: list[str], **options: Any) -> list[Any]:
    """The same from `AsyncEngine`."""

    async def ask() -> list[Any]:
        found: list[Any] = []
        async with AsyncEngine([folder / "p"], data=folder / "d", workers=1, **options) as engine:
            for path in paths:
                try:
                    found.append(await engine.request(plugin, Request("GET", f"/{plugin}/{path}")))
                except LimitExceeded as error:
                    found.append(error)
        return found

    return asyncio.run(ask())


@pytest.fixture(params=sorted(PLUGINS))
def plugin(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A plugin in each language."""
    name: str = request.param
    folder = tmp_path / "p" / name
    folder.mkdir(parents=True)
    file, source = PLUGINS[name]
    (folder / file).write_text(source)
    return name


@pytest.fixture(params=[blocking, in_a_loop])
def ask(request: pytest.FixtureRequest) -> Asker:
    """Through each engine."""
    found: Asker = request.param
    return found


def texts(answers: list[Any]) -> list[str]:
    """What was answered."""
    return [one.body.decode() for one in answers]


def test_a_large_answer_of_another_server_arrives(
    ask: Asker, plugin: str, tmp_path: Path, port: int
) -> None:
    sizes = [3_000_000, 8 * MIB, 8 * MIB + 1, 10]
    paths = [f"get/{size}?from=http://127.0.0.1:{port}/" for size in sizes]
    said = texts(ask(tmp_path, plugin, paths, policy=Policy(f"http:127.0.0.1:{port}")))
    assert said[:2] == ["3000000", str(8 * MIB)]
    where = f"127.0.0.1:{port}"
    assert f"{where} sent an answer whose body is larger than 8 MiB" in said[2]
    assert said[3] == "10"


def test_what_was_written_can_be_read(ask: Asker, plugin: str, tmp_path: Path) -> None:
    paths = [f"keep/{MIB}", "read/", f"keep/{MIB + 60_000}", "read/", f"keep/{2 * MIB}", "read/"]
    said = texts(ask(tmp_path, plugin, paths))
    assert said[:4] == ["nil", str(MIB), "nil", str(MIB + 60_000)]
    assert "what the plugin sends is too large" in said[4]
    assert said[5] == str(MIB + 60_000)


def test_a_file_has_an_end_where_reading_has_one(ask: Asker, plugin: str, tmp_path: Path) -> None:
    """Also where more would cross."""
    paths = [f"keep/{8 * MIB}", "read/", f"keep/{8 * MIB + 1}", "read/"]
    said = texts(ask(tmp_path, plugin, paths, limits=Limits(output="9MiB")))
    assert said[:2] == ["nil", str(8 * MIB)]
    assert f"{8 * MIB + 1} bytes are more than {8 * MIB}" in said[2]
    assert said[3] == str(8 * MIB)


@pytest.mark.parametrize("output", [MIB, 8 * MIB, MAX_OUTPUT])
def test_an_output_of_just_the_limit_arrives(
    ask: Asker, plugin: str, tmp_path: Path, output: int
) -> None:
    limits = Limits(output=output, memory="256MiB")
    paths = [f"say/{output}", f"drip/{output}", f"say/{output + 1}", "say/3"]
    whole, dripped, over, after = ask(tmp_path, plugin, paths, limits=limits)
    assert whole.body == dripped.body == b"y" * output
    assert isinstance(over, LimitExceeded)
    assert (over.limit, over.allowed, over.used) == ("output", output, output + 1)
    assert after.body == b"yyy"


@pytest.mark.parametrize("language", ["lua", "python"])
def test_bare_code_may_print_as_much(language: str) -> None:
    with Engine(limits=Limits(output="8MiB")) as engine:
        source = {"lua": "io = nil print(('y'):rep(%d))", "python": "print('y' * %d)"}[language]
        run = engine.execute(source % (8 * MIB - 1), language)
        assert run.output == "y" * (8 * MIB - 1) + "\n"
        assert not engine.execute(source % (8 * MIB), language).ok


def test_no_output_is_larger_than_a_frame() -> None:
    assert Limits(output="15MiB").output == MAX_OUTPUT
    for output in ("15.1MiB", MAX_OUTPUT + 1, "1GiB"):
        with pytest.raises(ConfigurationError, match=r"^output: .* is more than 15MiB"):
            Limits(output=output)
    with pytest.raises(ConfigurationError, match=r"^output: "):
        Limits().replace(output="16MiB")


def test_a_manifest_with_such_a_limit_is_broken(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "main.lua").write_text("")
    (tmp_path / "p" / "manifest.json").write_text('{"Limits": {"output": "16MiB"}}')
    with Engine([tmp_path]) as engine, pytest.raises(PluginError, match="more than 15MiB"):
        engine.request("p", Request("GET", "/p/"))


def test_a_long_head_travels_beside_the_longest_body(plugin: str, tmp_path: Path) -> None:
    """What a server takes as a request's head is the server's business."""
    request = Request(
        "POST", f"/{plugin}/say/3", headers={"X-Long": "h" * MIB}, body=b"b" * 640 * 1024
    )
    with Engine([tmp_path / "p"], workers=1) as engine:
        assert engine.request(plugin, request).body == b"yyy"
