"""Running one Lua program behind the fence, and one without it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any, Final

from lupa import lua54

from runtimes.lua.runtime import LuaRuntime
from sandbox.errors import ProtocolError
from sandbox.values import HostFunction, Stanza
from sandbox.wire.codec import decode, encode
from sandbox.wire.frames import Kind
from sandbox.wire.framing import HEADER
from sandbox.worker.runtime import Settings
from tests.fuzz.grammar import words
from tests.fuzz.lua_programs import Program

WAYS: Final = 3
"""As a module, as a script, as bare code."""
_ORACLE: Final = Path(__file__).with_name("oracle.lua").read_bytes()
_SETTINGS: Final = Settings(memory=2**26, output=2**20, hosts=("h",))
_FRESH: Final = 25
"""Programs that one Lua state runs before it is replaced."""
_TOPICS: Final = frozenset({"log", "hooks", "items", "status"})
_MODULE: Final = frozenset(
    words(
        "timer.add timer.cancel event.listeners option.get option.own items.elsewhere "
        "module.depends module.library environment.get environment.call"
    )
)
_FUNCTIONS: Final = (
    _MODULE,
    frozenset({"memory.get", "memory.set", "plugin.file"}),
    frozenset({"handle.call"}),
)
_REQUEST: Final[dict[str, Any]] = {
    "query": "x=1", "body": b"y=2", "proto": "HTTP/1.1", "method": "GET", "host": "h",
    "remote_addr": "::1", "headers": {"A": ["b"]}, "uri": "/", "version": "1", "path": "/",
    "base_url": "http://h",
}  # fmt: skip
_WITNESS: Final = b"return {#'abc', type(string.rep), tostring(nil), select('#', 1, 2)}"
_WITNESSED: Final = [3, "function", "nil", 2]


class Spent(Exception):
    """The program used up a limit; its worker is over."""


class Watcher:
    """The engine's side of a worker: answers, and remembers what no program may ask."""

    def __init__(self, way: int) -> None:
        self.wrong: str | None = None
        self._functions = _FUNCTIONS[way]

    def call(self, body: bytes) -> bytes:
        """Answer a host call."""
        try:
            frame: Any = decode(body)
        except ProtocolError:
            frame = body
        if not (isinstance(frame, list) and frame[0] == Kind.HOST_CALL and len(frame) == 4):
            self.wrong = f"a forged frame {body[:60]!r}"
            return encode([int(Kind.HOST_RETURN), 1, None])
        if frame[2] not in self._functions:
            self.wrong = f"a forged host call {frame!r}"[:200]
        number, name = frame[1], frame[2]
        if name in ("event.listeners", "items.elsewhere"):
            return encode([int(Kind.HOST_RETURN), number, []])
        if name == "module.depends":
            return encode([int(Kind.HOST_RETURN), number, {"here": False, "host": "h"}])
        if name == "module.library":
            return encode([int(Kind.HOST_RETURN), number, [None, None, "there is none"]])
        if name == "handle.call":
            return encode([int(Kind.HOST_RETURN), number, frame[3][1] if frame[3][1:] else None])
        return encode([int(Kind.HOST_RETURN), number, None])

    def write(self, frames: bytes) -> None:
        """Take notes."""
        while frames:
            length = int.from_bytes(frames[:HEADER], "big")
            body, frames = frames[HEADER : HEADER + length], frames[HEADER + length :]
            try:
                frame: Any = decode(body)
            except ProtocolError:
                frame = None
            if not (isinstance(frame, list) and frame[0] == Kind.NOTE and frame[1] in _TOPICS):
                self.wrong = f"a forged note {body[:60]!r}"
                return

    def exceeded(self, limit: str, used: int) -> Any:
        """The program used up a limit: it ends."""
        raise Spent(limit)


class State:
    """A Lua state and the oracle in it."""

    def __init__(self, way: int) -> None:
        self.runtime = LuaRuntime()
        self.runtime.start(_SETTINGS)
        lua, core = self.runtime._machine.lua, self.runtime._core
        self.oracle = lua.compile(_ORACLE, name=b"=[sandbox] oracle", mode=b"t")(core)
        self.oracle[b"module"] = way == 0
        self.runs = 0


