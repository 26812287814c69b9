"""What the resolver finds out about names: symbols, functions, and static types.

A symbol is one variable.  At the top level of a file every variable is a global, those of its
blocks included: one slot, shared by all turns of a loop (facts of Tengo v2.10.0).  Inside
functions a block's variables are new each time the block is entered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a name stands for."""

    BUILTIN = "builtin"  # len, copy, append ... and names that the host defined, such as panic
    GLOBAL = "global"
    LOCAL = "local"
    PARAMETER = "parameter"


class Type(Enum):
    """What is known of a variable's or expression's value before it runs.

    `ARRAY` and `MAP` are the mutable ones.  `NEVER` is only met while types are being inferred.
    """

    NEVER = "never"
    UNKNOWN = "unknown"
    UNDEFINED = "undefined"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    CHAR = "char"
    STRING = "string"
    ARRAY = "array"
    MAP = "map"
    FUNCTION = "function"


@dataclass(slots=True, eq=False)
class Symbol:
    """One variable.

    `captured` says that a function inside the one that owns it uses it; `assigned` counts the
    assignments beyond its definition; `type` is what all of them agree on.
    """

    name: str
    kind: Kind
    function: Function | None = None
    captured: bool = False
    assigned: int = 0
    type: Type = Type.UNKNOWN
    lua: str = ""
    """The emitter's name for it."""
    direct: bool = False
    """A function that is only ever called, by this name and with as many arguments as it takes:
    neither side needs the argument count."""
    library: str = ""
    """The builtin module that the variable holds, and nothing else ever."""
    predefined: bool = False
    """A name of the host's, such as `panic`: kind BUILTIN, but unlike a builtin assignable."""


@dataclass(slots=True, eq=False)
class Function:
    """One function, or a file's top level (`parent` is None)."""

    parent: Function | None = None
    symbols: list[Symbol] = field(default_factory=list)
    """Its variables in the order of their definitions, parameters first."""
    result: Type = Type.UNKNOWN
    """What a call gives, when that is known."""
    direct: bool = False
    """The function of a variable that is `Symbol.direct`."""
