"""`serve --config FILE`: what an operator decides once, as JSON or TOML.

[grants]
"*" = ["timer"]                       # every plugin
radio = ["http:api.example.org"]      # one plugin

[withheld]
"*" = ["http"]                        # as --withhold: what plugins may do without a grant
radio = ["memory"]

[limits]
cpu = "250ms"                         # as --cpu and so on, which come before these

[settings]
Video = "/srv/films"                  # until somebody changes the settings
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox.errors import ConfigurationError
from sandbox.policy import EVERYONE, parse_capability, parse_withheld

_PARTS: Final = ("grants", "withheld", "limits", "settings")
_LISTS: Final = {"grants": parse_capability, "withheld": parse_withheld}
_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Configuration:
    """A read file: what is granted to plugins and withheld from them by name (`*` is all of
    them), limits and settings by name."""

    grants: Mapping[str, list[str]] = field(default_factory=dict)
    withheld: Mapping[str, list[str]] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def everyone(self) -> list[str]:
        """What every plugin is granted."""
        return self.grants.get(EVERYONE, [])

    def some(self) -> dict[str, list[str]]:
        """What plugins are granted by name."""
        return {name: given for name, given in self.grants.items() if name != EVERYONE}


def read(path: Path) -> Configuration:
    """The configuration in a file, by its extension `.json` or `.toml`.

    Raises `ConfigurationError` naming the file and what is wrong in it.
    """
    if path.suffix not in (".json", ".toml"):
        raise ConfigurationError(f"{path}: must be a .json or .toml file")
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(f"{path}: is longer than {_MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    return _checked(content, path)


def _checked(content: Any, path: Path) -> Configuration:
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: must hold an object")
    strange = sorted(set(content) - set(_PARTS))
    if strange:
        raise ConfigurationError(f"{path}: {strange[0]!r} is unknown; there are {_listed()}")
    parts = {name: content.get(name, {}) for name in _PARTS}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise ConfigurationError(f"{path}: {name} must be an object")
    for name, parse in _LISTS.items():
        for plugin, given in parts[name].items():
            if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
                raise ConfigurationError(f"{path}: {name}: {plugin!r} must have a list of texts")
            try:
                for one in given:
                    parse(one)
            except ConfigurationError as error:
                raise ConfigurationError(f"{path}: {error.message}") from None
    return Configuration(**parts)


def _listed() -> str:
    return ", ".join(_PARTS)
