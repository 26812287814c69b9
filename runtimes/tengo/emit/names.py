"""Lua names for Tengo's variables, and what Lua limits about them.

A Lua function holds 200 local variables and refers to 255 outer ones.  Variables beyond a safe
part of that live in a table of their block, made anew each time the block is entered, so that
closures see what Tengo's would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from runtimes.tengo.emit.lines import Line, Text
from runtimes.tengo.nodes import Pos
from runtimes.tengo.scopes import Symbol

KEYWORDS: Final = frozenset(
    (
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if",
        "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
    )
)  # fmt: skip
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_OURS: Final = re.compile(r"(t|more_|continue_|done_|module_)[0-9]+\Z|spill\Z|argc\Z")
_MAX_LOCALS: Final = 110
_MAX_CAPTURED: Final = 60
_MAX_TEMPORARIES: Final = 40


def is_plain_name(name: str) -> bool:
    """Whether Lua takes `name` as an identifier."""
    return _PLAIN.match(name) is not None and name not in KEYWORDS


def _mangled(name: str) -> str:
    if name in KEYWORDS or _OURS.match(name):
        return name + "_"
    if is_plain_name(name):
        return name
    return "u_" + "".join(c if c.isascii() else f"{ord(c):x}" for c in name)


@dataclass(slots=True)
class _Block:
    """One Lua block: the names it declares, and its table for those that have no room."""

    start: Line
    names: list[str] = field(default_factory=list)
    captured: int = 0
    table: str = ""


@dataclass(slots=True)
class _Frame:
    """One Lua function under construction."""

    live: int = 0
    temporaries: int = 0
    numbered: int = 0
    start: Line = field(default_factory=lambda: Line(0, ""))
    spilled: int = 0


class Names:
    """Which names are in use, and where the lines go."""

    def __init__(self, text: Text, reserved: frozenset[str]) -> None:
        self.text = text
        self.lines: list[Line] = []
        self.indent = 0
        self.file = ""
        self.effects = 0
        self.stored = 0
        self._active = set(reserved)
        self._blocks: list[_Block] = []
        self._frames: list[_Frame] = [_Frame()]
        self._tables = 0
        self._captured = 0
        self._labels = 0

    # ------------------------------------------------------------------ lines

    def emit(self, text: str) -> Line:
        """Add a line at the current indentation."""
        line = Line(self.indent, text)
        self.lines.append(line)
        return line

    def insert(self, index: int, text: str) -> None:
        """Add a line before the line `index`."""
        self.lines.insert(index, Line(self.indent, text))

    def enclose(self, start: int) -> None:
        """Put the lines from `start` on into a block, for their temporaries."""
        for line in self.lines[start:]:
            line.indent += 1
        self.insert(start, "do")
        self.emit("end")

    def mark(self, pos: Pos, operator: str = "") -> str:
        """The mark for a place in the current file."""
        return self.text.mark(self.file, pos, operator)

    def label(self) -> int:
        """A number for names that must not clash, such as labels."""
        self._labels += 1
        return self._labels

    # ------------------------------------------------------------------ blocks

    @contextmanager
    def block(self) -> Iterator[None]:
        """One Lua block: its lines are indented, its names are free again after it."""
        self.indent += 1
        self._blocks.append(_Block(self.emit("")))
        yield
        self._leave_block()
        self.indent -= 1

    def _leave_block(self) -> None:
        block = self._blocks.pop()
        for name in block.names:
            self._active.discard(name)
            self._frames[-1].live -= 1
        self._captured -= block.captured

    @contextmanager
    def function_lines(self) -> Iterator[list[Line]]:
        """The lines of a function's body, apart from those around it."""
        saved = self.lines, self.indent
        self.lines, self.indent = [], 0
        frame = _Frame()
        self._frames.append(frame)
        frame.start = self.emit("")
        self._blocks.append(_Block(self.emit("")))
        yield self.lines
        self._leave_block()
        self._frames.pop()
        self.lines, self.indent = saved

    # ------------------------------------------------------------------ names

    def live(self) -> int:
        """How many local variables the function has here."""
        return self._frames[-1].live

    def unique(self, name: str) -> str:
        """A Lua name like `name` that is not in use, in use from now on in this block."""
        base = _mangled(name)
        found, number = base, 2
        while found in self._active:
            found, number = f"{base}_{number}", number + 1
        self._active.add(found)
        self._blocks[-1].names.append(found)
        self._frames[-1].live += 1
        return found

    def declare(self, symbol: Symbol, *, always_local: bool = False) -> bool:
        """Give a symbol a name in this block; False when it lives in the block's table."""
        block, frame = self._blocks[-1], self._frames[-1]
        crowded = frame.live >= _MAX_LOCALS or (symbol.captured and self._captured >= _MAX_CAPTURED)
        if crowded and not always_local:
            symbol.lua = f"{self._table()}[{len(block.names) + self.label()}]"
            return False
        if symbol.captured:
            block.captured += 1
            self._captured += 1
        symbol.lua = self.unique(symbol.name)
        return True

    def _table(self) -> str:
        block = self._blocks[-1]
        if not block.table:
            self._tables += 1
            block.table = f"more_{self._tables}"
            block.start.text = f"local {block.table} = {{}}"
        return block.table

    def temporary(self) -> str:
        """A name for a value in between; `local` is needed unless it has a bracket."""
        frame = self._frames[-1]
        frame.numbered += 1
        if frame.temporaries >= _MAX_TEMPORARIES:
            frame.spilled += 1
            frame.start.text = "local spill = {}"
            return f"spill[{frame.spilled}]"
        frame.temporaries += 1
        return f"t{frame.numbered}"

    def store(self, text: str, index: int | None = None, *, pure: bool = False) -> str:
        """Put a value into a new temporary and return its name.

        An effect, before which what stands to its left must have been evaluated, unless it is
        `pure`: the same at any time within its statement.
        """
        name = self.temporary()
        statement = f"{name} = {text}" if "[" in name else f"local {name} = {text}"
        if index is None:
            self.emit(statement)
        else:
            self.insert(index, statement)
        self.stored += 1
        self.effects += not pure
        return name

    @contextmanager
    def temporaries(self) -> Iterator[None]:
        """Within, temporaries are made; after, their places are free again."""
        frame = self._frames[-1]
        before = frame.temporaries
        yield
        frame.temporaries = before
