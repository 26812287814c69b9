"""Which values reach which variables, and the types that follow.

Flow-insensitive: a variable's type is the one that all values assigned to it agree on.  Every type
starts as "no value reaches this" and takes in values until nothing changes, so that `i += 1` keeps
an int an int.  A parameter takes in the arguments when its function is only ever called by name
(a host cannot call a program's functions); otherwise anything may reach it.
"""

from __future__ import annotations

from typing import Final

from runtimes.tengo.nodes import (
    Assign,
    Binary,
    Block,
    Call,
    Cond,
    Export,
    Expr,
    FuncLit,
    Ident,
    If,
    Import,
    Index,
    Logical,
    Return,
    Slice,
    Stmt,
    Unary,
)
from runtimes.tengo.scopes import Function, Kind, Symbol, Type
from runtimes.tengo.types import (
    join,
    result_of,
    result_of_builtin,
    result_of_library,
    result_of_unary,
    type_of,
    type_of_element,
    type_of_key,
)

_MOST_DIRECT: Final = 60
"""Functions of more parameters always take the argument count."""
_MOST_ROUNDS: Final = 20
"""When the types of a program have not settled by then, its variables have none."""


class Flows:
    """What the resolver meets, told in the order of the program's text."""

    def __init__(self) -> None:
        self._expressions: list[Unary | Binary | Logical | Cond | Slice | Call] = []
        self._assignments: list[tuple[Symbol, Assign]] = []
        self._iterations: list[tuple[Symbol, Expr, bool]] = []
        self._arguments: list[tuple[Symbol, Expr]] = []
        self._returns: list[tuple[Function, Expr | None]] = []
        self._functions: list[FuncLit] = []
        self._symbols: dict[Symbol, None] = {}
        self._untyped: set[Symbol] = set()
        self._bodies: dict[Symbol, FuncLit] = {}
        self._uses: dict[Symbol, int] = {}
        self._calls: dict[Symbol, list[Call]] = {}

    def expression(self, node: Unary | Binary | Logical | Cond | Slice) -> None:
        """An expression whose parts have been told before."""
        self._expressions.append(node)

    def call(self, node: Call) -> None:
        """A call, after its parts."""
        self._expressions.append(node)
        if isinstance(node.function, Ident) and node.function.symbol is not None:
            self._calls.setdefault(node.function.symbol, []).append(node)

    def use(self, symbol: Symbol, *, is_early: bool) -> None:
        """A variable is named; early means perhaps before it has its first value."""
        self._uses[symbol] = self._uses.get(symbol, 0) + 1
        if is_early:
            self._untyped.add(symbol)

    def assign(self, symbol: Symbol, node: Assign) -> None:
        """A variable is defined or assigned."""
        self._assignments.append((symbol, node))
        if symbol.kind is not Kind.BUILTIN:
            self._symbols[symbol] = None
        if node.define and isinstance(node.value, FuncLit):
            self._bodies[symbol] = node.value

    def iterate(self, symbol: Symbol, iterable: Expr, *, is_key: bool) -> None:
        """A for-in defines a variable."""
        self._symbols[symbol] = None
        self._iterations.append((symbol, iterable, is_key))

    def function(self, node: FuncLit) -> None:
        """A function, before what is in it."""
        self._functions.append(node)

    def returns(self, function: Function, value: Expr | None) -> None:
        """A return from a function."""
        self._returns.append((function, value))

    # ------------------------------------------------------------------ the types

    def infer(self) -> None:
        """Set the types of symbols and expressions and the results of functions."""
        self._start()
        for _ in range(_MOST_ROUNDS):
            if not self._round():
                break
        else:
            self._give_up()
        self._finish()

    def _start(self) -> None:
        for node in self._expressions:
            node.type = Type.NEVER
        self._find_libraries()
        named = self._called_by_name()
        for literal in self._functions:
            function = literal.function
            assert function is not None
            function.direct = id(literal) in named and len(literal.params) <= _MOST_DIRECT
            function.result = Type.UNDEFINED if _can_fall_out(literal.body) else Type.NEVER
            for place, param in enumerate(literal.params):
                symbol = param.symbol
                assert symbol is not None
                self._symbols[symbol] = None
                calls = named.get(id(literal))
                if calls is None:
                    self._untyped.add(symbol)
                else:
                    self._arguments += [(symbol, call.arguments[place]) for call in calls]
        for symbol in self._symbols:
            symbol.type = Type.UNKNOWN if symbol in self._untyped else Type.NEVER

    def _find_libraries(self) -> None:
        for symbol, node in self._assignments:
            value = node.value
            if not node.define or symbol.assigned or symbol in self._untyped:
                continue
            if isinstance(value, Import) and not value.module.startswith("/"):
                symbol.library = value.module

    def _called_by_name(self) -> dict[int, list[Call]]:
        """The functions of which all calls are known, by the identity of their literals."""
        found: dict[int, list[Call]] = {}
        for symbol, literal in self._bodies.items():
            calls = self._calls.get(symbol, [])
            if symbol.assigned or literal.variadic or self._uses.get(symbol, 0) != len(calls):
                continue
            expected = len(literal.params)
            if all(len(call.arguments) == expected and not call.spread for call in calls):
                found[id(literal)] = calls
                symbol.direct = expected <= _MOST_DIRECT
        return found

    def _round(self) -> bool:
        """Let every value flow one step; whether anything changed."""
        changed = False
        for node in self._expressions:
            new = self._evaluate(node)
            changed |= new is not node.type
            node.type = new
        for function, value in self._returns:
            new = join(function.result, Type.UNDEFINED if value is None else type_of(value))
            changed |= new is not function.result
            function.result = new
        for symbol, assignment in self._assignments:
            new = type_of(assignment.value)
            if assignment.op:
                new = result_of(assignment.op, symbol.type, new)
            changed |= self._reaches(symbol, new)
        for symbol, iterable, is_key in self._iterations:
            changed |= self._reaches(symbol, (type_of_key if is_key else type_of_element)(iterable))
        for symbol, argument in self._arguments:
            changed |= self._reaches(symbol, type_of(argument))
        return changed

    def _reaches(self, symbol: Symbol, kind: Type) -> bool:
        if symbol.kind is Kind.BUILTIN:  # the host's: anything
            return False
        new = join(symbol.type, kind)
        changed = new is not symbol.type
        symbol.type = new
        return changed

    def _evaluate(self, node: Unary | Binary | Logical | Cond | Slice | Call) -> Type:
        if isinstance(node, Binary):
            return result_of(node.op, type_of(node.left), type_of(node.right))
        if isinstance(node, Call):
            return self._result(node)
        if isinstance(node, Unary):
            return result_of_unary(node.op, type_of(node.operand))
        if isinstance(node, Logical):
            return join(type_of(node.left), type_of(node.right))
        if isinstance(node, Cond):
            return join(type_of(node.then), type_of(node.otherwise))
        kind = type_of(node.operand)
        return kind if kind in (Type.STRING, Type.ARRAY, Type.NEVER) else Type.UNKNOWN

    def _result(self, node: Call) -> Type:
        function = node.function
        if isinstance(function, Index):
            return result_of_library(function)
        if isinstance(function, FuncLit):
            assert function.function is not None
            return function.function.result
        symbol = function.symbol if isinstance(function, Ident) else None
        if symbol is None or symbol.predefined:
            return Type.UNKNOWN
        if symbol.kind is Kind.BUILTIN:
            return result_of_builtin(symbol.name, node.arguments, spread=node.spread)
        literal = self._bodies.get(symbol)
        if literal is None or literal.function is None or symbol.assigned:
            return Type.UNKNOWN
        return literal.function.result

    def _give_up(self) -> None:
        for symbol in self._symbols:
            symbol.type = Type.UNKNOWN
        for literal in self._functions:
            assert literal.function is not None
            literal.function.result = Type.UNKNOWN
        for node in self._expressions:  # parts come before what they are part of
            node.type = self._evaluate(node)

    def _finish(self) -> None:
        """What no value reaches is as good as unknown."""
        for thing in (*self._symbols, *self._expressions):
            if thing.type is Type.NEVER:
                thing.type = Type.UNKNOWN
        for literal in self._functions:
            if literal.function is not None and literal.function.result is Type.NEVER:
                literal.function.result = Type.UNKNOWN


def _can_fall_out(body: Block) -> bool:
    """Whether a function can end without a return, as far as its last statements tell."""
    blocks = [body]
    while blocks:
        statements = blocks.pop().body
        last: Stmt | None = statements[-1] if statements else None
        while isinstance(last, If):
            blocks.append(last.then)
            last = last.otherwise
        if isinstance(last, Block):
            blocks.append(last)
        elif not isinstance(last, Return | Export):
            return True
    return False
