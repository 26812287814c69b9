"""`/msx/dialog`: a panel that asks the user to confirm something."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.servers.replies import Refused, action, data


async def dialog(request: Request) -> Response:
    """The panel for `{"data": {"action", "headline", "extension", "value"}}`, all texts.

    Raises `Refused` for any other request.
    """
    asked = await data(request) if request.method == "POST" else None
    if not isinstance(asked, dict):
        raise Refused(400)
    panel: dict[str, Any] = {"reuse": False, "cache": False, "restore": False}
    panel |= {name: texts(asked)[name] for name in ("headline", "extension") if asked.get(name)}
    value, what = texts(asked)["value"], texts(asked)["action"]
    items = [
        {"alignment": "center", "headline": value, "layout": "0,0,8,6", "type": "space"},
        {
            "action": what,
            "display": True,
            "icon": "done",
            "id": "OK",
            "layout": "0,5,4,1",
            "type": "button",
        },
        {"action": "back", "icon": "close", "layout": "4,5,4,1", "type": "button"},
    ]
    panel["pages"] = [{"items": items}]
    return action("panel:data", panel)


def texts(asked: dict[str, Any]) -> dict[str, str]:
    """The texts that a plugin gave for a panel; absent ones are empty."""
    found = {name: asked.get(name, "") for name in ("action", "headline", "extension", "value")}
    if not all(isinstance(text, str) for text in found.values()):
        raise Refused(400)
    return found
