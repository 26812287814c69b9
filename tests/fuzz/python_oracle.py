"""Whether a Python program reached the other side of the fence, decided from outside.

Three questions are asked of the world after a program ran:

* Does anything that the program holds, or can get from what it holds, belong to the other side?
  The walk follows what the guest's own operations could follow: items, its own objects'
  attributes, and every name that the fence's `getattr` lets through, asked for by `dir`.
* Has an object that other environments share changed?
* Did the engine get a frame that no program may cause?

The same walk judges the control, with the plain `getattr`.
"""

from __future__ import annotations

import builtins
import collections
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from runtimes.python import builtins as fence_builtins
from runtimes.python import guards
from runtimes.python.environment import _BASE
from runtimes.python.facades import SHARED
from runtimes.python.host import HostGate
from runtimes.python.loader import Modules
from runtimes.python.names import DEFINABLE, MARK
from runtimes.python.server import Answer
from tests.fuzz.grammar import words

_PLAIN: Final = (str, bytes, int, float, complex, bool, type(None), type(...), type(NotImplemented))
_TYPES: Final = (
    types.ModuleType, types.FrameType, types.CodeType, types.CellType, types.MappingProxyType,
    HostGate, Modules, Answer,
)  # fmt: skip
_NAMES: Final = words(
    "open eval exec compile __import__ getattr setattr delattr vars dir globals locals input "
    "breakpoint memoryview id help exit quit object type super __build_class__ BaseException "
    "SystemExit KeyboardInterrupt"
)
_INNER: Final = (
    guards.guarded_value, guards.guarded_template, guards.guarded_meta, guards.guarded_base,
    guards.guarded_super, guards.guarded_build_class, guards.guarded_write, guards.GuestType,
    builtins.format, str.format, str.format_map,
)  # fmt: skip
_METHODS: Final = frozenset(
    words(
        "format format_map mro __subclasses__ __getattribute__ __reduce__ __reduce_ex__ __dir__ "
        "__init_subclass__ __setattr__ __delattr__ __new__ __get__ __set__ __class__ __dict__ "
        "__prepare__ __set_name__ __format__ __subclasshook__"
    )
)
_MODULES: Final = words(
    "json re string collections functools datetime math random urllib.parse textwrap html base64 "
    "operator builtins runtimes.python.guards runtimes.python.formatting "
    "runtimes.python.facades.text runtimes.python.facades.iteration"
)
_SHOWN: Final = ("<frame ", "<code ", "<module '", "<class 'object'>", "<cell ", "<attribute '__")
# Their attributes are texts and more of the same; the façades' test crawls them for good.
_LEAVES: Final = (
    types.BuiltinFunctionType, types.MethodDescriptorType, types.MethodWrapperType,
    types.WrapperDescriptorType, types.GetSetDescriptorType, types.ClassMethodDescriptorType,
    types.MemberDescriptorType, types.TracebackType, dict, list, tuple, set, frozenset,
)  # fmt: skip
_NOTHING: Final = object()
_MOST: Final = 1500
_EXTRA: Final = ("obj", "format", "groupindex", "__name__", "__doc__", "gi_frame", "f_back", "mro")


def _forbidden() -> dict[int, object]:
    found: dict[int, object] = {id(getattr(builtins, n)): getattr(builtins, n) for n in _NAMES}
    for one in (*_INNER, fence_builtins.BUILTINS, _BASE):
        found[id(one)] = one
    for module in list(sys.modules.values()):
        if isinstance(module, types.ModuleType):
            found[id(vars(module))] = vars(module)
    return found


FORBIDDEN: Final = _forbidden()
"""Objects of the other side by identity; what `_TYPES` covers is not repeated here."""

WORST: Final = frozenset(
    {id(object), id(type)}
    | {id(getattr(builtins, name)) for name in ("open", "eval", "exec", "__import__")}
    | {id(vars(module)) for module in list(sys.modules.values()) if hasattr(module, "__dict__")}
)


def reason(value: object, space: object) -> str | None:
    """Why a guest must not hold `value`, or None if it may."""
    kind = type(value)
    if kind is str:
        shown = next((mark for mark in _SHOWN if mark in value), None)  # type: ignore[operator]
        return f"text that shows {shown!r}" if shown else None
    if isinstance(value, _TYPES):
        return f"a {kind.__name__}"
    if id(value) in FORBIDDEN:
        return f"the real {getattr(value, '__name__', kind.__name__)}"
    if kind is dict and (value is space or "__builtins__" in value):  # type: ignore[operator]
        return "an environment"
    if kind in (types.BuiltinFunctionType, types.MethodDescriptorType, types.MethodWrapperType,
                types.WrapperDescriptorType, types.GetSetDescriptorType,
                types.ClassMethodDescriptorType):  # fmt: skip
        name = getattr(value, "__name__", "")
        if name in _METHODS or (name[:2] == "__" and name not in DEFINABLE):
            return f"{kind.__name__} {name}"
    return None


def control_reason(value: object, _space: object) -> str | None:
    """What counts in the control, where modules and builtins are there for the asking."""
    if isinstance(value, types.FrameType | types.CodeType) or id(value) in WORST:
        return f"a {type(value).__name__}"
    return None


_readable: dict[type, tuple[str, ...]] = {}


