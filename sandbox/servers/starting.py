"""Where Media Station X begins: the start object, and the menu that leads to the real one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sandbox.servers.names import NAME, VERSION
from sandbox.servers.replies import as_text, base, words


async def start(request: Request) -> Response:
    """`/msx/start.json`: Media Station X itself replaces `{SERVER}`."""
    return words(
        f'{{"name":"{NAME}","version":"{VERSION}",'
        '"parameter": "menu:http://{SERVER}/msx/menu.json"}'
    )


async def menu(request: Request) -> Response:
    """`/msx/menu.json`: has the device say what it is when it asks for the menu."""
    where = f"{base(request)}msx/menu?player={{PLAYER}}&platform={{PLATFORM}}&id={{ID}}"
    content = {
        "reuse": False,
        "cache": False,
        "restore": False,
        "name": NAME,
        "version": VERSION,
        "reference": where,
    }
    # The one page in which ServeMSX leaves the ampersands as they are.
    return words(as_text(content).replace(r"\u0026", "&"))
