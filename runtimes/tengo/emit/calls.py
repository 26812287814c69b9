"""Calls: of functions whose count of arguments is known, of builtins and libraries, and others."""

from __future__ import annotations

from typing import Final

from runtimes.tengo.emit.elements import Elements
from runtimes.tengo.emit.names import is_plain_name
from runtimes.tengo.emit.values import (
    MULTIPLY,
    NEVER_NIL,
    NUMBERS,
    PREFIX,
    UNARY,
    Value,
    joined,
)
from runtimes.tengo.library_types import QUICK
from runtimes.tengo.nodes import Call, Ident
from runtimes.tengo.scopes import Kind, Symbol, Type
from runtimes.tengo.types import library_function, type_of

_MAX_ARGUMENTS: Final = 150
PREDICATES: Final = (
    "is_int", "is_float", "is_string", "is_bool", "is_char", "is_bytes", "is_array",
    "is_immutable_array", "is_map", "is_immutable_map", "is_time", "is_error", "is_undefined",
    "is_callable", "is_function", "is_iterable",
)  # fmt: skip
_INLINED: Final = {
    "len": (1, "length"),
    "append": (2, "append_one"),
    "string": (1, "to_string"),
    "int": (1, "to_int"),
    "float": (1, "to_float"),
    "bool": (1, "truthy"),
    "type_name": (1, "type_name"),
    "copy": (1, "copy"),
    **{name: (1, name) for name in PREDICATES},
}
"""Builtins that emitted code calls without the argument count, when it is this one."""


class Calls(Elements):
    """Emits calls."""

    def builtin_symbol(self, node: Call) -> Symbol | None:
        """The builtin that a call is of, if it is one."""
        if not isinstance(node.function, Ident) or node.spread:
            return None
        symbol = node.function.symbol
        if symbol is None or symbol.kind is not Kind.BUILTIN or symbol.predefined:
            return None
        return symbol

    def quick_call(self, node: Call) -> Value | None:
        """A call that does not evaluate its function: of a builtin, or of a library's function
        whose arguments are what it wants for certain."""
        symbol = self.builtin_symbol(node)
        if symbol is not None:
            return self._builtin_call(node, symbol)
        module, name = library_function(node.function)
        if QUICK.get((module, name)) != len(node.arguments) or node.spread:
            return None
        if any(type_of(argument) is not Type.STRING for argument in node.arguments):
            return None
        arguments = self.operands(node.arguments)
        texts = ", ".join(argument.text for argument in arguments)
        call = f"{self.helper(f'{module}_{name}')}{self.mark(node.pos)}({texts})"
        return joined(call, PREFIX, type_of(node), *arguments)

    def call(self, node: Call, function: Value) -> Value:
        """A call of an evaluated function; Lua must not take it for a tail call where the result
        is used."""
        function, *arguments = self.operands(node.arguments, function)
        mark, texts = self.mark(node.pos), [argument.text for argument in arguments]
        count = [str(len(texts))]
        if isinstance(node.function, Ident) and node.function.symbol is not None:
            count = [] if node.function.symbol.direct else count
        if node.spread:
            *fixed, last = texts
            text = ", ".join([function.text, last, str(len(fixed)), *fixed])
            text = f"{self.helper('spread_call')}{mark}({text})"
        elif len(arguments) > _MAX_ARGUMENTS:
            text = self._long_call(function.text, texts, mark)
        else:
            text = f"{function.prefix()}{mark}({', '.join([*count, *texts])})"
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
            native = self._native(name, arguments[0], mark)
            if native is not None:
                return native
            text = f"{self.helper(name)}{mark}({', '.join(texts)})"
        elif len(texts) > _MAX_ARGUMENTS:
            text = self._long_call(self.builtin(symbol.name), texts, mark)
        else:
            text = f"{self.builtin(symbol.name)}{mark}({', '.join([str(len(texts)), *texts])})"
        return joined(text, PREFIX, kind, *arguments)

    def _native(self, name: str, value: Value, mark: str) -> Value | None:
        """A builtin of one value as an expression of Lua's."""
        if name == "length":
            return self._length(value, mark)
        if name == "to_string" and value.type is Type.STRING:
            return value
        if name == "to_string" and value.type in NEVER_NIL:
            return joined(f"{self.helper('text')}{mark}({value.text})", PREFIX, Type.STRING, value)
        if name == "to_int" and value.type is Type.INT:
            return value
        if name == "to_float" and value.type in NUMBERS:
            return joined(f"{value.at(MULTIPLY)} * 1.0", MULTIPLY, Type.FLOAT, value)
        return None

    def _length(self, value: Value, mark: str) -> Value:
        """`len(value)`."""
        if value.type is Type.STRING:
            made = joined(f"#{value.at(PREFIX)}", UNARY, Type.INT, value)
        elif value.type is Type.ARRAY:
            made = joined(f"{value.prefix()}[4]", PREFIX, Type.INT, value)
        else:
            call = f"{self.helper('length')}{mark}({value.text})"
            if is_plain_name(value.text):
                call = f"({value.text}[1] == 1 and {value.text}[4] or {call})"
            made = joined(call, PREFIX, Type.INT, value)
        made.span = (0, 1 << 40)
        return made
