"""`/settings`: GET shows what is set and which plugins there are, POST changes it.

A device sends `{"data": ...}`: a number for a switch of its own (1, 2, 16) or for the film behind
the menu (100 to 106), a text for TorrServer's address, nothing to be asked for that address, and
an object of settings by name, as the web page does.  Its own switches anyone may turn: they change
how one device is shown its pages.  All else is an operator's.
"""

from __future__ import annotations

import dataclasses
import logging
import resource
import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.engine.faults import one_line
from sandbox.errors import ConfigurationError, SandboxError
from sandbox.servers.answers import author_text
from sandbox.servers.house import House
from sandbox.servers.menu import system
from sandbox.servers.names import NAME, VERSION
from sandbox.servers.replies import Refused, action, base, data, document
from sandbox.servers.torrents import Torrents

log: Final = logging.getLogger("sandbox.servers.setting_page")

_FIRST_WALL: Final = 100
_RELOAD: Final = "[cleanup|reload:menu]"


class SettingPage:
    """The settings of one house; `torrents` tells whether a TorrServer is where somebody says."""

    def __init__(self, house: House, torrents: Torrents) -> None:
        self._house, self._torrents = house, torrents
        self._since = time.monotonic()

    async def answer(self, request: Request) -> Response:
        """Show or change.  Raises `Refused`."""
        if request.method != "POST":
            return document(self._shown(self._house.is_operator(request.scope)))
        given = await data(request)
        try:
            return await self._changed(given, request)
        except ConfigurationError as error:
            # What is wrong with a value may be told; where files could not be kept may not.
            about = error.message if error.message.startswith("settings: ") else "not kept"
            raise Refused(400, about) from None

    # ------------------------------------------------------------------ showing

    def _shown(self, operator: bool) -> dict[str, Any]:
        """An operator's folders and devices are shown to operators alone."""
        house, settings = self._house, self._house.settings.as_json()
        private = settings if operator else {}
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {
            "Name": NAME,
            "Version": VERSION,
            "Up": f"{int(time.monotonic() - self._since)}s",
            "Platform": system(),
            **{name: private.get(name, "") for name in ("Video", "Music", "Photo")},
            "MemSys": used,
            "MemAlloc": used,
            "Plugins": [self._plugin(name) for name in house.engine.plugin_names()],
            "TorrServer": private.get("TorrServer", ""),
            "FFmpeg": "",
            "FFprobe": "",
            "FFstream": settings["FFstream"],
            "Background": settings["Background"],
            "VideoWall": settings["VideoWall"],
            "Language": settings["Language"],
            "Clients": private.get("Clients", {}),
        }

    def _plugin(self, name: str) -> dict[str, Any]:
        shown = {"Label": "", "Image": "", "Icon": "", "URL": "", "Torrent": False, "Name": name}
        try:
            about = self._house.engine.manifest(name)
        except SandboxError as error:
            return {**shown, "Error": author_text(error)}
        own = {"Label": about.label, "Image": about.image, "Icon": about.icon, "URL": about.url}
        off = {"Disabled": True} if name in self._house.disabled else {}
        return {**shown, **own, "Torrent": about.torrent, **off}

    # ------------------------------------------------------------------ changing

    async def _changed(self, given: Any, request: Request) -> Response:
        house, device = self._house, request.query_params.get("id", "")
        if type(given) is int and given < _FIRST_WALL:
            # Anyone may do this, as often as they like.
            house.change(house.settings.toggled(device, given), sure=False)
            return action(_RELOAD)
        if not house.is_operator(request.scope):
            raise Refused(403, "only an operator may change settings")
        if type(given) is int:
            house.change(dataclasses.replace(house.settings, video_wall=given - _FIRST_WALL))
            return action(_RELOAD)
        if given is None or given is True:
            return self._ask_address(request)
        if isinstance(given, str):
            return await self._set_address(given)
        if not isinstance(given, dict):
            raise Refused(400)
        house.change(house.settings.changed(given))
        log.info("an operator changed settings: %s", one_line(", ".join(sorted(given))))
        return action("info:OK")

    def _ask_address(self, request: Request) -> Response:
        """Have the device ask its user for TorrServer's address, near its own."""
        client = request.client.host if request.client else ""
        near = self._house.settings.torrserver or client.rpartition(".")[0] + "."
        where = base(request)
        return action(
            f"execute:{where}msx/input?addr",
            {
                "action": f"execute:{where}settings",
                "extension": "<IP>:8090",
                "headline": "{dic:Address|Address of} Torrserver:",
                "value": near if near != "." else "",
            },
        )

    async def _set_address(self, address: str) -> Response:
        changed = dataclasses.replace(self._house.settings, torrserver=address)
        if address and not await self._torrents.reachable(address):
            # ServeMSX's status, but another server's fault.
            text = f"TorrServer: nothing answers at {address}"
            raise Refused(500, text, level=logging.WARNING)
        self._house.change(changed)
        return action(_RELOAD)
