"""`/msx/videowall`: the film behind the menu, if an operator chose one."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from sandbox.servers.house import House
from sandbox.servers.replies import action

MEDIA: Final = "http://msx.benzac.de/media/"
"""Where the author of Media Station X keeps the films and their pictures."""

_PLAYER: Final = "http://msx.benzac.de/plugins/background.html?url="


async def wall(house: House, request: Request) -> Response:
    """What a device has to play in the background."""
    number = house.settings.video_wall
    if not number:
        return action("[]")
    film = quote(f"{MEDIA}atmos{number}.mp4", safe="")
    return action(
        f"video:auto:plugin:{_PLAYER}{film}",
        {
            "playerLabel": f"Background Video {number}",
            "properties": {
                "control:reuse": "play",
                "control:transparent": True,
                "control:type": "extended",
                "label:duration": "{VALUE} {ico:repeat}",
            },
        },
    )
