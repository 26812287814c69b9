"""The limit matrix: every limit is hit, named, ends the worker, and shows in the usage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox import (
    ConfigurationError,
    Engine,
    LimitExceeded,
    Limits,
    PluginError,
    Policy,
    PolicyDenied,
    Request,
)
from sandbox.engine.clock import ManualClock

HOST: Final = "example.org"
LIMITS: Final = Limits(
    cpu="300ms", wall="2s", memory="16MiB", output="64KiB", host_calls=200, storage="64KiB",
    log_lines=50,
)  # fmt: skip

LUA: Final = """
local kept
module:hook("cpu", function() while true do end end)
module:hook("memory", function()
    kept = {}
    while true do kept[#kept + 1] = ("x"):rep(1000) .. #kept end
end)
module:hook("output", function() while true do module:log("info", ("y"):rep(4000)) end end)
module:hook("host_calls", function() while true do module:get_option("a") end end)
module:hook("log_lines", function(event)
    for i = 1, event.n do module:log("info", "z") end
    return "ok"
end)
module:hook("well", function() return "well" end)
"""

PYTHON: Final = """
def cpu(event):
    while True:
        pass

def memory(event):
    kept = []
    while True:
        kept.append("x" * 1000 + str(len(kept)))

def output(event):
    while True:
        module.log("info", "y" * 4000)

def host_calls(event):
    while True:
        module.get_option("a")

def log_lines(event):
    for i in range(event["n"]):
        module.log("info", "z")
    return "ok"

def well(event):
    return "well"

for name, handler in [("cpu", cpu), ("memory", memory), ("output", output),
                      ("host_calls", host_calls), ("log_lines", log_lines), ("well", well)]:
    module.hook(name, handler)
"""

STORE_LUA: Final = """
local srv = require("server")
local kept = srv.memory() or ""
if srv.path == "grow" then srv.memory(kept .. ("s"):rep(30000)) end
srv.write(tostring(#kept))
"""

STORE_PYTHON: Final = """
import server as srv
kept = srv.memory() or ""
if srv.path == "grow":
    srv.memory(kept + "s" * 30000)
srv.write(str(len(kept)))
"""

LANGUAGES = pytest.mark.parametrize("language", ["lua", "python"])


@pytest.fixture
def clock() -> ManualClock:
    """A clock that tests move."""
    return ManualClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Modules and scripts that use up one thing each."""
    (tmp_path / "mod_lua.lua").write_text(LUA)
    (tmp_path / "mod_python.py").write_text(PYTHON)
    for name, file, source in (
        ("store_lua", "main.lua", STORE_LUA), ("store_python", "main.py", STORE_PYTHON),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(source)
    return tmp_path


@pytest.fixture
def engine(folder: Path, clock: ManualClock) -> Iterator[Engine]:
    """An engine with small limits."""
    with Engine([folder], [HOST], limits=LIMITS, clock=clock, workers=1) as made:
        yield made


def row(error: LimitExceeded) -> dict[str, float]:
    """The row of the limit that was hit."""
    assert error.usage is not None
    found: dict[str, float] = error.usage.as_dict()[error.limit]
    return found


@LANGUAGES
@pytest.mark.parametrize("limit", ["cpu", "memory", "output", "host_calls", "log_lines"])
def test_a_limit_is_hit(engine: Engine, language: str, limit: str) -> None:
    """The error has the matrix; the worker is another one afterwards."""
    engine.load(HOST, language)
    pid = engine.status()[0].pid
    with pytest.raises(LimitExceeded) as caught:
        engine.fire(HOST, limit, {"n": 51})
    error = caught.value
    assert (error.limit, error.plugin) == (limit, language)
    assert error.allowed == getattr(LIMITS, limit)
    assert error.used >= error.allowed * 0.9  # memory ends a little before its limit
    assert limit in str(error)
    shown = row(error)
    assert shown["limit"] == error.allowed
    assert shown["peak"] >= shown["current"] > 0
    assert engine.status()[0].pid not in (0, pid)
    assert engine.fire(HOST, "well") == "well"
    usage = engine.usage()[language].as_dict()
    assert usage[limit]["peak"] >= usage[limit]["current"]
    if limit != "memory":  # the one that died is no longer there to be asked
        assert usage[limit]["peak"] >= shown["limit"]


@LANGUAGES
def test_lines_are_counted_by_the_second(engine: Engine, clock: ManualClock, language: str) -> None:
    engine.load(HOST, language)
    for _ in range(5):
        assert engine.fire(HOST, "log_lines", {"n": 50}) == "ok"
        clock.advance(1.0)
    assert engine.usage()[language].log_lines.peak == 50
    assert engine.fire(HOST, "log_lines", {"n": 49}) == "ok"
    clock.advance(0.9)
    assert engine.fire(HOST, "log_lines", {"n": 1}) == "ok"
    with pytest.raises(LimitExceeded, match="log_lines limit exceeded: 51 lines a second of 50"):
        engine.fire(HOST, "log_lines", {"n": 1})


@LANGUAGES
def test_storage_is_the_plugins_and_what_does_not_fit_changes_nothing(
    engine: Engine, language: str
) -> None:
    plugin = f"store_{language}"

    def get(path: str) -> str:
        return engine.request(plugin, Request("GET", f"/{plugin}/{path}")).body.decode()

    assert [get("grow"), get("grow"), get("look")] == ["0", "30000", "60000"]
    assert 60_000 < engine.usage()[plugin].storage.current < 60_100
    with pytest.raises(LimitExceeded) as caught:
        get("grow")
    assert (caught.value.limit, caught.value.allowed) == ("storage", 65536)
    assert caught.value.used > 90_000
    assert 60_000 < row(caught.value)["current"] < 60_100
    assert get("look") == "60000"


def test_the_matrix_of_one_run(engine: Engine) -> None:
    run = engine.execute("return ('x'):rep(10)", "lua")
    assert run.usage is not None
    table = run.usage.as_dict()
    assert list(table) == [field.name for field in fields(Limits)]
    for name, measures in table.items():
        assert measures["limit"] == getattr(LIMITS, name)
        assert 0 <= measures["current"] <= measures["peak"]
    assert table["cpu"]["current"] > 0
    assert table["memory"]["current"] > 2**20


def test_limits_of_one_call(engine: Engine) -> None:
    run = engine.execute("while true do end", "lua", limits=LIMITS.replace(cpu="50ms"))
    assert isinstance(run.error, LimitExceeded)
    assert (run.error.limit, run.error.allowed) == ("cpu", 0.05)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"cpu": "64MB"}, "cpu"),
        ({"cpu": -1}, "cpu"),
        ({"wall": "nan"}, "wall"),
        ({"memory": "1s"}, "memory"),
        ({"output": 0}, "output"),
        ({"host_calls": 1.5}, "host_calls"),
        ({"egress": "-5MiB"}, "egress"),
        ({"storage": True}, "storage"),
        ({"log_lines": "many"}, "log_lines"),
        ({"colour": 1}, "colour"),
    ],
)
def test_limits_that_make_no_sense(folder: Path, limits: dict[str, Any], problem: str) -> None:
    """In an engine's arguments, and in a manifest: the field is named, nothing runs."""
    with pytest.raises(ConfigurationError, match=problem):
        LIMITS.replace(**limits)
    (folder / "store_lua" / "manifest.json").write_text(json.dumps({"Limits": limits}))
    with Engine([folder], limits=LIMITS) as engine, pytest.raises(PluginError, match=problem):
        engine.request("store_lua", Request("GET", "/store_lua/"))


