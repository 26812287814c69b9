"""`/msx/menu`: the main menu of Media Station X, with the folders, the plugins and the settings."""

from __future__ import annotations

import platform
import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.errors import SandboxError
from sandbox.manifest import Manifest
from sandbox.servers.house import House
from sandbox.servers.names import NAME, VERSION
from sandbox.servers.replies import base, document
from sandbox.servers.settings import COMPRESSED, HTML5X, SCALED
from sandbox.servers.wall import MEDIA

_FOLDERS: Final = (
    ("video", "video-library", "{dix:video}My video"),
    ("music", "library-music", "{dix:music}My music"),
    ("photo", "photo-library", "{dix:photo}My photo"),
)
_BASE: Final = "{BASE_URL}"
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def system() -> str:
    """The system as Go names it: `linux/amd64`."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}/{_MACHINES.get(machine, machine)}"


async def menu(house: House, request: Request) -> Response:
    """The menu for one device."""
    where, query = base(request), request.query_params
    said = [query.get(name, "") for name in ("id", "player", "platform")]
    if request.method != "HEAD":
        house.devices.note(*said)
    items = _folders(house, where)
    items.append({"type": "separator"})
    for name in house.engine.plugin_names():
        item = _plugin(house, name, where)
        if item is not None:
            items.append(item)
    items.append({"type": "separator"})
    items.append(
        {
            "data": _settings(house, request, where),
            "icon": "settings",
            "id": "stg",
            "label": "{dic:label:settings|Settings}",
        }
    )
    return document(
        {
            "reuse": False,
            "cache": False,
            "restore": False,
            "flag": NAME,
            "logo": f"{where}logotype.png",
            "ready": {"action": f"execute:service:video:data:{where}msx/videowall"},
            "menu": items,
        }
    )


def _folders(house: House, where: str) -> list[dict[str, Any]]:
    items = [
        {
            "data": f"{where}msx/{noun}/?id={{ID}}",
            "extensionIcon": "folder-open",
            "icon": icon,
            "label": label,
        }
        for noun, icon, label in _FOLDERS
        if getattr(house.settings, noun)
    ]
    if house.settings.torrserver:
        items.append(
            {
                "data": f"{where}msx/torr?id={{ID}}",
                "extensionIcon": "bolt",
                "icon": "folder",
                "label": "{dix:torrents}My torrents",
            }
        )
    return items


def _plugin(house: House, name: str, where: str) -> dict[str, Any] | None:
    """A plugin's line; None for one that is off, or whose manifest cannot be read."""
    if name in house.disabled:
        return None
    try:
        about = house.engine.manifest(name)
    except SandboxError:
        return None
    if about.torrent and not house.settings.torrserver:
        return None
    return line(name, about, where)


def line(name: str, about: Manifest, where: str) -> dict[str, Any]:
    """A plugin's line in the menu, from its manifest."""
    own = f"{where}{name}/"
    item = {
        "data": about.url.replace(_BASE, own) or own,
        "extensionIcon": "bolt" if about.torrent else "cloud-queue",
    }
    if about.image:
        item["image"] = about.image.replace(_BASE, own)
    elif about.icon:
        item["icon"] = about.icon
    return item | {"label": about.label or name}


# ---------------------------------------------------------------------- the settings


