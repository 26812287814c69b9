"""`manifest.json`: what a plugin folder says of itself.

The properties are ServeMSX's (`Label`, `Image`, `Icon`, `URL`, `Torrent`) with names in any
case, and ours: `Capabilities`, what the plugin asks for, and `Limits`, never above the
operator's.  A folder without the file is a plugin with defaults.

The file is read as Go's `json.Decoder` reads it for ServeMSX: the first value counts and what
follows does not, null is as good as absent, and what is no text in a text becomes U+FFFD.  A byte
order mark is passed over.  A file that cannot be read so is an error, while ServeMSX runs the
plugin all the same: here the file may hold limits, which must not be lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.below import LeadsOut, read_file
from sandbox.errors import ConfigurationError, PluginError
from sandbox.limits import Limits
from sandbox.policy import parse_capability

NAME: Final = "manifest.json"
_MAX_BYTES: Final = 65_536
_TEXTS: Final = ("label", "image", "icon", "url")
_DECODER: Final = json.JSONDecoder()
_SPACE: Final = " \t\r\n"


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

    Raises `PluginError` with file and line when it does not begin with a JSON object, and naming
    the property when one has the wrong type.
    """
    if len(data) > _MAX_BYTES:
        raise _broken(f"is longer than {_MAX_BYTES} bytes", plugin)
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        content, _ = _DECODER.raw_decode(text, len(text) - len(text.lstrip(_SPACE)))
    except json.JSONDecodeError as error:
        raise _broken(f"is not JSON: {error.msg}", plugin, error.lineno) from None
    except ValueError:
        raise _broken("holds a number of too many digits", plugin) from None
    except RecursionError:
        raise _broken("nests too deep", plugin) from None
    if content is None:
        return Manifest()
    if not isinstance(content, dict):
        raise _broken("must be a JSON object", plugin)
    given = {key.lower(): value for key, value in content.items() if value is not None}
    return _checked(given, plugin)


def _checked(content: dict[str, Any], plugin: str) -> Manifest:
    texts = {name: content.get(name, "") for name in _TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise _broken(f"{name.capitalize()} must be a text", plugin)
        # Half of a pair of surrogates, which JSON can spell, is nothing that could be sent.
        texts[name] = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
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
    """The manifest of a plugin folder; defaults when it has none, or a link that leads out of the
    folder.  Raises as `parse` does."""
    try:
        data = read_file(folder / NAME, _MAX_BYTES, folder)
    except (FileNotFoundError, NotADirectoryError, LeadsOut):
        return Manifest()
    except OSError as error:
        raise _broken(f"cannot be read: {error.strerror}", folder.name) from None
    return parse(data, plugin=folder.name)
