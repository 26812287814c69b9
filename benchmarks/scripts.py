"""script.*: processor-bound programs in the sandbox against the bare interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.peers import held_on, placements
from benchmarks.report import Row, alternate, benchmark, timed
from sandbox import Engine, Limits

_LUA: Final = {
    "fib": """
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
return fib(27)""",
    "loops": """
local sum = 0
for i = 1, 3000 do for j = 1, 1000 do sum = sum + (i * j) % 7 end end
return sum""",
    "strings": """
local parts = {}
for i = 1, 60000 do parts[#parts + 1] = ("item " .. i):upper():gsub("ITEM", "x") end
return #table.concat(parts, ",")""",
    "tables": """
local count = {}
for i = 1, 600000 do local key = "k" .. i % 997; count[key] = (count[key] or 0) + 1 end
return count.k1""",
    "sort": """
local list, seed = {}, 42
for i = 1, 80000 do seed = (seed * 1103515245 + 12345) % 2147483648; list[i] = seed end
table.sort(list, function(a, b) return a > b end)
return list[1]""",
    "closures": """
local function counter() local n = 0; return function() n = n + 1; return n end end
local total = 0
for _ = 1, 30000 do local c = counter(); for _ = 1, 20 do total = total + c() end end
return total""",
}
_LIMITS: Final = Limits(cpu=60, wall=60)
_ROUNDS: Final = 21


def _bare_lua(source: str) -> Any:
    from lupa import lua54

    return lua54.LuaRuntime().execute(source)


def _lua(name: str, source: str) -> Iterator[Row]:
    with held_on(placements()[""][0]), Engine(limits=_LIMITS, workers=1) as engine:
        expected = _bare_lua(source)
        assert engine.execute(source, language="lua").value == expected
        bare, ours, ratio = alternate(
            lambda: timed(lambda: _bare_lua(source)),
            lambda: timed(lambda: engine.execute(source, language="lua")),
            _ROUNDS,
        )
    yield Row(f"script.lua.{name}", ours * 1e3, "ms", bare * 1e3, ratio)


for _name, _source in _LUA.items():
    benchmark(f"script.lua.{_name}")(
        lambda name=_name, source=_source: _lua(name, source)  # type: ignore[misc]
    )
