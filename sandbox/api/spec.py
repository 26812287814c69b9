"""What a host function is: its name, parameters, result, capability and clock.

Declarations only.  The engine's services implement them, each runtime binds them to what its
plugins see, and `reference.py` writes the documentation from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sandbox.errors import PluginError

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "text": (str,),
    "number": (int, float),
    "integer": (int,),
    "list": (list,),
    "map": (dict,),
    "boolean": (bool,),
    "any": (object,),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument: its name, its kind of value (a key of the table above), and what it means."""

    name: str
    type: str
    doc: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class HostFunction:
    """One function that plugins can ask the engine for.

    `capability` is the grant it needs, or None for what every plugin may do.  `seen_as` are the
    names under which plugin authors write it, by which `sandbox check` finds what is asked for.
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: str
    doc: str
    capability: str | None = None
    seen_as: tuple[str, ...] = ()

    def check(self, arguments: list[Any]) -> list[Any]:
        """`arguments`, filled up with None for absent optional ones.

        Raises `PluginError` naming the function and the argument: they come from a worker.
        """
        if len(arguments) > len(self.parameters):
            raise PluginError(f"{self.name}: expected {len(self.parameters)} arguments at most")
        filled = arguments + [None] * (len(self.parameters) - len(arguments))
        for parameter, value in zip(self.parameters, filled, strict=True):
            if value is None and (parameter.optional or parameter.type == "any"):
                continue
            wanted = _TYPES[parameter.type]
            if not isinstance(value, wanted) or (
                isinstance(value, bool) and bool not in wanted and object not in wanted
            ):
                raise PluginError(
                    f"{self.name}: {parameter.name} must be a {parameter.type}, "
                    f"not {type(value).__name__}"
                )
        return filled
