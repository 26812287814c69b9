"""Frozen objects: what plugins hold instead of modules and host objects.

Owns the base class :class:`Frozen`, the module stand-in :class:`Facade`, the live view of a
plugin's own file :class:`GuestModule`, and :func:`freeze`, which decides what a façade may
hold.  Knows no particular module and nothing of environments.

A façade shares nothing that can be changed: no ``__dict__``, no mutable value, and functions as
bound methods, which have no attributes of their own to write to.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodType,
)
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from runtimes.python.names import MARK

_VALUES: Final = (str, int, float, complex, bytes, bool, type(None))


class Frozen:
    """Base class of everything a plugin may hold and not change.

    Subclasses declare ``__slots__`` (underscore names, which no plugin can spell) and fill them
    with ``object.__setattr__``.  Writing an attribute raises ``AttributeError``.
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only for plugins")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only for plugins")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be copied")


class Facade(Frozen):
    """A named, immutable bundle of vetted attributes.

    ``Facade("json", {"loads": loads, ...})``.  The attributes live in a class of their own, so
    reading one is as fast as reading a method.  Raises ``ValueError`` for an attribute name that
    no plugin could or should spell and ``TypeError`` for a value :func:`freeze` refuses.
    """

    __slots__ = ()

    def __new__(cls, name: str, attributes: Mapping[str, object]) -> Self:
        space: dict[str, object] = {"__slots__": (), "__module__": "plugins"}
        for key, value in attributes.items():
            if not key.isidentifier() or key.startswith("_"):
                raise ValueError(f"{key!r} cannot be an attribute of a façade")
            space[key] = freeze(value)
        made: type[Self] = type(name, (cls,), space)
        return object.__new__(made)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def freeze(value: object) -> Any:
    """Return the form in which `value` may be shared with plugins.

    Python functions become bound methods of ``operator.call``: as fast as the function, and
    without attributes to write to.  Immutable values, classes, C functions, bound methods and
    frozen objects stay.  ``TypeError`` for everything else: lists, dicts, modules, descriptors.
    """
    if isinstance(value, FunctionType):
        return MethodType(operator.call, value)
    if isinstance(value, tuple | frozenset):
        for item in value:
            freeze(item)
        return value
    if type(value) in _VALUES or isinstance(value, type | Frozen | BuiltinFunctionType):
        return value
    if isinstance(value, MethodType):
        return value
    if isinstance(value, _IMMUTABLE):
        return value
    raise TypeError(f"a façade cannot hold a {type(value).__name__}")


def _immutable_types() -> tuple[type, ...]:
    import datetime

    return (datetime.date, datetime.time, datetime.timedelta, datetime.timezone)


_IMMUTABLE: Final = _immutable_types()


class GuestModule(Frozen):
    """A plugin's own file as a module: a read-only live view of its globals.

    Private names stay readable, as in Python; names of the environment itself do not exist.
    """

    __slots__ = ("_globals", "_name")
    _globals: Mapping[str, Any]
    _name: str

    def __init__(self, name: str, globals_: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_globals", globals_)

    def __getattr__(self, name: str) -> Any:
        if name[:1] not in "_$" or name.endswith(MARK):
            try:
                return self._globals[name]
            except KeyError:
                pass
        raise AttributeError(f"module {self._name!r} has no attribute {name.rstrip(MARK)!r}")

    def __repr__(self) -> str:
        return f"<module {self._name!r}>"
