"""Statements and whole files: bytes -> `nodes.File`.

Source of behaviour: parser/parser.go of Tengo v2.10.0, and its master for a stray `}`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from runtimes.tengo.cursor import TooManyErrors
from runtimes.tengo.depth import MAX_DEPTH, room_for_depth
from runtimes.tengo.expressions import Expressions
from runtimes.tengo.nodes import (
    Assign,
    Block,
    Branch,
    Export,
    Expr,
    ExprStmt,
    File,
    For,
    ForIn,
    Ident,
    If,
    Index,
    IntLit,
    Pos,
    Refused,
    Return,
    Stmt,
    UndefinedLit,
)
from runtimes.tengo.tokens import COMPOUND, EOF, IDENT, SIMPLE

_STEPS: Final = {"++": "+", "--": "-"}

_Part: TypeAlias = tuple[Pos, Expr, Expr | None]
"""An expression of a list: where it starts, itself, and what `target` was after it."""


def parse(source: bytes, name: str) -> File:
    """The tree of a program or module; `name` is what errors show as its file.

    Raises TengoSyntaxError, and nothing else, for whatever bytes are no program.
    """
    with room_for_depth():
        return _Parser(source, name).file()


class _Parser(Expressions):
    """Parses statements."""

    _step = False
    """Whether the last simple statement was a `++` or `--`."""

    def file(self) -> File:
        """The whole text."""
        body: list[Stmt] = []
        try:
            self.next()
            self.raise_errors()
            body = self._statements()
            self.expect(EOF)
        except TooManyErrors:
            pass
        self.raise_errors()
        return File(self.name, body, self.imports, source=self._source)

    def block(self) -> Block:
        """`{ ... }`."""
        self.enter()
        pos = self.expect("{")
        body = self._statements()
        self.depth -= 1
        return Block(pos, body, self.expect("}"))

    def _statements(self) -> list[Stmt]:
        body: list[Stmt] = []
        while self.kind not in ("}", EOF):
            if self.kind in SIMPLE:
                body.append(self._simple())
                self.end_statement()
            elif self.kind == ";":
                self.next()
            else:
                statement = self._keyword()
                if statement is not None:
                    body.append(statement)
        return body

    def _keyword(self) -> Stmt | None:
        """A statement that starts with a keyword."""
        kind = self.kind
        if kind == "if":
            return self._if()
        if kind == "for":
            return self._for()
        if kind == "return":
            return self._return()
        if kind == "export":
            pos = self.expect("export")
            value = self.expression()
            self.end_statement()
            return Export(pos, value)
        if kind in ("break", "continue"):
            pos = self.expect(kind)
            if self.kind == IDENT:  # a label: read, and then ignored
                self.next()
            self.end_statement()
            return Branch(pos, kind)
        self.expected("statement")
        self.resume()
        return None

    def _return(self) -> Stmt:
        pos = self.expect("return")
        value = None if self.kind in (";", "}") else self.expression()
        self.end_statement()
        return Return(pos, value)

    # ------------------------------------------------------------------ simple statements

    def _simple(self, *, loop: bool = False) -> Stmt:
        """An expression or an assignment; with `loop`, the head of a for-in without its body."""
        first = self.expression()
        self._step = False
        start, target = self.start, self.target
        kind = self.kind
        if kind in (":=", "="):
            self.next()
            value = self.expression()
            more = self._rest(None)
            return self._assign(start, first, target, value, kind, tuple_=more)
        if kind == ",":
            return self._tuple(start, first, loop=loop)
        if loop and kind == "in":
            self.next()
            return self._each([(start, first, target)])
        return self._update(start, first, target)

    def _assign(
        self, start: Pos, left: Expr, target: Expr | None, value: Expr, op: str, *, tuple_: bool
    ) -> Stmt:
        """An assignment of any operator, or the refusal the original's compiler has for it."""
        if tuple_:
            return Refused(start, "tuple assignment not allowed")
        if op == ":=" and isinstance(left, Index):
            return Refused(start, "operator ':=' not allowed with selector")
        if target is not left or not isinstance(left, Ident | Index):
            return Refused(start, "unresolved reference ''")
        return Assign(start, left, value, op == ":=", COMPOUND.get(op, ""))

    def _update(self, start: Pos, left: Expr, target: Expr | None) -> Stmt:
        """`x op= y`, `x++`, or an expression on its own."""
        kind = self.kind
        if kind in COMPOUND or kind == ":=":
            self.next()
            value = self.expression()
            return self._assign(start, left, target, value, kind, tuple_=False)
        if kind in _STEPS:
            one = IntLit(self.here(), 1)
            self.next()
            self._step = True
            return self._assign(start, left, target, one, _STEPS[kind] + "=", tuple_=False)
        return ExprStmt(start, left)

    def _rest(self, into: list[_Part] | None) -> bool:
        """The further expressions of a list, after commas; whether there are any."""
        any_ = False
        while self.kind == ",":
            self.next()
            expr = self.expression()
            any_ = True
            if into is not None:
                into.append((self.start, expr, self.target))
        return any_

    def _tuple(self, start: Pos, first: Expr, *, loop: bool) -> Stmt:
        """Several expressions on the left: the names of a for-in, or something refused."""
        target = self.target
        parts: list[_Part] = [(start, first, target)]
        self._rest(parts)
        if self.kind in (":=", "="):
            self.next()
            self.expression()
            self._rest(None)
            return Refused(start, "tuple assignment not allowed")
        if loop and self.kind == "in":
            self.next()
            return self._each(parts)
        self.error(start, "expected 1 expression")
        return self._update(start, first, target)

    # ------------------------------------------------------------------ if

    def _if(self) -> Stmt:
        """A whole `else if` chain, in a loop."""
        arms: list[tuple[Pos, Stmt | None, Expr, Block]] = []
        otherwise: Stmt | None = None
        scopes = self.depth
        while True:
            pos = self.expect("if")
            init, condition = self._if_header()
            arms.append((pos, init, condition, self.block()))
            scopes += init is not None
            if scopes > MAX_DEPTH:  # each is a scope within the one before
                self.too_deep()
            if self.kind != "else":
                self.end_statement()
                break
            self.next()
            if self.kind == "if":
                continue
            if self.kind == "{":
                otherwise = self.block()
                self.end_statement()
            else:
                self.expected("if or {")
            break
        for pos, init, condition, then in reversed(arms):
            otherwise = If(pos, init, condition, then, otherwise)
        assert otherwise is not None
        return otherwise

    def _if_header(self) -> tuple[Stmt | None, Expr]:
        missing = UndefinedLit(self.here())
        if self.kind == "{":
            self.error(missing.pos, "missing condition in if statement")
            return None, missing
        if self.kind == ";":
            self.error(missing.pos, "missing init in if statement")
            return None, missing
        init: Stmt | None = self._simple()
        condition: Stmt | None = None
        if self.kind == "{":
            init, condition = None, init
        elif self.kind == ";":
            self.next()
            condition = self._simple()
        else:
            self.error(self.here(), "missing condition in if statement")
        test = self._as_expression(condition, self._step, "boolean expression")
        return init, test or missing

    def _as_expression(self, statement: Stmt | None, step: bool, what: str) -> Expr | None:
        """The expression of an expression statement, which is all that may stand here."""
        if statement is None or isinstance(statement, ExprStmt):
            return statement.value if statement else None
        found = "simple statement" if step else "assignment"
        self.error(statement.pos, f"expected {what}, found {found}")
        return None

    # ------------------------------------------------------------------ for

    def _for(self) -> Stmt:
        pos = self.expect("for")
        if self.kind == "{":
            body = self.block()
            self.end_statement()
            return For(pos, None, None, None, body)
        init: Stmt | None = None
        condition: Stmt | None = None
        post: Stmt | None = None
        if self.kind != ";":
            init = self._simple(loop=True)
        step = self._step
        if isinstance(init, ForIn):
            init.pos = pos
            init.body = self.block()
            self.end_statement()
            return init
        if self.kind == ";":
            self.next()
            if self.kind != ";":
                condition = self._simple()
                step = self._step
            self.expect(";")
            if self.kind != "{":
                post = self._simple()
        else:
            init, condition = None, init
        body = self.block()
        self.end_statement()
        test = self._as_expression(condition, step, "condition expression")
        return For(pos, init, test, post, body)

    def _each(self, names: list[_Part]) -> Stmt:
        """The rest of a for-in's head."""
        iterable = self.expression()
        start = names[0][0]
        if len(names) > 2:  # the original's parser lets these pass, and its compiler crashes
            self.error(start, "expected 1 or 2 names before 'in'")
        key = self._loop_name(names[0]) if len(names) == 2 else None
        value = self._loop_name(names[-1])
        return ForIn(start, key, value, iterable, Block(start, [], start))

    def _loop_name(self, part: _Part) -> Ident | None:
        """A name before `in`; None for `_`."""
        pos, expr, target = part
        if target is not expr or not isinstance(expr, Ident):
            self.error(pos, "expected identifier")
            return None
        return None if expr.name == "_" else expr