def _settings(house: House, request: Request, where: str) -> dict[str, Any]:
    """The page behind the menu's last line."""
    settings = house.settings
    switches = settings.switches(request.query_params.get("id", ""))
    change = f"execute:{where}settings?id={{ID}}"
    films = f"{{col:msx-white}}{settings.video_wall}" if settings.video_wall else _NONE
    torrserver = f"{{col:msx-white}}{settings.torrserver}" if settings.torrserver else _NONE
    player = _switch("html5", "html5x", on=bool(switches & HTML5X))
    files = _switch(
        "{dic:Default|default}", "{dic:Compress|compressed}", on=bool(switches & COMPRESSED)
    )
    photos = _switch("{dic:Origin|as is}", "{dic:Scale|as screen}", on=bool(switches & SCALED))
    items = [
        *_about(request, where),
        _control("0,5", change, HTML5X, player, "smart-display", "{dic:label:player|Player}:"),
        _control(
            "0,6",
            change,
            COMPRESSED,
            files,
            "format-list-bulleted",
            "{dic:Files|List of files}:",
        ),
        {"enable": bool(settings.photo)}
        | _control("0,7", change, SCALED, photos, "photo-library", "{dic:Slide|Photo size}:"),
        {
            "action": f"panel:{where}msx/dictionary",
            "extensionLabel": settings.language or "default",
            "icon": "language",
            "id": "dic",
            "label": "{dic:Language|Language}:",
            "layout": "8,4,8,1",
            "type": "control",
        },
        _control("8,5", change, None, torrserver, "bolt", "TorrServer:"),
        {
            "action": "panel:data",
            "data": _walls(change),
            "extensionLabel": films,
            "icon": "wallpaper",
            "label": "{dic:VideoWall|Video wallpaper}:",
            "layout": "8,6,8,1",
            "type": "control",
        },
        {
            "action": "dialog:application",
            "extensionIcon": "menu-open",
            "icon": "monitor",
            "label": "{dic:label:application|Application}",
            "layout": "8,7,8,1",
            "type": "control",
        },
    ]
    return {
        "compress": True,
        "extension": "{ico:msx-white:settings}",
        "pages": [{"items": items}],
    }


_NONE: Final = "{dic:label:none|None}"


def _about(request: Request, where: str) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    host = request.headers.get("host", "")
    machine = f"{{br}}{{ico:msx-white-soft:hardware}}{{tb}}{system()}"
    return [
        {
            "headline": f"{{txt:msx-white-soft:dic:label:version|Version}} {VERSION}",
            "image": f"{where}logotype.png",
            "imageFiller": "width-top",
            "imagePreload": True,
            "imageWidth": 10,
            "layout": "0,0,16,3",
            "live": {
                "from": now,
                "titleHeader": "{ico:timer}{tb}{txt:msx-white:overflow:text:dhms}",
                "to": now,
                "type": "schedule",
            },
            "titleFooter": f"{{ico:http}}{{tb}}{{col:msx-white}}{host}{machine}",
            "titleHeader": "",
            "type": "space",
        },
        {
            "alignment": "center",
            "layout": "0,3,16,2",
            "text": "Each plugin runs in a sandbox of its own. What a plugin shows comes from its "
            "author, not from this server.",
            "type": "space",
        },
    ]


def _control(
    place: str, action: str, data: int | None, state: str, icon: str, label: str
) -> dict[str, Any]:
    return {
        "action": action,
        "data": data,
        "extensionLabel": state,
        "icon": icon,
        "label": label,
        "layout": f"{place},8,1",
        "type": "control",
    }


def _switch(off: str, on_text: str, *, on: bool) -> str:
    """Both positions of a switch, the chosen one bright."""
    chosen, other = "{col:msx-white}", "{col:msx-white-soft}"
    if on:
        return f"{other}{off} {{ico:toggle-on}}{chosen} {on_text}"
    return f"{chosen}{off} {{ico:toggle-off}}{other} {on_text}"


def _walls(change: str) -> dict[str, Any]:
    none: list[dict[str, Any]] = [
        {
            "data": 100,
            "enumerate": False,
            "label": "{dic:label:no|No}",
            "offset": "0,0,5,-1",
        },
        {"type": "space"},
    ]
    films = [
        {"data": 100 + number, "image": f"{MEDIA}thumbs/atmos{number}.jpg", "label": str(number)}
        for number in range(1, 7)
    ]
    return {
        "compress": True,
        "extension": "© Benjamin Zachey",
        "headline": "{dic:VideoWall|Video wallpaper}:",
        "items": none + films,
        "template": {
            "action": f"[quiet|{change}]",
            "imageFiller": "cover",
            "layout": "0,0,5,2",
        },
        "type": "list",
    }
