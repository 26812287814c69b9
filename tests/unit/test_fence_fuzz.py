"""Random programs against both fences: nothing of the other side is reached, shared or forged.

Each run takes the same programs, so that a failure can be repeated; `SANDBOX_FUZZ=100000` takes
that many of each language instead.  `python -m tests.fuzz LANGUAGE --shrink NUMBER` shows what a
program that failed comes down to.  The control runs the same programs without a fence, where many
of them must get out: otherwise a campaign without findings would say nothing.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.fuzz import lua_programs, lua_run
from tests.fuzz.campaign import campaign
from tests.fuzz.grammar import Grammar

PROGRAMS = {"python": 200, "lua": 300}
CONTROLS = 60
LEAST = {"python": 20, "lua": 20}
"""Programs of the control that must get out; about three times as many do."""
SECONDS = 9.0


@pytest.mark.parametrize("name", ["python", "lua"])
def test_no_program_gets_out(name: str) -> None:
    asked = int(os.environ.get("SANDBOX_FUZZ", "0"))
    seconds = 1e9 if asked else SECONDS
    result = campaign(name, asked or PROGRAMS[name], seconds=seconds)
    assert result.findings == []
    assert result.programs > 20
    assert result.hung + result.died <= max(2, result.programs // 100)
    # Mostly programs that run: a grammar of refusals would prove nothing.
    assert result.refused < result.statements * 0.6


@pytest.mark.parametrize("name", ["python", "lua"])
def test_the_same_programs_get_out_of_a_bare_interpreter(name: str) -> None:
    result = campaign(name, CONTROLS, mode="control", seconds=SECONDS)
    assert len(result.findings) >= LEAST[name]


def ran(way: int, *statements: str) -> str | None:
    """The verdict over a Lua program of these statements."""
    return lua_run.Fence().run(lua_programs.Program(statements, ("x",)), way)


@pytest.mark.parametrize("way", [0, 1, 2])
def test_a_yielded_table_does_not_learn_the_token(way: int) -> None:
    """`==` would call its `__eq` with the token of host calls, and a frame could be forged."""
    spy = "setmetatable({}, { __eq = function(p, q) give(p, q) return true end })"
    yielded = f"coroutine.wrap(function() coroutine.yield({spy}, 'FRAME') end)()"
    assert ran(way, yielded, f"give({yielded})") is None


@pytest.mark.parametrize("way", [1, 2])
def test_an_error_object_does_not_learn_the_sign_of_panic(way: int) -> None:
    spy = "setmetatable({}, { __eq = function(p, q) give(p, q) return true end })"
    assert ran(way, f"pcall(error, {spy})", f"xpcall(error, f, {spy})") is None
    assert ran(way, f"error({spy})") is None


def test_the_methods_of_a_stanza_end_with_the_program_that_changed_them() -> None:
    fence = lua_run.Fence()
    changed = ("getmetatable(stanza).__index.get_child = function() return 'changed' end",)
    assert fence.run(lua_programs.Program(changed, ("x",)), 2) is None
    source = b"return tostring(getmetatable(stanza).__index.get_child(stanza, 'body').name)"
    assert executed(fence, source)["value"] == "body"


def test_a_stanza_stays_one_after_another_program_loaded_the_library() -> None:
    fence = lua_run.Fence()
    assert ran(2, "require 'util.stanza'") is None
    assert fence.run(lua_programs.Program(("require 'util.stanza'",), ("x",)), 2) is None
    assert executed(fence, b"return stanza")["value"].name == "message"
    assert executed(fence, b"require 'util.stanza' return stanza")["value"].name == "message"


def test_libraries_that_programs_loaded_are_not_kept() -> None:
    fence = lua_run.Fence()
    fence.run(lua_programs.Program((), ("x",)), 2)
    lua = fence.state(2).runtime._machine.lua
    used = []
    for _ in range(2):
        for _ in range(60):
            executed(fence, b"kept = string.rep('x', 100000) return #require 'util.array' { 1 }")
        lua.execute(b"collectgarbage() collectgarbage()")
        used.append(lua.get_memory_used() or lua.eval(b"collectgarbage 'count'") * 1024)
    assert used[1] < used[0] + 2**20


def executed(fence: lua_run.Fence, source: bytes) -> dict[str, Any]:
    """What a program of bare code answers in the state of the programs before it."""
    return fence.execute(source)


def test_a_rule_that_never_ends_is_an_error() -> None:
    with pytest.raises(ValueError, match="never end"):
        Grammar({"a": ("<b>",), "b": ("x<a>",)})
