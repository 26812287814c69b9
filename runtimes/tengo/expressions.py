"""Expressions: the part of the parser between tokens and `nodes.Expr`.

Source of behaviour: parser/parser.go of Tengo v2.10.0.  Chains of operators and of postfixes are
parsed with loops, so that their length is not a depth.  After an error the nodes no longer matter
(the tree is thrown away), only which tokens are stepped over.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Final

from runtimes.tengo.cursor import Cursor
from runtimes.tengo.depth import MAX_DEPTH
from runtimes.tengo.literals import char_value, float_value, int_value, string_value
from runtimes.tengo.nodes import (
    ArrayLit,
    Binary,
    Block,
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
from runtimes.tengo.tokens import CHAR, EOF, FLOAT, IDENT, INT, PRECEDENCE, STRING

_PREFIXES: Final = frozenset("+-!^")


class Expressions(Cursor):
    """Parses expressions.

    After each, `start` is where its text starts, parenthesis included: that is where the original
    places an error about a bigger expression that starts with it.  `target` is the expression
    itself if it can be assigned to: a name, or indexes and selectors of a name, not in
    parentheses.
    """

    def __init__(self, source: bytes, name: str) -> None:
        super().__init__(source, name)
        self.start = Pos(1, 1)
        self.target: Expr | None = None
        self.imports: list[Import] = []
        self._operands: dict[str, Callable[[Pos], Expr]] = {
            INT: self._int,
            FLOAT: self._float,
            STRING: self._string,
            CHAR: self._char,
            "true": self._bool,
            "false": self._bool,
            "undefined": self._undefined,
            "(": self._parenthesis,
            "[": self._array,
            "{": self._map,
            "func": self._function,
            "error": self._error,
            "immutable": self._immutable,
            "import": self._import,
        }

    @abstractmethod
    def block(self) -> Block:
        """`{ ... }`; the other half of the parser has it."""

    # ------------------------------------------------------------------ operators

    def expression(self) -> Expr:
        """An expression with everything up to `? :`."""
        self.enter()
        expr = self._operation()
        if self.kind == "?":
            start = self.start
            self.next()
            then = self.expression()
            self.expect(":")
            expr = Cond(start, expr, then, self.expression())
            self.start = start
        self.depth -= 1
        return expr

    def _operation(self) -> Expr:
        """Binary operators, by precedence."""
        left = self._unary()
        precedence = PRECEDENCE.get(self.kind, 0)
        if not precedence:
            return left
        start = self.start
        waiting: list[tuple[int, str, Expr, Pos]] = []
        while True:
            while waiting and waiting[-1][0] >= precedence:
                _, op, first, start = waiting.pop()
                node = Logical if op in ("&&", "||") else Binary
                left = node(start, op, first, left)
            if not precedence:
                break
            waiting.append((precedence, self.kind, left, start))
            self.next()
            left = self._unary()
            start = self.start
            precedence = PRECEDENCE.get(self.kind, 0)
        self.start = start
        return left

    def _unary(self) -> Expr:
        if self.kind not in _PREFIXES:
            return self._primary()
        prefixes: list[str] = []
        while self.kind in _PREFIXES:
            prefixes.append(self.kind)
            if self.depth + len(prefixes) > MAX_DEPTH:
                self.too_deep()
            self.next()
        self.depth += len(prefixes)
        expr = self._primary()
        self.depth -= len(prefixes)
        for op in reversed(prefixes):
            expr = Unary(self.start, op, expr)
        return expr

    # ------------------------------------------------------------------ postfixes

    def _primary(self) -> Expr:
        """An operand with its selectors, indexes, slices and calls."""
        start = self.here()
        kind = self.kind
        rooted = kind == IDENT
        if rooted:
            expr: Expr = Ident(start, self.text.decode("utf-8", "replace"))
            self.next()
        else:
            expr = self._operands.get(kind, self._no_operand)(start)
        while True:
            kind = self.kind
            if kind == "(":
                rooted = False
                expr = self._call(start, expr)
            elif kind == ".":
                self.next()
                if self.kind != IDENT:
                    expr = self._bad("selector")
                    start = expr.pos
                    break
                expr = Index(start, expr, StringLit(self.here(), self.text), True)
                self.next()
            elif kind == "[":
                expr = self._index(start, expr)
                rooted = rooted and isinstance(expr, Index)
            else:
                break
        self.start = start
        self.target = expr if rooted else None
        return expr

    def _call(self, start: Pos, function: Expr) -> Expr:
        self.next()
        arguments: list[Expr] = []
        spread = False
        while self.kind not in (")", EOF) and not spread:
            arguments.append(self.expression())
            if self.kind == "...":
                spread = True
                self.next()
            if not self._comma(")", "call argument"):
                break
        self.expect(")")
        return Call(start, function, arguments, spread)

    def _index(self, start: Pos, operand: Expr) -> Expr:
        self.next()
        low = high = None
        if self.kind != ":":
            low = self.expression()
        sliced = self.kind == ":"
        if sliced:
            self.next()
            if self.kind not in ("]", EOF):
                high = self.expression()
        self.expect("]")
        if sliced or low is None:
            return Slice(start, operand, low, high)
        return Index(start, operand, low)

    def _comma(self, closing: str, what: str) -> bool:
        """Step over a comma; whether another element follows.  None may follow the last one."""
        if self.kind == ",":
            self.next()
            if self.kind != closing:
                return True
            self.expected(what)
        elif self.kind == ";" and self.text == b"\n":
            self.next()
        return False

    # ------------------------------------------------------------------ operands

    def _bad(self, what: str) -> Expr:
        """Something else stands where `what` should."""
        pos = self.here()
        self.expected(what)
        self.resume()
        return UndefinedLit(pos)

    def _no_operand(self, pos: Pos) -> Expr:
        return self._bad("operand")

    def _int(self, pos: Pos) -> Expr:
        value = int_value(self.text)
        if value is None:
            self.error(pos, "invalid integer")
        self.next()
        return IntLit(pos, value or 0)

    def _float(self, pos: Pos) -> Expr:
        value = float_value(self.text)
        if value is None:
            self.error(pos, "invalid float")
        self.next()
        return FloatLit(pos, value or 0.0)

    def _string(self, pos: Pos) -> Expr:
        value = self._text()
        self.next()
        return StringLit(pos, value)

    def _text(self) -> bytes:
        """The value of the current string token."""
        return b"" if self.failed else string_value(self.text)

    def _char(self, pos: Pos) -> Expr:
        # A wrong one has been reported by the scanner, and the parser's own complaint about it
        # would be dropped, being of the same line.
        value = 0 if self.failed else char_value(self.text)
        self.next()
        return CharLit(pos, value)

    def _bool(self, pos: Pos) -> Expr:
        value = self.kind == "true"
        self.next()
        return BoolLit(pos, value)

    def _undefined(self, pos: Pos) -> Expr:
        self.next()
        return UndefinedLit(pos)

    def _parenthesis(self, pos: Pos) -> Expr:
        self.next()
        expr = self.expression()
        self.expect(")")
        return expr

    def _array(self, pos: Pos) -> Expr:
        self.next()
        items: list[Expr] = []
        while self.kind not in ("]", EOF):
            items.append(self.expression())
            if not self._comma("]", "array element"):
                break
        self.expect("]")
        return ArrayLit(pos, items)

    def _map(self, pos: Pos) -> Expr:
        self.next()
        items: list[tuple[bytes, Expr]] = []
        while self.kind not in ("}", EOF):
            key = b"_"
            if self.kind == IDENT:
                key = self.text
            elif self.kind == STRING:
                key = self._text()
            else:
                self.expected("map key")
            self.next()
            self.expect(":")
            items.append((key, self.expression()))
            if not self._comma("}", "map element"):
                break
        self.expect("}")
        return MapLit(pos, items)

    def _function(self, pos: Pos) -> Expr:
        self.next()
        self.expect("(")
        params: list[Ident] = []
        variadic = False
        if self.kind != ")":
            while True:
                if self.kind == "...":
                    variadic = True
                    self.next()
                name = self.text.decode("utf-8", "replace") if self.kind == IDENT else "_"
                params.append(Ident(self.expect(IDENT), name))
                if variadic or self.kind != ",":
                    break
                self.next()
        self.expect(")")
        return FuncLit(pos, params, variadic, self.block())

    def _error(self, pos: Pos) -> Expr:
        return ErrorExpr(pos, self._wrapped())

    def _immutable(self, pos: Pos) -> Expr:
        return ImmutableExpr(pos, self._wrapped())

    def _wrapped(self) -> Expr:
        self.next()
        self.expect("(")
        value = self.expression()
        self.expect(")")
        return value

    def _import(self, pos: Pos) -> Expr:
        self.next()
        self.expect("(")
        if self.kind != STRING:
            self.expected("module name")
            self.resume()
            return UndefinedLit(pos)
        node = Import(pos, self._text().decode("utf-8", "replace"))
        self.imports.append(node)
        self.next()
        self.expect(")")
        return node
