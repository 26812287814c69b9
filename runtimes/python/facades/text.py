"""Façades of ``re``, ``string``, ``textwrap``, ``html`` and ``typing``.

``re``: every function; flags as plain ints, because enumeration members are shared objects with
a ``__dict__``.  Patterns and flags must be exactly text and integers: the module keeps a cache
keyed by them.  Left out: ``template``, ``Scanner``, ``RegexFlag``, ``copyright`` and whatever
else the module imported.

``string``: the constants, ``capwords`` and ``Template``.  ``Formatter`` is left out: it is
``str.format`` in Python, with hooks that walk any attribute.

``textwrap``: the five functions, without ``TextWrapper``.  ``html``: ``escape`` and
``unescape``, without ``html.entities``.

``typing``: annotations are dropped by the compiler, so the names only have to be importable and
subscriptable.  Everything that makes classes or evaluates strings (``NamedTuple``,
``TypedDict``, ``get_type_hints``, ``ForwardRef``, ``Protocol``) is left out.
"""

from __future__ import annotations

import html
import re
import string
import textwrap
from typing import Any, Final

from runtimes.python.facade import Facade, Frozen
from runtimes.python.names import words


def exact_text(value: object, what: str) -> Any:
    """Pass exactly a str or bytes; TypeError for anything that only behaves like one.

    Functions with a cache behind them would keep such an object, and its ``__eq__`` would run
    in the next execution.
    """
    if type(value) is str or type(value) is bytes:
        return value
    raise TypeError(f"{what} must be str or bytes, not {type(value).__name__}")


# -- re ------------------------------------------------------------------------------------------


def _pattern(value: object) -> Any:
    return value if type(value) is re.Pattern else exact_text(value, "pattern")


def _flags(value: object) -> int:
    if type(value) is int or type(value) is bool:
        return int(value)
    raise TypeError("flags must be an integer")


def _compile(pattern: Any, flags: Any = 0) -> Any:
    return re.compile(_pattern(pattern), _flags(flags))


def _match(pattern: Any, string: Any, flags: Any = 0) -> Any:
    return re.match(_pattern(pattern), string, _flags(flags))


def _fullmatch(pattern: Any, string: Any, flags: Any = 0) -> Any:
    return re.fullmatch(_pattern(pattern), string, _flags(flags))


def _search(pattern: Any, string: Any, flags: Any = 0) -> Any:
    return re.search(_pattern(pattern), string, _flags(flags))


def _sub(pattern: Any, repl: Any, string: Any, count: int = 0, flags: Any = 0) -> Any:
    return re.sub(_pattern(pattern), repl, string, count=count, flags=_flags(flags))


def _subn(pattern: Any, repl: Any, string: Any, count: int = 0, flags: Any = 0) -> Any:
    return re.subn(_pattern(pattern), repl, string, count=count, flags=_flags(flags))


def _split(pattern: Any, string: Any, maxsplit: int = 0, flags: Any = 0) -> Any:
    return re.split(_pattern(pattern), string, maxsplit=maxsplit, flags=_flags(flags))


def _findall(pattern: Any, string: Any, flags: Any = 0) -> Any:
    return re.findall(_pattern(pattern), string, _flags(flags))


def _finditer(pattern: Any, string: Any, flags: Any = 0) -> Any:
    return re.finditer(_pattern(pattern), string, _flags(flags))


def _escape(pattern: Any) -> Any:
    return re.escape(exact_text(pattern, "pattern"))


_FLAGS = words("A ASCII I IGNORECASE L LOCALE M MULTILINE S DOTALL U UNICODE X VERBOSE NOFLAG")

RE: Final = Facade(
    "re",
    {
        "compile": _compile,
        "match": _match,
        "fullmatch": _fullmatch,
        "search": _search,
        "sub": _sub,
        "subn": _subn,
        "split": _split,
        "findall": _findall,
        "finditer": _finditer,
        "escape": _escape,
        # A Python class, but attribute writes to classes that are not the plugin's are refused.
        "error": re.error,
        "Pattern": re.Pattern,
        "Match": re.Match,
        **{name: int(getattr(re, name)) for name in _FLAGS},
    },
)

# -- string, textwrap, html ----------------------------------------------------------------------

STRING: Final = Facade(
    "string",
    {
        "capwords": string.capwords,
        "Template": string.Template,
        **{
            name: getattr(string, name)
            for name in words(
                "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits "
                "printable punctuation whitespace"
            )
        },
    },
)

TEXTWRAP: Final = Facade(
    "textwrap",
    {name: getattr(textwrap, name) for name in ("dedent", "fill", "indent", "shorten", "wrap")},
)

HTML: Final = Facade("html", {"escape": html.escape, "unescape": html.unescape})

# -- typing --------------------------------------------------------------------------------------


class Hint(Frozen):
    """An inert stand-in for one name of ``typing``."""

    __slots__ = ("_name",)
    _name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def __getitem__(self, _item: object) -> Hint:
        return self

    def __or__(self, _other: object) -> Hint:
        return self

    __ror__ = __or__

    def __repr__(self) -> str:
        return f"typing.{self._name}"


def _cast(_kind: object, value: object) -> object:
    return value


def _same(value: object) -> object:
    return value


def _variable(name: str, *_constraints: object, **_options: object) -> Hint:
    return Hint(str(name)[:80])


TYPING: Final = Facade(
    "typing",
    {
        "TYPE_CHECKING": False,
        "cast": _cast,
        "final": _same,
        "overload": _same,
        "TypeVar": _variable,
        "ParamSpec": _variable,
        **{
            name: Hint(name)
            for name in words(
                "Any AnyStr Callable ClassVar Counter DefaultDict Deque Dict Final FrozenSet "
                "Generator Hashable Iterable Iterator List Literal Mapping MutableMapping "
                "MutableSequence MutableSet NoReturn Optional OrderedDict Never Self Sequence "
                "Set Sized Text Tuple Type TypeAlias Union"
            )
        },
    },
)
