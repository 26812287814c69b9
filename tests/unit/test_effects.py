"""`request` and `file` from inside plugins: grants, limits, and what comes back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
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
    Policy,
    Request,
    SandboxError,
)
from sandbox.engine.services.folders import TEMPORARY

pytest.importorskip("urllib3", reason="the extra `http` is not installed")

LUA: Final = """
local srv = require("server")
local function shown(ok, answer, problem)
    if not ok then return "refused: " .. tostring(answer) end
    if not answer then return "failed: " .. problem end
    return answer.status .. " " .. answer.body
end
local what, rest = srv.path:match("^(%w+)/(.*)$")
local port = srv.read("port")
local base = "http://127.0.0.1:" .. tostring(port) .. "/"
if what == "get" then srv.write(shown(pcall(srv.request, base .. rest)))
elseif what == "post" then
    srv.write(shown(pcall(srv.request, base .. "echo", {
        body = { a = "1 2", b = { "x", "y" } }, header = { ["X-One"] = "1" }, method = "put",
        cookies = { { name = "c", value = "d" } },
    })))
elseif what == "name" then srv.write(shown(pcall(srv.request, "http://" .. rest)))
elseif what == "flood" then
    for i = 1, 100 do srv.request(base .. "big") end
elseif what == "read" then srv.write(tostring(srv.file(rest)))
elseif what == "write" then srv.write(tostring(select(2, pcall(srv.file, rest, srv.read()))))
elseif what == "remove" then srv.write(tostring(select(2, pcall(srv.file, rest, nil))))
elseif what == "count" then
    srv.memory((srv.memory() or 0) + 1)
    srv.write(tostring(srv.memory()))
elseif what == "spin" then while true do end
elseif what == "wait" then
    srv.write(shown(pcall(srv.request, base, { timeout = tonumber(rest) })))
end
"""

PYTHON: Final = """
import server as srv

def shown(f, *args):
    try:
        answer = f(*args)
    except PermissionError as error:
        return "refused: " + str(error)
    except RuntimeError as error:
        return "failed: " + str(error)
    return str(answer["status"]) + " " + answer["body"].decode()

def tried(f, *args):
    try:
        return str(f(*args))
    except RuntimeError as error:
        return str(error)

what, _, rest = srv.path.partition("/")
base = "http://127.0.0.1:" + str(srv.read("port")) + "/"
if what == "get":
    srv.write(shown(srv.request, base + rest))
elif what == "post":
    srv.write(shown(srv.request, base + "echo", {
        "body": {"a": "1 2", "b": ["x", "y"]}, "header": {"X-One": "1"}, "method": "put",
        "cookies": [{"name": "c", "value": "d"}],
    }))
elif what == "name":
    srv.write(shown(srv.request, "http://" + rest))
elif what == "flood":
    for i in range(100):
        srv.request(base + "big")
elif what == "read":
    found = srv.file(rest)
    srv.write("nil" if found is None else found)
elif what == "write":
    srv.write("nil" if (said := tried(srv.file, rest, srv.read())) == "None" else said)
elif what == "remove":
    srv.write("nil" if (said := tried(srv.file, rest, None)) == "None" else said)
elif what == "count":
    srv.memory((srv.memory() or 0) + 1)
    srv.write(str(srv.memory()))
elif what == "spin":
    while True:
        pass
elif what == "wait":
    try:
        srv.request(base, {"timeout": float(rest) if "." in rest else int(rest)})
    except (RuntimeError, ValueError) as error:
        srv.write(str(error))
