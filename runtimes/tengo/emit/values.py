"""What an emitted expression is: its Lua text, and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from runtimes.tengo.scopes import Type

# Lua's precedences (manual, section 3.4.8), and those of what needs no parentheses.
OR: Final = 1
AND: Final = 2
COMPARE: Final = 3
BOR: Final = 4
BXOR: Final = 5
BAND: Final = 6
SHIFT: Final = 7
CONCAT: Final = 9
ADD: Final = 10
MULTIPLY: Final = 11
UNARY: Final = 12
LITERAL: Final = 19
PREFIX: Final = 20

MOST_NEGATIVE: Final = -(1 << 63)
NUMBERS: Final = frozenset((Type.INT, Type.FLOAT))
NEVER_NIL: Final = frozenset(Type) - {Type.UNKNOWN, Type.UNDEFINED, Type.NEVER}
LUA_TRUE: Final = NEVER_NIL - {Type.BOOL}
"""Types whose values Lua takes for true in `and` and `or`."""


@dataclass(slots=True)
class Value:
    """One expression as Lua text.

    `stable`: its value stays what it is while later statements run.  `simple`: a name or literal,
    cheap to repeat.  `volatile`: a variable that a call to its right may change.  `calls`: may run
    a function of the guest.  `nest` and `terms` say how deep and long the text is, because Lua's
    own parser has limits.
    """

    text: str
    precedence: int = PREFIX
    type: Type = Type.UNKNOWN
    stable: bool = False
    simple: bool = False
    volatile: bool = False
    calls: bool = False
    nest: int = 0
    terms: int = 1
    chain: str = ""
    """The temporary that this chain of operators was put into before, to be used again."""
    safe: bool = False
    """A map for sure, mutable or not: reading a name from it cannot fail."""
    char: int = -1
    """The code of a character literal."""
    span: tuple[int, int] | None = None
    """Bounds of an int, when they are known."""
    stepped: bool = False
    """A name and a literal that is added or taken away: cheap to repeat."""
    is_result: bool = False
    """What an operator gave: never undefined."""

    @property
    def never_nil(self) -> bool:
        """Whether the value is not undefined for certain."""
        return self.is_result or self.type in NEVER_NIL

    def at(self, precedence: int) -> str:
        """The text as an operand of an operator of that precedence."""
        return self.text if self.precedence >= precedence else f"({self.text})"

    def prefix(self) -> str:
        """The text as what a call or an index can follow."""
        return self.at(PREFIX)


def literal(text: str, kind: Type) -> Value:
    """A constant."""
    precedence = UNARY if text.startswith("-") else LITERAL
    return Value(text, precedence, kind, stable=True, simple=True)


def joined(text: str, precedence: int, kind: Type, *parts: Value) -> Value:
    """A new expression made of `parts`."""
    return Value(
        text,
        precedence,
        kind,
        calls=any(part.calls for part in parts),
        nest=max((part.nest for part in parts), default=0) + 1,
    )


def span_of(op: str, left: Value, right: Value) -> tuple[int, int] | None:
    """The bounds of a sum, difference or product of ints, when it cannot wrap around."""
    if left.span is None or right.span is None:
        return None
    (a, b), (c, d) = left.span, right.span
    if op == "+":
        low, high = a + c, b + d
    elif op == "-":
        low, high = a - d, b - c
    else:
        corners = (a * c, a * d, b * c, b * d)
        low, high = min(corners), max(corners)
    return (low, high) if low >= MOST_NEGATIVE and high < -MOST_NEGATIVE else None


def stored(name: str, value: Value) -> Value:
    """What is left of a value that was put into a temporary."""
    return replace(
        value,
        text=name,
        precedence=PREFIX,
        stable=True,
        simple="[" not in name,
        volatile=False,
        calls=False,
        nest=0,
        terms=1,
        stepped=False,
    )
