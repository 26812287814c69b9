"""A bare Lua state with modules of Tengo's standard library in it, for tests of these modules.

Functions of a module are called here as compiled Tengo calls them: with the argument count first.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

import hypothesis
from lupa import lua54

from runtimes.tengo.numbers import SERVICES

_PRELUDE = (
    *("floats", "text", "calendar", "durations", "layouts"),
    *("elementary", "special", "bessel", "rand_table", "random"),
)
_CALL = b"""
local T = ...
return function(f, n, ...)
    local ok, value = pcall(f, n, ...)
    if not ok and type(value) == "table" then value = value.message end
    return ok, value
end
"""


def given(
    *strategies: Any, max_examples: int = 100, **named: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Hypothesis's `given` without a deadline: the machine may be busy with something else."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        unhurried = hypothesis.settings(deadline=None, max_examples=max_examples)
        return unhurried(hypothesis.given(*strategies, **named)(test))

    return decorate


class TengoError(Exception):
    """A runtime error, with its text."""


class Library:
    """One module; `Library("math").floor(1.5)` calls math.floor."""

    def __init__(self, module: str) -> None:
        self.lua = lua54.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
        self.T = self._load("prelude", "values")
        for name in _PRELUDE:
            self._load("prelude", name, self.T)
        self.T[b"service"] = lambda name, *arguments: SERVICES[name.decode()](*arguments)
        self.module = self._load("stdlib", module, self.T)
        self._call = self.lua.compile(_CALL)(self.T)

    def _load(self, folder: str, name: str, *arguments: Any) -> Any:
        file = resources.files("runtimes.tengo") / folder / f"{name}.lua"
        return self.lua.compile(file.read_bytes(), name=f"={name}".encode())(*arguments)

    def call(self, function: Any, *arguments: Any, count: int | None = None) -> Any:
        """Call a function value; raises `TengoError`."""
        passed = [a.encode() if isinstance(a, str) else a for a in arguments]
        ok, value = self._call(function, len(passed) if count is None else count, *passed)
        if not ok:
            raise TengoError(value.decode())
        return value.decode() if isinstance(value, bytes) else value

    def __getattr__(self, name: str) -> Any:
        value = self.module[name.encode()]
        if value is None:
            raise AttributeError(name)
        if isinstance(value, bytes):
            return value.decode()
        if not callable(value):
            return value
        return lambda *arguments, **options: self.call(value, *arguments, **options)

    def names(self) -> set[str]:
        """What the module has."""
        return {name.decode() for name in self.module}

    def message(self, value: Any) -> str:
        """The text in an error value."""
        assert value[1] == self.T[b"ERROR"]
        text: bytes = value[2]
        return text.decode()
