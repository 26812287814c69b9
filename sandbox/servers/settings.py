"""What an operator can set while the server runs, as ServeMSX has it in `/settings`.

Immutable words with their checks; who may change them and where they are kept is `house`'s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final

from sandbox.errors import ConfigurationError

NAMES: Final = {
    "Video": "video",
    "Music": "music",
    "Photo": "photo",
    "TorrServer": "torrserver",
    "FFstream": "ffstream",
    "Background": "background",
    "VideoWall": "video_wall",
    "Language": "language",
    "Clients": "clients",
}
"""The names in JSON, those of ServeMSX and our `Language`, and the attributes here."""

FOLDERS: Final = ("video", "music", "photo")
MAX_CLIENTS: Final = 256
HTML5X, COMPRESSED, SCALED = 1, 2, 16
"""The switches of one device: another player, a denser list, photos as large as the screen."""

_SWITCHES: Final = HTML5X | COMPRESSED | SCALED
_MAX_TEXT: Final = 1024
_ADDRESS: Final = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,252}))(?::([0-9]{1,5}))?", re.ASCII
)
_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}", re.ASCII)
_WALLS: Final = range(7)
_NO_CLIENTS: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting has a default; an empty text means that there is none.

    `video`, `music` and `photo` are folders, absolute.  `torrserver` is `host:port`.  `language`
    names a dictionary.  `video_wall` is the number of a background film, 0 for none.  `ffstream`
    and `background` are kept for scripts that read them.  `clients` are the switches of devices
    by their id.  Raises `ConfigurationError` for a value that cannot be.
    """

    video: str = ""
    music: str = ""
    photo: str = ""
    torrserver: str = ""
    language: str = ""
    video_wall: int = 0
    ffstream: str = "8009"
    background: str = "background.jpg"
    clients: Mapping[str, int] = field(default_factory=lambda: _NO_CLIENTS)

    def __post_init__(self) -> None:
        for name in (*FOLDERS, "torrserver", "language", "ffstream", "background"):
            value = getattr(self, name)
            if not isinstance(value, str) or len(value) > _MAX_TEXT or "\0" in value:
                raise _bad(name, "must be a text")
        for name in FOLDERS:
            if getattr(self, name) and not os.path.isabs(getattr(self, name)):
                raise _bad(name, "must be an absolute path of a folder")
        match = _ADDRESS.fullmatch(self.torrserver)
        if self.torrserver and (match is None or int(match[1] or 1) not in range(1, 65_536)):
            raise _bad("torrserver", "must be an address such as 127.0.0.1:8090")
        if self.ffstream and not (self.ffstream.isascii() and self.ffstream.isdigit()):
            raise _bad("ffstream", "must be a port")
        for name in ("language", "background"):
            if getattr(self, name) and not _FILE.fullmatch(getattr(self, name)):
                raise _bad(name, "must be a plain file name")
        if type(self.video_wall) is not int or self.video_wall not in _WALLS:
            raise _bad("video_wall", f"must be a number from 0 to {_WALLS[-1]}")
        self._check_clients()

    def _check_clients(self) -> None:
        if not isinstance(self.clients, Mapping) or len(self.clients) > MAX_CLIENTS:
            raise _bad("clients", f"must be an object of at most {MAX_CLIENTS} devices")
        for name, switches in self.clients.items():
            if not isinstance(name, str) or len(name) > 128 or type(switches) is not int:
                raise _bad("clients", "must be an object of ids and numbers")
            if switches & ~_SWITCHES:
                raise _bad("clients", f"{switches} is not a sum of 1, 2 and 16")

    def switches(self, client: str) -> int:
        """The switches of one device."""
        return self.clients.get(client, 0)

    def toggled(self, client: str, switch: int) -> Settings:
        """These settings with one switch of one device changed.

        Devices name themselves, so that there is room for some only: the first ones give way.
        """
        if not client or len(client) > 128 or switch not in (HTML5X, COMPRESSED, SCALED):
            raise ConfigurationError("settings: there is no such switch")
        clients = dict(self.clients)
        clients[client] = clients.pop(client, 0) ^ switch
        while len(clients) > MAX_CLIENTS:
            del clients[next(iter(clients))]
        return replace(self, clients=MappingProxyType(clients))

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """These settings with `changes`, whose names are those of JSON in any case.

        A folder that is set anew must exist; one that was set stays so when it is gone, because
        a disk may come back.  Raises `ConfigurationError` naming a bad one.
        """
        known = {name.lower(): attribute for name, attribute in NAMES.items()}
        given: dict[str, Any] = {}
        for name, value in changes.items():
            attribute = known.get(str(name).lower())
            if attribute is None:
                raise ConfigurationError(f"settings: there is no {str(name)[:100]!r}")
            given[attribute] = value
        if isinstance(given.get("clients"), dict):
            given["clients"] = MappingProxyType(dict(given["clients"]))
        new = replace(self, **given)
        for name in FOLDERS:
            anew = given.get(name, "") not in ("", getattr(self, name))
            if anew and not os.path.isdir(given[name]):
                raise _bad(name, "there is no such folder")
        return new

    def as_json(self) -> dict[str, Any]:
        """The settings by their names in JSON."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values["clients"] = dict(self.clients)
        return {name: values[attribute] for name, attribute in NAMES.items()}


def from_json(content: Mapping[str, Any]) -> Settings:
    """The settings of a file.  A folder that is gone stays set: a disk may come back."""
    known = {name: content[name] for name in NAMES if name in content}
    strange = set(content) - set(known)
    if strange:
        raise ConfigurationError(f"settings: there is no {min(strange)[:100]!r}")
    folders = {name: known.pop(name) for name in ("Video", "Music", "Photo") if name in known}
    return replace(
        Settings().changed(known), **{NAMES[name]: value for name, value in folders.items()}
    )


def _bad(attribute: str, what: str) -> ConfigurationError:
    name = next(name for name, known in NAMES.items() if known == attribute)
    return ConfigurationError(f"settings: {name}: {what}")
