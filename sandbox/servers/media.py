"""`/msx/video/`, `/msx/music/`, `/msx/photo/`: an operator's own folders, page by page.

Only films, music or pictures below the folder are there: no other kind of file, nothing whose
name begins with a dot, and nothing that a link leads out to.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sandbox.servers import thumbnails
from sandbox.servers.files import media_file
from sandbox.servers.house import House
from sandbox.servers.replies import Refused, base, document
from sandbox.servers.settings import COMPRESSED, SCALED

MAX_ITEMS: Final = 5000
"""Most entries of one page; what is beyond, in order of names, is not shown."""

# What mimetypes does not know, or not on every system.
_MORE: Final = {
    "video": frozenset({".mkv", ".ts", ".m2ts", ".mts", ".vob", ".flv", ".ogv", ".divx"}),
    "audio": frozenset({".flac", ".ape", ".m4b", ".mka", ".opus", ".wma", ".dsf"}),
    "image": frozenset({".webp", ".avif"}),
}
_NEVER: Final = frozenset({".svg", ".svgz"})  # documents that can run scripts


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three folders: its noun in paths, and how its pages look."""

    noun: str
    type: str
    action: str
    page_icon: str
    icon: str


KINDS: Final = {
    "video": Kind("video", "video", "video", "video-library", "movie"),
    "music": Kind("music", "audio", "audio", "library-music", "audiotrack"),
    "photo": Kind("photo", "image", "image", "photo-library", "image"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a page; `size` in bytes, None for a folder."""

    name: str
    size: int | None


def wanted(name: str, kind: Kind) -> bool:
    """Whether a file of that name is of the folder's kind."""
    extension = os.path.splitext(name)[1].lower()
    if name.startswith(".") or extension in _NEVER:
        return False
    guessed = mimetypes.guess_type(name)[0] or ""
    return guessed.startswith(f"{kind.type}/") or extension in _MORE[kind.type]


def beneath(top: Path, parts: list[str]) -> Path | None:
    """The path below `top`, or None when there is none; links may not lead out."""
    if any(part.startswith(".") or "\0" in part or "/" in part for part in parts):
        return None
    try:
        place = top.joinpath(*parts).resolve(strict=True)
        inside = place.is_relative_to(top.resolve(strict=True))
    except (OSError, RuntimeError):  # RuntimeError: links that lead to each other
        return None
    return place if inside else None


def entries(place: Path, top: Path, kind: Kind) -> list[Entry]:
    """The folders and the wanted files of a folder, folders first, by name."""
    found = sorted(_entries(place, top, kind), key=lambda one: (one.size is not None, one.name))
    return found[:MAX_ITEMS]


def _entries(place: Path, top: Path, kind: Kind) -> Iterator[Entry]:
    with os.scandir(place) as scan:
        for one in scan:
            if one.name.startswith("."):
                continue
            try:
                if one.is_symlink() and beneath(top, [*_parts(place, top), one.name]) is None:
                    continue
                if one.is_dir():
                    yield Entry(one.name, None)
                elif one.is_file() and wanted(one.name, kind):
                    yield Entry(one.name, one.stat().st_size)
            except OSError:
                continue  # it went away meanwhile


def _parts(place: Path, top: Path) -> tuple[str, ...]:
    return place.relative_to(top.resolve()).parts


async def media(house: House, kind: Kind, rest: str, request: Request) -> Response:
    """The page of a folder, or the file, at the unescaped path `rest` below the kind's folder.

    Raises `Refused` when the folder is not set or there is nothing.
    """
    chosen = getattr(house.settings, kind.noun)
    if not chosen:
        raise Refused(404)
    top, parts = Path(chosen), [part for part in rest.split("/") if part]
    place = await run_in_threadpool(beneath, top, parts)
    if place is None:
        raise Refused(404)
    if place.is_dir():
        try:
            found = await run_in_threadpool(entries, place, top, kind)
        except OSError:
            raise Refused(404) from None
        return document(_page(house, kind, parts, found, request))
    if not place.is_file() or not wanted(place.name, kind):
        raise Refused(404)
    if kind.noun == "photo" and thumbnails.QUERY in request.query_params:
        small = await thumbnails.thumbnail(house, place, top, request)
        if small is not None:
            return small
    return media_file(place, top, request.scope)


# ---------------------------------------------------------------------- the page


def _page(
    house: House, kind: Kind, parts: list[str], found: list[Entry], request: Request
) -> dict[str, Any]:
    device = request.query_params.get("id", "")
    switches = house.settings.switches(device)
    compressed = bool(switches & COMPRESSED)
    where = base(request)
    here = f"{where}msx/{kind.noun}/" + "".join(f"{_quoted(part)}/" for part in parts)
    up = "{dic:caption:options|Options}:{tb}{ico:msx-yellow:stop} {dic:Up|Up}"
    page: dict[str, Any] = {"type": "list", "reuse": False, "cache": False, "restore": False}
    if compressed:
        page["compress"] = True
    if parts:
        page["headline"] = parts[-1]
    page["extension"] = f"{{ico:msx-white:{kind.page_icon}}}"
    page["options"] = {
        "caption": up,
        "headline": "{dic:caption:options|Options}",
        "items": [
            {
                "action": "[cleanup|focus:index:0]",
                "icon": "msx-yellow:stop",
                "key": "yellow",
                "label": "{dic:Up|Up}",
            },
            {"type": "space"},
            {"action": "menu", "icon": "menu", "label": "{dic:caption:menu|Menu}"},
        ],
        "template": {"enumerate": False, "layout": "0,0,8,1", "type": "control"},
    }
    page["template"] = _template(kind, compressed, bool(switches & SCALED), where)
    small = kind.noun == "photo" and thumbnails.installed()
    page["items"] = [_item(kind, one, here, small) for one in found]
    return page


def _template(kind: Kind, compressed: bool, scaled: bool, where: str) -> dict[str, Any]:
    layout = "0,0,16,1" if compressed else "0,0,12,1"
    look: dict[str, Any] = {"icon": f"msx-white-soft:{kind.icon}", "layout": layout}
    if kind.noun == "photo":
        return look | {"imageFiller": "fit" if scaled else "default", "type": "control"}
    return look | {
        "live": {"action": "player:show", "type": "playback"},
        "progress": -1,
        "properties": {
            "control:type": "extended",
            "resume:key": "url",
            "trigger:stop": f"execute:service:fetch:{where}msx/videowall",
        },
        "type": "control",
    }


def _item(kind: Kind, one: Entry, here: str, small: bool) -> dict[str, Any]:
    address = here + _quoted(one.name)
    if one.size is None:
        action = f"content:{address}/?id={{ID}}"
        return {"action": action, "icon": "msx-yellow:folder", "label": one.name}
    item = {"action": f"{kind.action}:{address}", "extensionLabel": amount(one.size)}
    if small and thumbnails.possible(one.name, one.size):
        item["image"] = f"{address}?{thumbnails.QUERY}"
    return item | {"label": one.name, "playerLabel": one.name}


def _quoted(name: str) -> str:
    return quote(name.encode("utf-8", "surrogateescape"), safe="")


def amount(size: int) -> str:
    """A number of bytes for a person: `1.00 B`, `2.50 MB`."""
    value, units = float(size), ["B", "KB", "MB", "GB", "TB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{value:.2f} {units[0]}"
