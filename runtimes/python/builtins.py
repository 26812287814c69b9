"""The names a plugin finds without importing anything.

Owns one table: which builtins are handed out as they are, which are replaced and which are
missing, each exception with its reason.  Everything in it is immutable, so one table serves
every environment of a process.  Knows nothing of syntax trees or environments.
"""

from __future__ import annotations

import builtins
import collections
import datetime
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from runtimes.python import guards, names
from runtimes.python.formatting import safe_format_value
from runtimes.python.names import words

# Handed out as they are.  They reach only their arguments, by protocols that plugins implement
# on their own classes or that immutable builtin types implement.  bytes, reversed, sorted, tuple
# and zip iterate in C past an iteration guard, but there is none to get past (see transform).
_PLAIN: Final = words("""
    abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod
    enumerate filter float frozenset hex int isinstance issubclass iter len list map max min next
    oct ord pow property range repr reversed round set slice sorted staticmethod str sum tuple zip
    Ellipsis NotImplemented
""")

REPLACED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        # str.format and the attribute functions obey the rules of written-out attributes.
        "format": safe_format_value,
        "getattr": guards.safe_getattr,
        "hasattr": guards.safe_hasattr,
        "setattr": guards.safe_setattr,
        "delattr": guards.safe_delattr,
        # type(x) only: the three-argument form makes classes no rule has seen, and a
        # metaclass or `type.mro` leads to `object`.
        "type": guards.safe_type,
        # An identity hash is an address.
        "hash": guards.safe_hash,
        # Called by the class statement; no plugin can spell it.
        "__build_class__": guards.guarded_build_class,
    }
)

MISSING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aiter": "no asynchronous syntax",
        "anext": "no asynchronous syntax",
        "breakpoint": "starts a debugger inside the worker",
        "compile": "makes code no rule has seen",
        "copyright": "reads files through a lazy printer",
        "credits": "reads files through a lazy printer",
        "dir": "lists underscore names; useful only to look for a way out",
        "eval": "runs code no rule has seen",
        "exec": "runs code no rule has seen",
        "exit": "ends the worker",
        "globals": "hands out the environment itself, guards included",
        "help": "imports and reads anything",
        "id": "is an address",
        "input": "there is no terminal",
        "license": "reads files through a lazy printer",
        "locals": "hands out the environment itself at module level",
        "memoryview": "raw access to buffers of objects that are not the plugin's",
        "object": "its unbound slots get past every other class's own; `object()` and"
        " `class A(object)` are understood by the compiler",
        "open": "files are reached through the host API",
        "print": "given by whoever makes the environment",
        "quit": "ends the worker",
        "super": "spelled out by the compiler; the type itself stays inside",
        "vars": "hands out the dict behind an object",
        "BaseException": "catching or raising it gets past the worker's own `except Exception`",
        "BaseExceptionGroup": "as BaseException",
        "GeneratorExit": "as BaseException",
        "KeyboardInterrupt": "as BaseException",
        "SystemExit": "as BaseException",
        "ExceptionGroup": "needs except*, whose matching was a type confusion",
        "EncodingWarning": "about opening files",
        "ResourceWarning": "about closing files",
    }
)
"""Builtins that do not exist for a plugin, and why."""

EXCEPTIONS: Final[tuple[str, ...]] = tuple(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception) and name not in MISSING
)
"""Exception classes handed out: all of ``Exception``'s family, immutable C classes."""

_GUARDS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        names.GUARD_WRITE: guards.guarded_write,
        names.GUARD_VALUE: guards.guarded_value,
        names.GUARD_TEMPLATE: guards.guarded_template,
        names.GUARD_META: guards.guarded_meta,
        names.GUARD_BASE: guards.guarded_base,
        names.GUARD_SUPER: super,
        names.GUARD_SUPER2: guards.guarded_super,
        names.GUARD_EXCEPTION: Exception,
        names.GUARD_SENTINEL: guards.Sentinel,
    }
)

BUILTINS: Final[Mapping[str, Any]] = MappingProxyType(
    {**{name: getattr(builtins, name) for name in (*_PLAIN, *EXCEPTIONS)}, **REPLACED, **_GUARDS}
)
"""The ``__builtins__`` of every environment, but for its own ``__import__``."""

for _name, _function in REPLACED.items():
    # What a plugin sees in messages and through __name__.
    _function.__name__ = _function.__qualname__ = _name

guards.PUBLIC_TYPES.update(
    value for name, value in BUILTINS.items() if isinstance(value, type) and name.isidentifier()
)
guards.ALLOWED_BASES.update({dict, list, set, frozenset, tuple, datetime.tzinfo})
guards.ALLOWED_BASES.update(getattr(builtins, name) for name in EXCEPTIONS)
guards.ALLOWED_BASES.update(
    {collections.Counter, collections.OrderedDict, collections.defaultdict, collections.deque}
)
