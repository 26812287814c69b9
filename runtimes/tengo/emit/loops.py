"""Loops: `for` as Lua's own counting loop where nobody could tell, else as `while`; `for in`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Final

from runtimes.tengo.emit.assignments import Assignments
from runtimes.tengo.emit.elements import place_before
from runtimes.tengo.emit.facts import LoopFacts, facts_of
from runtimes.tengo.emit.lines import Line
from runtimes.tengo.emit.values import Value
from runtimes.tengo.nodes import (
    Assign,
    Binary,
    Block,
    Branch,
    Call,
    Expr,
    For,
    ForIn,
    Ident,
    IntLit,
    Stmt,
)
from runtimes.tengo.scopes import Kind, Type

_MOST_LOOKED_AT: Final = 6
"""Loops inside that many are not looked at: each look walks over all that is inside."""
_MOST: Final = (1 << 63) - 1


class Loops(Assignments):
    """Emits loops."""

    loops: list[list[int]]
    """For each loop around: the numbers of the labels that its `continue`s went to."""

    @abstractmethod
    def statement(self, node: Stmt) -> None:
        """Emit one statement."""

    @abstractmethod
    def body(self, block: Block | Iterable[Stmt]) -> None:
        """The statements of a block, in the Lua block that is open."""

    def branch_statement(self, node: Branch) -> None:
        if node.keyword == "break":
            self.emit("break")
            return
        loop = self.loops[-1]
        if not loop:
            loop.append(self.label())
        self.emit(f"goto continue_{loop[0]}")

    def loop_body(self, block: Block) -> None:
        """The body of a loop, with a label at its end when there is a `continue`."""
        self.loops.append([])
        start = len(self.lines)
        self.body(block)
        labels = self.loops.pop()
        if labels:
            for line in self.lines[start:]:
                line.indent += 1
            self.insert(start, "do")
            self.emit("end")
            self.emit(f"::continue_{labels[0]}::")

    def facts(self, node: For | ForIn) -> LoopFacts:
        """What a loop does to arrays; nothing is known of one that is too deep in others."""
        return facts_of(node) if len(self.loops) < _MOST_LOOKED_AT else LoopFacts()

    def for_loop(self, node: For) -> None:
        facts = self.facts(node)
        with self.arrays_of_loop(facts):
            self._for_loop(node, facts)

    def _for_loop(self, node: For, facts: LoopFacts) -> None:
        if self._counted(node, facts):
            return
        if node.init is not None:
            self.emit("do")
            with self.block():
                self.statement(node.init)
                self._while(node)
            self.emit("end")
        else:
            self._while(node)

    def _while(self, node: For) -> None:
        start, effects, stored_before = len(self.lines), self.effects, self.stored
        test = None if node.condition is None else self.condition(node.condition)
        statements = self.lines[start:]
        del self.lines[start:]
        self.effects, self.stored = effects, stored_before
        if test is None or statements:
            self.emit("while true do")
        else:
            self.emit(f"while {test.text} do")
        with self.block():
            if test is not None and statements:
                self._leave_unless(test, statements)
            self.loop_body(node.body)
            if node.post is not None:
                self._post(node.post)
        self.emit("end")

    def _leave_unless(self, test: Value, statements: list[Line]) -> None:
        self.emit("do")
        for line in statements:
            line.indent += 2
            self.lines.append(line)
        self.indent += 1
        self.emit(f"if not ({test.text}) then break end")
        self.indent -= 1
        self.emit("end")

    def _post(self, node: Stmt) -> None:
        # After `break` or `return` nothing may follow in a block; ours are in blocks of their own.
        self.statement(node)

    def _counted(self, node: For, facts: LoopFacts) -> bool:
        """Emit `for i := a; i < b; i++` as Lua's own counting loop where nobody could tell."""
        bound = _bound_of(node)
        if bound is None:
            return False
        init, condition, step = bound
        assert isinstance(init.target, Ident)
        symbol = init.target.symbol
        assert symbol is not None
        if symbol.captured or symbol.lua or symbol.assigned > 1 or symbol.type is not Type.INT:
            return False
        limit = condition.right
        below = condition.op == "<"
        low, high = init.value, _MOST - below
        assert isinstance(low, IntLit)
        if isinstance(limit, IntLit):
            high = limit.value - 1 if below else limit.value
            last = str(high)
        elif self._counts_to_length(limit, facts):
            last = self.expression(limit).text + (" - 1" if below else "")
        elif (
            isinstance(limit, Ident)
            and limit.symbol is not None
            and limit.symbol.type is Type.INT
            and limit.symbol.assigned == 0
            and limit.symbol.kind is not Kind.BUILTIN
        ):
            name = self.expression(limit).text
            last = f"{self.helper('below')}({name})" if below else name
        else:
            return False
        first = self.expression(init.value).text
        self.spans[symbol] = (low.value, max(low.value, high))
        loop = self.emit("")
        with self.block():
            self.declare(symbol, always_local=True)
            self.loop_body(node.body)
        by = "" if step == 1 else f", {step}"
        loop.text = f"for {symbol.lua} = {first}, {last}{by} do"
        self.emit("end")
        return True

    def _counts_to_length(self, limit: Expr, facts: LoopFacts) -> bool:
        """Whether a loop counts to the length of a variable, and that stays the same."""
        if not isinstance(limit, Call) or len(limit.arguments) != 1:
            return False
        called, argument = self.builtin_symbol(limit), limit.arguments[0]
        if called is None or called.name != "len" or not isinstance(argument, Ident):
            return False
        symbol = argument.symbol
        if symbol is None or symbol.kind is Kind.BUILTIN or len(self.loops) >= _MOST_LOOKED_AT:
            return False
        lasting = symbol.type is Type.STRING or (symbol.type is Type.ARRAY and self.headers_last)
        return lasting and bool(symbol.lua) and facts.keeps(symbol)

    def for_in(self, node: ForIn) -> None:
        with self.arrays_of_loop(self.facts(node)):
            self.emit("do")
            with self.block():
                self._for_in_loop(node)
            self.emit("end")

    def _for_in_loop(self, node: ForIn) -> None:
        iterable = self.expression(node.iterable)
        source, first, count = self.unique("source"), self.unique("first"), self.unique("count")
        listed = iterable.type in (Type.ARRAY, Type.STRING)
        keys = "" if listed else self.unique("keys")
        names = ", ".join(filter(None, [source, first, count, keys]))
        call = f"{self.helper('each')}{self.mark(place_before(node.iterable))}"
        self.emit(f"local {names} = {call}({iterable.text})")
        turn = self.unique("turn")
        self.emit(f"for {turn} = 0, {count} - 1 do")
        with self.block():
            key = self._loop_name(node.key)
            value = self._loop_name(node.value)
            item = f"{source}[{first} + {turn}]"
            if listed:
                if key:
                    self.emit(f"{key} = {turn}")
                if value:
                    self.emit(f"{value} = {item}")
            elif key or value:
                self._keyed(key, value, item, source, keys, turn)
            self.loop_body(node.body)
        self.emit("end")

    def _keyed(self, key: str, value: str, item: str, source: str, keys: str, turn: str) -> None:
        bare = [name.removeprefix("local ") for name in (key, value)]
        local = [name.removeprefix("local ") for name in (key, value) if name.startswith("local ")]
        if local:
            self.emit(f"local {', '.join(local)}")
        with_keys, without = [], []
        named = f"{keys}[{turn} + 1]"
        if bare[0]:
            with_keys.append(f"{bare[0]} = {named}")
            without.append(f"{bare[0]} = {turn}")
        if bare[1]:
            with_keys.append(f"{bare[1]} = {source}[{named}]")
            without.append(f"{bare[1]} = {item}")
        self.emit(f"if {keys} then {'; '.join(with_keys)} else {'; '.join(without)} end")

    def _loop_name(self, ident: Ident | None) -> str:
        """How a line starts that assigns to a loop's variable: `local x` for a new one."""
        if ident is None or ident.symbol is None:
            return ""
        symbol = ident.symbol
        if symbol.lua:
            return symbol.lua
        local = self.declare(symbol)
        return f"local {symbol.lua}" if local else symbol.lua


def _bound_of(node: For) -> tuple[Assign, Binary, int] | None:
    """The parts of a loop that counts up from a literal to a bound by a literal step."""
    init, condition, post = node.init, node.condition, node.post
    if (
        not isinstance(init, Assign)
        or not init.define
        or not isinstance(init.target, Ident)
        or not isinstance(init.value, IntLit)
        or not isinstance(condition, Binary)
        or condition.op not in ("<", "<=")
        or not isinstance(condition.left, Ident)
        or not isinstance(post, Assign)
        or post.op != "+"
        or not isinstance(post.target, Ident)
        or not isinstance(post.value, IntLit)
    ):
        return None
    symbol = init.target.symbol
    if symbol is None or condition.left.symbol is not symbol or post.target.symbol is not symbol:
        return None
    step = post.value.value
    if not (1 <= step < 1 << 32 and init.value.value < 1 << 62):
        return None
    return init, condition, step
