"""Statements and functions as Lua text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from runtimes.tengo.emit.assignments import Assignments
from runtimes.tengo.emit.lines import Line, is_call
from runtimes.tengo.emit.loops import Loops
from runtimes.tengo.emit.values import Value
from runtimes.tengo.nodes import (
    Assign,
    Block,
    Branch,
    Call,
    Export,
    Expr,
    ExprStmt,
    For,
    ForIn,
    FuncLit,
    Ident,
    If,
    Return,
    Stmt,
)
from runtimes.tengo.scopes import Symbol

_MAX_PARAMETERS: Final = 100


class Statements(Loops):
    """Emits statements."""

    is_module = False
    _functions: list[tuple[FuncLit | None, Symbol | None]]
    """The functions around, with the variable that each was defined in."""

    # ------------------------------------------------------------------ blocks

    def statement(self, node: Stmt) -> None:
        """Emit one statement; what it stored in between is gone after it."""
        start, effects, stored = len(self.lines), self.effects, self.stored
        with self.temporaries():
            self._makers_of_statements[type(node)](self, node)
        if self.stored > stored:
            self.enclose(start)
        self.effects, self.stored = effects, stored

    def body(self, block: Block | Iterable[Stmt]) -> None:
        """The statements of a block, in the Lua block that is open."""
        node: Stmt | None = None
        for node in block.body if isinstance(block, Block) else block:
            self.statement(node)
        if isinstance(node, Return):
            # `return` is the last statement of a Lua block; elsewhere it needs one of its own.
            last = self.lines[-1]
            last.text = last.text.removeprefix("do ").removesuffix(" end")

    def inner(self, block: Block) -> None:
        """A block of its own."""
        with self.block():
            self.body(block)

    def _block(self, node: Block) -> None:
        self.emit("do")
        self.inner(node)
        self.emit("end")

    # ------------------------------------------------------------------ functions

    def function_text(self, node: FuncLit, name: str = "", symbol: Symbol | None = None) -> str:
        """`function name(argc, a, b) ... end`."""
        self._functions.append((node, symbol))
        loops, self.loops = self.loops, []
        arrays = self.opened, self.growing
        self.opened, self.growing = {}, set()
        with self.function_lines() as lines:
            head = self._parameters(node)
            self.body(node.body)
        self.loops = loops
        self.opened, self.growing = arrays
        self._functions.pop()
        return f"function{name}({head}){self.text.block(lines)}end"

    def _parameters(self, node: FuncLit) -> str:
        symbols = [parameter.symbol for parameter in node.params]
        count = len(symbols)
        direct = node.function is not None and node.function.direct
        names = [] if direct else ["argc"]
        many = count > _MAX_PARAMETERS
        for i, symbol in enumerate(symbols):
            assert symbol is not None
            if many:
                symbol.lua = f"arguments[{i + 1}]"
                continue
            self.declare(symbol, always_local=True)
            if not (node.variadic and i == count - 1):
                names.append(symbol.lua)
        if node.variadic:
            self.emit(f"if argc < {count - 1} then {self.helper('too_few')}(argc, {count - 1}) end")
        elif not direct:
            self.emit(f"if argc ~= {count} then {self.helper('miscounted')}(argc, {count}) end")
        if many:
            names.append("...")
            self.emit("local arguments = { ... }")
            if node.variadic:
                rest = f"{self.helper('select')}({count}, ...)"
                rest = f"{self.helper('rest')}(argc - {count - 1}, {rest})"
                self.emit(f"arguments[{count}] = {rest}")
        elif node.variadic:
            names.append("...")
            last = symbols[-1]
            assert last is not None
            self.emit(f"local {last.lua} = {self.helper('rest')}(argc - {count - 1}, ...)")
        return ", ".join(names)

    def _return(self, node: Return) -> None:
        if node.value is None:
            self.emit("do return end")
        else:
            self._return_value(node.value)

    def _return_value(self, value: Expr) -> None:
        made = self.expression(value)
        text = made.text
        tail = isinstance(value, Call) and self._calls_itself(value)
        if not tail and (isinstance(value, Call) or is_call(text)):
            text = f"({text})"  # else Lua forgets this function, and with it the place of an error
        self.emit(f"do return {text} end")

    def _calls_itself(self, node: Call) -> bool:
        """Whether a call is of the function it stands in: Tengo's tail calls are those."""
        if not self._functions or not isinstance(node.function, Ident):
            return False
        symbol = node.function.symbol
        return symbol is not None and symbol is self._functions[-1][1]

    def _export(self, node: Export) -> None:
        if self.is_module:
            made = self.expression(node.value)
            self.emit(f"do return {self.helper('immutable')}({made.text}) end")

    # ------------------------------------------------------------------ simple statements

    def _expression_statement(self, node: ExprStmt) -> None:
        made = self.expression(node.value)
        if isinstance(node.value, Call) and is_call(made.text):
            self.emit(made.text)
        elif not made.simple:
            self.emit(f"do local _ = {made.text} end")

    # ------------------------------------------------------------------ if

    def _if(self, node: If) -> None:
        if node.init is not None:
            self.emit("do")
            with self.block():
                self.statement(node.init)
                self._if_chain(node)
            self.emit("end")
        else:
            self._if_chain(node)

    def _if_chain(self, node: If) -> None:
        test = self.condition(node.condition)
        self.emit(f"if {test.text} then")
        self.inner(node.then)
        otherwise = node.otherwise
        tested: tuple[Value, list[Line]] | None = None
        while isinstance(otherwise, If) and otherwise.init is None:
            tested = self.branch(self.condition, otherwise.condition)
            if tested[1]:
                break
            self.emit(f"elseif {tested[0].text} then")
            self.inner(otherwise.then)
            otherwise, tested = otherwise.otherwise, None
        if otherwise is not None:
            self.emit("else")
            with self.block():
                if isinstance(otherwise, If):
                    self._arms(otherwise, tested)
                elif isinstance(otherwise, Block):
                    self.body(otherwise)
        self.emit("end")

    def _arms(self, node: If, tested: tuple[Value, list[Line]] | None) -> None:
        """The rest of a chain whose conditions need statements before them: one arm after the
        other, each of which leaves the block; nested, a long chain would be too deep for Lua.
        `tested` is the first condition, with its statements, if it is made already."""
        done = f"done_{self.label()}"
        arm: Stmt | None = node
        while isinstance(arm, If):
            if arm.init is not None:
                self.statement(arm.init)
            if tested is not None:
                test, lines = tested
                for line in lines:
                    line.indent += 1
                self.lines.extend(lines)
                tested = None
            else:
                test = self.condition(arm.condition)
            self.emit(f"if {test.text} then")
            with self.block():
                self.emit("do")
                self.inner(arm.then)
                self.emit("end")
                self.emit(f"goto {done}")
            self.emit("end")
            arm = arm.otherwise
        if isinstance(arm, Block):
            self.emit("do")
            self.inner(arm)
            self.emit("end")
        self.emit(f"::{done}::")

    _makers_of_statements: Final[dict[type, Callable[..., None]]] = {
        ExprStmt: _expression_statement,
        Assign: Assignments.assign,
        Block: _block,
        If: _if,
        For: Loops.for_loop,
        ForIn: Loops.for_in,
        Branch: Loops.branch_statement,
        Return: _return,
        Export: _export,
    }
