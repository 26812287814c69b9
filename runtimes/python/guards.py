"""Run-time guards: what only a value can decide.

Owns the functions that compiled plugin code calls instead of a plain operation, the metaclass
that marks plugin classes, and the safe ``getattr`` family.  The rules about names live in
``names``; which builtins exist is decided in ``builtins``.

The whole fence rests on two facts kept here.  Only :func:`guarded_build_class` makes a class
whose type is :class:`GuestType`, so ``type(type(x)) is GuestType`` says "x is an instance of a
class a plugin wrote".  And only functions compiled for a plugin have :data:`FENCE_KEY` in their
globals.  Both are unforgeable without an underscore attribute.
"""

from __future__ import annotations

import builtins
import collections
import functools
import os
from collections.abc import Callable
from types import (
    BuiltinFunctionType,
    FunctionType,
    GenericAlias,
    MappingProxyType,
    MethodDescriptorType,
    MethodType,
)
from typing import Any, Final

from runtimes.python.formatting import (
    PLAIN,
    plain_templates,
    safe_format,
    safe_format_map,
    template_kind,
)
from runtimes.python.names import (
    DEFINABLE,
    FENCE_KEY,
    MARK,
    META_READABLE,
    VALUE_GUARDED,
    attribute_refusal,
    is_private,
    strip_mark,
)


class GuestType(type):
    """The metaclass of every class a plugin defines.

    It adds nothing, on purpose: with no overridden slot, instances and class attributes stay on
    the interpreter's fast paths.  Plugins never get hold of it (``type`` is replaced,
    ``__class__`` is refused).
    """


def is_guest_function(value: object) -> bool:
    """Tell whether `value` is a function that was compiled for a plugin."""
    return type(value) is FunctionType and FENCE_KEY in value.__globals__


# -- attribute writes ------------------------------------------------------------------------

# Instances of these hold only what the plugin put there, and none is ever shared: façades
# cannot hold one (see facade.freeze).  The exceptions are exact builtin classes.
_WRITABLE: Final[frozenset[type]] = frozenset(
    {cls for cls in vars(builtins).values() if isinstance(cls, type) and issubclass(cls, Exception)}
    | {collections.defaultdict, functools.partial, type(functools.lru_cache(len))}
)


def guarded_write(target: Any) -> Any:
    """Return `target` if plugin code may set attributes on it, else raise ``AttributeError``.

    An allow-list by type, so it holds for every object of every module handed out, now or
    later: instances of plugin classes, those classes, plugin functions and a few containers
    that are the plugin's own.  Compiled code calls it only when the inlined test
    ``type(type(x)) is GuestType`` failed.
    """
    kind = type(target)
    if type(kind) is GuestType or kind is GuestType or kind in _WRITABLE:
        return target
    if is_guest_function(target):
        return target
    raise AttributeError(f"attributes of {_shown(target)} are read-only for plugins")


def _shown(value: object) -> str:
    kind = type(value)
    if isinstance(value, type):
        return f"class {value.__name__!r}"
    return f"{kind.__name__!r} objects"


# -- attribute reads ---------------------------------------------------------------------------


def guarded_value(owner: Any, name: str) -> Any:
    """Read one of ``VALUE_GUARDED``: plain for a plugin's objects, made harmless for ours.

    The result decides, not the owner: subclasses, ``super()`` objects and generic aliases all
    lead to the same few C functions.
    """
    if name == "obj":
        # super() of a plugin's AttributeError subclass reaches the same C member.
        if isinstance(owner, AttributeError) or type(owner) is super:
            return None
        return getattr(owner, name)
    value = getattr(owner, name)
    kind = type(value)
    if kind is BuiltinFunctionType:
        if name != "groupindex" and isinstance(value.__self__, str):
            safe = safe_format if name == "format" else safe_format_map
            return MethodType(safe, str(value.__self__))
    elif kind is MethodDescriptorType:
        if name == "format":
            return safe_format
        if name == "format_map":
            return safe_format_map
    elif kind is MappingProxyType:
        return dict(value)
    return value


