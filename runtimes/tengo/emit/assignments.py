"""Definitions and assignments.  The right side comes first, then the indexes from the right to the
left, as in the original."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from runtimes.tengo.emit.expressions import Expressions, predefined
from runtimes.tengo.emit.lines import MARK
from runtimes.tengo.emit.names import is_plain_name
from runtimes.tengo.emit.values import NEVER_NIL, Value, stored
from runtimes.tengo.nodes import Assign, Call, Expr, FuncLit, Ident, Import, Index
from runtimes.tengo.scopes import Symbol, Type
from runtimes.tengo.types import type_of


class Assignments(Expressions):
    """Emits what gives a variable or an element its value."""

    def assign(self, node: Assign) -> None:
        if isinstance(node.target, Index):
            self._assign_index(node, node.target)
            return
        symbol = node.target.symbol
        assert symbol is not None
        if node.define and not symbol.assigned and self._is_library(node.value):
            self.libraries.add(symbol)
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
        value = self._new_value(node, node.target)
        self.emit(f"{symbol.lua} = {value.text}")

    def _is_library(self, node: Expr) -> bool:
        return isinstance(node, Import) and not node.module.startswith("/")

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
        is_array = len(keys) == 1 and type_of(base) is Type.ARRAY
        self._set(place, keys[0], value, mark, is_array=is_array)

    def _set(self, place: str, key: Value, value: Value, mark: str, *, is_array: bool) -> None:
        fast = is_plain_name(place) and key.simple and key.type in (Type.INT, Type.STRING)
        if fast and not value.simple:
            value = stored(self.store(value.text), value)
        call = f"{self.helper('set')}{mark}({place}, {key.text}, {value.text})"
        if not fast:
            self.emit(call)
        elif key.type is Type.INT:
            low = "" if key.text.isdigit() else f"{key.text} >= 0 and "
            kind_test = "" if is_array else f"{place}[1] == 1 and "
            test = f"{kind_test}{low}{key.text} < {place}[4]"
            quick = f"{place}[2][{place}[3] + {key.text}] = {value.text}"
            self.emit(f"if {test} then {quick} else {call} end")
        else:
            test = f"{place}[1] == 3 and {place}[{key.text}] ~= nil"
            if value.type not in NEVER_NIL:
                test += f" and {value.text} ~= nil"
            quick = f"{place}[{key.text}] = {value.text}"
            self.emit(f"if {test} then {quick} else {call} end")


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
