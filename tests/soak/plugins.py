"""The plugins of the soak: what is asked of each, and which answers are right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BIG: Final = 300_000
FILES: Final = {
    "lua/main.lua": """
local server, words = require "server", require "words"
server.write({ ["Content-Type"] = "text/plain" }, words.hello, " ", server.read("token"))
""",
    "lua/words.lua": "return { hello = 'lua' }",
    "python/main.py": """
import server, words
server.write({"Content-Type": "text/plain"}, words.HELLO, " ", server.read("token"))
""",
    "python/words.py": "HELLO = 'python'",
    "memo/main.py": """
import server
server.memory(server.read("token"))
server.write("python " if server.memory() else "", server.read("token"))
""",
    "body/main.lua": """
local server = require "server"
local body = server.read()
server.write(tostring(#body), " ", body:sub(1, 8), " ", body:sub(-8))
""",
    "missing/main.lua": "panic(404)",
    "panics/main.py": "panic('the reason is ' + 'said')",
    "raises/main.lua": "error('it is wrong')",
    "loop/main.lua": "while true do pcall(function() while true do end end) end",
    "spin/main.py": "while True:\n    pass",
    "bomb/main.py": "x = []\nwhile True:\n    x.append('x' * 100000)",
    "grow/main.lua": "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
    "flood/main.lua": "local s = require 'server' while true do s.write(('x'):rep(10000)) end",
    "chatty/main.py": "while True:\n    print('x' * 1000)",
    "deep/main.py": "def f(n):\n    return f(n + 1) + 1\nf(0)",
    "regexp/main.lua": "return (('a'):rep(1e5)):find('.-.-.-.-.-b$')",
    "fetch/main.lua": """
local server = require "server"
server.write(assert(server.request(server.read("from"))).body)
""",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its target and body, which statuses are right, and the text of a right
    answer (None: any).  With `leaves`, the client is gone after so many seconds."""

    target: str
    statuses: frozenset[int]
    text: str | None = None
    body: bytes = b""
    leaves: float | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request.  `good` ones must never be answered wrong; `share` is how often it
    is made, beside the others."""

    name: str
    good: bool
    share: float
    ask: Callable[[random.Random, str], Asked]


def _token(dice: random.Random) -> str:
    return f"{dice.getrandbits(64):016x}"


def _echo(plugin: str, says: str) -> Callable[[random.Random, str], Asked]:
    def ask(dice: random.Random, _: str) -> Asked:
        token = _token(dice)
        return Asked(f"/{plugin}/?token={token}", frozenset({200}), f"{says} {token}")

    return ask


def _body(dice: random.Random, _: str) -> Asked:
    size = dice.randrange(16, _BIG)
    token = _token(dice)
    body = (token + "." * size).encode()
    text = f"{len(body)} {token[:8]} {'.' * 8}"
    return Asked("/body/", frozenset({200}), text, body)


def _fixed(plugin: str, *statuses: int, text: str | None = None) -> Callable[..., Asked]:
    asked = Asked(f"/{plugin}/", frozenset(statuses), text)
    return lambda _dice, _origin: asked


def _fetch(dice: random.Random, origin: str) -> Asked:
    return Asked(f"/fetch/?from={origin}soon", frozenset({200}), "soon")


def _leave(dice: random.Random, origin: str) -> Asked:
    target = dice.choice((f"/fetch/?from={origin}never", "/loop/", "/spin/"))
    return Asked(target, frozenset(), leaves=dice.uniform(0.0, 0.2))


_ENDED: Final = (502, 503)

KINDS: Final = (
    Kind("lua", True, 40, _echo("lua", "lua")),
    Kind("python", True, 40, _echo("python", "python")),
    Kind("memo", True, 10, _echo("memo", "python")),
    Kind("body", True, 10, _body),
    Kind("missing", True, 10, _fixed("missing", 404, text="Not Found\n")),
    Kind("panics", True, 5, _fixed("panics", 500, text="the reason is said\n")),
    Kind("raises", True, 5, _fixed("raises", 500, text="main.lua:1: it is wrong\n")),
    Kind("fetch", True, 2, _fetch),
    Kind("leave", False, 2, _leave),
    Kind("loop", False, 1, _fixed("loop", *_ENDED)),
    Kind("spin", False, 1, _fixed("spin", *_ENDED)),
    Kind("bomb", False, 1, _fixed("bomb", *_ENDED)),
    Kind("grow", False, 1, _fixed("grow", 500, *_ENDED)),
    Kind("flood", False, 1, _fixed("flood", *_ENDED)),
    Kind("chatty", False, 1, _fixed("chatty", *_ENDED)),
    Kind("deep", False, 1, _fixed("deep", 500, *_ENDED)),
    Kind("regexp", False, 1, _fixed("regexp", 200, *_ENDED)),
)


def write_to(folder: Path) -> None:
    """Write the plugins below `folder`/plugins."""
    for name, text in FILES.items():
        path = folder / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
