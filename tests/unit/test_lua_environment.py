"""One Lua run against the next: every table a program can reach is new, and complete."""

from __future__ import annotations

import re
from typing import Any

from runtimes.lua.runtime import LuaRuntime
from sandbox.wire.codec import decode, encode
from sandbox.wire.frames import Kind
from sandbox.worker.runtime import Settings

SPOILING = b"""
local tables, seen, found = {}, {}, 0
local function collect(t)
	if type(t) ~= "table" or seen[t] then return end
	seen[t] = true
	tables[#tables + 1] = t
	if rawget(t, "spoiled") then found = found + 1 end
	for _, value in next, t do collect(value) end
	collect(getmetatable(t))
end
local ok, server = pcall(require, "server")
collect(_G)
collect(ok and server or nil)
local count = #tables
for _, t in ipairs(tables) do rawset(t, "spoiled", true) end
local text = found .. " of " .. count
if ok then server.write(text) end
return text
"""

# The allow-list that the documentation shows: what a script finds in each table of its globals.
NAMES = {
    "_G": "_G _VERSION assert collectgarbage coroutine error getmetatable ipairs load math next"
    " pairs panic pcall print rawequal rawget rawlen rawset require select setmetatable string"
    " table tonumber tostring type utf8 xpcall",
    "coroutine": "close create isyieldable resume running status wrap yield",
    "math": "abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger"
    " modf pi rad random randomseed sin sqrt tan tointeger type ult",
    "string": "byte char find format gmatch gsub len lower match pack packsize rep reverse sub"
    " unpack upper",
    "table": "concat insert move pack remove sort unpack",
    "utf8": "char charpattern codepoint codes len offset",
}


class Nobody:
    """An engine that no program of this file asks for anything."""

    def call(self, body: bytes) -> bytes:
        raise AssertionError(body)

    def write(self, frames: bytes) -> None:
        raise AssertionError(frames)

    def exceeded(self, limit: str, used: int) -> Any:
        raise AssertionError(limit, used)


def runtime() -> LuaRuntime:
    made = LuaRuntime()
    made.start(Settings(memory=2**26, output=2**20, hosts=()))
    return made


def answered(runtime: LuaRuntime, operation: str, *arguments: Any) -> Any:
    body = encode([int(Kind.CALL), 1, operation, list(arguments)])
    kind, _, value = decode(runtime.handle(body, Nobody()))  # type: ignore[misc,union-attr]
    assert kind == Kind.RETURN, value
    return value


def requested(runtime: LuaRuntime, source: bytes) -> str:
    request = {
        "proto": "HTTP/1.1", "method": "GET", "host": "example.org", "remote_addr": "192.0.2.1:1",
        "headers": {"Accept": ["*/*"]}, "uri": "/p?x=1", "query": "x=1", "body": b"",
        "version": "1", "path": b"", "base_url": "http://example.org/p/", "settings": {"a": {}},
    }  # fmt: skip
    body = answered(runtime, "request", "p", "main.lua", source, request)["body"]
    assert isinstance(body, str)
    return body


def executed(runtime: LuaRuntime, source: bytes) -> str:
    value = answered(runtime, "execute", "main.lua", source, {}, {})["value"]
    assert isinstance(value, str)
    return value


def test_no_run_finds_a_table_that_another_one_changed() -> None:
    lua = runtime()
    for run in (requested, executed, requested, requested, executed, executed):
        text = run(lua, SPOILING)
        found = re.fullmatch(r"(\d+) of (\d+)", text)
        assert found and found[1] == "0", text
        assert int(found[2]) >= len(NAMES)


def test_every_run_finds_all_of_the_libraries() -> None:
    lua = runtime()
    source = b"""
local write, next = require "server".write, next
local shown = {}
for _, name in ipairs { "_G", "coroutine", "math", "string", "table", "utf8" } do
	local names = {}
	for key in pairs(_G[name]) do names[#names + 1] = key end
	table.sort(names)
	shown[#shown + 1] = name .. ": " .. table.concat(names, " ")
end
local text = table.concat(shown, "\\n")
for _, library in ipairs { coroutine, math, string, table, utf8, _G } do
	for key in next, library do library[key] = nil end
end
write(text)
"""
    for _ in range(3):
        text = requested(lua, source)
        assert dict(line.split(": ") for line in text.split("\n")) == NAMES