class _Formatting:
    """Carries the guarded ``format`` of one value; lives between two instructions only."""

    __slots__ = ("format",)

    def __init__(self, function: Any) -> None:
        self.format = function


def guarded_template(owner: Any) -> Any:
    """Return what `owner` may be asked ``.format(...)`` of, as compiled calls do at once.

    A str whose template is harmless is returned itself, so the call runs at full speed.
    """
    if type(owner) is str and (owner in plain_templates or template_kind(owner) == PLAIN):
        return owner
    return _Formatting(guarded_value(owner, "format"))


def guarded_meta(owner: Any, name: str) -> str | None:
    """Read ``__name__``, ``__qualname__`` or ``__doc__``: text or None, never anything else."""
    if type(owner) is TypeName:
        value: object = None if name == "__doc__" else owner._name
    elif name == "__doc__" and not isinstance(owner, type) and not is_guest_function(owner):
        value = None
    else:
        value = getattr(owner, name)
    if type(value) is str:
        return strip_mark(value)
    if value is None:
        return None
    raise AttributeError(f"{name} is not text")


def _is_base(cls: type) -> bool:
    return type(cls) is GuestType or cls in ALLOWED_BASES


def guarded_base(owner: Any, name: str) -> Any:
    """Return `owner` if its special method `name` may be read, as in ``Base.__init__(self)``.

    Only from a class that is the plugin's own or may be inherited from: there it is a plain
    function or a C slot that checks its first argument.  On an instance it would be a way to
    run the initialiser of one of our objects again.  In functions, compiled code calls it only
    when the inlined test ``type(owner) is GuestType`` failed.
    """
    # isinstance first: a set lookup would let an instance's own __eq__ answer.
    if name in DEFINABLE and (
        type(owner) is GuestType or (isinstance(owner, type) and owner in ALLOWED_BASES)
    ):
        return owner
    raise AttributeError(f'"{name}" is available on super() and on base classes only')


def guarded_super(cls: Any, instance: Any) -> Any:
    """Two-argument ``super`` for classes a plugin wrote (TypeError for others)."""
    if type(cls) is not GuestType:
        raise TypeError("super() argument 1 must be a class of the plugin")
    return super(cls, instance)


