"""Binary and unary operators: Lua's own where the types allow, helpers of the prelude elsewhere."""

from __future__ import annotations

from typing import Final

from runtimes.tengo.emit.lines import CLOSE, MARK, OPEN
from runtimes.tengo.emit.names import Names
from runtimes.tengo.emit.values import (
    ADD,
    AND,
    BAND,
    BOR,
    BXOR,
    COMPARE,
    CONCAT,
    LITERAL,
    MULTIPLY,
    NUMBERS,
    OR,
    PREFIX,
    SHIFT,
    UNARY,
    Value,
    joined,
    literal,
    span_of,
    stored,
)
from runtimes.tengo.nodes import Pos
from runtimes.tengo.scopes import Type

_LONG: Final = 100
_HELPERS: Final = {
    "/": "div",
    "%": "rem",
    "&": "band",
    "|": "bor",
    "^": "bxor",
    "&^": "bandnot",
    "<<": "shl",
    ">>": "shr",
}
_NATIVE_BITS: Final = {"&": (" & ", BAND), "|": (" | ", BOR), "^": (" ~ ", BXOR)}
_IDENTITY: Final = frozenset((Type.STRING, Type.BOOL, Type.CHAR, Type.UNDEFINED))
"""Types for which Lua's == is Tengo's, whatever is on the other side."""


