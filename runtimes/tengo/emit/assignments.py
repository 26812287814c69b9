"""Definitions and assignments.  The right side comes first, then the indexes from the right to the
left, as in the original."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from runtimes.tengo.emit.expressions import Expressions, predefined
from runtimes.tengo.emit.facts import is_self_append
from runtimes.tengo.emit.lines import MARK
from runtimes.tengo.emit.values import Value, stored
from runtimes.tengo.nodes import Assign, Call, Expr, FuncLit, Ident, Index
from runtimes.tengo.scopes import Symbol


class Assignments(Expressions):
    """Emits what gives a variable or an element its value."""

    def assign(self, node: Assign) -> None:
        if isinstance(node.target, Index):
            self._assign_index(node, node.target)
            return
        symbol = node.target.symbol
        assert symbol is not None
        if symbol.predefined:
            predefined(symbol)
        elif node.define and not symbol.lua:
            self._define(node, symbol)
            return
        if isinstance(node.value, FuncLit) and not node.op:
            defined = symbol if not symbol.assigned else None
            text = self.function_text(node.value, symbol=defined)
            self.emit(f"{symbol.lua} = {text}")
            return
        if symbol in self.growing and not node.op and self._grow(node.value, symbol):
            return
        value = self._new_value(node, node.target)
        self.emit(f"{symbol.lua} = {value.text}")

    def _grow(self, node: Expr, symbol: Symbol) -> bool:
        """`x = append(x, v)` where nobody else can see the array."""
        if not is_self_append(symbol, node):
            return False
        assert isinstance(node, Call)
        if node.spread or len(node.arguments) != 2:
            return False
        value = self.expression(node.arguments[1])
        name = symbol.lua
        self.emit(f"{name} = {self.helper('push')}{self.mark(node.pos)}({name}, {value.text})")
        return True

    def _define(self, node: Assign, symbol: Symbol) -> None:
        if isinstance(node.value, FuncLit):
            defined = symbol if not symbol.assigned else None
            if self.declare(symbol):
                text = self.function_text(node.value, f" {symbol.lua}", symbol=defined)
                self.emit(f"local {text}")
            else:
                text = self.function_text(node.value, symbol=defined)
                self.emit(f"{symbol.lua} = {text}")
            return
        start, stored_before = len(self.lines), self.stored
        if _mentions(node.value, symbol):
            # Tengo knows the new variable on the right side already.
            local = self.declare(symbol)
            if local:
                self.emit(f"local {symbol.lua}")
            value = self.expression(node.value)
            self.emit(f"{symbol.lua} = {value.text}")
            if self.stored > stored_before:
                self.enclose(start + local)
            self.stored = stored_before
            return
        value = self.expression(node.value)
        local = self.declare(symbol)
        if self.stored > stored_before:
            self.emit(f"{symbol.lua} = {value.text}")
            self.enclose(start)
            if local:
                self.insert(start, f"local {symbol.lua}")
            self.stored = stored_before
        else:
            self.emit(f"{'local ' if local else ''}{symbol.lua} = {value.text}")

    def _new_value(self, node: Assign, target: Ident | Index) -> Value:
        """What an assignment assigns: its value, or the target's old one with `op` applied."""
        if not node.op:
            return self.expression(node.value)
        old, value = self.operands([target, node.value])
        return self.binary(node.pos, node.op, old, value)

    def _assign_index(self, node: Assign, target: Index) -> None:
        functions = _functions_in(target) if node.op else []
        for literal in functions:
            # The indexes are evaluated twice; made once, a function does the same both times.
            self.hoisted[id(literal)] = self.store(self.function_text(literal))
        self._assign_element(node, target)
        for literal in functions:
            del self.hoisted[id(literal)]

    def _assign_element(self, node: Assign, target: Index) -> None:
        path: list[Index] = []
        base: Expr = target
        while isinstance(base, Index):
            path.append(base)
            base = base.operand
        value = self._new_value(node, target)
        # Tengo reads the value first, then the indexes from the right to the left, then the
        # variable; Lua would take the arguments of a call from the left to the right.
        start, effects = len(self.lines), self.effects
        keys = [self.expression(link.index) for link in path]
        bottom = self.expression(base)
        calls = value.calls or any(key.calls for key in keys)
        late = value.calls or MARK in value.text
        if (
            (not value.stable and (self.effects > effects or any(key.calls for key in keys)))
            or (late and not all(key.stable and key.simple for key in keys))
            or (calls and bottom.volatile and not value.stable)
        ):
            value = stored(self.store(value.text, start), value)
        if (len(keys) > 1 or bottom.volatile) and any(key.calls for key in keys):
            keys = [key if key.stable else stored(self.store(key.text), key) for key in keys]
        mark, place = self.mark(node.pos), bottom.text
        for key in reversed(keys[1:]):
            place = f"{self.helper('walk')}{mark}({place}, {key.text})"
        if len(keys) == 1:
            self.write(base, bottom, keys[0], value, mark)
        else:
            self.write(None, Value(place), keys[0], value, mark)


def _functions_in(target: Index) -> list[FuncLit]:
    """The function literals of an element's indexes, but not those inside others."""
    found: list[FuncLit] = []
    pending: list[Any] = [target]
    while pending:
        item = pending.pop()
        if isinstance(item, FuncLit):
            found.append(item)
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
        elif is_dataclass(item) and not isinstance(item, Symbol):
            pending.extend(getattr(item, part.name) for part in fields(item))
    return found


def _mentions(node: Any, symbol: Symbol) -> bool:
    """Whether a variable occurs in an expression."""
    pending = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, Ident):
            if item.symbol is symbol:
                return True
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
        elif is_dataclass(item) and not isinstance(item, Symbol):
            pending.extend(
                getattr(item, part.name)
                for part in fields(item)
                if part.name != "function" or isinstance(item, Call)
            )
    return False
