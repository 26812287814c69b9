"""Killing workers, over and over: each is replaced, and nothing of the dead stays.

SANDBOX_KILLS says how many kills in a row (100 by default, 10000 for the full run).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sandbox import Engine, LimitExceeded, Limits, SandboxCrashed, SandboxError

HOST: Final = "example.org"
KILLS: Final = int(os.environ.get("SANDBOX_KILLS", "100"))
WARM_UP: Final = 20
GROWTH: Final = 8 * 2**20
"""Bytes that engine and zygote may grow by, however many workers die."""

MODULES: Final = {
    "mod_lua.lua": """
        module:hook("lua", function(event)
            if event.call then event.call() end
            return event.n + 1
        end)""",
    "mod_lua_other.lua": 'module:hook("other", function(event) return event.n * 2 end)',
    "mod_python.py": """
def answer(event):
    if event.get("call"):
        event["call"]()
    return event["n"] + 1

module.hook("python", answer)
""",
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with a module in each language, and a bystander."""
    for name, source in MODULES.items():
        (tmp_path / name).write_text(source)
    limits = Limits(cpu="1s", wall="1s", memory="32MiB")
    with Engine([tmp_path], [HOST], limits=limits) as made:
        for name in ("lua", "lua_other", "python"):
            made.load(HOST, name)
        yield made


def pid_of(engine: Engine, name: str) -> int:
    """The process of a module's worker; 0 when there is none."""
    return next(one.pid for one in engine.status() if one.name == name)


def state_of(engine: Engine, name: str) -> str:
    """The state of a module as an operator sees it."""
    return next(one.state for one in engine.status() if one.name == name)


def kill(engine: Engine, name: str) -> None:
    """End a module's worker from outside."""
    pid = pid_of(engine, name)
    assert pid > 0, "there is no worker to kill"
    os.kill(pid, signal.SIGKILL)


def forget_deaths(engine: Engine) -> None:
    """So many deaths in a minute would be a crash loop."""
    for sandbox in engine._core.sandboxes:
        sandbox.deaths.clear()


def zygotes(engine: Engine) -> list[int]:
    """The processes that workers are forked from."""
    return [zygote.pid for zygote in engine._core._zygotes.values()]


def children(parents: list[int]) -> dict[int, str]:
    """The children of some processes, with the letter of their state."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = Path(f"/proc/{name}/stat").read_text(errors="replace")
            except OSError:
                continue
            state, parent = text.rpartition(")")[2].split()[:2]
            if int(parent) in parents:
                found[int(name)] = state
    return found


def open_files(pid: int) -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid: int) -> int:
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def workers(engine: Engine) -> set[int]:
    """The workers that the engine knows."""
    return {one.worker.pid for one in engine._core.sandboxes if one.worker is not None}


def test_killed_over_and_over(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A kill costs one call; the next one answers, and nothing piles up."""
    caplog.set_level(logging.ERROR, "sandbox")  # pytest would keep a record of every death
    watched = [os.getpid(), *zygotes(engine)]
    engine._core.forks_per_zygote = 10 * KILLS + WARM_UP  # those watched are to live on
    files: dict[int, int] = {}
    memory: dict[int, int] = {}
    other = pid_of(engine, "lua_other")
    for number in range(WARM_UP + KILLS):
        name = ("lua", "python")[number % 2]
        before = pid_of(engine, name)
        kill(engine, name)
        with pytest.raises(SandboxCrashed):
            engine.fire(HOST, name, {"n": number})
        assert engine.fire(HOST, name, {"n": number}) == number + 1
        assert pid_of(engine, name) != before
        assert engine.fire(HOST, "other", {"n": number}) == number * 2
        forget_deaths(engine)
        if number == WARM_UP - 1:
            files = {pid: open_files(pid) for pid in watched}
            memory = {pid: resident(pid) for pid in watched}
    assert [os.getpid(), *zygotes(engine)] == watched
    assert pid_of(engine, "lua_other") == other
    assert {pid: open_files(pid) for pid in watched} == files
    growth = {pid: resident(pid) - memory[pid] for pid in watched}
    assert max(growth.values()) < GROWTH, growth
    left = children(zygotes(engine))
    assert set(left) == workers(engine)
    assert "Z" not in left.values()


@pytest.mark.parametrize("name", ["lua", "python"])
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGSYS])
def test_dying_in_the_middle_of_a_call(engine: Engine, name: str, number: signal.Signals) -> None:
    """As an interpreter does that was exploited or panics: one error, which names the signal."""
    pid = pid_of(engine, name)
    with pytest.raises(SandboxCrashed, match=number.name):
        engine.fire(HOST, name, {"n": 1, "call": lambda: os.kill(pid, number)})
    assert engine.fire(HOST, name, {"n": 1}) == 2
    assert engine.fire(HOST, "other", {"n": 1}) == 2


@pytest.mark.parametrize("name", ["lua", "python"])
def test_standing_still_without_using_the_processor(engine: Engine, name: str) -> None:
    """A deadlock in native code uses no processor time: the wall clock ends it."""
    pid = pid_of(engine, name)
    with pytest.raises(LimitExceeded) as caught:
        engine.fire(HOST, name, {"n": 1, "call": lambda: os.kill(pid, signal.SIGSTOP)})
    assert caught.value.limit == "wall"
    assert engine.fire(HOST, name, {"n": 1}) == 2


