"""Lua text under construction: lines with marks for places, and how they become text.

Lua remembers for each instruction the line it came from, so the place of a runtime error is found
by the line.  While a statement is built, marks say where in its text a place begins.  A statement
with one place stays on one line; one with several is broken before each mark, so that every
operator or call that can fail has a line of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from runtimes.tengo.nodes import Pos

# A mark is MARK, a place number, END; a block of a function is BLOCK, its number, END.  Parentheses
# that are needed only when a line is broken are OPEN and CLOSE.  Literals never contain these.
MARK: Final = "\x01"
END: Final = "\x02"
OPEN: Final = "\x03"
CLOSE: Final = "\x04"
BLOCK: Final = "\x05"
_PARTS: Final = re.compile(f"([{MARK}{BLOCK}])([0-9]+){END}")
_CALLED: Final = re.compile(rf"[A-Za-z_][A-Za-z0-9_.]*(?:{MARK}[0-9]+{END}|\s)*\(")
_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[()]', re.DOTALL)
_OPERATORS: Final = ("", "<", "<=", ">", ">=")


class Place(NamedTuple):
    """A place in a source: the file as errors show it, its line and column, and for a comparison
    its operator, because Lua's own error does not tell `a > b` from `b < a`."""

    file: str
    line: int
    column: int
    operator: str = ""

    @property
    def operator_number(self) -> int:
        """The operator's index among "", "<", "<=", ">", ">="."""
        return _OPERATORS.index(self.operator)


@dataclass(slots=True)
class Line:
    """One statement, or a part of one such as `else`: its text with marks."""

    indent: int
    text: str


@dataclass(slots=True)
class Text:
    """All marks and blocks of one Lua chunk, and its rendering."""

    places: list[Place] = field(default_factory=list)
    blocks: list[list[Line]] = field(default_factory=list)
    _numbers: dict[Place, int] = field(default_factory=dict)

    def mark(self, file: str, pos: Pos, operator: str = "") -> str:
        """The mark for a place."""
        place = Place(file, pos.line, pos.column, operator)
        number = self._numbers.setdefault(place, len(self.places))
        if number == len(self.places):
            self.places.append(place)
        return f"{MARK}{number}{END}"

    def block(self, lines: list[Line]) -> str:
        """A stand-in for the lines of a function's body."""
        self.blocks.append(lines)
        return f"{BLOCK}{len(self.blocks) - 1}{END}"

    def render(self, lines: list[Line], extra: int, out: list[tuple[str, Place | None]]) -> None:
        """Append the lines' text, each with its place, to `out`; `extra` levels of indentation."""
        for line in lines:
            if line.text:
                self._render_line(line, extra, out)

    def _render_line(self, line: Line, extra: int, out: list[tuple[str, Place | None]]) -> None:
        pad = "\t" * (line.indent + extra)
        if MARK not in line.text and BLOCK not in line.text:
            out.append((pad + _strip(line.text), None))
            return
        pieces = _PARTS.split(line.text)
        numbers = {pieces[i + 1] for i in range(1, len(pieces), 3) if pieces[i] == MARK}
        broken = len(numbers) > 1
        close = _keep if broken else _strip
        text, place = close(pieces[0]), None
        for i in range(1, len(pieces), 3):
            kind, number, after = pieces[i], int(pieces[i + 1]), close(pieces[i + 2])
            if kind == BLOCK:
                out.append((pad + text, place))
                self.render(self.blocks[number], line.indent + extra + 1, out)
                text = after.lstrip(" ")
            elif place is None or place == self.places[number] or not text.strip():
                place = self.places[number]
                text += after
            else:
                out.append((pad + text.rstrip(" "), place))
                text, place = after.lstrip(" "), self.places[number]
            if i == 1 or kind == BLOCK:
                pad = "\t" * (line.indent + extra)
        out.append((pad + text, place))


def _strip(text: str) -> str:
    return text.replace(OPEN, "").replace(CLOSE, "")


def _keep(text: str) -> str:
    return text.replace(OPEN, "(").replace(CLOSE, ")")


_ESCAPES: Final = {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    **{code: f"\\{code:03d}" for code in (*range(9), 11, 12, *range(14, 32), 127)},
}


def lua_string(value: bytes) -> str:
    """A Lua literal of a byte string, as text whose characters are bytes."""
    return '"' + value.decode("latin-1").translate(_ESCAPES) + '"'


def lua_float(value: float) -> str:
    """A Lua literal of a float."""
    if value != value:
        return "(0 / 0)"
    if value in (float("inf"), float("-inf")):
        return "(1 / 0)" if value > 0 else "(-1 / 0)"
    return repr(value)


def is_call(text: str) -> bool:
    """Whether an expression's text is one call of a name, which Lua takes for a statement too.

    Calls of the source that became something else (`len(a)` a field, `string("a")` a literal) are
    not.
    """
    match = _CALLED.match(text)
    if match is None:
        return False
    depth = 0
    for part in _BRACKETS.finditer(text, match.end() - 1):
        depth += {"(": 1, ")": -1}.get(part[0], 0)
        if depth == 0:
            return part.end() == len(text)
    return False