class Fence:
    """The fence with everything around it that a program can reach, in one process."""

    def __init__(self) -> None:
        self.refused = 0
        self.statements = 0
        self._states: dict[int, State] = {}
        self._parser = lua54.LuaRuntime(encoding=None)

    def accepted(self, program: Program) -> Program:
        """The program without the statements that do not parse."""
        compiles = self._parser.globals()[b"load"]
        while True:
            problem = compiles(program.source().encode(), b"@fuzz", b"t")
            if not isinstance(problem, tuple):
                return program
            line = int(re.search(rb":(\d+):", problem[1])[1])  # type: ignore[index]
            bad = {at for at, where in enumerate(program.lines()) if line in where}
            program = program.without(bad or {len(program.statements) - 1})

    def run(self, program: Program, way: int) -> str | None:
        """What a program reached that it must not, or None.  `way`: module, script or code."""
        kept = self.accepted(program)
        self.statements += len(program.statements)
        self.refused += len(program.statements) - len(kept.statements)
        state = self._states.get(way)
        if state is None or state.runs >= _FRESH:
            state = self._states[way] = State(way)
        state.runs += 1
        watcher = Watcher(way)
        source = kept.source().encode("utf-8", "backslashreplace")
        operations: list[tuple[str, list[Any]]] = [
            ("load", ["fuzz", "h", "fuzz.lua", source, False, None]),
            ("request", ["p", "fuzz.lua", source, dict(_REQUEST)]),
            ("execute", ["fuzz.lua", source, _inputs(), {"own": b"return { x = 1 }"}]),
        ]
        try:
            state.runtime.handle(encode([int(Kind.CALL), 1, *operations[way]]), watcher)
            why = watcher.wrong or state.oracle[b"verdict"]()
            if way == 0:
                call = ["discard", ["fuzz", "h"]]
                state.runtime.handle(encode([int(Kind.CALL), 3, *call]), watcher)
            else:
                why = why or self._witness(state, watcher)
        except Spent:
            del self._states[way]
            return watcher.wrong
        if way == 0:
            del self._states[way]  # modules of one sandbox may change each other's world
        return why.decode("utf-8", "replace") if isinstance(why, bytes) else why

    def state(self, way: int) -> State:
        """The Lua state that the programs of a way run in."""
        return self._states[way]

    def execute(self, source: bytes) -> dict[str, Any]:
        """What bare code answers in the state that the programs before it ran in."""
        call = ["execute", ["w.lua", source, _inputs(), {}]]
        runtime = self._states[2].runtime
        answer: Any = decode(runtime.handle(encode([int(Kind.CALL), 2, *call]), Watcher(2)))
        assert answer[0] == Kind.RETURN, answer
        found: dict[str, Any] = answer[2]
        return found

    @staticmethod
    def _witness(state: State, watcher: Watcher) -> str | None:
        call = ["execute", ["w.lua", _WITNESS, {}, {}]]
        answer: Any = decode(state.runtime.handle(encode([int(Kind.CALL), 2, *call]), watcher))
        if answer[0] == Kind.RETURN and answer[2].get("value") == _WITNESSED:
            return None
        return f"the next program found {answer!r}"[:300]


def _inputs() -> dict[str, Any]:
    return {
        "given": {"call": HostFunction(1), "x": [1, {"y": 2}]},
        "list": [],
        "stanza": Stanza("message", {"to": "a@b"}, [Stanza("body", {}, ["hello"]), "text"]),
    }


_CONTROL: Final = b"""
local reached = ...
local wanted = {}
for _, name in ipairs { "debug", "io", "os", "package", "python" } do
	if type(_G[name]) == "table" then wanted[_G[name]] = name end
	for key, item in next, type(_G[name]) == "table" and _G[name] or {} do
		if type(item) == "function" then wanted[item] = name .. "." .. tostring(key) end
	end
end
wanted[debug.getmetatable ""] = "the string metatable"
wanted[debug.getregistry()] = "the registry"
wanted[string.dump] = "string.dump"
return wanted
"""


def control(program: Program) -> str | None:
    """What the same program reaches in a bare Lua state.  Call it in a process of its own."""
    kept = Fence().accepted(program)
    lua = lua54.LuaRuntime(encoding=None)
    wanted = lua.execute(_CONTROL)
    lua.globals()[b"require"] = None
    with contextlib.suppress(Exception):  # most random programs are wrong
        lua.execute(kept.source().encode("utf-8", "backslashreplace"))
    judge = lua.eval(
        b"""function(wanted, given)
        for i = 1, type(given) == "table" and #given or 0 do
            local item = given[i]
            if item ~= nil and wanted[item] then return wanted[item] .. " at " .. i end
        end
    end"""
    )
    why = judge(wanted, lua.globals()[b"GIVEN"])
    return why.decode() if isinstance(why, bytes) else None
