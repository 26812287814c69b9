"""Which names plugin code may use, and what they are called after compilation.

Owns the name rules shared by the compile-time policy and the run-time ``getattr`` family, so the
two can never disagree.  It knows no syntax trees and no guards.

Private names (``_x``, ``self._x``, ``__x``) get an own name space instead of a refusal: the
compiler appends :data:`MARK`, which no source text can spell, to every one of them.  Plugin code
sees its own private names as usual, while ``x._anything`` on an object that plugin code did not
make finds nothing, whatever that object hides under an underscore.  This costs nothing at run
time.  Names that both start and end with an underscore are never private, they are refused
unless listed below.
"""

from __future__ import annotations

from typing import Final

from RestrictedPython.transformer import INSPECT_ATTRIBUTES


def words(text: str) -> tuple[str, ...]:
    """Split a table of names written as one text."""
    return tuple(text.split())


MARK: Final = "\u200b"
"""Suffix of compiled private names: not an identifier character, invisible in messages."""

FENCE_KEY: Final = "$fence"
"""Key in the globals of every guest environment; tells guest functions and frames from ours."""

VALUE_NAME: Final = "$value"
"""Global in which ``compile_source(..., value=True)`` leaves the value of the last expression."""

# Guards called by compiled code.  A "$" cannot occur in an identifier, so no parameter, import,
# pattern, walrus or global statement of a plugin can shadow one (the class of CVE-2026-55830).
GUARD_WRITE: Final = "$write"
GUARD_VALUE: Final = "$value_of"
GUARD_TEMPLATE: Final = "$template"
GUARD_META: Final = "$meta"
GUARD_BASE: Final = "$base"
GUARD_SUPER: Final = "$super"
GUARD_SUPER2: Final = "$super_of"
GUARD_EXCEPTION: Final = "$Exception"
GUARD_SENTINEL: Final = "$sentinel"
KEPT_OBJECT: Final = "$kept"
FLAG_PREFIX: Final = "$is_"

INSPECTION: Final[frozenset[str]] = INSPECT_ATTRIBUTES | {
    # frames, code and cells under their other names
    "cell_contents",
    "co_cellvars",
    "co_consts",
    "co_filename",
    "co_freevars",
    "co_lines",
    "co_linetable",
    "co_lnotab",
    "co_names",
    "co_positions",
    "co_qualname",
    "co_varnames",
    "cr_suspended",
    "f_lasti",
    "f_lineno",
    "f_trace_lines",
    "f_trace_opcodes",
    "gi_suspended",
    "tb_lasti",
    "tb_lineno",
    # the only attribute of `type` without an underscore: leads to `object`
    "mro",
}
"""Attributes that lead from a value to the interpreter; refused wherever they are spelled."""

VALUE_GUARDED: Final[frozenset[str]] = frozenset({"format", "format_map", "groupindex", "obj"})
"""Attributes that are harmful on some values only; read through ``guards.guarded_value``.

``format``/``format_map`` of str walk attributes in C.  ``AttributeError.obj`` is whatever object
the interpreter stumbled over.  ``re.Pattern.groupindex`` is a mapping proxy, whose ``==`` and
``|`` hand the real dict to the other operand, and patterns are shared through the re cache.
"""

META_READABLE: Final[frozenset[str]] = frozenset({"__name__", "__qualname__", "__doc__"})
"""Attributes that are read through ``guards.guarded_meta`` and always give a str or None."""

GLOBAL_READABLE: Final[frozenset[str]] = frozenset({"__name__", "__file__", "__doc__"})
"""Global names with underscores that a plugin may read; their values are str or None."""

NAMEDTUPLE_API: Final[frozenset[str]] = frozenset({"_asdict", "_replace", "_make", "_fields"})
"""Documented public names of named tuples; no other object handed out has one of them.

Not ``_field_defaults``: a dict that belongs to the class, and some of the classes are ours.
"""

_BINARY = (
    words("add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or")
)  # fmt: skip
DEFINABLE: Final[frozenset[str]] = frozenset(
    {f"__{prefix}{name}__" for name in _BINARY for prefix in ("", "r", "i")}
    | {
        f"__{name}__"
        for name in words(
            "init repr str hash bool eq ne lt le gt ge len length_hint iter next reversed "
            "contains getitem setitem delitem missing call enter exit neg pos abs invert "
            "int float complex index round trunc floor ceil bytes"
        )
    }
) - {"__idivmod__"}
"""Special methods a class body may define with ``def`` (and call on ``super()`` or a base).

Everything else stays undefinable.  ``__getattribute__``, ``__getattr__``, ``__setattr__``,
``__delattr__``, ``__get__``, ``__set__``, ``__delete__``, ``__set_name__``, ``__slots__`` and
``__dict__`` would make a plain attribute access mean something the compile-time rules did not
see.  ``__new__``, ``__class__``, ``__init_subclass__``, ``__prepare__``, ``__mro_entries__``,
``__class_getitem__``, ``__instancecheck__``, ``__subclasscheck__`` and ``__subclasshook__`` take
part in making or judging types.  ``__reduce__``, ``__reduce_ex__``, ``__getstate__``,
``__setstate__`` and ``__copy__`` are for copying protocols that are not available.  ``__del__``
runs at a time nobody chose, even between two executions.  ``__format__``, ``__sizeof__``,
``__dir__``, ``__fspath__`` and ``__buffer__`` are called by the interpreter on our side of the
fence.  The asynchronous ones have no syntax here.
"""


def is_private(name: str) -> bool:
    """Tell whether `name` lives in the plugin's own private name space."""
    return len(name) > 1 and name[0] == "_" and name[-1] != "_" and name not in NAMEDTUPLE_API


def strip_mark(text: str) -> str:
    """Give back the spelling the author used, for messages."""
    return text.replace(MARK, "")


def attribute_refusal(name: str) -> str | None:
    """Say why an attribute may not be called `name`, or None if it may."""
    if name in INSPECTION:
        return f'"{name}" is an inspection attribute and not available'
    if name[:1] == "_" and name[-1] == "_" and name != "_":
        hint = "; use type(x)" if name == "__class__" else ""
        return f'"{name}" is a reserved attribute name because it starts and ends with "_"{hint}'
    if "$" in name:
        return f"{name!r} is not an attribute name"
    return None


def variable_refusal(name: str) -> str | None:
    """Say why a variable may not be called `name`, or None if it may."""
    if name[:1] == "_" and name[-1] == "_" and name != "_":
        return f'"{name}" is a reserved name because it starts and ends with "_"'
    return None
