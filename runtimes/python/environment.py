"""Building the world of one execution.

Owns :func:`new_globals`: a fresh global dict with the shared, immutable builtins and a guarded
import.  Whatever has state (the random generator) is made for this environment alone, on its
first import.  Knows nothing of workers, frames on a wire or the host API: those come in as
`extra_names`, `modules` and `import_hook`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from runtimes.python import warm
from runtimes.python.builtins import BUILTINS
from runtimes.python.facades import AVAILABLE, FACTORIES, SHARED
from runtimes.python.names import FENCE_KEY, strip_mark

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_BASE: Final[dict[str, Any]] = dict(BUILTINS)

warm.warm_up()


def new_globals(
    *,
    name: str,
    filename: str,
    extra_names: Mapping[str, object] = _NOTHING,
    modules: Mapping[str, object] = _NOTHING,
    import_hook: Callable[[str], object] | None = None,
) -> dict[str, object]:
    """Return the globals for one execution of code from ``policy.compile_source``.

    `name` and `filename` become ``__name__`` and ``__file__``.  `extra_names` are further
    globals (``print``, ``server``, inputs), `modules` further importable objects, and
    `import_hook` is asked last, with the dotted name, for an importable object or None.  What
    is passed in must be immutable if it outlives the environment (see ``facade.freeze``).
    """
    builtins = _BASE.copy()
    builtins["__import__"] = _importer(modules, import_hook)
    return {
        "__builtins__": builtins,
        "__name__": name,
        "__file__": filename,
        "__doc__": None,
        FENCE_KEY: None,
        **extra_names,
    }


def _importer(
    modules: Mapping[str, object], import_hook: Callable[[str], object] | None
) -> Callable[..., object]:
    made: dict[str, object] = {}

    def find(name: str) -> object | None:
        found: object | None = modules.get(name)
        if found is None:
            found = SHARED.get(name) or made.get(name)
        if found is None and name in FACTORIES:
            found = made[name] = FACTORIES[name]()
        if found is None and import_hook is not None:
            found = import_hook(name)
        return found

    def import_module(
        name: str,
        globals_: object = None,
        locals_: object = None,
        fromlist: tuple[str, ...] | list[str] | None = (),
        level: int = 0,
    ) -> object:
        if type(fromlist) is list:
            # The interpreter itself, from C code a plugin called (strptime, re templates).  It
            # drops the answer and takes the module from sys.modules; an import statement
            # passes a tuple or None.
            if name in sys.modules:
                return None
            raise ImportError(f"{name} is not loaded")
        if level:
            raise ImportError("relative imports are not available to plugins")
        module = find(name)
        if module is None:
            raise ImportError(_missing(name, modules))
        if fromlist:
            # Checked here, because the interpreter would look for a missing name among the
            # real modules: `from json import decoder` must not find json.decoder.
            for wanted in fromlist:
                try:
                    getattr(module, wanted)
                except AttributeError:
                    shown = strip_mark(wanted)
                    message = f"cannot import name {shown!r} from {name!r}"
                    raise ImportError(message) from None
            return module
        top, *rest = name.split(".")
        package = find(top)
        if package is None:
            raise ImportError(_missing(top, modules))
        inner: object = package
        for part in rest:
            # As above: `import a.b as c` reads b from a, or from the real modules.
            inner = getattr(inner, part, None)
            if inner is None:
                raise ImportError(_missing(name, modules))
        return package

    return import_module


def _missing(name: str, modules: Mapping[str, object]) -> str:
    available = ", ".join(sorted({*AVAILABLE, *modules}))
    if name.partition(".")[0] in sys.stdlib_module_names:
        return f"{name} is excluded: plugins have no access to it; available: {available}"
    return f"no module named {name}; available: {available}"
