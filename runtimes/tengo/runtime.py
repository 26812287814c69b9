"""The Tengo runtime: Tengo compiled to Lua, run in a Lua 5.4 state (`runtimes.machine`)."""

from __future__ import annotations

import os
import sys
from importlib import resources
from typing import Any, Final

from runtimes.machine import Machine
from runtimes.tengo.services import answer
from sandbox.worker.runtime import Host, Settings

_PRELUDE: Final = (
    "values", "text", "operators", "access", "floats", "strconv", "builtins", "format", "codec",
    "faults", "host", "encodings", "json_syntax", "regexp", "elementary", "special", "bessel",
    "calendar", "durations", "layouts", "rand_table", "random", "program",
)  # fmt: skip
_LIBRARY: Final = (
    "base64", "enum", "fmt", "hex", "json", "math", "rand", "text", "times",
)  # fmt: skip
_PURE: Final = ("urls", "forms", "answers", "msx")
"""Files of the Lua runtime that know nothing of it: each returns a table of functions."""
_SERVER: Final = ("answers", "outside", "server", "dispatch")
_LAST_RANGES: Final = ((0x20000, 0x323B0), (0xE0000, 0xE01F0))


class TengoRuntime:
    """One Lua state with the prelude loaded; see `sandbox.worker.runtime.Runtime`."""

    def __init__(self) -> None:
        root = resources.files("runtimes.tengo")
        self._machine = Machine(root / "prelude", _PRELUDE, answer)
        self._private: Any = self._machine.private
        self._private[b"set_unprintable"](_unprintable())
        shared = resources.files("runtimes") / "lua" / "prelude"
        pure = self._private[b"pure"]
        for name in _PURE:
            pure[name.encode()] = self._machine.load(shared / f"{name}.lua", name)
        for name in _SERVER:
            self._machine.load(root / "prelude" / f"{name}.lua", name)
        library = self._private[b"library"]
        for name in _LIBRARY:
            library[name.encode()] = self._machine.load(root / "stdlib" / f"{name}.lua", name)
        self._machine.ready()

    def settle(self) -> None:
        """Nothing to do: a Lua state does nothing late."""

    def start(self, settings: Settings) -> None:
        """Seed, and set the limits of this worker."""
        seed = self._private[b"seed"]
        if seed is not None:
            seed(int.from_bytes(os.urandom(8), "big", signed=True))
        self._private[b"output_limit"] = settings.output
        self._machine.limit_memory(settings.memory)

    def handle(self, body: bytes, host: Host) -> bytes:
        """Run one frame in a dispatcher of its own; see `Runtime.handle`."""
        return self._machine.handle(body, host)


def _unprintable() -> bytes:
    """The code points that Go does not print as they are: pairs of first and last, as text."""
    pairs: list[int] = []
    for first, last in ((0x7F, 0x20000), *_LAST_RANGES):
        for code in range(first, last):
            if not chr(code).isprintable():
                if pairs and pairs[-1] == code - 1:
                    pairs[-1] = code
                else:
                    pairs += (code, code)
        _fill(pairs, last)
    return " ".join(map(str, pairs)).encode()


def _fill(pairs: list[int], first: int) -> None:
    """Nothing is printable from `first` to the next range."""
    following = next((start for start, _ in _LAST_RANGES if start >= first), sys.maxunicode + 1)
    if following > first:
        pairs += (first, following - 1)


def create() -> TengoRuntime:
    """The factory that the entry point names."""
    return TengoRuntime()
