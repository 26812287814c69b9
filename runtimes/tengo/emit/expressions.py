"""Expressions as Lua text.

What Lua has no expression for, such as `c ? x : y` when `x` may be undefined, becomes statements
before the current one; then everything to its left that could see the difference is put into
temporaries first, so that the order of evaluation stays Tengo's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from runtimes.tengo.emit.calls import Calls
from runtimes.tengo.emit.conditions import Conditions
from runtimes.tengo.emit.elements import place_before
from runtimes.tengo.emit.lines import lua_float, lua_string
from runtimes.tengo.emit.names import is_plain_name
from runtimes.tengo.emit.values import (
    LITERAL,
    PREFIX,
    Value,
    joined,
    literal,
    stored,
)
from runtimes.tengo.nodes import (
    ArrayLit,
    Binary,
    BoolLit,
    Call,
    CharLit,
    Cond,
    ErrorExpr,
    Expr,
    FloatLit,
    FuncLit,
    Ident,
    ImmutableExpr,
    Import,
    Index,
    IntLit,
    Logical,
    MapLit,
    Slice,
    StringLit,
    Unary,
    UndefinedLit,
)
from runtimes.tengo.scopes import Kind, Symbol, Type
from runtimes.tengo.types import type_of

_MAX_CONSTANTS: Final = 40
_NOTHING: Final = literal("nil", Type.UNDEFINED)


def predefined(symbol: Symbol) -> str:
    """Where the value of a name is that the host defined."""
    symbol.lua = f"given[{lua_string(symbol.name.encode())}]"
    if is_plain_name(symbol.name):
        symbol.lua = f"given.{symbol.name}"
    return symbol.lua


class Expressions(Calls):
    """Emits expressions."""

    modules: dict[str, str]
    hoisted: dict[int, str]
    """Functions of the current statement that are made already: names by the literals' ids."""
    spans: dict[Symbol, tuple[int, int]]
    """Between which bounds a loop's counter is."""

    def expression(self, node: Expr) -> Value:
        """The value of an expression; may emit statements before it."""
        value = self._makers[type(node)](self, node)
        if value.type is Type.UNKNOWN:
            value.type = type_of(node)
        return self.shortened(value)

    def operands(self, nodes: Sequence[Expr], first: Value | None = None) -> list[Value]:
        """The values of expressions that are evaluated from left to right, after `first`."""
        values = [] if first is None else [first]
        for node in nodes:
            start, effects = len(self.lines), self.effects
            value = self.expression(node)
            if self.effects > effects:
                for i, earlier in enumerate(values):
                    if not earlier.stable:
                        values[i] = stored(self.store(earlier.text, start), earlier)
                        start += 1
            values.append(value)
        return values

    # ------------------------------------------------------------------ literals and names

    def _int(self, node: IntLit) -> Value:
        made = literal(str(node.value), Type.INT)
        made.span = (node.value, node.value)
        return made

    def _float(self, node: FloatLit) -> Value:
        return literal(lua_float(node.value), Type.FLOAT)

    def _bool(self, node: BoolLit) -> Value:
        return literal("true" if node.value else "false", Type.BOOL)

    def _char(self, node: CharLit) -> Value:
        name = f"_char_{node.value}"
        if name in self.used or len(self.used) < _MAX_CONSTANTS:
            self.used.add(name)
        else:
            name = f"{self.helper('char')}({node.value})"
        return Value(name, type=Type.CHAR, stable=True, simple=True, char=node.value)

    def _string(self, node: StringLit) -> Value:
        return Value(lua_string(node.value), LITERAL, Type.STRING, stable=True, simple=True)

    def _undefined(self, node: UndefinedLit) -> Value:
        return _NOTHING

    def _ident(self, node: Ident) -> Value:
        symbol = node.symbol
        assert symbol is not None, node.name
        if symbol.predefined:
            return Value(predefined(symbol), stable=symbol.assigned == 0, simple=True)
        if symbol.kind is Kind.BUILTIN:
            return Value(self.builtin(symbol.name), type=Type.FUNCTION, stable=True, simple=True)
        assert symbol.lua, symbol.name
        return Value(
            symbol.lua,
            type=symbol.type,
            stable=symbol.assigned == 0,
            simple="[" not in symbol.lua,
            volatile=symbol.captured and symbol.assigned > 0,
            safe=symbol.type is Type.MAP or bool(symbol.library),
            span=self.spans.get(symbol),
        )

    def _array(self, node: ArrayLit) -> Value:
        items = self.operands(node.items)
        count, capacity = len(items), 1
        text = "{ " + ", ".join(item.text for item in items) + " }" if items else "{}"
        while capacity < count:
            capacity *= 2
        if count > 256:
            made = f"{self.helper('array')}({text}, {count})"
        else:
            capacity = capacity if count else 0
            fields = f"1, {text}, 1, {count}, {capacity}"
            made = f"{self.helper('new')}({{ {fields} }}, {self.helper('array_mt')})"
        return joined(made, PREFIX, Type.ARRAY, *items)

    def _map(self, node: MapLit) -> Value:
        items = self.operands([item for _, item in node.items])
        keys = [key for key, _ in node.items]
        parts = [f"3, {len(set(keys))}, false"]
        doubtful: dict[bytes, None] = {}
        for key, item in zip(keys, items, strict=True):
            name = key.decode("latin-1")
            shown = name if is_plain_name(name) else f"[{lua_string(key)}]"
            parts.append(f"{shown} = {item.text}")
            if not item.never_nil:
                doubtful[key] = None
        made = f"{{ {', '.join(parts)} }}"
        if not doubtful:
            text = f"{self.helper('new')}({made}, {self.helper('map_mt')})"
        else:
            names = ", ".join(map(lua_string, doubtful))
            text = f"{self.helper('map_with')}({made}, {{ {names} }})"
        return joined(text, PREFIX, Type.MAP, *items)

    @abstractmethod
    def function_text(self, node: FuncLit, name: str = "", symbol: Symbol | None = None) -> str:
        """`function name(argc, ...) ... end`; the statements' part of the emitter."""

    def _function(self, node: FuncLit) -> Value:
        name = self.hoisted.get(id(node))
        if name is not None:
            return Value(name, type=Type.FUNCTION, stable=True, simple="[" not in name)
        return Value(self.function_text(node), LITERAL, Type.FUNCTION, stable=True)

    # ------------------------------------------------------------------ operators

    def _unary(self, node: Unary) -> Value:
        place = place_before(node.operand)
        return self.unary(place, node.op, self.expression(node.operand))

    def _binary_node(self, node: Binary) -> Value:
        # A chain of thousands of terms leans to the left: a loop, not a recursion.
        chain: list[Binary] = []
        first: Expr = node
        while isinstance(first, Binary):
            chain.append(first)
            first = first.left
        value = self.expression(first)
        for link in reversed(chain):
            start, effects = len(self.lines), self.effects
            right = self.expression(link.right)
            if self.effects > effects and not value.stable:
                value = stored(self.store(value.text, start), value)
            value = self.binary(link.pos, link.op, value, right)
        return value

    # ------------------------------------------------------------------ indexes and calls

    def _postfix(self, node: Index | Slice | Call) -> Value:
        """`x[i]`, `x[a:b]` and `x()`, chains of thousands of them too: a loop, not a recursion."""
        chain: list[Index | Slice | Call] = []
        first: Expr = node
        value: Value | None = None
        while value is None and isinstance(first, Index | Slice | Call):
            if isinstance(first, Call):
                value = self.quick_call(first)
            if value is None:
                chain.append(first)
                first = first.function if isinstance(first, Call) else first.operand
        if value is None:
            value = self.expression(first)
        for link in reversed(chain):
            before = value.chain
            if isinstance(link, Call):
                value = self.call(link, value)
            elif isinstance(link, Slice):
                value = self.slice(link, value)
            else:
                value, index = self.operands([link.index], value)
                value = self.indexed(link, value, index)
            value.chain = before
            if value.type is Type.UNKNOWN:
                value.type = type_of(link)
            value = self.shortened(value)
        return value

    def _import(self, node: Import) -> Value:
        name = self.modules[node.module or node.name]
        if name.startswith("module"):
            made = Value(f"{name}{self.mark(node.pos)}(0)")
            made.calls = True
            return made
        return Value(name, stable=True, simple=True, safe=True)

    def _error(self, node: ErrorExpr) -> Value:
        value = self.expression(node.value)
        return joined(f"{self.helper('error')}({value.text})", PREFIX, Type.UNKNOWN, value)

    def _immutable(self, node: ImmutableExpr) -> Value:
        value = self.expression(node.value)
        return joined(f"{self.helper('immutable')}({value.text})", PREFIX, Type.UNKNOWN, value)

    _makers: Final[dict[type, Callable[..., Value]]] = {
        IntLit: _int,
        FloatLit: _float,
        BoolLit: _bool,
        CharLit: _char,
        StringLit: _string,
        UndefinedLit: _undefined,
        Ident: _ident,
        ArrayLit: _array,
        MapLit: _map,
        FuncLit: _function,
        Unary: _unary,
        Binary: _binary_node,
        Logical: Conditions.logical,
        Cond: Conditions.cond,
        Index: _postfix,
        Slice: _postfix,
        Call: _postfix,
        Import: _import,
        ErrorExpr: _error,
        ImmutableExpr: _immutable,
    }
