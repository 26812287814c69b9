"""A bare Lua state with the modules of Tengo's library that are about text, for their tests.

Arguments are Python values; results are what Tengo shows of them inside an array, where strings are
quoted, so that a test sees the type as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

from lupa import lua54

from runtimes.tengo import casing, regexp

_PRELUDE = (
    *("text", "operators", "access", "floats", "strconv", "format", "encodings", "json_syntax"),
    "regexp",
)
_SERVICES = {**casing.SERVICES, **regexp.SERVICES}
_HELPERS = b"""
local T, service = ...
function T.service(...)
    local ok, value = service(...)
    if ok then return value end
    return T.fail(value)
end
T.printed = {}
function T.output(text) T.printed[#T.printed + 1] = text end
local function list(f, n, ...)
    return { T.show((f(n, ...))) }
end
return function(f, n, ...)
    local ok, value = pcall(list, f, n, ...)
    if not ok and type(value) == "table" then value = value.message end
    return ok, ok and value[1] or value
end
"""


@dataclass(frozen=True)
class Char:
    """A Tengo char."""

    rune: str


class TengoError(Exception):
    """A runtime error, with its text."""


class Strings:
    """The modules; `Strings().call("text.index", "abc", "b")` is what Tengo shows of 1."""

    def __init__(self) -> None:
        self.lua = lua54.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
        )
        self.T = self._load("prelude", "values")
        for name in _PRELUDE:
            self._load("prelude", name, self.T)
        self._call = self.lua.compile(_HELPERS)(self.T, self._service)
        self.modules = {
            name: self._load("stdlib", name, self.T)
            for name in ("fmt", "text", "json", "base64", "hex", "enum")
        }

    def _load(self, folder: str, name: str, *arguments: Any) -> Any:
        file = resources.files("runtimes.tengo") / folder / f"{name}.lua"
        return self.lua.compile(file.read_bytes(), name=f"={name}".encode())(*arguments)

    def _service(self, name: bytes, *arguments: Any) -> tuple[bool, Any]:
        try:
            value = _SERVICES[name.decode()](*arguments)
        except ValueError as error:
            return False, str(error).encode()
        return True, self.lua.table_from(value) if isinstance(value, list) else value

    def value(self, value: Any) -> Any:
        """A Python value as a Tengo value; bytes are Tengo bytes."""
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if isinstance(value, bytes):
            return self.T[b"bytes"](value)
        if isinstance(value, Char):
            return self.T[b"char"](ord(value.rune))
        if isinstance(value, list):
            elements = {i: self.value(v) for i, v in enumerate(value, 1)}
            return self.T[b"array"](self.lua.table_from(elements), len(value))
        if isinstance(value, dict):
            made = self.T[b"map"]()
            for key, element in value.items():
                self.T[b"map_set"](made, key.encode(), self.value(element))
            return made
        return value

    def raw(self, function: Any, *arguments: Any) -> str:
        """What a call of a function value gives, as Tengo shows it."""
        ok, shown = self._call(function, len(arguments), *map(self.value, arguments))
        text: str = shown.decode("utf-8", "surrogateescape")
        if not ok:
            raise TengoError(text)
        return text

    def call(self, name: str, *arguments: Any) -> str:
        """What `module.function(arguments...)` gives, as Tengo shows it."""
        module, function = name.split(".")
        return self.raw(self.modules[module][function.encode()], *arguments)

    def format(self, template: str, *arguments: Any) -> str:
        """What the builtin `format` gives."""
        text = self.T[b"format"](self.value(template), len(arguments), *map(self.value, arguments))
        decoded: str = text.decode("utf-8", "surrogateescape")
        return decoded

    def outcome(self, name: str, *arguments: Any) -> str:
        """As `call`, with runtime errors as "fails: ..."."""
        try:
            return self.call(name, *arguments)
        except TengoError as error:
            return f"fails: {error}"