"""

PLUGINS: Final = {"lua": ("main.lua", LUA), "python": ("main.py", PYTHON)}


class Upstream(BaseHTTPRequestHandler):
    """A server that plugins ask."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length).decode()
        if self.path == "/hello":
            data = b"hello"
        elif self.path == "/big":
            data = b"x" * 60_000
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/secret")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        else:
            names = ("Content-Type", "Cookie", "X-One")
            data = json.dumps([self.command, body, *map(self.headers.get, names)]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = _answer

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


@pytest.fixture(params=sorted(PLUGINS))
def plugin(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A plugin in each language."""
    name: str = request.param
    folder = tmp_path / "plugins" / name
    folder.mkdir(parents=True)
    file, source = PLUGINS[name]
    (folder / file).write_text(source)
    (folder / "shipped.txt").write_text("as installed")
    return name


class House:
    """An engine with the plugin, granted the upstream's address."""

    def __init__(self, folder: Path, port: int, plugin: str, **options: Any) -> None:
        options.setdefault("policy", Policy(f"http:127.0.0.1:{port}"))
        self.engine = Engine([folder / "plugins"], data=folder / "data", workers=1, **options)
        self._plugin, self._port = plugin, port

    def ask(self, path: str, body: bytes = b"") -> str:
        """What the plugin answers."""
        uri = f"/{self._plugin}/{path}?port={self._port}"
        answer = self.engine.request(self._plugin, Request("POST", uri, body=body))
        return answer.body.decode()


@pytest.fixture
def house(tmp_path: Path, port: int, plugin: str) -> Iterator[House]:
    """See `House`."""
    made = House(tmp_path, port, plugin)
    with made.engine:
        yield made


def test_a_request_is_answered(house: House) -> None:
    assert house.ask("get/hello") == "200 hello"
    status, _, echoed = house.ask("post/").partition(" ")
    assert status == "200"
    form = "application/x-www-form-urlencoded"
    assert json.loads(echoed) == ["PUT", "a=1+2&b=x&b=y", form, "c=d", "1"]


def test_what_was_sent_and_received_is_counted(house: House, plugin: str) -> None:
    house.ask("get/big")
    egress = house.engine.usage()[plugin].egress
    assert 60_000 < egress.current < 62_000
    assert egress.limit == Limits().egress


def test_too_much_of_it_ends_the_worker(tmp_path: Path, port: int, plugin: str) -> None:
    house = House(tmp_path, port, plugin, limits=Limits(egress="100KiB"))
    with house.engine:
        with pytest.raises(LimitExceeded) as caught:
            house.ask("flood/")
        assert (caught.value.limit, caught.value.plugin) == ("egress", plugin)
        assert caught.value.used > caught.value.allowed == 102_400
        assert caught.value.usage is not None
        assert caught.value.usage.egress.current > 60_000
        assert house.ask("get/hello") == "200 hello"


def test_private_addresses_need_a_grant(tmp_path: Path, port: int, plugin: str) -> None:
    """Public ones are what a script's document gives it; the refusal names the grant."""
    house = House(tmp_path, port, plugin, policy=Policy())
    with house.engine:
        said = house.ask("get/hello")
        assert said.startswith("refused: ")
        assert f"http:127.0.0.1:{port}" in said


def test_redirects_are_checked_too(house: House) -> None:
    said = house.ask("get/away")
    assert said.startswith("refused: ")
    assert "169.254.169.254" in said


def test_nothing_at_all_without_the_base_grants(tmp_path: Path, port: int, plugin: str) -> None:
    house = House(tmp_path, port, plugin, policy=Policy(base=False))
    with house.engine:
        assert "needs the capability 'http'" in house.ask("get/hello")
        with pytest.raises(SandboxError, match="needs the capability 'file'"):
            house.ask("read/a")


def test_a_request_that_fails_says_why(house: House) -> None:
    assert house.ask("name/").startswith("failed: request")
    assert "failed" in house.ask("name/[::1") or "refused" in house.ask("name/[::1")


def test_a_timeout_below_nothing_is_called_that(house: House) -> None:
    said = house.ask("wait/-1")
    assert "timeout must be a number of seconds, 0 or more, not -1" in said


def test_files_are_kept_and_laid_over_the_installed_ones(house: House, tmp_path: Path) -> None:
    assert house.ask("read/shipped.txt") == "as installed"
    assert house.ask("read/none") == "nil"
    assert house.ask("write/sub/a.txt", b"one") == "nil"
    assert house.ask("write/shipped.txt", b"mine") == "nil"
    assert (house.ask("read/sub/a.txt"), house.ask("read/shipped.txt")) == ("one", "mine")
    assert house.ask("remove/shipped.txt") == "nil"
    assert house.ask("read/shipped.txt") == "as installed"
    for name in ("../x", "a/../../x", "a/..", "a\x07"):
        said = house.ask(f"write/{name}", b"x")
        assert said != "nil"
        assert str(tmp_path) not in said


def test_what_an_interrupted_save_left_is_cleared_away(tmp_path: Path, plugin: str) -> None:
    left = tmp_path / "data" / "memory" / f"{TEMPORARY}x"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with Engine([tmp_path / "plugins"], data=tmp_path / "data", keep_memory=True):
        assert not left.exists()


def test_memory_ends_with_the_engine(tmp_path: Path, port: int, plugin: str) -> None:
    """As the document has it; what is on the disk from other times is left alone."""
    kept = House(tmp_path, port, plugin, keep_memory=True)
    with kept.engine:
        assert [kept.ask("count/") for _ in range(3)] == ["1", "2", "3"]
    folder = tmp_path / "data" / "memory"
    (file,) = folder.iterdir()
    before, left = file.read_bytes(), folder / f"{TEMPORARY}x"
    left.write_bytes(b"half")
    for _ in range(2):
        house = House(tmp_path, port, plugin)
        with house.engine:
            assert [house.ask("count/") for _ in range(2)] == ["1", "2"]
            house.engine.checkpoint()
    assert sorted(folder.iterdir()) == sorted([file, left])
    assert file.read_bytes() == before


def test_memory_outlives_the_engine_where_that_is_wanted(
    tmp_path: Path, port: int, plugin: str
) -> None:
    for first in (1, 3):
        house = House(tmp_path, port, plugin, keep_memory=True)
        with house.engine:
            assert [house.ask("count/") for _ in range(2)] == [str(first), str(first + 1)]


@pytest.mark.parametrize("keep", [False, True])
def test_memory_outlives_a_worker(tmp_path: Path, port: int, plugin: str, keep: bool) -> None:
    house = House(tmp_path, port, plugin, keep_memory=keep, limits=Limits(cpu=0.2, wall=0.2))
    with house.engine:
        assert house.ask("count/") == "1"
        with pytest.raises(LimitExceeded):
            house.ask("spin/")
        assert house.ask("count/") == "2"


def test_memory_without_a_folder_is_gone_with_either_engine(tmp_path: Path, plugin: str) -> None:
    for _ in range(2):
        with Engine([tmp_path / "plugins"], workers=1) as engine:
            answer = engine.request(plugin, Request("POST", f"/{plugin}/count/"))
            assert answer.body == b"1"
    for make in (Engine, AsyncEngine):
        with pytest.raises(ConfigurationError, match="keep_memory: there is no data folder"):
            make([tmp_path / "plugins"], keep_memory=True)


def test_files_outlive_the_engine(tmp_path: Path, port: int, plugin: str) -> None:
    with House(tmp_path, port, plugin).engine as engine:
        engine.request(plugin, Request("POST", f"/{plugin}/write/a", body=b"kept"))
    house = House(tmp_path, port, plugin)
    with house.engine:
        assert house.ask("read/a") == "kept"


def test_a_file_that_is_too_much_ends_the_worker(tmp_path: Path, port: int, plugin: str) -> None:
    house = House(tmp_path, port, plugin, limits=Limits(storage="10KiB"))
    with house.engine:
        assert house.ask("write/a", b"x" * 8000) == "nil"
        assert 8000 <= house.engine.usage()[plugin].storage.current < 10_000
        with pytest.raises(LimitExceeded) as caught:
            house.ask("write/b", b"x" * 8000)
        assert caught.value.limit == "storage"
        assert house.ask("read/b") == "nil"
        assert house.ask("read/a") == "x" * 8000


def test_without_a_data_folder_files_are_only_read(tmp_path: Path, port: int, plugin: str) -> None:
    with Engine([tmp_path / "plugins"]) as engine:
        answer = engine.request(plugin, Request("POST", f"/{plugin}/read/shipped.txt"))
        assert answer.body == b"as installed"
        answer = engine.request(plugin, Request("POST", f"/{plugin}/write/a", body=b"x"))
        assert b"keeps no files" in answer.body
