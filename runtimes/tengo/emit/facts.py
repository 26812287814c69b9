"""What one loop does to variables that hold arrays, told before the loop is emitted.

Two things make arrays fast.  A variable that a loop only appends to, reads and writes elements of,
and asks the length of, is the only way to its header while the loop runs: the header can then grow
in place.  And the header of an array that a loop does not assign stays what it is, so that its
parts can be taken out of it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from runtimes.tengo.nodes import (
    ArrayLit,
    Assign,
    Call,
    Expr,
    For,
    ForIn,
    FuncLit,
    Ident,
    Index,
    Return,
    Slice,
)
from runtimes.tengo.scopes import Function, Kind, Symbol, Type
from runtimes.tengo.types import type_of

_HARMLESS: Final = frozenset(("len", "copy", "string", "bool", "type_name", "format"))
"""Builtins that keep nothing of an array that is given to them."""
_HARMLESS_LIBRARIES: Final = frozenset(("text", "fmt", "json"))
_LEAVES: Final = (Symbol, Function, Type, str, bytes, int, float)


@dataclass(slots=True)
class LoopFacts:
    """Variables in the order in which they are met."""

    appended: dict[Symbol, None] = field(default_factory=dict)
    """`x = append(x, ...)`."""
    indexed: dict[Symbol, None] = field(default_factory=dict)
    """`x[i]` is read or written, `i` being an int."""
    written: set[Symbol] = field(default_factory=set)
    """`x[i] = v`, `i` being an int."""
    assigned: set[Symbol] = field(default_factory=set)
    exposed: set[Symbol] = field(default_factory=set)
    """The array itself may be seen under another name."""

    def growing(self) -> list[Symbol]:
        """Variables whose headers may grow in place in this loop."""
        return [
            symbol
            for symbol in self.appended
            if symbol not in self.exposed and not symbol.captured and _is_array(symbol)
        ]

    def steady(self) -> list[Symbol]:
        """Variables that are indexed and keep their headers in this loop."""
        return [symbol for symbol in self.indexed if self.keeps(symbol) and _is_array(symbol)]

    def keeps(self, symbol: Symbol) -> bool:
        """Whether a variable has one value throughout the loop."""
        if symbol.kind is Kind.BUILTIN or symbol in self.assigned:
            return False
        return not (symbol.captured and symbol.assigned)


def facts_of(loop: For | ForIn) -> LoopFacts:
    """The facts of a loop; what it iterates over is evaluated before it."""
    facts = LoopFacts()
    pending: list[Any] = [loop.body]
    if isinstance(loop, For):
        pending += [loop.init, loop.condition, loop.post]
    else:
        _assign_names(facts, loop)
    while pending:
        node = pending.pop()
        if isinstance(node, list | tuple):
            pending.extend(node)
        elif node is not None and not isinstance(node, _LEAVES):
            pending.extend(_parts(facts, node))
    return facts


def _parts(facts: LoopFacts, node: Any) -> Sequence[Any]:
    """Note what a node does itself; its parts that are still to be looked at."""
    if isinstance(node, Ident):
        if node.symbol is not None:
            facts.exposed.add(node.symbol)
        return ()
    if isinstance(node, Assign):
        return _assignment(facts, node)
    if isinstance(node, Index):
        return _element(facts, node, is_written=False)
    if isinstance(node, Call):
        return _call(node)
    if isinstance(node, ForIn):
        _assign_names(facts, node)
        return (node.iterable, node.body)
    if isinstance(node, Return) and isinstance(node.value, Ident):
        return ()  # the loop is over then
    if isinstance(node, FuncLit):
        return (node.body,)
    return [getattr(node, name) for name in node.__slots__ if name not in ("pos", "end")]


def _assignment(facts: LoopFacts, node: Assign) -> Sequence[Any]:
    target, value = node.target, node.value
    if isinstance(target, Index):
        return (value, *_element(facts, target, is_written=True))
    symbol = target.symbol
    if symbol is None:
        return (value,)
    facts.assigned.add(symbol)
    if not node.op:
        if is_self_append(symbol, value):
            assert isinstance(value, Call)
            facts.appended[symbol] = None
            return value.arguments[1:]
        if isinstance(value, ArrayLit):
            return value.items
        if isinstance(value, Slice) and _names(value.operand, symbol):
            return (value.low, value.high)
    facts.exposed.add(symbol)
    return (value,)


def _element(facts: LoopFacts, node: Index, *, is_written: bool) -> Sequence[Any]:
    if not isinstance(node.operand, Ident):
        return (node.operand, node.index)
    symbol = node.operand.symbol
    if symbol is not None and type_of(node.index) is Type.INT:
        facts.indexed[symbol] = None
        if is_written:
            facts.written.add(symbol)
    return (node.index,)


def _call(node: Call) -> Sequence[Any]:
    function = node.function
    harmless = False
    if isinstance(function, Ident) and function.symbol is not None:
        symbol = function.symbol
        harmless = symbol.kind is Kind.BUILTIN and not symbol.predefined
        harmless = harmless and (symbol.name in _HARMLESS or symbol.name.startswith("is_"))
    elif isinstance(function, Index) and isinstance(function.operand, Ident):
        owner = function.operand.symbol
        harmless = owner is not None and owner.library in _HARMLESS_LIBRARIES
    if not harmless:
        return (function, *node.arguments)
    return (function, *(one for one in node.arguments if not isinstance(one, Ident)))


def _assign_names(facts: LoopFacts, loop: ForIn) -> None:
    for name in (loop.key, loop.value):
        if name is not None and name.symbol is not None:
            facts.assigned.add(name.symbol)
            facts.exposed.add(name.symbol)


def is_self_append(symbol: Symbol, value: Expr) -> bool:
    """Whether `value` is `append(x, ...)` of the variable itself."""
    if not isinstance(value, Call) or not isinstance(value.function, Ident):
        return False
    called = value.function.symbol
    if called is None or called.kind is not Kind.BUILTIN or called.predefined:
        return False
    if called.name != "append" or len(value.arguments) < 2:
        return False
    return _names(value.arguments[0], symbol)


def _names(node: Expr, symbol: Symbol) -> bool:
    return isinstance(node, Ident) and node.symbol is symbol


def _is_array(symbol: Symbol) -> bool:
    return symbol.kind is not Kind.BUILTIN and symbol.type in (Type.ARRAY, Type.UNKNOWN)
