"""Modules after the death of their worker: back-off, stored state, checkpoints, reset."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sandbox import (
    ConfigurationError,
    Engine,
    LifecycleError,
    LimitExceeded,
    Limits,
    PluginError,
    SandboxCrashed,
)
from sandbox.engine.clock import ManualClock
from sandbox.engine.revival import BACK_OFF, DEATH_WINDOW

HOST: Final = "example.org"

LUA: Final = """
local count = 0
module:hook("add", function(event) count = count + event.n return count end)
module:hook("spin", function() while true do end end)
function module.save() return { count = count } end
function module.restore(saved) count = saved.count end
"""

PYTHON: Final = """
state = {"count": 0}

def add(event):
    state["count"] += event["n"]
    return state["count"]

def spin(event):
    while True:
        pass

def save():
    return {"count": state["count"]}

def restore(saved):
    state["count"] = saved["count"]

module.hook("add", add)
module.hook("spin", spin)
module.save = save
module.restore = restore
"""

SOURCES: Final = {
    "mod_lua.lua": LUA,
    "mod_python.py": PYTHON,
    "mod_plain.lua": 'module:hook("plain", function(event) return event.n end)',
    "mod_functions.lua": """
        function module.save() return { f = function() end } end
        module:hook("functions", function() return "here" end)""",
    "mod_refuses.lua": """
        function module.save() error("not now") end
        module:hook("refuses", function() return "here" end)""",
}
LANGUAGES = pytest.mark.parametrize("name", ["lua", "python"])


@pytest.fixture
def clock() -> ManualClock:
    """A clock that tests move."""
    return ManualClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The modules."""
    for name, source in SOURCES.items():
        (tmp_path / name).write_text(source)
    return tmp_path


@pytest.fixture
def engine(folder: Path, clock: ManualClock) -> Iterator[Engine]:
    """An engine whose time stands still."""
    limits = Limits(cpu="200ms", wall="2s", memory="32MiB")
    with Engine([folder], [HOST], limits=limits, clock=clock) as made:
        yield made


def state_of(engine: Engine, name: str) -> str:
    """The state of a module as an operator sees it."""
    return next(one.state for one in engine.status() if one.name == name)


def die(engine: Engine, name: str, event: str = "add") -> None:
    """End a module's worker from outside, and have the engine notice."""
    pid = next(one.pid for one in engine.status() if one.name == name)
    assert pid > 0, "there is no worker to kill"
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(SandboxCrashed):
        engine.fire(HOST, event, {"n": 1})


def rest(engine: Engine, name: str) -> None:
    """Kill a module's worker until it has to rest."""
    while state_of(engine, name) == "active":
        die(engine, name)
    assert state_of(engine, name) == "restarting"


@LANGUAGES
def test_a_module_comes_back_with_what_it_saved_last(engine: Engine, name: str) -> None:
    engine.load(HOST, name)
    assert engine.fire(HOST, "add", {"n": 5}) == 5
    assert engine.checkpoint() == 1
    assert engine.fire(HOST, "add", {"n": 2}) == 7
    die(engine, name)
    assert state_of(engine, name) == "active"
    assert engine.fire(HOST, "add", {"n": 1}) == 6


@LANGUAGES
def test_a_reload_saves_as_well(engine: Engine, name: str) -> None:
    engine.load(HOST, name)
    assert engine.fire(HOST, "add", {"n": 5}) == 5
    engine.reload(HOST, name)
    die(engine, name)
    assert engine.fire(HOST, "add", {"n": 1}) == 6


@LANGUAGES
def test_without_a_saved_state_it_begins_anew(engine: Engine, name: str) -> None:
    engine.load(HOST, name)
    assert engine.fire(HOST, "add", {"n": 5}) == 5
    die(engine, name)
    assert engine.fire(HOST, "add", {"n": 1}) == 1


def test_a_module_that_was_unloaded_has_no_past(engine: Engine) -> None:
    engine.load(HOST, "lua")
    engine.fire(HOST, "add", {"n": 5})
    engine.checkpoint()
    engine.unload(HOST, "lua")
    engine.load(HOST, "lua")
    assert engine.fire(HOST, "add", {"n": 1}) == 1