CRASHES: Final = {
    "python: nested generators": (
        "python",
        "g = iter(())\nfor i in range(100000):\n    g = (x for x in g)\nfor x in g:\n    pass",
    ),
    "python: nested maps": (
        "python",
        "g = iter(())\nfor i in range(100000):\n    g = map(str, g)\nfor x in g:\n    pass",
    ),
    "python: deep destruction": (
        "python",
        "class N:\n    pass\nn = None\nfor i in range(300000):\n"
        "    m = N()\n    m.next = n\n    n = m\nn = None",
    ),
    "python: deep repr": ("python", "x = []\nfor i in range(100000): x = [x]\nRESULT = repr(x)"),
    "lua: the globals table refuses": (
        "lua",
        "debug = nil; setmetatable(_G, { __index = error, __newindex = error }); error({})",
    ),
    "lua: the globals table loops": (
        "lua",
        "setmetatable(_G, { __index = function() while true do end end }); return nothing",
    ),
    "lua: memory ends while results are pushed": (
        "lua",
        "K = {} pcall(function() for i = 1, 1e9 do K[i] = ('x'):rep(1000) .. i end end)\nreturn K",
    ),
    "lua: memory ends and the error has no text": (
        "lua",
        "K = {} pcall(function() for i = 1, 1e9 do K[i] = { i } end end)\n"
        "error(setmetatable({}, { __tostring = function() return ('y'):rep(1e7) end }))",
    ),
    "lua: recursion": ("lua", "local function f() return 1 + f() end return f()"),
    "lua: recursion through a metamethod": (
        "lua",
        "local t = setmetatable({}, {}); getmetatable(t).__index = function(s, k) return s[k] end\n"
        "return t.x",
    ),
    "lua: coroutines in coroutines": (
        "lua",
        "local function f() return coroutine.wrap(f)() end return f()",
    ),
    "lua: a pattern without end": (
        "lua",
        "return ('a'):rep(30):find(('a?'):rep(30) .. ('a'):rep(30) .. 'b')",
    ),
}


@pytest.mark.parametrize("name", CRASHES)
def test_programs_that_crash_interpreters(engine: Engine, name: str) -> None:
    """Whatever comes of one, it is an outcome of that run, and the engine is unharmed."""
    language, source = CRASHES[name]
    run = engine.execute(source, language)
    assert run.ok or isinstance(run.error, SandboxError)
    again = {"lua": "return 1 + 1", "python": "1 + 1"}[language]
    assert engine.execute(again, language).value == 2
    assert engine.fire(HOST, "other", {"n": 1}) == 2
    left = children(zygotes(engine))
    assert set(left) == workers(engine)


def test_kills_while_others_call(engine: Engine) -> None:
    """One module's worker dies again and again; another module loses no call."""
    stop = threading.Event()
    lost: list[object] = []

    def call() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                answer = engine.fire(HOST, "other", {"n": number})
            except SandboxError as error:
                answer = error
            if answer != number * 2:
                lost.append(answer)

    caller = threading.Thread(target=call)
    caller.start()
    try:
        for number in range(40):
            kill(engine, "lua")
            with pytest.raises(SandboxCrashed):
                engine.fire(HOST, "lua", {"n": number})
            assert engine.fire(HOST, "lua", {"n": number}) == number + 1
            forget_deaths(engine)
    finally:
        stop.set()
        caller.join()
    assert lost == []


def test_zygotes_are_executed_anew(engine: Engine) -> None:
    """Every so many forks another process takes over; the old one ends with its last worker."""
    engine._core.forks_per_zygote = 30
    first = engine._core._zygotes["lua"].pid
    seen, other = [first], pid_of(engine, "lua_other")
    for number in range(100):
        kill(engine, "lua")
        with pytest.raises(SandboxCrashed):
            engine.fire(HOST, "lua", {"n": number})
        assert engine.fire(HOST, "lua", {"n": number}) == number + 1
        forget_deaths(engine)
        if zygotes(engine)[0] != seen[-1]:
            seen.append(engine._core._zygotes["lua"].pid)
    assert len(set(seen)) == 4
    running = {*zygotes(engine), *(one.pid for one in engine._core._following.values())}
    # A bystander keeps the zygote that it comes from; those in between are gone.
    assert set(children([os.getpid()])) & set(seen) == {first, *running} & set(seen)
    assert pid_of(engine, "lua_other") == other
    assert engine.fire(HOST, "other", {"n": 4}) == 8
    engine.unload(HOST, "lua_other")
    assert first not in children([os.getpid()])


def test_hash_seeds_differ_between_zygotes(engine: Engine) -> None:
    """What one worker learns of the order in which a set is walked serves for few others."""
    engine._core.forks_per_zygote = 1
    limits = [Limits(memory=memory) for memory in ("33MiB", "34MiB", "35MiB")]
    seen = {engine.execute("hash('seed')", "python", limits=one).value for one in limits}
    assert len(seen) == 3


def fire_until_it_fails(engine: Engine, event: str) -> None:
    """The kernel's signal to the workers of a dead zygote may take a moment."""
    while True:
        engine.fire(HOST, event, {"n": 1})


def test_a_zygote_that_dies_is_replaced(engine: Engine) -> None:
    """Its workers die with it, each costs one call, and a new zygote takes over."""
    lua = engine._core._zygotes["lua"].pid
    os.kill(lua, signal.SIGKILL)
    for name in ("lua", "other"):
        with pytest.raises(SandboxCrashed):
            fire_until_it_fails(engine, name)
    assert engine.fire(HOST, "lua", {"n": 1}) == 2
    assert engine.fire(HOST, "other", {"n": 1}) == 2
    assert engine.fire(HOST, "python", {"n": 1}) == 2
    assert lua not in zygotes(engine)
    assert lua not in children([os.getpid()])
