"""`/restart`: the server answers, ends as with a signal, and starts again; operators only."""

from __future__ import annotations

import logging
from typing import Final

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from sandbox.servers.house import House
from sandbox.servers.replies import Refused, action

log: Final = logging.getLogger("sandbox.servers.restarting")


async def restart(house: House, request: Request) -> Response:
    """Restart; HEAD only tells what would be answered.

    Raises `Refused` when not an operator asks, or nothing would start it again.
    """
    # A plugin may send a browser that opened its page on to here, and that is a navigation within
    # one origin; our own page does not navigate here.
    led = request.headers.get("sec-fetch-mode") == "navigate"
    if not house.is_operator(request.scope) or (led and not house.access.is_shown(request.scope)):
        raise Refused(403, "only an operator may restart the server")
    if house.restart is None:
        raise Refused(501, "this server cannot restart itself")
    answer = action("[cleanup|reload:menu]")
    if request.method == "HEAD":
        return answer
    log.warning("restarting, because an operator asked for it")
    answer.background = BackgroundTask(house.restart)  # once the answer is out
    return answer
