"""`&&`, `||` and `c ? x : y`, and what is asked of a value where only its truth counts.

They are Lua's `and` and `or` where that is the same, and statements where it is not: Lua takes 0
and "" for true, and `c and x or y` is no choice when `x` may be undefined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from runtimes.tengo.emit.arithmetic import Arithmetic
from runtimes.tengo.emit.lines import Line
from runtimes.tengo.emit.values import AND, LUA_TRUE, OR, PREFIX, Value, joined, stored
from runtimes.tengo.nodes import Cond, Expr, Logical, Unary
from runtimes.tengo.scopes import Type


class Conditions(Arithmetic, ABC):
    """Emits what is evaluated only on a condition."""

    @abstractmethod
    def expression(self, node: Expr) -> Value:
        """The value of an expression; may emit statements before it."""

    def branch(self, make: Callable[[Expr], Value], node: Expr) -> tuple[Value, list[Line]]:
        """A value that is evaluated only on a condition, and the statements it needs, taken out."""
        start, effects, stored_before = len(self.lines), self.effects, self.stored
        value = make(node)
        taken = self.lines[start:]
        del self.lines[start:]
        self.effects, self.stored = effects, stored_before
        return value, taken

    def _put_branch(self, target: str, value: Value, taken: list[Line]) -> None:
        for line in taken:
            line.indent += 1
            self.lines.append(line)
        self.indent += 1
        self.emit(f"{target} = {value.text}")
        self.indent -= 1

    def condition(self, node: Expr) -> Value:
        """A Lua expression that is true or false as the value of `node` is in Tengo."""
        if isinstance(node, Unary) and node.op == "!":
            return self.unary(node.pos, "!", self.condition(node.operand))
        if not isinstance(node, Logical):
            return self.truth(self.expression(node))
        chain: list[Logical] = []
        first: Expr = node
        while isinstance(first, Logical):
            chain.append(first)
            first = first.left
        value = self.condition(first)
        for link in reversed(chain):
            right, statements = self.branch(self.condition, link.right)
            if statements:
                value = self._stepped(link.op, value, right, statements, as_truth=True)
            else:
                precedence = AND if link.op == "&&" else OR
                word = "and" if link.op == "&&" else "or"
                text = f"{value.at(precedence)} {word} {right.at(precedence + 1)}"
                made = joined(text, precedence, Type.BOOL, value, right)
                made.terms, made.nest = value.terms + 1, max(value.nest, right.nest + 1)
                made.chain = value.chain
                value = self.shortened(made)
        return value

    def _stepped(
        self, op: str, value: Value, right: Value, taken: list[Line], *, as_truth: bool
    ) -> Value:
        """`value op right` as statements: the right side only when it is wanted."""
        name = value.chain
        if not name or value.text != name:
            name = self.store(value.text)
        test = name if as_truth else self.truth(stored(name, value)).text
        self.emit(f"if {test} then" if op == "&&" else f"if not {_grouped(test)} then")
        self._put_branch(name, right, taken)
        self.emit("end")
        self.effects += 1
        kind = value.type if value.type is right.type else Type.UNKNOWN
        return Value(name, type=kind, simple="[" not in name, stable=False, chain=name)

    def logical(self, node: Logical) -> Value:
        chain: list[Logical] = []
        first: Expr = node
        while isinstance(first, Logical):
            chain.append(first)
            first = first.left
        value = self.expression(first)
        for link in reversed(chain):
            right, statements = self.branch(self.expression, link.right)
            if statements or (value.type is not Type.BOOL and link.op == "&&"):
                value = self._stepped(link.op, value, right, statements, as_truth=False)
                continue
            word, precedence = ("and", AND) if link.op == "&&" else ("or", OR)
            left = value
            if value.type is not Type.BOOL:
                left = joined(f"{self.helper('pick')}({value.text})", PREFIX, value.type, value)
            text = f"{left.at(precedence)} {word} {right.at(precedence + 1)}"
            kind = value.type if value.type is right.type else Type.UNKNOWN
            made = joined(text, precedence, kind, value, right)
            made.terms, made.nest = value.terms + 1, max(value.nest, right.nest + 1)
            made.chain = value.chain
            value = self.shortened(made)
        return value

    def cond(self, node: Cond) -> Value:
        """`c ? x : y`, and `c ? x : d ? y : z` of any length: a loop, not a recursion."""
        arms: list[Cond] = []
        rest: Expr = node
        while isinstance(rest, Cond):
            arms.append(rest)
            rest = rest.otherwise
        test = self.condition(node.condition)
        then, then_lines = self.branch(self.expression, node.then)
        if len(arms) == 1 and not then_lines and then.type in LUA_TRUE:
            otherwise, lines = self.branch(self.expression, rest)
            if not lines:
                kind = then.type if then.type is otherwise.type else Type.UNKNOWN
                text = f"{test.at(AND)} and {then.at(AND + 1)} or {otherwise.at(AND)}"
                return joined(text, OR, kind, test, then, otherwise)
        name = self.temporary()
        if "[" not in name:
            self.emit(f"local {name}")
        self.stored += 1
        kind = self._choose(name, test, then, then_lines, arms)
        self.effects += 1
        return Value(name, type=kind, stable=True, simple="[" not in name)

    def _choose(
        self, name: str, test: Value, then: Value, lines: list[Line], arms: list[Cond]
    ) -> Type:
        """Put what a chain of choices gives into `name`; the first choice is emitted already."""
        kinds = {then.type}
        self.emit(f"if {test.text} then")
        self._put_branch(name, then, lines)
        done = ""
        for arm in arms[1:]:
            test, before = self.branch(self.condition, arm.condition)
            if before or done:
                # What the condition needs first has no place before an `elseif`.
                if not done:
                    done = f"done_{self.label()}"
                    self.emit("else")
                    self.indent += 1
                self._put_lines(before)
                self.emit(f"if {test.text} then")
            else:
                self.emit(f"elseif {test.text} then")
            then, lines = self.branch(self.expression, arm.then)
            kinds.add(then.type)
            self._put_branch(name, then, lines)
            if done:
                self.emit(f"\tgoto {done}")
                self.emit("end")
        otherwise, lines = self.branch(self.expression, arms[-1].otherwise)
        kinds.add(otherwise.type)
        if done:
            self._put_lines(lines)
            self.emit(f"{name} = {otherwise.text}")
            self.emit(f"::{done}::")
            self.indent -= 1
        else:
            self.emit("else")
            self._put_branch(name, otherwise, lines)
        self.emit("end")
        return kinds.pop() if len(kinds) == 1 else Type.UNKNOWN

    def _put_lines(self, lines: list[Line]) -> None:
        self.lines.extend(lines)


def _grouped(text: str) -> str:
    return text if text.replace("_", "").isalnum() else f"({text})"
