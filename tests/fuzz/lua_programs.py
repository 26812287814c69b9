"""Lua programs that look for a way out.

Owns the grammar, the objects that every program starts with, and the walk that each program ends
with, written in Lua.  Whether anything was found is decided in `oracle.lua`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.grammar import Grammar, read_rules

GRAMMAR: Final = Grammar(read_rules(Path(__file__).with_name("lua.grammar")))
_DEPTH: Final = 7
_STATEMENTS: Final = 10

SETUP: Final = """if oracle_start then oracle_start() end
GIVEN, COUNT = {}, 0
local GIVEN_, select_, pcall_, type_, next_ = GIVEN, select, pcall, type, next
local getmetatable_, status_ = getmetatable, coroutine.status
function give(...)
	for i = 1, select_('#', ...) do
		local value = select_(i, ...)
		if COUNT and COUNT < 600 and value ~= nil then COUNT = COUNT + 1 GIVEN_[COUNT] = value end
	end
	return ...
end
give2 = give
local give = give
a, b, t = { x = 1 }, { y = {} }, { 1, 2, 3, x = {} }
mt = { __index = function(_, k) give(k) return a end,
	__eq = function(...) give(...) return true end }
f = function(...) give(...) return ... end
co = coroutine.create(function(...) give(coroutine.yield(...)) end)
thief = setmetatable({}, { __eq = function(...) give(...) return true end, __lt = f, __le = f,
	__concat = f, __add = f, __idiv = f, __band = f, __shr = f, __mod = f, __pow = f, __call = f,
	__len = f, __index = f, __newindex = f })
proxy = setmetatable({}, { __index = _G, __newindex = _G, __metatable = 'locked' })
guarded = setmetatable({}, { __eq = function(p, q) give(p, q) return true end, __name = 'guarded' })
weak = setmetatable({ {} }, { __mode = 'kv' })
closer = setmetatable({}, { __close = function(...) give(...) end })
deep = { { {} }, setmetatable({}, mt) }
caught = select(2, pcall(error, setmetatable({}, mt)))
main = coroutine.running()
locked = setmetatable({}, { __metatable = false })
if module then timer = module:add_timer(1, f) bus = prosody.hosts.h.events end
if require then array = require 'util.array' { 1 } set = require 'util.set'.new { 1 } end
inputs = { given, list, stanza }
local problem_, ok_
"""

WALK: Final = """
local function walk(value, depth)
	if depth > 3 or COUNT > 550 then return end
	give(value)
	local kind = type_(value)
	if kind == 'table' or kind == 'userdata' or kind == 'string' then
		local ok, meta = pcall_(getmetatable_, value)
		if ok and type_(meta) == 'table' then walk(meta, depth + 1) end
		for i = 1, #NAMES do
			local found, item = pcall_(function() return value[NAMES[i]] end)
			if found and type_(item) ~= 'string' then walk(item, depth + 1) end
		end
	end
	if kind == 'table' then
		local n = 0
		for key, item in next_, value do
			give(key)
			if type_(item) ~= 'string' then walk(item, depth + 1) end
			n = n + 1
			if n > 6 then break end
		end
	end
end
COUNT = #GIVEN_
for i = 1, COUNT do walk(GIVEN_[i], 0) end
walk(kept, 0) walk(v, 0) walk(w, 0) walk(caught, 0)
GIVEN = GIVEN_
"""


@dataclass(frozen=True, slots=True)
class Program:
    """Statements between the common beginning and the walk at the end."""

    statements: tuple[str, ...]
    names: tuple[str, ...]

    def source(self) -> str:
        """The whole program: each statement in a function of its own, its errors given out."""
        parts = [SETUP]
        for at, statement in enumerate(self.statements):
            parts.append(f"ok_, problem_ = pcall_(function(...)\n{statement}\nend, {at})\n")
            parts.append("give(problem_)\n")
        names = ", ".join(f"'{name}'" for name in self.names)
        return "".join(parts) + f"local NAMES = {{ {names} }}\n" + WALK

    def lines(self) -> list[range]:
        """The lines of each statement in `source`, counted from 1."""
        found, line = [], SETUP.count("\n") + 1
        for statement in self.statements:
            end = line + 4 + statement.count("\n")
            found.append(range(line, end))
            line = end
        return found

    def without(self, dropped: set[int]) -> Program:
        """The same program with some of its statements left out."""
        kept = [one for at, one in enumerate(self.statements) if at not in dropped]
        return Program(tuple(kept), self.names)


def generate(seed: int) -> Program:
    """The program of a number: always the same one."""
    source = random.Random(seed)
    statements = [
        GRAMMAR.expand("stmt", source, source.randint(3, _DEPTH))
        for _ in range(source.randint(3, _STATEMENTS))
    ]
    return Program(tuple(statements), tuple(source.sample(GRAMMAR.words("field"), 8)))