def test_a_limit_is_a_death_as_well(engine: Engine) -> None:
    engine.load(HOST, "lua")
    engine.fire(HOST, "add", {"n": 5})
    engine.checkpoint()
    with pytest.raises(LimitExceeded):
        engine.fire(HOST, "spin")
    assert engine.fire(HOST, "add", {"n": 1}) == 6


def test_functions_do_not_outlive_their_worker(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sandbox.engine")
    engine.load(HOST, "functions")
    assert engine.checkpoint() == 0
    assert "a function cannot cross" in caplog.text
    die(engine, "functions", "functions")
    assert engine.fire(HOST, "functions") == "here"


def test_a_save_that_fails_changes_nothing(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.load(HOST, "refuses")
    engine.load(HOST, "lua")
    engine.fire(HOST, "add", {"n": 3})
    assert engine.checkpoint() == 1
    assert "checkpoint of refuses failed" in caplog.text
    assert engine.fire(HOST, "refuses") == "here"
    assert state_of(engine, "refuses") == "active"


def test_checkpoints_by_the_clock(folder: Path, clock: ManualClock) -> None:
    with Engine([folder], [HOST], clock=clock, checkpoint="30s") as engine:
        engine.load(HOST, "lua")
        engine.fire(HOST, "add", {"n": 5})
        clock.advance(29)
        engine.run_timers()
        engine.fire(HOST, "add", {"n": 5})
        clock.advance(1)
        engine.run_timers()
        engine.fire(HOST, "add", {"n": 5})
        die(engine, "lua")
        assert engine.fire(HOST, "add", {"n": 1}) == 11
        clock.advance(30)
        engine.run_timers()
        clock.advance(DEATH_WINDOW)
        die(engine, "lua")
        assert engine.fire(HOST, "add", {"n": 1}) == 12


@pytest.mark.parametrize("every", ["soon", 0, -1, "64MiB"])
def test_a_checkpoint_is_a_time(folder: Path, every: object) -> None:
    with pytest.raises(ConfigurationError, match="checkpoint"):
        Engine([folder], checkpoint=every)  # type: ignore[arg-type]


def test_a_crash_loop_rests_longer_each_time_and_is_given_up(
    engine: Engine, clock: ManualClock
) -> None:
    """The other sandbox goes on; an operator sees it all in the status."""
    engine.load(HOST, "lua")
    engine.load(HOST, "plain")
    for pause in BACK_OFF:
        die(engine, "lua")
        if pause:
            assert state_of(engine, "lua") == "restarting"
            assert engine.fire(HOST, "add", {"n": 1}) is None, "nobody listens"
            clock.advance(pause * 0.9)
            engine.run_timers()
            assert state_of(engine, "lua") == "restarting"
            clock.advance(pause * 0.2)
            engine.run_timers()
        assert state_of(engine, "lua") == "active"
        assert engine.fire(HOST, "add", {"n": 1}) == 1
        assert engine.fire(HOST, "plain", {"n": 7}) == 7
    die(engine, "lua")
    shown = next(one for one in engine.status() if one.name == "lua")
    assert (shown.state, shown.pid, shown.deaths) == ("failed", 0, len(BACK_OFF) + 1)
    assert not engine.is_loaded(HOST, "lua")
    clock.advance(1000)
    engine.run_timers()
    assert state_of(engine, "lua") == "failed"
    assert engine.fire(HOST, "plain", {"n": 7}) == 7


def test_deaths_far_apart_are_forgiven(engine: Engine, clock: ManualClock) -> None:
    engine.load(HOST, "lua")
    for _ in range(2 * len(BACK_OFF)):
        die(engine, "lua")
        assert state_of(engine, "lua") == "active"
        clock.advance(DEATH_WINDOW + 1)


def fail(engine: Engine, clock: ManualClock, name: str) -> None:
    """Kill a module until it is given up."""
    for pause in (*BACK_OFF, 0.0):
        die(engine, name)
        clock.advance(pause)
        engine.run_timers()
    assert state_of(engine, name) == "failed"


@pytest.mark.parametrize("way", ["reset", "reload", "load"])
def test_an_operator_starts_a_failed_module_again(
    engine: Engine, clock: ManualClock, way: str
) -> None:
    """With its stored state and a clean record; `load` makes a new one."""
    engine.load(HOST, "lua")
    engine.fire(HOST, "add", {"n": 5})
    engine.checkpoint()
    fail(engine, clock, "lua")
    shown = getattr(engine, way)(HOST, "lua")
    assert (shown.state, shown.deaths) == ("active", 0)
    assert engine.fire(HOST, "add", {"n": 1}) == (1 if way == "load" else 6)
    die(engine, "lua")
    assert state_of(engine, "lua") == "active"
    assert [one.name for one in engine.status()] == ["lua"]


def test_reset_cuts_a_rest_short(engine: Engine, clock: ManualClock) -> None:
    engine.load(HOST, "lua")
    rest(engine, "lua")
    assert state_of(engine, "lua") == "restarting"
    assert engine.is_loaded(HOST, "lua")
    with pytest.raises(LifecycleError, match="module-already-loaded"):
        engine.load(HOST, "lua")
    assert engine.reset(HOST, "lua").state == "active"
    clock.advance(100)
    engine.run_timers()
    assert engine.fire(HOST, "add", {"n": 1}) == 1


def test_reset_of_a_module_that_is_well_changes_nothing(engine: Engine) -> None:
    engine.load(HOST, "lua")
    engine.fire(HOST, "add", {"n": 1})
    pid = engine.status()[0].pid
    assert engine.reset(HOST, "lua").pid == pid
    assert engine.fire(HOST, "add", {"n": 1}) == 2
    with pytest.raises(LifecycleError, match="module-not-loaded"):
        engine.reset(HOST, "nothing")


def test_a_resting_module_can_be_unloaded(engine: Engine, clock: ManualClock) -> None:
    engine.load(HOST, "lua")
    rest(engine, "lua")
    engine.unload(HOST, "lua")
    assert engine.status() == []
    clock.advance(100)
    engine.run_timers()
    assert engine.status() == []
    engine.load(HOST, "lua")
    assert engine.fire(HOST, "add", {"n": 1}) == 1


def test_a_file_that_broke_meanwhile_is_said_at_the_reset(
    engine: Engine, clock: ManualClock, folder: Path
) -> None:
    engine.load(HOST, "lua")
    rest(engine, "lua")
    (folder / "mod_lua.lua").write_text("error('broken')")
    with pytest.raises(PluginError, match="broken"):
        engine.reset(HOST, "lua")
    assert state_of(engine, "lua") == "failed"
    (folder / "mod_lua.lua").write_text(LUA)
    assert engine.reset(HOST, "lua").state == "active"


def test_a_module_that_dies_while_it_is_brought_back(
    engine: Engine, clock: ManualClock, folder: Path
) -> None:
    """Each attempt is a death; it ends in `failed`, not in a loop."""
    engine.load(HOST, "lua")
    (folder / "mod_lua.lua").write_text("while true do end")
    die(engine, "lua")
    for pause in BACK_OFF[3:]:
        assert state_of(engine, "lua") == "restarting"
        clock.advance(pause)
        engine.run_timers()
    assert state_of(engine, "lua") == "failed"
    with pytest.raises(LimitExceeded):
        engine.reset(HOST, "lua")


def test_the_peaks_of_usage_outlive_a_worker(engine: Engine) -> None:
    engine.load(HOST, "lua")
    with pytest.raises(LimitExceeded) as caught:
        engine.fire(HOST, "spin")
    engine.fire(HOST, "add", {"n": 1})
    usage = engine.usage()["lua"]
    assert usage.cpu.peak >= usage.cpu.limit == 0.2
    assert usage.cpu.current < 0.2
    assert caught.value.usage is not None
    assert caught.value.usage.cpu.current >= 0.2
