"""Reading and writing elements: `x[i]`, `x.name`, `x[a:b]`, `x[i] = v`.

Where the index is an int, the common case stands in the emitted code: a test that the value is an
array and the index within it, and the element.  In loops the parts of an array that keeps its
header are in variables of their own (see `facts`), and the tests are fewer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from runtimes.tengo.emit.conditions import Conditions
from runtimes.tengo.emit.facts import LoopFacts
from runtimes.tengo.emit.lines import CLOSE, MARK, OPEN
from runtimes.tengo.emit.names import is_plain_name
from runtimes.tengo.emit.values import ADD, OR, PREFIX, Value, joined, stored
from runtimes.tengo.nodes import (
    Cond,
    Expr,
    Ident,
    Index,
    Logical,
    Pos,
    Slice,
    StringLit,
    Unary,
    UndefinedLit,
)
from runtimes.tengo.scopes import Symbol, Type

_MOST_OPENED = 4
_ROOM_TO_OPEN = 80


class Elements(Conditions):
    """Emits what reads and writes the parts of values."""

    opened: dict[Symbol, tuple[str, str, str]]
    """Arrays of the loops around whose parts are in variables: the list, where the array starts
    in it, and the length."""
    growing: set[Symbol]
    """Variables whose array nothing else can see: it grows in place."""
    headers_last: bool
    """No array ever changes its header for all who see it: the program does not `splice`."""

    @abstractmethod
    def operands(self, nodes: Sequence[Expr], first: Value | None = None) -> list[Value]:
        """The values of expressions that are evaluated from left to right, after `first`."""

    # ------------------------------------------------------------------ arrays of a loop

    @contextmanager
    def arrays_of_loop(self, facts: LoopFacts) -> Iterator[None]:
        """Within, the loop is emitted that the facts are about."""
        growing = [one for one in facts.growing() if one.lua and one not in self.growing]
        opened = []
        if self.headers_last and self.live() < _ROOM_TO_OPEN:
            steady = facts.steady()
            opened = [one for one in steady if is_plain_name(one.lua) and one not in self.opened]
        for symbol in growing:
            self.emit(f"{symbol.lua} = {self.helper('own')}({symbol.lua})")
        self.growing.update(growing)
        if not opened:
            yield
        else:
            opened = opened[:_MOST_OPENED]
            self.emit("do")
            with self.block():
                for symbol in opened:
                    self._open(symbol, is_written=symbol in facts.written)
                yield
            self.emit("end")
        self.growing.difference_update(growing)
        for symbol in opened:
            del self.opened[symbol]

    def _open(self, symbol: Symbol, *, is_written: bool) -> None:
        name = symbol.lua
        parts = (
            self.unique(f"{name}_list"), self.unique(f"{name}_first"), self.unique(f"{name}_count")
        )  # fmt: skip
        helper = self.helper("open_to_write" if is_written else "open")
        self.emit(f"local {', '.join(parts)} = {helper}({name})")
        self.opened[symbol] = parts

    def _quick(self, base: Expr | None, operand: Value, index: Value) -> tuple[str, str] | None:
        """The test that an element is there, and where: for an int index that is cheap to
        repeat.  None when there is no such test."""
        name, at = operand.text, index.text
        low = "" if index.span is not None and index.span[0] >= 0 else f"{at} >= 0 and "
        symbol = base.symbol if isinstance(base, Ident) else None
        if symbol is not None and symbol in self.opened:
            items, first, count = self.opened[symbol]
            return f"{low}{at} < {count}", f"{items}[{first} + {index.at(ADD + 1)}]"
        if not is_plain_name(name):
            return None
        kind = "" if operand.type is Type.ARRAY else f"{name}[1] == 1 and "
        test = f"{kind}{low}{at} < {name}[4]"
        return test, f"{name}[2][{name}[3] + {index.at(ADD + 1)}]"

    # ------------------------------------------------------------------ reading

    def indexed(self, node: Index, operand: Value, index: Value) -> Value:
        """`operand[index]`."""
        place = place_before(node.index)
        if isinstance(node.index, StringLit) or index.type is Type.STRING:
            mark = "" if operand.safe else self.mark(place)
            shown = f"[{index.text}]"
            if isinstance(node.index, StringLit):
                name = node.index.value.decode("latin-1")
                shown = f".{name}" if is_plain_name(name) else shown
            text = f"{operand.prefix()}{mark}{shown}"
            text = f"{OPEN}{text}{CLOSE}" if mark else text
            return joined(text, PREFIX, Type.UNKNOWN, operand, index)
        mark = self.mark(place)
        if index.type is not Type.INT:
            call = f"{self.helper('idx')}{mark}({operand.text}, {index.text})"
            return joined(call, PREFIX, Type.UNKNOWN, operand, index)
        if is_plain_name(operand.text):
            index = self._repeatable(index)
        call = f"{self.helper('idx_int')}{mark}({operand.text}, {index.text})"
        quick = self._quick(node.operand, operand, index) if _is_short(index) else None
        if quick is None:
            return joined(call, PREFIX, Type.UNKNOWN, operand, index)
        return joined(f"{quick[0]} and {quick[1]} or {call}", OR, Type.UNKNOWN, operand, index)

    def _repeatable(self, index: Value) -> Value:
        """An int that is cheap to repeat: as it is, or in a temporary."""
        if _is_short(index) or MARK in index.text or index.calls:
            return index
        return stored(self.store(index.text, pure=True), index)

    def slice(self, node: Slice, operand: Value) -> Value:
        """`operand[low:high]`."""
        low: Expr = node.low or UndefinedLit(node.pos)
        high: Expr = node.high or UndefinedLit(node.pos)
        parts = self.operands([low, high], operand)
        text = ", ".join(part.text for part in parts)
        kind = parts[0].type if parts[0].type in (Type.STRING, Type.ARRAY) else Type.UNKNOWN
        mark = self.mark(node.pos if node.high is None else place_before(node.high))
        known = (node.low is None or parts[1].type is Type.INT) and (
            node.high is None or parts[2].type is Type.INT
        )
        if known and kind is Type.STRING:
            if node.low is None:
                text = f"{parts[0].text}, 0, {parts[2].text}"
            text = text.removesuffix(", nil")
            return joined(f"{self.helper('cut')}{mark}({text})", PREFIX, kind, *parts)
        return joined(f"{self.helper('slice')}{mark}({text})", PREFIX, kind, *parts)

    # ------------------------------------------------------------------ writing

    def write(self, base: Expr | None, place: Value, key: Value, value: Value, mark: str) -> None:
        """`place[key] = value`, all evaluated; `base` is what `place` was made of, if it is
        a variable."""
        fast = is_plain_name(place.text) and key.type in (Type.INT, Type.STRING)
        if fast and not (key.simple or (key.type is Type.INT and _is_short(key))):
            if not value.simple:
                value = stored(self.store(value.text), value)
            key = stored(self.store(key.text), key)
        if fast and not value.simple:
            value = stored(self.store(value.text), value)
        call = f"{self.helper('set')}{mark}({place.text}, {key.text}, {value.text})"
        if not fast:
            self.emit(call)
            return
        if key.type is Type.INT:
            quick = self._quick(base, place, key)
            assert quick is not None
            self.emit(f"if {quick[0]} then {quick[1]} = {value.text} else {call} end")
            return
        kind = "" if place.type is Type.MAP else f"{place.text}[1] == 3 and "
        test = f"{kind}{place.text}[{key.text}] ~= nil"
        if not value.never_nil:
            test += f" and {value.text} ~= nil"
        self.emit(f"if {test} then {place.text}[{key.text}] = {value.text} else {call} end")


def _is_short(index: Value) -> bool:
    """Whether an int is cheap to repeat: a name, a literal, or one of these and a small step."""
    return index.simple or index.stepped


def place_before(node: Expr) -> Pos:
    """What the original shows for a fault of the instruction after an expression: where the
    expression's own last instruction comes from."""
    while True:
        if isinstance(node, Cond):
            node = node.otherwise
        elif isinstance(node, Logical):
            node = node.right
        elif isinstance(node, Unary) and node.op == "+":
            node = node.operand
        else:
            return node.pos
