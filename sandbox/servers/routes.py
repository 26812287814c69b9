"""Our own pages by their paths, ServeMSX's and the web page's; all others belong to plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from sandbox.engine.services.egress import Egress
from sandbox.servers import dictionary, logos, starting
from sandbox.servers.admin import Admin
from sandbox.servers.dialog import dialog
from sandbox.servers.house import House
from sandbox.servers.installing import install
from sandbox.servers.keyboard import Keyboard
from sandbox.servers.media import KINDS, media
from sandbox.servers.menu import menu
from sandbox.servers.page import WebPage
from sandbox.servers.playlist import Playlists
from sandbox.servers.replies import Refused, words
from sandbox.servers.restarting import restart
from sandbox.servers.setting_page import SettingPage
from sandbox.servers.torrents import Torrents
from sandbox.servers.wall import wall

Page: TypeAlias = Callable[[Request], Awaitable[Response]]

_READ: Final = ("GET", "HEAD", "OPTIONS")
# Media Station X sends POST for whatever it executes, and ServeMSX takes it wherever it takes GET.
_EXECUTED: Final = ("GET", "HEAD", "POST", "OPTIONS")
_FFMPEG: Final = "/msx/ffmpeg/"
# Languages whose dictionaries have names in English, as ServeMSX's have.
_CYRILLIC: Final = ("be", "bg", "ru", "uk", "bulgarian", "russian", "ukrainian")


class Routes:
    """The pages of one house.  `egress` makes their requests to other servers."""

    def __init__(self, house: House, egress: Egress) -> None:
        torrents = Torrents(house, egress)
        self._house = house
        self._admin, self._web = Admin(house), WebPage(house)
        read: dict[str, Page] = {
            "/logo.png": logos.logo,
            "/logotype.png": logos.logotype,
            "/proxy.m3u8": Playlists(house, egress).answer,
        }
        executed: dict[str, Page] = {
            "/restart": partial(restart, house),
            "/settings": SettingPage(house, torrents).answer,
            "/install": partial(install, house),
            "/update": _update,
            "/msx/start.json": starting.start,
            "/msx/menu.json": starting.menu,
            "/msx/menu": partial(menu, house),
            "/msx/dictionary.json": partial(dictionary.dictionary, house),
            "/msx/dictionary": partial(dictionary.panel, house),
            "/msx/torr": torrents.answer,
            "/msx/input": Keyboard(cyrillic=self._writes_cyrillic).answer,
            "/msx/dialog": dialog,
            "/msx/videowall": partial(wall, house),
        }
        self._pages = {path: _for(_READ, page) for path, page in read.items()}
        self._pages |= {path: _for(_EXECUTED, page) for path, page in executed.items()}

    def find(self, path: str) -> Page | None:
        """The page at an unescaped path, or None."""
        page = self._pages.get(path)
        if page is not None:
            return page
        page = self._web.find(path)
        if page is not None:
            return _for(_READ, page)
        page = self._admin.find(path)
        if page is not None:
            return page
        for noun, kind in KINDS.items():
            if path.startswith(f"/msx/{noun}/"):
                rest = path.removeprefix(f"/msx/{noun}/")
                return _for(_EXECUTED, partial(media, self._house, kind, rest))
        return _absent if path.startswith(_FFMPEG) else None

    def _writes_cyrillic(self) -> bool:
        return self._house.settings.language.lower() in _CYRILLIC


def _for(methods: tuple[str, ...], page: Page) -> Page:
    """`page`, and 405 for any other method than `methods`."""

    async def checked(request: Request) -> Response:
        if request.method not in methods:
            raise Refused(405, allowed=methods)
        return await page(request)

    return checked


def is_folder(path: str) -> bool:
    """Whether a path without its slash at the end is one of our folders."""
    return path in {f"/msx/{noun}" for noun in KINDS}


async def _absent(request: Request) -> Response:
    """Films that ServeMSX has ffmpeg make: no programs are run here."""
    raise Refused(404, "404 page not found")


async def _update(request: Request) -> Response:
    """ServeMSX replaces itself by what it downloads; whoever installed this can do that."""
    return words('{"response":{"data":{"action":"info:{dic:NoUpdate|No updates}"},"status":200}}\n')
