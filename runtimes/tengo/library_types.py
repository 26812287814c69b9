"""What is known before a run of functions of the standard library (docs/stdlib-text.md of Tengo
v2.10.0): the types of their results, and which have a form without checks of their arguments."""

from __future__ import annotations

from typing import Final

from runtimes.tengo.scopes import Type

_BOOLS: Final = ("contains", "contains_any", "equal_fold", "has_prefix", "has_suffix")
_INTS: Final = ("compare", "count", "index", "index_any", "last_index", "last_index_any")
_STRINGS_OF_ONE: Final = ("title", "to_lower", "to_title", "to_upper", "trim_space", "quote")
_STRINGS_OF_TWO: Final = ("trim", "trim_left", "trim_right", "trim_prefix", "trim_suffix")
_OTHER_STRINGS: Final = (
    "join", "repeat", "replace", "substr", "pad_left", "pad_right", "itoa", "format_bool",
    "format_float", "format_int",
)  # fmt: skip
_LISTS: Final = ("fields", "split", "split_after", "split_n", "split_after_n")

RESULTS: Final[dict[tuple[str, str], Type]] = {
    **{("text", name): Type.BOOL for name in _BOOLS},
    **{("text", name): Type.INT for name in _INTS},
    **{
        ("text", name): Type.STRING
        for name in (*_STRINGS_OF_ONE, *_STRINGS_OF_TWO, *_OTHER_STRINGS)
    },
    **{("text", name): Type.ARRAY for name in _LISTS},
}
"""The type of what a function gives, by its module and name."""

LISTS_OF_STRINGS: Final = frozenset(("text", name) for name in _LISTS)

QUICK: Final[dict[tuple[str, str], int]] = {
    **{("text", name): 1 for name in (*_STRINGS_OF_ONE, "fields")},
    **{("text", name): 2 for name in (*_BOOLS, *_INTS, *_STRINGS_OF_TWO, "split", "split_after")},
}
"""How many arguments, all of them strings for certain, the form without checks takes; the
prelude has it as `T.quick.MODULE.NAME`."""