FIELDS: Final = {
    "cpu": "1s", "wall": "1h", "memory": "17MiB", "output": "65KiB", "host_calls": 201,
    "egress": "1GiB", "storage": "65KiB", "log_lines": 51,
}  # fmt: skip


def module_folder(folder: Path, manifest: dict[str, Any]) -> None:
    """A module in a folder of its own, with a manifest."""
    own = folder / "mod_own"
    own.mkdir()
    (own / "mod_own.lua").write_text(LUA.replace("while true do end", "return 1"))
    (own / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("field", FIELDS)
def test_a_plugin_may_not_have_more_than_its_operator_gives(
    engine: Engine, folder: Path, field: str
) -> None:
    """Nothing of it is loaded, and the limit is named."""
    module_folder(folder, {"Limits": {field: FIELDS[field]}})
    with pytest.raises(ConfigurationError, match=rf"Limits\.{field}: .* operator") as caught:
        engine.load(HOST, "own")
    assert caught.value.plugin == "own"
    assert engine.status() == []
    (folder / "store_lua" / "manifest.json").write_text(
        json.dumps({"Limits": {field: FIELDS[field]}})
    )
    with pytest.raises(ConfigurationError, match=rf"Limits\.{field}: .* operator"):
        engine.request("store_lua", Request("GET", "/store_lua/"))


def test_a_plugin_may_have_less(engine: Engine, folder: Path) -> None:
    module_folder(folder, {"Limits": {"host_calls": 5, "log_lines": 3}})
    engine.load(HOST, "own")
    with pytest.raises(LimitExceeded) as caught:
        engine.fire(HOST, "host_calls")
    assert caught.value.allowed == 5
    with pytest.raises(LimitExceeded) as caught:
        engine.fire(HOST, "log_lines", {"n": 4})
    assert caught.value.allowed == 3


def test_what_a_script_has_anyway_does_not_open_private_addresses(folder: Path) -> None:
    """The base opens `http` to public addresses: an address of the server's network is another."""
    manifest = folder / "store_lua" / "manifest.json"
    request = Request("GET", "/store_lua/")
    with Engine([folder]) as engine:
        manifest.write_text('{"Capabilities": ["http:api.example.org", "memory"]}')
        assert engine.request("store_lua", request).status == 200
        manifest.write_text('{"Capabilities": ["http:10.1.2.3"]}')
        with pytest.raises(PolicyDenied, match=r"http:10\.1\.2\.3"):
            engine.request("store_lua", request)
        engine.policy = engine.policy.adding("http:10.0.0.0/8")
        assert engine.request("store_lua", request).status == 200
        assert engine.policy.grants("store_lua", "script") >= {"memory", "http:10.0.0.0/8"}


@pytest.mark.parametrize("capability", ["http", "http:api.example.org", "file", "memory"])
def test_a_plugin_that_asks_for_what_was_not_granted_is_not_loaded(
    folder: Path, capability: str
) -> None:
    """The error names the grant; with the grant it runs."""
    module_folder(folder, {"Capabilities": ["timer", capability]})
    with Engine([folder], [HOST]) as engine:
        with pytest.raises(PolicyDenied, match=f"needs the capability '{capability}'") as caught:
            engine.load(HOST, "own")
        assert (caught.value.capability, caught.value.plugin) == (capability, "own")
        assert engine.status() == []
        assert engine.usage() == {}
    with Engine([folder], [HOST], policy=Policy(plugins={"own": [capability]})) as engine:
        assert engine.load(HOST, "own").state == "active"
        assert engine.fire(HOST, "well") == "well"


def test_a_policy_can_be_changed_while_the_engine_runs(folder: Path) -> None:
    """From the next call on; what a grant cannot mean is refused when it is set."""
    with Engine([folder], [HOST]) as engine:
        plugin = "store_lua"
        request = Request("GET", f"/{plugin}/grow")
        assert engine.request(plugin, request).body == b"0"
        engine.policy = Policy(base=False)
        with pytest.raises(PolicyDenied, match="memory"):
            engine.request(plugin, request)
        with pytest.raises(ConfigurationError, match=r"http:\[\[\["):
            engine.policy = Policy("http:[[[")
        with pytest.raises(ConfigurationError, match="http:a:99999"):
            Engine([folder], policy=Policy("http:a:99999"))
        engine.policy = Policy()
        assert engine.request(plugin, request).body == b"30000"
