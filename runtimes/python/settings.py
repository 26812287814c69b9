"""`server.settings`: what the operator set, and ServeMSX's functions over it.

The functions only build texts for the Media Station X app.  None starts a process or reaches for
another server; `runtimes/lua/prelude/msx.lua` is the same for Lua.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from runtimes.python.facade import Frozen
from runtimes.python.texts import a_text, counted, text_of

FUNCTIONS: Final = ("dic", "ffmpeg", "player", "torr")
NO_FFMPEG: Final = "ffmpeg: this server starts no processes for plugins"

_LIVE: Final = {
    "button:play_pause:display": "false",
    "button:forward:display": "false",
    "button:rewind:display": "false",
    "button:restart:display": "false",
    "button:speed:display": "false",
    "label:position": "...",
    "label:duration": "...",
}
_HTML5X: Final = "plugin:http://msx.benzac.de/plugins/html5x.html?url="
_TIZEN: Final = "content:request:interaction:init@http://msx.benzac.de/interaction/tizen.html"


class Settings(Frozen):
    """A read-only mapping of the operator's settings, readable as attributes, too.

    What is set under the name of a function is what that function answers without arguments.
    """

    __slots__ = ("_host", "_values")
    _host: str
    _values: Mapping[str, Any]

    def __init__(self, values: Mapping[str, Any], host: str) -> None:
        object.__setattr__(self, "_values", {"compressed": False, **values})
        object.__setattr__(self, "_host", host)

    # ------------------------------------------------------------------ the mapping

    def __getattr__(self, name: str) -> Any:
        if name[:1] != "_" and name in self._values:
            return self._values[name]
        raise AttributeError(f"there is no setting {name!r}")

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name) if name in FUNCTIONS else self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values or name in FUNCTIONS

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """The names of all settings, sorted, those of the functions included."""
        return sorted({*self._values, *FUNCTIONS})

    def get(self, name: str, default: Any = None) -> Any:
        """A setting, or `default`."""
        try:
            return self[name]
        except KeyError:
            return default

    # ------------------------------------------------------------------ the functions

    def dic(self) -> Any:
        """The name of the dictionary, or None when none is set."""
        return self._values.get("dic")

    def torr(self, *arguments: Any) -> str:
        """`torr()`: TorrServer's address, or an empty text; `torr(link[, title[, image]])`: the
        address of a torrent's page."""
        counted("torr", arguments, 0, 3)
        if not arguments:
            return text_of(self._values.get("torr"))
        named = zip(("link", "ttl", "img"), map(text_of, arguments), strict=False)
        query = "&".join(f"{name}={quote_plus(text)}" for name, text in named if text)
        return f"content:http://{self._host}/msx/torr{'?' if query else ''}{query}"

    def player(self, *arguments: Any) -> Any:
        """`player()`: the player's name, or an empty text; `player(link)`: the address that
        plays it; `player(live[, extended])`: a map of properties for the player."""
        counted("player", arguments, 0, 2)
        if not arguments:
            name = "html5x" if self._values.get("html5x") is True else self._values.get("player")
            return name or ""
        if type(arguments[0]) is bool:
            return self._properties(arguments[0], len(arguments) > 1 and bool(arguments[1]))
        return self._player_link(a_text("player", arguments[0]))

    def _player_link(self, link: str) -> str:
        kind = link[:6] if link.startswith(("video:", "audio:")) else ""
        if self._values.get("html5x") is True:
            return kind + _HTML5X + quote_plus(link[len(kind) :])
        return link

    def _properties(self, live: bool, extended: bool) -> dict[str, str]:
        properties = dict(_LIVE) if live else {}
        if extended:
            properties["control:type"] = "extended"
        action = ""
        if self._values.get("html5x") is True:
            action = "panel:request:player:options"
        elif self._values.get("player") == "tizen":
            action = _TIZEN
        elif self._values.get("platform") == "netcast":
            action = "system:netcast:menu"
        if action:
            properties |= {"button:content:icon": "settings", "button:content:action": action}
        return properties

    def ffmpeg(self, *arguments: Any) -> Any:
        """`ffmpeg()`: what the operator set, or None; with a source it would start ffmpeg, which
        no plugin can: always a `RuntimeError`."""
        counted("ffmpeg", arguments, 0, 3)
        if not arguments:
            return self._values.get("ffmpeg")
        if not text_of(arguments[0]):
            raise ValueError("ffmpeg: the source is empty")
        for value in arguments[1:]:
            if not isinstance(value, list | tuple):
                raise TypeError(f"ffmpeg: expected a list, not {type(value).__name__}")
        raise RuntimeError(NO_FFMPEG)
