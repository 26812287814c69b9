"""Which languages there are: found by name through entry points, never imported here.

A distribution offers a runtime in two groups of its metadata, both naming the same factory:

    sandbox.runtimes     the language's name      lua = "runtimes.lua.runtime:create"
    sandbox.file_types   its files' extension     lua = "runtimes.lua.runtime:create"
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Final

from sandbox.errors import ConfigurationError

_RUNTIMES: Final = "sandbox.runtimes"
_FILE_TYPES: Final = "sandbox.file_types"


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """One language: its name, its factory as `module:attribute`, and its file extension."""

    name: str
    factory: str
    extension: str


@lru_cache(maxsize=1)
def installed() -> dict[str, RuntimeInfo]:
    """Every runtime by name."""
    extensions = {point.value: point.name for point in entry_points(group=_FILE_TYPES)}
    return {
        point.name: RuntimeInfo(point.name, point.value, extensions.get(point.value, point.name))
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
