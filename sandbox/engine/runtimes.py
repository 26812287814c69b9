"""Which languages there are: found by name through entry points, never imported here.

A distribution offers a runtime in groups of its metadata that all name the same factory:

    sandbox.runtimes     the language's name      lua = "runtimes.lua.runtime:create"
    sandbox.file_types   its files' extension     lua = "runtimes.lua.runtime:create"
    sandbox.modules      it has modules as well   lua = "runtimes.lua.runtime:create"
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Final

from sandbox.errors import ConfigurationError

_RUNTIMES: Final = "sandbox.runtimes"
_FILE_TYPES: Final = "sandbox.file_types"
_MODULES: Final = "sandbox.modules"


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """One language: its name, its factory as `module:attribute`, its file extension, and whether
    modules can be written in it, or scripts and bare code only."""

    name: str
    factory: str
    extension: str
    modules: bool = True


@lru_cache(maxsize=1)
def installed() -> dict[str, RuntimeInfo]:
    """Every runtime by name."""
    extensions = {point.value: point.name for point in entry_points(group=_FILE_TYPES)}
    with_modules = {point.value for point in entry_points(group=_MODULES)}
    return {
        point.name: RuntimeInfo(
            point.name,
            point.value,
            extensions.get(point.value, point.name),
            point.value in with_modules,
        )
        for point in entry_points(group=_RUNTIMES)
    }


def by_name(name: str) -> RuntimeInfo:
    """The runtime of that name; raises `ConfigurationError` listing those there are."""
    found = installed().get(name)
    if found is None:
        known = ", ".join(sorted(installed())) or "none installed"
        raise ConfigurationError(f"language: no runtime {name!r}; there are: {known}")
    return found


def by_extension() -> dict[str, RuntimeInfo]:
    """Every runtime by the extension of its files, without the dot."""
    return {info.extension: info for info in installed().values()}