def _attributes(value: object, read: Callable[[object, str, object], object]) -> Iterator[object]:
    """Every attribute that `read` gives.  What it refuses is remembered by type."""
    kind = type(value)
    names = None if isinstance(value, type) else _readable.get(kind)
    kept = []
    for name in (*dir(value), *_EXTRA) if names is None else names:
        try:
            item = read(value, name.removesuffix(MARK), _NOTHING)
        except BaseException:  # noqa: BLE001 - a guest's object can raise anything
            item = None
        if item is not _NOTHING:
            kept.append(name)
            yield item
    if names is None and not isinstance(value, type) and not hasattr(value, "__dict__"):
        _readable[kind] = tuple(kept)


def _children(value: object) -> Iterator[object]:
    """What the guest's operations get out of `value`, but for attributes of foreign objects."""
    kind = type(value)
    if isinstance(value, dict):
        for key, item in list(dict.items(value)):
            yield key
            yield item
    elif isinstance(value, list | tuple | set | frozenset | collections.deque):
        yield from list(kind_iter(value))
    if type(kind) is guards.GuestType or kind is guards.GuestType:
        yield from own_values(value)
        if kind is not guards.GuestType:
            yield kind
    elif isinstance(value, types.FunctionType) and guards.is_guest_function(value):
        yield from vars(value).values()
        for cell in value.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                continue
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
    elif isinstance(value, types.GeneratorType):
        if value.gi_frame is not None and "$fence" in value.gi_frame.f_globals:
            yield from value.gi_frame.f_locals.values()
    elif isinstance(value, BaseException):
        yield from value.args
        yield from vars(value).values()


def kind_iter(value: Any) -> Iterable[object]:
    """Iterate a builtin container past whatever its subclass defines."""
    for base in (list, tuple, set, frozenset, collections.deque):
        if isinstance(value, base):
            return base.__iter__(value)  # type: ignore[arg-type]
    return ()


def own_values(value: Any) -> Iterator[object]:
    """What a guest's object or class holds itself."""
    try:
        space = type.__getattribute__(value, "__dict__") if isinstance(value, type) else None
        space = object.__getattribute__(value, "__dict__") if space is None else space
    except AttributeError:
        return
    for name, item in list(space.items()):
        # A private name of a guest's is marked; one without the mark is ours, and hidden.
        if name[:1] != "_" or name.endswith(MARK) or name in DEFINABLE:
            yield item
            if isinstance(item, staticmethod | classmethod):
                yield item.__func__
            elif isinstance(item, property):
                yield from (item.fget, item.fset, item.fdel)


def found(
    roots: Iterable[tuple[str, object]],
    space: dict[str, Any],
    read: Callable[[Any, str, Any], object] = guards.safe_getattr,
    judge: Callable[[object, object], str | None] = reason,
    known: frozenset[int] = frozenset(),
) -> str | None:
    """The first thing of the other side that can be reached from `roots`, with the way to it."""
    pending = [(value, way, 0) for way, value in roots]
    seen: dict[int, object] = {}
    while pending and len(seen) < _MOST:
        value, way, depth = pending.pop()
        if id(value) in seen or (id(value) in known and depth):
            continue
        seen[id(value)] = value
        why = judge(value, space)
        if why is not None:
            return f"{why} at {way}"
        if type(value) in _PLAIN:
            continue
        step = f"{way} > {type(value).__name__}"
        pending += [(child, step, depth + 1) for child in _children(value)]
        guest = type(type(value)) is guards.GuestType or type(value) is guards.GuestType
        if (
            depth < 4
            and type(value) not in _LEAVES
            and not guest
            and not guards.is_guest_function(value)
        ):
            pending += [(child, f"{step}.", depth + 1) for child in _attributes(value, read)]
    return None


def _shared_classes() -> list[type]:
    """Every class that is not a guest's and can be had without an underscore."""
    start: list[object] = [*fence_builtins.BUILTINS.values(), *SHARED.values()]
    classes: dict[type, None] = {guards.TypeName: None, guards.Sentinel: None}
    for value in start:
        for one in (value, type(value)):
            if isinstance(one, type):
                classes.update(dict.fromkeys(one.__mro__))
        if value in SHARED.values():
            for item in vars(type(value)).values():
                if isinstance(item, type):
                    classes.update(dict.fromkeys(item.__mro__))
    return list(classes)


class Shared:
    """What every environment of this process shares, as it was at the beginning."""

    def __init__(self) -> None:
        self._spaces: list[tuple[str, Any]] = [("builtins", fence_builtins.BUILTINS)]
        self._spaces += [(f"class {one.__name__}", vars(one)) for one in _shared_classes()]
        self._spaces.append(("base", _BASE))
        for name in _MODULES:
            module = sys.modules.get(name)
            if module is not None:
                self._spaces.append((f"module {name}", vars(module)))
        self._before = [dict(space) for _, space in self._spaces]
        self._functions = [
            value
            for _, space in self._spaces
            for value in space.values()
            if isinstance(value, types.FunctionType)
        ]
        self._marks = [dict(vars(function)) for function in self._functions]

    def changed(self) -> str | None:
        """What is not as it was, or None."""
        for (name, space), before in zip(self._spaces, self._before, strict=True):
            if len(space) != len(before):
                return f"{name} changed: {set(space) ^ set(before)}"
            for key, value in space.items():
                if before.get(key, space) is not value:
                    return f"{name}: {key} changed"
        for function, marks in zip(self._functions, self._marks, strict=True):
            if vars(function) != marks:
                return f"function {function.__qualname__} has new attributes"
        return None
