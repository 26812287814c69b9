"""Expressions as Lua text.

What Lua has no expression for, such as `c ? x : y` when `x` may be undefined, becomes statements
before the current one; then everything to its left that could see the difference is put into
temporaries first, so that the order of evaluation stays Tengo's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from runtimes.tengo.emit.conditions import Conditions
from runtimes.tengo.emit.lines import CLOSE, OPEN, lua_float, lua_string
from runtimes.tengo.emit.names import is_plain_name
from runtimes.tengo.emit.values import (
    LITERAL,
    NEVER_NIL,
    OR,
    PREFIX,
    UNARY,
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
    Pos,
    Slice,
    StringLit,
    Unary,
    UndefinedLit,
)
from runtimes.tengo.scopes import Kind, Symbol, Type
from runtimes.tengo.types import type_of

_MAX_ARGUMENTS: Final = 150
_MAX_CONSTANTS: Final = 40
_NOTHING: Final = literal("nil", Type.UNDEFINED)
_INLINED: Final = {"len": (1, "length"), "append": (2, "append_one")}
"""Builtins that emitted code calls without the argument count, when it is this one."""


def predefined(symbol: Symbol) -> str:
    """Where the value of a name is that the host defined."""
    symbol.lua = f"given[{lua_string(symbol.name.encode())}]"
    if is_plain_name(symbol.name):
        symbol.lua = f"given.{symbol.name}"
    return symbol.lua


class Expressions(Conditions):
    """Emits expressions."""

    modules: dict[str, str]
    libraries: set[Symbol]
    """Variables that hold a builtin module and nothing else."""

    def expression(self, node: Expr) -> Value:
        """The value of an expression; may emit statements before it."""
        value = self._makers[type(node)](self, node)
        if value.type is Type.UNKNOWN:
            value.type = type_of(node)
        return self.shortened(value)

    def operands(self, nodes: Sequence[Expr]) -> list[Value]:
        """The values of expressions that are evaluated from left to right."""
        values: list[Value] = []
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
        return literal(str(node.value), Type.INT)

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
            safe=symbol.type is Type.MAP or symbol in self.libraries,
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
            if item.type not in NEVER_NIL:
                doubtful[key] = None
        made = f"{{ {', '.join(parts)} }}"
        if not doubtful:
            text = f"{self.helper('new')}({made}, {self.helper('map_mt')})"
        else:
            names = ", ".join(map(lua_string, doubtful))
            text = f"{self.helper('map_with')}({made}, {{ {names} }})"
        return joined(text, PREFIX, Type.MAP, *items)

    def function_text(self, node: FuncLit, name: str = "", symbol: Symbol | None = None) -> str:
        """`function name(argc, ...) ... end`; the statements' part of the emitter."""
        raise NotImplementedError

    def _function(self, node: FuncLit) -> Value:
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

    def _index(self, node: Index) -> Value:
        operand, index = self.operands([node.operand, node.index])
        return self.indexed(node, operand, index)

    def indexed(self, node: Index, operand: Value, index: Value) -> Value:
        """`operand[index]`."""
        mark = "" if operand.safe else self.mark(place_before(node.index))
        if isinstance(node.index, StringLit):
            name = node.index.value.decode("latin-1")
            shown = f".{name}" if is_plain_name(name) else f"[{index.text}]"
            text = f"{operand.prefix()}{mark}{shown}"
            text = f"{OPEN}{text}{CLOSE}" if mark else text
            return joined(text, PREFIX, Type.UNKNOWN, operand)
        if index.type is Type.STRING:
            text = f"{operand.prefix()}{mark}[{index.text}]"
            text = f"{OPEN}{text}{CLOSE}" if mark else text
            return joined(text, PREFIX, Type.UNKNOWN, operand, index)
        mark = mark or self.mark(place_before(node.index))
        name = "idx_int" if index.type is Type.INT else "idx"
        call = f"{self.helper(name)}{mark}({operand.text}, {index.text})"
        if name == "idx_int" and is_plain_name(operand.text) and index.simple:
            a, i = operand.text, index.text
            low = "" if i.isdigit() else f"{i} >= 0 and "
            kind = "" if operand.type is Type.ARRAY else f"{a}[1] == 1 and "
            call = f"{kind}{low}{i} < {a}[4] and {a}[2][{a}[3] + {i}] or {call}"
            return joined(call, OR, Type.UNKNOWN, operand, index)
        return joined(call, PREFIX, Type.UNKNOWN, operand, index)

    def _slice(self, node: Slice) -> Value:
        low: Expr = node.low or UndefinedLit(node.pos)
        high: Expr = node.high or UndefinedLit(node.pos)
        parts = self.operands([node.operand, low, high])
        text = ", ".join(part.text for part in parts)
        kind = parts[0].type if parts[0].type in (Type.STRING, Type.ARRAY) else Type.UNKNOWN
        mark = self.mark(node.pos if node.high is None else place_before(node.high))
        return joined(f"{self.helper('slice')}{mark}({text})", PREFIX, kind, *parts)

    def _call(self, node: Call) -> Value:
        return self.call(node)

    def call(self, node: Call) -> Value:
        """A call, which Lua would not take for a tail call where the result is used."""
        if isinstance(node.function, Ident) and not node.spread:
            symbol = node.function.symbol
            assert symbol is not None
            if symbol.kind is Kind.BUILTIN and not symbol.predefined:
                return self._builtin_call(node, symbol)
        function, *arguments = self.operands([node.function, *node.arguments])
        mark, texts = self.mark(node.pos), [argument.text for argument in arguments]
        if node.spread:
            *fixed, last = texts
            text = ", ".join([function.text, last, str(len(fixed)), *fixed])
            text = f"{self.helper('spread_call')}{mark}({text})"
        elif len(arguments) > _MAX_ARGUMENTS:
            listed = ", ".join(texts)
            text = (
                f"{self.helper('long_call')}{mark}({function.text}, {len(texts)}, {{ {listed} }})"
            )
        else:
            text = f"{function.prefix()}{mark}({', '.join([str(len(texts)), *texts])})"
        made = joined(text, PREFIX, Type.UNKNOWN, function, *arguments)
        made.calls = True
        return made

    def _long_call(self, function: str, arguments: list[str], mark: str) -> str:
        listed = ", ".join(arguments)
        return f"{self.helper('long_call')}{mark}({function}, {len(arguments)}, {{ {listed} }})"

    def _builtin_call(self, node: Call, symbol: Symbol) -> Value:
        arguments = self.operands(node.arguments)
        mark, texts = self.mark(node.pos), [argument.text for argument in arguments]
        kind = type_of(node)
        count, name = _INLINED.get(symbol.name, (-1, ""))
        if count == len(texts):
            if name == "length":
                return self._length(arguments[0], mark)
            text = f"{self.helper(name)}{mark}({', '.join(texts)})"
        elif len(texts) > _MAX_ARGUMENTS:
            text = self._long_call(self.builtin(symbol.name), texts, mark)
        else:
            text = f"{self.builtin(symbol.name)}{mark}({', '.join([str(len(texts)), *texts])})"
        return joined(text, PREFIX, kind, *arguments)

    def _length(self, value: Value, mark: str) -> Value:
        """`len(value)`."""
        if value.type is Type.STRING:
            return joined(f"#{value.at(PREFIX)}", UNARY, Type.INT, value)
        if value.type is Type.ARRAY:
            return joined(f"{value.prefix()}[4]", PREFIX, Type.INT, value)
        call = f"{self.helper('length')}{mark}({value.text})"
        if is_plain_name(value.text):
            call = f"({value.text}[1] == 1 and {value.text}[4] or {call})"
        return joined(call, PREFIX, Type.INT, value)

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
        Index: _index,
        Slice: _slice,
        Call: _call,
        Import: _import,
        ErrorExpr: _error,
        ImmutableExpr: _immutable,
    }


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
