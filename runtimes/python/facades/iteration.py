"""Façades of ``itertools``, ``functools`` and ``collections``.

``itertools``: every class of the module, immutable C types.

``functools``: what works on the plugin's own functions.  A ``partial`` shows its ``func``, but
only to whoever held that function already.  ``wraps`` and ``update_wrapper`` copy a fixed list
of texts: with the library's ``assigned`` a plugin would read attributes by name.
``total_ordering`` takes the plugin's own classes only, since it writes to the class.  Left out:
``singledispatch`` and ``singledispatchmethod`` (evaluate annotations), ``partialmethod`` and
``cached_property`` (write behind the attribute rules), ``RLock`` and ``recursive_repr``.

``collections``: the concrete containers; ``namedtuple`` makes a class of the plugin's own.
Left out: ``ChainMap``, ``UserDict``, ``UserList`` and ``abc`` (their ``register`` is state
shared by everybody) and ``UserString`` (has its own ``format``).
"""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any, Final

from runtimes.python.facade import Facade
from runtimes.python.guards import (
    PUBLIC_TYPES,
    GuestType,
    is_guest_function,
)
from runtimes.python.names import attribute_refusal

ITERTOOLS: Final = Facade(
    "itertools",
    {name: getattr(itertools, name) for name in dir(itertools) if not name.startswith("_")},
)


def _namedtuple(
    typename: str,
    field_names: str | Iterable[str],
    *,
    rename: bool = False,
    defaults: Iterable[Any] | None = None,
) -> Any:
    if isinstance(field_names, str):
        field_names = field_names.replace(",", " ").split()
    fields = list(field_names)
    for field in (typename, *fields):
        if type(field) is not str:
            raise TypeError("type and field names must be strings")
        if field.startswith("_") and not rename:
            raise ValueError(f"names cannot start with an underscore: {field!r}")
        if attribute_refusal(field) is not None:
            raise ValueError(f"{field!r} cannot be a field name")
    make: Any = collections.namedtuple  # its stub takes literals only
    real = make(typename, fields, rename=bool(rename), defaults=defaults, module="plugins")
    # A subclass of the plugin's own kind, so that it may be inherited from and written to.
    return GuestType(typename, (real,), {"__slots__": (), "__module__": "plugins"})


COLLECTIONS: Final = Facade(
    "collections",
    {
        # Counter is a Python class; writes to it are refused like writes to any other class
        # that is not the plugin's.
        "Counter": collections.Counter,
        "OrderedDict": collections.OrderedDict,
        "defaultdict": collections.defaultdict,
        "deque": collections.deque,
        "namedtuple": _namedtuple,
    },
)
PUBLIC_TYPES.update(
    {
        collections.Counter,
        collections.OrderedDict,
        collections.defaultdict,
        collections.deque,
    }
)


def _update_wrapper(wrapper: Any, wrapped: Any) -> Any:
    if is_guest_function(wrapper):
        for name in ("__name__", "__qualname__", "__doc__"):
            value = getattr(wrapped, name, None)
            if type(value) is str:
                setattr(wrapper, name, value)
    return wrapper


def _wraps(wrapped: Any) -> Callable[[Any], Any]:
    def decorate(wrapper: Any) -> Any:
        return _update_wrapper(wrapper, wrapped)

    return decorate


def _total_ordering(cls: Any) -> Any:
    if type(cls) is not GuestType:
        raise TypeError("total_ordering takes a class of the plugin")
    return functools.total_ordering(cls)


def _lru_cache(maxsize: Any = 128, typed: bool = False) -> Any:
    return functools.lru_cache(maxsize, bool(typed))


def _cache(user_function: Any) -> Any:
    return functools.lru_cache(None)(user_function)


FUNCTOOLS: Final = Facade(
    "functools",
    {
        "reduce": functools.reduce,
        "partial": functools.partial,
        "lru_cache": _lru_cache,
        "cache": _cache,
        "cmp_to_key": functools.cmp_to_key,
        "wraps": _wraps,
        "update_wrapper": _update_wrapper,
        "total_ordering": _total_ordering,
    },
)
