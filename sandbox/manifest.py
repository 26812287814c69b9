"""`manifest.json`: what a plugin folder says of itself.

The properties are ServeMSX's (`Label`, `Image`, `Icon`, `URL`, `Torrent`) with names in any
case, and ours: `Capabilities`, what the plugin asks for, and `Limits`, never above the
operator's.  A folder without the file is a plugin with defaults.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.errors import ConfigurationError, PluginError
from sandbox.limits import Limits
from sandbox.policy import parse_capability

NAME: Final = "manifest.json"
_MAX_BYTES: Final = 65_536
_TEXTS: Final = ("label", "image", "icon", "url")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A read manifest; absent properties have their defaults."""

    label: str = ""
    image: str = ""
    icon: str = ""
    url: str = ""
    torrent: bool = False
    capabilities: tuple[str, ...] = ()
    limits: tuple[tuple[str, str | float], ...] = ()

    def limits_within(self, allowed: Limits) -> Limits:
        """The plugin's own limits; raises `ConfigurationError` for one above the operator's."""
        return _within(self.limits, allowed) if self.limits else allowed


@lru_cache(maxsize=1024)
def _within(asked: tuple[tuple[str, str | float], ...], allowed: Limits) -> Limits:
    """Kept, because it is asked at every request."""
    return allowed.replace(**dict(asked)).within(allowed)


def parse(data: bytes, *, plugin: str) -> Manifest:
    """The manifest in `data`.

    Raises `PluginError` with file and line when it is not a JSON object, and naming the property
    when one has the wrong type.
    """
    if len(data) > _MAX_BYTES:
        raise _broken(f"is longer than {_MAX_BYTES} bytes", plugin)
    try:
        content = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise _broken("is not UTF-8 text", plugin) from None
    except json.JSONDecodeError as error:
        raise _broken(f"is not JSON: {error.msg}", plugin, error.lineno) from None
    except ValueError:
        raise _broken("holds a number of too many digits", plugin) from None
    except RecursionError:
        raise _broken("nests too deep", plugin) from None
    if not isinstance(content, dict):
        raise _broken("must be a JSON object", plugin)
    return _checked({key.lower(): value for key, value in content.items()}, plugin)


def _checked(content: dict[str, Any], plugin: str) -> Manifest:
    texts = {name: content.get(name, "") for name in _TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise _broken(f"{name.capitalize()} must be a text", plugin)
    torrent = content.get("torrent", False)
    if not isinstance(torrent, bool):
        raise _broken("Torrent must be true or false", plugin)
    capabilities = content.get("capabilities", [])
    limits = content.get("limits", {})
    if not isinstance(capabilities, list):
        raise _broken("Capabilities must be a list of texts", plugin)
    if not isinstance(limits, dict):
        raise _broken("Limits must be an object", plugin)
    try:
        asked = tuple(parse_capability(text) for text in capabilities)
        Limits().replace(**limits)
    except ConfigurationError as error:
        raise _broken(error.message, plugin) from None
    return Manifest(**texts, torrent=torrent, capabilities=asked, limits=tuple(limits.items()))


def _broken(what: str, plugin: str, line: int = 1) -> PluginError:
    return PluginError(f"{NAME} {what}", type="ManifestError", plugin=plugin, file=NAME, line=line)


def read(folder: Path) -> Manifest:
    """The manifest of a plugin folder; defaults when it has none.  Raises as `parse` does."""
    try:
        with open(folder / NAME, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    except OSError as error:
        raise _broken(f"cannot be read: {error.strerror}", folder.name) from None
    return parse(data, plugin=folder.name)
