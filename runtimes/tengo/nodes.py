"""The syntax tree of Tengo, as the parser makes it and the emitter walks it.

Grammar: Tengo v2.10.0 (github.com/d5/tengo, docs/tutorial.md and its parser).  Parentheses leave
no node.  Every node has the position that an error about it shows: for operators, calls,
selectors, indexes, slices and assignments that is where their first operand starts (its
parenthesis, if it has one); a unary operator has its operand's.

How deep a tree can be.  The parser bounds nesting at `depth.MAX_DEPTH`, and walkers recurse inside
`depth.room_for_depth()`.  Two shapes are not nesting and have no bound; walk them with a loop:
the left spine of operators and postfixes (`1+1+1...`, `a.b.c...`, `f()()...`: see `left_of`), and
`If.otherwise` (`else if` chains).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from runtimes.tengo.scopes import Function, Symbol, Type


class Pos(NamedTuple):
    """A place in a source file: 1-based line and 1-based column, counted in bytes."""

    line: int
    column: int


# ---------------------------------------------------------------------------- expressions


@dataclass(slots=True)
class IntLit:
    """A 64-bit integer."""

    pos: Pos
    value: int


@dataclass(slots=True)
class FloatLit:
    """A 64-bit float."""

    pos: Pos
    value: float


@dataclass(slots=True)
class BoolLit:
    """`true` or `false`."""

    pos: Pos
    value: bool


@dataclass(slots=True)
class CharLit:
    """A character: its code point."""

    pos: Pos
    value: int


@dataclass(slots=True)
class StringLit:
    """A string: bytes, as Tengo's strings are."""

    pos: Pos
    value: bytes


@dataclass(slots=True)
class UndefinedLit:
    """`undefined`."""

    pos: Pos


@dataclass(slots=True)
class Ident:
    """A name; `symbol` is set by the resolver."""

    pos: Pos
    name: str
    symbol: Symbol | None = None


@dataclass(slots=True)
class ArrayLit:
    """`[a, b]`."""

    pos: Pos
    items: list[Expr]


@dataclass(slots=True)
class MapLit:
    """`{key: value}`; keys are names or string literals, in source order, repeats included."""

    pos: Pos
    items: list[tuple[bytes, Expr]]


@dataclass(slots=True)
class FuncLit:
    """`func(a, ...b) { }`; `function` is set by the resolver."""

    pos: Pos
    params: list[Ident]
    variadic: bool
    body: Block
    function: Function | None = None


@dataclass(slots=True)
class Unary:
    """`-x`, `+x`, `!x`, `^x`."""

    pos: Pos
    op: str
    operand: Expr
    type: Type = Type.UNKNOWN


@dataclass(slots=True)
class Binary:
    """`x op y` for + - * / % & | ^ &^ << >> == != < <= > >=; `pos` is where the left operand
    starts."""

    pos: Pos
    op: str
    left: Expr
    right: Expr
    type: Type = Type.UNKNOWN


@dataclass(slots=True)
class Logical:
    """`x && y`, `x || y`: give an operand back."""

    pos: Pos
    op: str
    left: Expr
    right: Expr
    type: Type = Type.UNKNOWN


@dataclass(slots=True)
class Cond:
    """`c ? x : y`."""

    pos: Pos
    condition: Expr
    then: Expr
    otherwise: Expr
    type: Type = Type.UNKNOWN


@dataclass(slots=True)
class Index:
    """`x[i]`, and `x.name` with `selector` true and a StringLit as index."""

    pos: Pos
    operand: Expr
    index: Expr
    selector: bool = False


@dataclass(slots=True)
class Slice:
    """`x[low:high]`."""

    pos: Pos
    operand: Expr
    low: Expr | None
    high: Expr | None
    type: Type = Type.UNKNOWN


@dataclass(slots=True)
class Call:
    """`f(a, b...)`; `spread` says that the last argument is spread."""

    pos: Pos
    function: Expr
    arguments: list[Expr]
    spread: bool
    type: Type = Type.UNKNOWN


@dataclass(slots=True)
class Import:
    """`import("name")`; `module` is set by the resolver: the key of the module's table entry."""

    pos: Pos
    name: str
    module: str = ""


@dataclass(slots=True)
class ErrorExpr:
    """`error(x)`."""

    pos: Pos
    value: Expr


@dataclass(slots=True)
class ImmutableExpr:
    """`immutable(x)`."""

    pos: Pos
    value: Expr


Expr: TypeAlias = (
    IntLit
    | FloatLit
    | BoolLit
    | CharLit
    | StringLit
    | UndefinedLit
    | Ident
    | ArrayLit
    | MapLit
    | FuncLit
    | Unary
    | Binary
    | Logical
    | Cond
    | Index
    | Slice
    | Call
    | Import
    | ErrorExpr
    | ImmutableExpr
)


def left_of(node: Expr) -> Expr | None:
    """The operand that comes first of an operator, index, slice or call: the next node down the
    left spine.  None at its end."""
    if isinstance(node, Binary | Logical):
        return node.left
    if isinstance(node, Index | Slice):
        return node.operand
    if isinstance(node, Call):
        return node.function
    return None


# ---------------------------------------------------------------------------- statements


@dataclass(slots=True)
class ExprStmt:
    """An expression for its effect."""

    pos: Pos
    value: Expr


@dataclass(slots=True)
class Assign:
    """`target = value`, `:=` (`define`), and `op=`, with `op` such as "+"; `x++` is `x += 1`."""

    pos: Pos
    target: Ident | Index
    value: Expr
    define: bool = False
    op: str = ""


@dataclass(slots=True)
class Block:
    """`{ ... }` of a function, if or for.  `end` is the closing brace."""

    pos: Pos
    body: list[Stmt]
    end: Pos


@dataclass(slots=True)
class If:
    """`if init; condition { } else ...`; `otherwise` is a Block, an If or None."""

    pos: Pos
    init: Stmt | None
    condition: Expr
    then: Block
    otherwise: Stmt | None


@dataclass(slots=True)
class For:
    """`for init; condition; post { }`; any of the three may be absent."""

    pos: Pos
    init: Stmt | None
    condition: Expr | None
    post: Stmt | None
    body: Block


@dataclass(slots=True)
class ForIn:
    """`for key, value in iterable { }`; an absent or `_` name is None."""

    pos: Pos
    key: Ident | None
    value: Ident | None
    iterable: Expr
    body: Block


@dataclass(slots=True)
class Branch:
    """`break` or `continue`."""

    pos: Pos
    keyword: str


@dataclass(slots=True)
class Return:
    """`return` with or without a value."""

    pos: Pos
    value: Expr | None


@dataclass(slots=True)
class Export:
    """`export value`."""

    pos: Pos
    value: Expr


@dataclass(slots=True)
class Refused:
    """A statement that parses and that the original's compiler then refuses, with `message`; the
    resolver raises it when it comes to it, so no later stage meets one."""

    pos: Pos
    message: str


Stmt: TypeAlias = ExprStmt | Assign | Block | If | For | ForIn | Branch | Return | Export | Refused


@dataclass(slots=True)
class File:
    """One parsed source file.  `name` is what errors show: `(main)` or a module's file.

    `imports` are those in the order of the text; after the resolver, those that are compiled
    (what a main program exports is not).
    """

    name: str
    body: list[Stmt]
    imports: list[Import] = field(default_factory=list)
    function: Function | None = None
    """The file's top level as a function; set by the resolver."""
    source: bytes = field(default=b"", repr=False)
