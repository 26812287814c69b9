"""`/msx/torr`: the torrents of a TorrServer, at the address that an operator set.

Speaks TorrServer's own API: `POST /torrents` lists and adds, `GET /stream/?stat` tells the files
of one torrent, and `/stream/NAME?play` is what a device plays, from TorrServer itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import mimetypes
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from sandbox.engine.faults import one_line
from sandbox.engine.services.egress import Call, Egress, Grants
from sandbox.errors import SandboxError
from sandbox.servers.house import House
from sandbox.servers.media import amount
from sandbox.servers.replies import Refused, action, base, document
from sandbox.servers.settings import COMPRESSED

log: Final = logging.getLogger("sandbox.servers.torrents")

MAX_ITEMS: Final = 5000
_SECONDS: Final = 20.0
"""How long TorrServer may take: it looks a magnet link up among its peers."""

_MAX_LINK: Final = 4096
_PLUGIN: Final = "/msx/torr"  # whom refusals name


class Torrents:
    """Asks the TorrServer of `house` through `egress`."""

    def __init__(self, house: House, egress: Egress) -> None:
        self._house, self._egress = house, egress

    async def answer(self, request: Request) -> Response:
        """The list of torrents, or with `link` the files of one; POST adds that one to the list.

        Raises `Refused` when there is no TorrServer or it does not answer.
        """
        query = request.query_params
        link, title, image = (query.get(name, "") for name in ("link", "ttl", "img"))
        if max(len(link), len(title), len(image)) > _MAX_LINK:
            raise Refused(400)
        if not link:
            listed = await self._ask("torrents", {"action": "list"})
            return document(self._list(listed, request))
        if request.method == "POST":
            add = {"action": "add", "link": link, "title": title, "poster": image}
            await self._ask("torrents", {**add, "save_to_db": True})
            return action("success:{dic:Added|Added}")
        stat = await self._ask(f"stream/?{urlencode({'link': link})}&stat")
        return document(self._files(stat, request, link, title, image))

    async def reachable(self, address: str) -> bool:
        """Whether a TorrServer answers at `host:port`."""
        try:
            answer = await asyncio.to_thread(self._call, address, "echo", None)
        except SandboxError as error:
            log.warning("TorrServer at %s: %s", address, one_line(error.message))
            return False
        return answer is not None

    # ------------------------------------------------------------------ asking

    async def _ask(self, path: str, content: dict[str, Any] | None = None) -> Any:
        address = self._house.settings.torrserver
        if not address:
            raise Refused(500, "TorrServer: no address is set", level=logging.INFO)
        try:
            body = await asyncio.to_thread(self._call, address, path, content)
            answer = json.loads(body) if body is not None else None
        except SandboxError as error:
            # ServeMSX answers 500, too, though it is another server's fault.
            text = f"TorrServer: {error.message}"
            raise Refused(500, text, level=logging.WARNING) from None
        except (ValueError, RecursionError):
            answer = None
        if answer is None:
            text = "TorrServer: the answer makes no sense"
            raise Refused(500, text, level=logging.WARNING)
        return answer

    def _call(self, address: str, path: str, content: dict[str, Any] | None) -> bytes | None:
        """The body of TorrServer's answer, None for an answer of failure.  Blocks."""
        body = b"" if content is None else json.dumps(content).encode()
        call = Call(
            f"http://{address}/{path}",
            "GET" if content is None else "POST",
            [("Content-Type", "application/json")] if content is not None else [],
            body,
            # Wherever it sends us is not what the operator set.
            follow=False,
            timeout=_SECONDS,
        )
        answer = self._egress.request(call, _grants(address), plugin=_PLUGIN)
        return answer.body if answer.status == 200 else None

    # ------------------------------------------------------------------ pages

    def _page(self, request: Request, headline: str, icon: str) -> dict[str, Any]:
        device = request.query_params.get("id", "")
        compressed = bool(self._house.settings.switches(device) & COMPRESSED)
        page: dict[str, Any] = {"type": "list", "reuse": False, "cache": False, "restore": False}
        if compressed:
            page["compress"] = True
        if headline:
            page["headline"] = headline
        page["extension"] = "{ico:msx-white:bolt}"
        page["template"] = {
            "icon": f"msx-white-soft:{icon}",
            "layout": "0,0,16,1" if compressed else "0,0,12,1",
            "type": "control",
        }
        return page

    def _list(self, listed: Any, request: Request) -> dict[str, Any]:
        where = f"{base(request)}msx/torr"
        items = []
        for one in listed[:MAX_ITEMS] if isinstance(listed, list) else []:
            torrent = one if isinstance(one, dict) else {}
            query = urlencode({"link": _text(torrent.get("hash")), "id": "{ID}"}, safe="{}")
            item: dict[str, Any] = {
                "action": f"content:{where}?{query}",
                "label": _text(torrent.get("title")) or _text(torrent.get("hash")),
            }
            if _text(torrent.get("poster")):
                item["image"] = _text(torrent.get("poster"))
            if isinstance(torrent.get("torrent_size"), int):
                item["extensionLabel"] = amount(torrent["torrent_size"])
            items.append(item)
        page = self._page(request, "", "bolt")
        page["items"] = items
        return page

    def _files(
        self, stat: Any, request: Request, link: str, title: str, image: str
    ) -> dict[str, Any]:
        torrent = stat if isinstance(stat, dict) else {}
        files = torrent.get("file_stats")
        items = []
        for one in files[:MAX_ITEMS] if isinstance(files, list) else []:
            item = self._file(one, torrent, link) if isinstance(one, dict) else None
            if item is not None:
                items.append(item)
        page = self._page(request, title or _text(torrent.get("title")), "movie")
        if title and image:
            query = urlencode({"link": link, "ttl": title, "img": image})
            label = "{dic:AddTorrent|Add torrent to My torrents}"
            page["options"] = {
                "caption": f"{{dic:caption:options|Options}}:{{tb}}{{ico:msx-yellow:stop}} {label}",
                "headline": "{dic:caption:options|Options}",
                "items": [
                    {
                        "action": f"execute:{base(request)}msx/torr?{query}",
                        "icon": "msx-yellow:stop",
                        "key": "yellow",
                        "label": label,
                    }
                ],
                "template": {"enumerate": False, "layout": "0,0,8,1", "type": "control"},
            }
        page["items"] = items
        return page

    def _file(
        self, one: dict[str, Any], torrent: dict[str, Any], link: str
    ) -> dict[str, Any] | None:
        path, number = _text(one.get("path")), one.get("id")
        name = path.rpartition("/")[2]
        kind = (mimetypes.guess_type(name)[0] or "").partition("/")[0]
        if not name or type(number) is not int or kind not in ("video", "audio", "image"):
            return None
        query = urlencode({"link": _text(torrent.get("hash")) or link, "index": number})
        play = f"http://{self._house.settings.torrserver}/stream/{quote(name, safe='')}?{query}"
        item = {"action": f"{kind}:{play}&play", "label": name, "playerLabel": name}
        if isinstance(one.get("length"), int):
            item["extensionLabel"] = amount(one["length"])
        return item


def _text(value: Any) -> str:
    return value[:_MAX_LINK] if isinstance(value, str) else ""


def _grants(address: str) -> Grants:
    """What an operator's address opens: that host and port, wherever its name leads."""
    host, _, port = address.rpartition(":") if _has_port(address) else (address, "", "80")
    return Grants([f"http:{host}:{port}", f"http:0.0.0.0/0:{port}", f"http:[::]/0:{port}"])


def _has_port(address: str) -> bool:
    return ":" in address.rpartition("]")[2]