class Sentinel:
    """What ``object()`` gives a plugin: an empty value, equal to itself only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<object>"


# -- the getattr family ------------------------------------------------------------------------

_MISSING: Final = object()
_MAX_NAMES = 2048
_plain_names: dict[str, str] = {}


def _attribute_name(name: object) -> str | None:
    """The compiled spelling of an attribute name, None if it is not allowed."""
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    if not name or attribute_refusal(name) is not None:
        return None
    compiled = name + MARK if is_private(name) else name
    if compiled not in VALUE_GUARDED and len(name) < 100:
        if len(_plain_names) >= _MAX_NAMES:
            _plain_names.clear()
        _plain_names[name] = compiled
    return compiled


def safe_getattr(owner: Any, name: str, default: Any = _MISSING, /) -> Any:
    """``getattr`` under the same rules as ``owner.name`` written out.

    A forbidden name behaves like a missing attribute, so a default is honoured.
    """
    if type(name) is str and name in _plain_names:
        if default is _MISSING:
            return getattr(owner, _plain_names[name])
        return getattr(owner, _plain_names[name], default)
    compiled = _attribute_name(name)
    try:
        if compiled is None:
            if name in META_READABLE:
                return guarded_meta(owner, name)
            raise AttributeError(attribute_refusal(name) or "empty attribute name")
        if compiled in VALUE_GUARDED:
            return guarded_value(owner, compiled)
        return getattr(owner, compiled)
    except AttributeError:
        if default is _MISSING:
            raise
        return default


def safe_hasattr(owner: Any, name: str, /) -> bool:
    """``hasattr`` that does not see forbidden names."""
    if type(name) is str and name in _plain_names:
        return hasattr(owner, _plain_names[name])
    if _attribute_name(name) is None and name not in META_READABLE:
        return False
    try:
        safe_getattr(owner, name)
    except AttributeError:
        return False
    return True


def safe_setattr(owner: Any, name: str, value: Any, /) -> None:
    """``setattr`` under the same rules as ``owner.name = value`` written out."""
    compiled = _attribute_name(name)
    if compiled is None:
        raise AttributeError(attribute_refusal(name) or "empty attribute name")
    setattr(guarded_write(owner), compiled, value)


def safe_delattr(owner: Any, name: str, /) -> None:
    """``delattr`` under the same rules as ``del owner.name`` written out."""
    compiled = _attribute_name(name)
    if compiled is None:
        raise AttributeError(attribute_refusal(name) or "empty attribute name")
    delattr(guarded_write(owner), compiled)


# -- types ---------------------------------------------------------------------------------------


class TypeName:
    """Stands for a type that plugins may compare and print but not hold."""

    __slots__ = ("_name",)
    _name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("types are read-only for plugins")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("types are read-only for plugins")

    def __repr__(self) -> str:
        return f"<class {self._name!r}>"


_type_names: dict[type, TypeName] = {}


def safe_type(value: Any, /) -> Any:
    """One-argument ``type``: the class itself if the plugin may hold it, else a name for it."""
    kind = type(value)
    if type(kind) is GuestType or kind in PUBLIC_TYPES:
        return kind
    if issubclass(kind, type):
        return safe_type
    shown = _type_names.get(kind)
    if shown is None:
        if len(_type_names) >= _MAX_NAMES:
            _type_names.clear()
        shown = _type_names[kind] = TypeName(kind.__name__)
    return shown


PUBLIC_TYPES: set[type] = {type(None), type(NotImplemented), type(Ellipsis)}
"""Types plugins hold by name anyway; filled by ``builtins`` and the façades at import time."""

ALLOWED_BASES: set[Any] = set()
"""Classes that are not a plugin's and may be inherited from; filled at import time.

No str, bytes, int, float, complex or bool: a plugin's own str with its own ``__eq__`` and
``__hash__`` is what turns every cache in the standard library into shared state.
"""


def _inherits(cls: type, name: str) -> bool:
    """Tell whether `cls` has the plain object's own `name`."""
    return getattr(cls, name, None) is getattr(object, name)


def _guest_repr(self: object) -> str:
    return f"<{strip_mark(type(self).__qualname__)} object>"


_real_build_class: Callable[..., Any] = builtins.__build_class__


def guarded_build_class(body: Any, name: str, /, *bases: Any) -> Any:
    """The ``class`` statement: vetted bases, always with :class:`GuestType` as metaclass.

    Without the check, ``class A(x)`` for an instance `x` would call ``type(x)`` with a name,
    bases and a name space, whatever that type makes of them.
    """
    real = tuple(base.__origin__ if type(base) is GenericAlias else base for base in bases)
    for base in real:
        if not (isinstance(base, type) and _is_base(base)):
            shown = base.__name__ if isinstance(base, type) else type(base).__name__
            raise TypeError(f"{shown!r} may not be used as a base class by plugins")
    cls = _real_build_class(body, name, *real, metaclass=GuestType)
    if type(cls) is GuestType and _inherits(cls, "__repr__"):
        # The inherited repr prints the object's address, which helps an attack on memory.
        type.__setattr__(cls, "__repr__", _guest_repr)
    return cls


_SALT: Final = os.urandom(8)


def safe_hash(value: Any, /) -> int:
    """``hash``, but an identity hash (which is an address) is scrambled first."""
    number = hash(value)
    if _inherits(type(value), "__hash__"):
        return hash((number, _SALT))
    return number