class Arithmetic(Names):
    """Emits operators over values that are emitted already."""

    used: set[str]

    def helper(self, name: str) -> str:
        """The name of a helper of the prelude; the chunk's head defines those that are used."""
        self.used.add(f"_{name}")
        return f"_{name}"

    def builtin(self, name: str) -> str:
        """The name of a builtin function as a value."""
        self.used.add(name)
        return name

    def keep(self, value: Value, *, pure: bool = False) -> Value:
        """`value` in a form that is cheap to repeat."""
        if value.simple:
            return value
        return stored(self.store(value.text, pure=pure), value)

    def shortened(self, value: Value) -> Value:
        """`value` put into a temporary when its text is too long or deep for Lua's parser."""
        if value.terms < _LONG and value.nest < _LONG // 3:
            return value
        if value.chain:
            self.emit(f"{value.chain} = {value.text}")
            self.effects += 1
            return stored(value.chain, value)
        name = self.store(value.text)
        short = stored(name, value)
        short.chain = name
        short.stable = False  # the chain may go on in it
        return short

    def binary(self, pos: Pos, op: str, left: Value, right: Value) -> Value:
        """`left op right`."""
        if left.volatile and right.calls:
            left = stored(self.store(left.text), left)
        terms, chain = left.terms + 1, left.chain
        if right.precedence == CONCAT:
            terms += right.terms
        value = self._binary(pos, op, left, right)
        if value.precedence < PREFIX:
            value.terms, value.nest = terms, max(left.nest, right.nest + 1)
            value.chain = chain
        return self.shortened(value)

    def _binary(self, pos: Pos, op: str, left: Value, right: Value) -> Value:
        if op in ("==", "!="):
            return self._equality(pos, op, left, right)
        if op in ("<", "<=", ">", ">="):
            return self._comparison(pos, op, left, right)
        numbers = left.type in NUMBERS and right.type in NUMBERS
        if op in ("+", "-", "*"):
            return self._sum(pos, op, left, right, numbers)
        if op == "/" and numbers and Type.FLOAT in (left.type, right.type):
            return joined(
                f"{left.at(MULTIPLY)} / {right.at(MULTIPLY + 1)}", MULTIPLY, Type.FLOAT, left, right
            )
        if left.type is Type.INT and right.type is Type.INT:
            native = self._int_operator(op, left, right)
            if native is not None:
                return native
        kind = Type.INT if left.type is right.type is Type.INT or op != "/" else Type.UNKNOWN
        call = f"{self.helper(_HELPERS[op])}{self.mark(pos)}({left.text}, {right.text})"
        return joined(call, PREFIX, kind, left, right)

    def _sum(self, pos: Pos, op: str, left: Value, right: Value, numbers: bool) -> Value:
        if op == "+" and left.type is Type.STRING:
            return self._concatenation(pos, left, right)
        kind = Type.UNKNOWN
        if numbers:
            kind = Type.INT if left.type is right.type is Type.INT else Type.FLOAT
        precedence = MULTIPLY if op == "*" else ADD
        mark = "" if numbers else self.mark(pos)
        text = f"{left.at(precedence)} {mark}{op} {right.at(precedence + 1)}"
        made = joined(text, precedence, kind, left, right)
        made.is_result = True
        if kind is Type.INT:
            made.span = span_of(op, left, right)
            made.stepped = op != "*" and left.simple and right.text.isdigit()
        return made

    def _concatenation(self, pos: Pos, left: Value, right: Value) -> Value:
        if right.type is Type.STRING and right.terms + left.terms < _LONG:
            shown = right.at(CONCAT)  # the same either way round, and Lua joins all at once
        elif right.type in (Type.STRING, Type.INT):
            shown = right.at(CONCAT + 1)
        else:
            shown = f"{self.helper('text')}{self.mark(pos)}({right.text})"
        return joined(f"{left.at(CONCAT)} .. {shown}", CONCAT, Type.STRING, left, right)

    def _int_operator(self, op: str, left: Value, right: Value) -> Value | None:
        """Lua's own operator over two ints, where it is Tengo's."""
        if op in _NATIVE_BITS:
            sign, precedence = _NATIVE_BITS[op]
            text = f"{left.at(precedence)}{sign}{right.at(precedence + 1)}"
            return joined(text, precedence, Type.INT, left, right)
        if op == "&^":
            return joined(f"{left.at(BAND)} & ~{right.at(UNARY)}", BAND, Type.INT, left, right)
        if not right.text.isdigit():
            return None
        number = int(right.text)
        if op == "<<" and number < 64:
            return joined(f"{left.at(SHIFT)} << {number}", SHIFT, Type.INT, left)
        if op == ">>" and number < 63:
            # Lua's own shift is logical; rounding down is what an arithmetic one does.
            text = f"{left.at(MULTIPLY)} // {1 << number}"
            return joined(text, MULTIPLY, Type.INT, left)
        if op in "/%" and number > 0 and left.span is not None and left.span[0] >= 0:
            sign, high = ("//", left.span[1] // number) if op == "/" else ("%", number - 1)
            text = f"{left.at(MULTIPLY)} {sign} {number}"
            made = joined(text, MULTIPLY, Type.INT, left)
            made.span = (0, high)
            return made
        if op in "/%" and number > 0:
            left = self.keep(left, pure=MARK not in left.text)
            sign, name = ("//", "div") if op == "/" else ("%", "rem")
            text = (
                f"{left.text} >= 0 and {left.text} {sign} {number}"
                f" or {self.helper(name)}({left.text}, {number})"
            )
            return joined(text, OR, Type.INT, left)
        return None

    def _comparison(self, pos: Pos, op: str, left: Value, right: Value) -> Value:
        known = left.type in NUMBERS and right.type in NUMBERS
        if right.char >= 0 and left.simple:
            left, right = self._char_codes(left, right)
            known = left.type is Type.INT
        if known or left.type is right.type is Type.STRING:
            text = f"{left.at(COMPARE)} {op} {right.at(COMPARE + 1)}"
        else:
            # Lua gives a comparison the line of the last token of its right side.
            mark = self.mark(pos, op)
            text = f"{left.at(COMPARE)} {op} {OPEN}{right.at(COMPARE + 1)} {mark}{CLOSE}"
            if MARK not in left.text and MARK not in right.text:
                text = f"{left.at(COMPARE)} {mark}{op} {right.at(COMPARE + 1)}"
        return joined(text, COMPARE, Type.BOOL, left, right)

    @staticmethod
    def _char_codes(left: Value, right: Value) -> tuple[Value, Value]:
        """A comparison with a character as one of ints, if the left side is a character."""
        name, code = left.prefix(), right.char
        if left.type is Type.CHAR:
            return Value(f"{name}[2]", type=Type.INT), literal(str(code), Type.INT)
        return (
            Value(f"({name}[1] == 5 and {name}[2] or {name})", calls=left.calls),
            Value(f"({name}[1] == 5 and {code} or {right.text})"),
        )

    def _equality(self, pos: Pos, op: str, left: Value, right: Value) -> Value:
        same = left.type is right.type and left.type in (Type.INT, Type.FLOAT)
        if same or left.type in _IDENTITY or right.type in _IDENTITY:
            sign = "==" if op == "==" else "~="
            text = f"{left.at(COMPARE)} {sign} {right.at(COMPARE + 1)}"
            return joined(text, COMPARE, Type.BOOL, left, right)
        if right.type is Type.INT and left.simple:
            # An int equals no float, but Lua's 1 == 1.0 is true.
            test = f"{left.text} == {right.at(COMPARE + 1)}"
            test += f' and {self.helper("mathtype")}({left.text}) == "integer"'
            if op == "==":
                return joined(test, AND, Type.BOOL, left, right)
            return joined(f"not ({test})", UNARY, Type.BOOL, left, right)
        call = f"{self.helper('equals')}{self.mark(pos)}({left.text}, {right.text})"
        text = call if op == "==" else f"not {call}"
        precedence = PREFIX if op == "==" else UNARY
        return joined(text, precedence, Type.BOOL, left, right)

    def unary(self, pos: Pos, op: str, operand: Value) -> Value:
        """`op operand`."""
        if op == "+":
            return operand
        if op == "!":
            test = self.truth(operand)
            return joined(f"not {test.at(UNARY)}", UNARY, Type.BOOL, test)
        if op == "-":
            if operand.precedence == LITERAL and operand.text[0].isdigit():
                return literal("-" + operand.text, operand.type)
            if operand.type in NUMBERS:
                shown = operand.at(UNARY)
                shown = f"({shown})" if shown.startswith("-") else shown
                return joined(f"-{shown}", UNARY, operand.type, operand)
            name = "negate"
        else:
            if operand.type is Type.INT:
                return joined(f"~{operand.at(UNARY)}", UNARY, Type.INT, operand)
            name = "complement"
        call = f"{self.helper(name)}{self.mark(pos)}({operand.text})"
        return joined(call, PREFIX, Type.INT if name == "complement" else Type.UNKNOWN, operand)

    # ------------------------------------------------------------------ truth

    def truth(self, value: Value) -> Value:
        """A Lua expression that is true or false as the value is in Tengo."""
        kind = value.type
        if kind is Type.BOOL:
            return value
        if kind is Type.INT:
            return joined(f"{value.at(COMPARE)} ~= 0", COMPARE, Type.BOOL, value)
        if kind is Type.STRING:
            return joined(f'{value.at(COMPARE)} ~= ""', COMPARE, Type.BOOL, value)
        if value.simple and kind is Type.UNKNOWN:
            name = value.text
            text = f"({name} == true or {name} and {self.helper('truthy')}({name}))"
            return joined(text, PREFIX, Type.BOOL, value)
        return joined(f"{self.helper('truthy')}({value.text})", PREFIX, Type.BOOL, value)
