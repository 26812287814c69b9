"""The tokens of Tengo.

A token's kind is the text that the original's error messages show for it, so operators and
keywords are their own kind.  Source: token/token.go of Tengo v2.10.0.
"""

from __future__ import annotations

from typing import Final

EOF: Final = "EOF"
ILLEGAL: Final = "ILLEGAL"
IDENT: Final = "IDENT"
INT: Final = "INT"
FLOAT: Final = "FLOAT"
CHAR: Final = "CHAR"
STRING: Final = "STRING"

LITERALS: Final = frozenset({IDENT, INT, FLOAT, CHAR, STRING})
"""Kinds for which an error shows the token's text, not its kind."""

_KEYWORDS: Final = [
    "break",
    "continue",
    "else",
    "error",
    "export",
    "false",
    "for",
    "func",
    "if",
    "immutable",
    "import",
    "in",
    "return",
    "true",
    "undefined",
]
_OPERATORS: Final = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "&^",
    "+=",
    "-=",
    "*=",
    "/=",
    "%=",
    "&=",
    "|=",
    "^=",
    "<<=",
    ">>=",
    "&^=",
    "&&",
    "||",
    "++",
    "--",
    "==",
    "<",
    ">",
    "=",
    "!",
    "!=",
    "<=",
    ">=",
    ":=",
    "...",
    "(",
    "[",
    "{",
    ",",
    ".",
    ")",
    "]",
    "}",
    ";",
    ":",
    "?",
]
_END_A_LINE: Final = frozenset(
    [
        "break",
        "continue",
        "return",
        "export",
        "true",
        "false",
        "undefined",
        ")",
        "]",
        "}",
        "++",
        "--",
    ]
)

WORDS: Final[dict[bytes, tuple[str, bool]]] = {
    word.encode(): (word, word in _END_A_LINE) for word in (*_KEYWORDS, *_OPERATORS)
}
"""Keywords and operators: their kind, and whether a newline after them ends a statement."""

PRECEDENCE: Final[dict[str, int]] = {
    operator: level
    for level, operators in enumerate(
        ("||", "&&", "== != < <= > >=", "+ - | ^", "* / % << >> & &^"), start=1
    )
    for operator in operators.split()
}
"""Binary operators; all of them are left-associative."""

COMPOUND: Final[dict[str, str]] = {
    operator + "=": operator
    for operator in ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "&^"]
}
"""The operators of `x op= y`."""

SYNC: Final = frozenset(["break", "continue", "for", "if", "return", "export"])
"""Keywords at which the parser takes up again after an error."""

SIMPLE: Final = frozenset(
    (
        *LITERALS,
        *[
            "func",
            "error",
            "immutable",
            "true",
            "false",
            "undefined",
            "import",
            "(",
            "{",
            "[",
            "+",
            "-",
            "*",
            "&",
            "^",
            "!",
        ],
    )
)
"""Tokens that start an expression statement or an assignment."""
