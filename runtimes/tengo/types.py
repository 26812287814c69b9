"""The types of expressions: what each gives, whenever it gives a value.

The rules are those of objects.go and builtins.go of Tengo v2.10.0.  An operation on operands that
the original refuses raises, so only what it gives when it does not matters here: `a % b` is an
int whatever `a` and `b` are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtimes.tengo.library_types import LISTS_OF_STRINGS, RESULTS
from runtimes.tengo.nodes import (
    ArrayLit,
    Binary,
    BoolLit,
    Call,
    CharLit,
    Cond,
    Expr,
    FloatLit,
    FuncLit,
    Ident,
    Index,
    IntLit,
    Logical,
    MapLit,
    Slice,
    StringLit,
    Unary,
    UndefinedLit,
)
from runtimes.tengo.scopes import Kind, Type

_FIXED: Final[dict[type, Type]] = {
    IntLit: Type.INT,
    FloatLit: Type.FLOAT,
    BoolLit: Type.BOOL,
    CharLit: Type.CHAR,
    StringLit: Type.STRING,
    UndefinedLit: Type.UNDEFINED,
    ArrayLit: Type.ARRAY,
    MapLit: Type.MAP,
    FuncLit: Type.FUNCTION,
}

_BUILTIN_RESULTS: Final[dict[str, Type]] = {
    "len": Type.INT,
    "append": Type.ARRAY,
    "splice": Type.ARRAY,
    "range": Type.ARRAY,
    "delete": Type.UNDEFINED,
    "bool": Type.BOOL,
    "format": Type.STRING,
    "type_name": Type.STRING,
    **{
        f"is_{kind}": Type.BOOL
        for kind in [
            "int",
            "float",
            "string",
            "bool",
            "char",
            "bytes",
            "array",
            "immutable_array",
            "map",
            "immutable_map",
            "iterable",
            "time",
            "error",
            "undefined",
            "function",
            "callable",
        ]
    },
}
"""Builtins that always give the same type."""

_NUMBERS: Final = frozenset((Type.INT, Type.FLOAT))
_CONVERSIONS: Final[dict[str, tuple[frozenset[Type], Type]]] = {
    "string": (frozenset(Type) - {Type.NEVER, Type.UNKNOWN, Type.UNDEFINED}, Type.STRING),
    "int": (_NUMBERS | {Type.BOOL, Type.CHAR}, Type.INT),
    "float": (_NUMBERS, Type.FLOAT),
    "char": (frozenset((Type.INT, Type.CHAR)), Type.CHAR),
}
"""Builtins that give a type for certain only when the argument is of one of these."""

_COMPARISONS: Final = frozenset(("==", "!=", "<", "<=", ">", ">="))
_INT_ONLY: Final = frozenset(("%", "&", "|", "^", "&^", "<<", ">>"))
_CHAR_PAIRS: Final = frozenset(
    ((Type.CHAR, Type.CHAR), (Type.CHAR, Type.INT), (Type.INT, Type.CHAR))
)


def type_of(node: Expr) -> Type:
    """What is known of an expression's value."""
    fixed = _FIXED.get(type(node))
    if fixed is not None:
        return fixed
    if isinstance(node, Ident):
        symbol = node.symbol
        if symbol is None:
            return Type.UNKNOWN
        if symbol.kind is Kind.BUILTIN:
            return Type.UNKNOWN if symbol.predefined else Type.FUNCTION
        return symbol.type
    if isinstance(node, Unary | Binary | Logical | Cond | Slice | Call):
        return node.type
    return Type.UNKNOWN


def join(one: Type, other: Type) -> Type:
    """The type of a value that is of either type."""
    if one is other or other is Type.NEVER:
        return one
    return other if one is Type.NEVER else Type.UNKNOWN


def result_of(op: str, left: Type, right: Type) -> Type:
    """The type of `left op right`."""
    if op in _COMPARISONS:
        return Type.BOOL
    if op in _INT_ONLY:
        return Type.INT
    if Type.NEVER in (left, right):
        return Type.NEVER
    if op in ("+", "-") and (left, right) in _CHAR_PAIRS:
        return Type.CHAR
    if op == "+" and left in (Type.STRING, Type.ARRAY, Type.FLOAT):
        return left
    if left is right is Type.INT:
        return Type.INT
    # `+` with a float on the right may still join it to a string.
    if Type.FLOAT in (left, right) and (op != "+" or left is Type.INT):
        return Type.FLOAT
    return Type.UNKNOWN


def result_of_unary(op: str, operand: Type) -> Type:
    """The type of `op operand`."""
    if op == "!":
        return Type.BOOL
    if op == "^":
        return Type.INT
    if op == "-" and operand not in (Type.INT, Type.FLOAT, Type.NEVER):
        return Type.UNKNOWN
    return operand  # `+` does nothing at all


def result_of_builtin(name: str, arguments: Sequence[Expr], *, spread: bool) -> Type:
    """The type of a builtin's result."""
    fixed = _BUILTIN_RESULTS.get(name)
    if fixed is not None:
        return fixed
    if spread or not arguments:
        return Type.UNKNOWN
    first = type_of(arguments[0])
    if first is Type.NEVER or name == "copy":
        return first
    accepted, result = _CONVERSIONS.get(name, (frozenset(), Type.UNKNOWN))
    return result if first in accepted else Type.UNKNOWN


def library_function(node: Expr) -> tuple[str, str]:
    """The module and the name of a library's function; two empty texts for anything else."""
    if not isinstance(node, Index) or not isinstance(node.index, StringLit):
        return "", ""
    symbol = node.operand.symbol if isinstance(node.operand, Ident) else None
    if symbol is None or not symbol.library:
        return "", ""
    return symbol.library, node.index.value.decode("latin-1")


def result_of_library(function: Expr) -> Type:
    """The type of what a library's function gives."""
    return RESULTS.get(library_function(function), Type.UNKNOWN)


def type_of_key(iterable: Expr) -> Type:
    """The type of a for-in's first variable."""
    kind = type_of(iterable)
    if kind in (Type.ARRAY, Type.STRING):
        return Type.INT
    return Type.STRING if kind is Type.MAP else _unless_never(kind)


def type_of_element(iterable: Expr) -> Type:
    """The type of a for-in's second variable, or of its only one."""
    if isinstance(iterable, ArrayLit) and iterable.items:
        result = Type.NEVER
        for item in iterable.items:
            result = join(result, type_of(item))
        return result
    if _is_builtin_call(iterable, "range"):
        return Type.INT
    if isinstance(iterable, Call) and library_function(iterable.function) in LISTS_OF_STRINGS:
        return Type.STRING
    kind = type_of(iterable)
    return Type.CHAR if kind is Type.STRING else _unless_never(kind)


def _is_builtin_call(node: Expr, name: str) -> bool:
    if not isinstance(node, Call) or not isinstance(node.function, Ident):
        return False
    symbol = node.function.symbol
    return symbol is not None and symbol.kind is Kind.BUILTIN and symbol.name == name


def _unless_never(kind: Type) -> Type:
    return Type.NEVER if kind is Type.NEVER else Type.UNKNOWN
