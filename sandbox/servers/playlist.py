"""`/proxy.m3u8?link=URL&header=NAME:VALUE`: a playlist that needs header fields to be had.

A device cannot send the fields itself, so this fetches the playlist for it and names everything
in it by its whole address.  It is no open proxy: it fetches what scripts may fetch (`Policy`:
public addresses, unless an operator granted more or less), passes on playlists alone, and none of
the other server's header fields.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from sandbox.engine.services import fields as headers
from sandbox.engine.services import urls
from sandbox.engine.services.egress import Answer, Call, Caps, Egress, Grants
from sandbox.engine.services.fields import BadField
from sandbox.engine.services.urls import BadUrl
from sandbox.errors import PolicyDenied, SandboxError
from sandbox.servers.house import House
from sandbox.servers.replies import Refused, base

NAME: Final = "proxy.m3u8"
"""The page, and the plugin in whose name it fetches: grants for that name are for it alone."""

TYPE: Final = "application/vnd.apple.mpegurl"  # RFC 8216 section 10
_CAPS: Final = Caps(seconds=15.0, max_bytes=2 * 2**20, redirects=5)
_MAX_LINK: Final = 4096
_MAX_FIELDS: Final = 16
_AT_ONCE: Final = 8
_URI: Final = re.compile(r'(\bURI=")([^"]*)(")')
_VARIANT: Final = "#EXT-X-STREAM-INF"


class Playlists:
    """Fetches playlists under the policy of `house`'s engine."""

    def __init__(self, house: House, egress: Egress) -> None:
        self._house, self._egress = house, egress
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, request: Request) -> Response:
        """The playlist.  Raises `Refused` when it may not or cannot be had, or is none."""
        query = request.query_params
        link, fields = query.get("link", ""), query.getlist("header")
        call = _call(link, fields)
        async with self._room:
            answer = await asyncio.to_thread(self._fetch, call)
        if answer.status != 200:
            raise Refused(502, f"the other server answered {answer.status}")
        text = answer.body.decode("utf-8-sig", "replace")
        if not text.lstrip().startswith("#EXTM3U"):
            raise Refused(502, "what came back is no playlist")
        here = f"{base(request)}{NAME}?"
        extra = [("header", field) for field in fields]
        whole = rewritten(text, answer.url, here, extra)
        return Response(whole, headers={"Content-Type": TYPE, "X-Content-Type-Options": "nosniff"})

    def _fetch(self, call: Call) -> Answer:
        """Blocks."""
        granted = self._house.engine.policy.grants(NAME, "script")
        try:
            return self._egress.request(call, Grants(granted), plugin=NAME, caps=_CAPS)
        except PolicyDenied as error:
            raise Refused(403, str(error)) from None
        except SandboxError as error:
            raise Refused(502, error.message) from None


def _call(link: str, fields: list[str]) -> Call:
    """The request that a client has asked for.  Raises `Refused` where it makes no sense."""
    if not link or len(link) > _MAX_LINK or len(fields) > _MAX_FIELDS:
        raise Refused(400)
    split = [field.partition(":") for field in fields]
    if not all(colon for _, colon, _ in split):
        raise Refused(400)
    named = [(name.strip(), value.strip()) for name, _, value in split]
    try:
        # `Egress` does this as well, but cannot tell from a redirect to an address of no sense.
        urls.parse(link)
        headers.checked(named)
    except (BadUrl, BadField) as error:
        raise Refused(400, str(error)) from None
    return Call(link, headers=named)


def rewritten(text: str, whence: str, here: str, extra: list[tuple[str, str]]) -> str:
    """A playlist with whole addresses; playlists named in it are to be had `here`, too."""

    def whole(reference: str, playlist: bool) -> str:
        try:
            target = urljoin(whence, reference)
            parts = urlsplit(target)
        except ValueError:
            return reference
        if parts.scheme not in ("http", "https"):
            return reference
        if playlist or parts.path.lower().endswith((".m3u8", ".m3u")):
            return here + urlencode([("link", target), *extra])
        return target

    lines, variant = [], False
    for line in text.splitlines():
        if line.startswith("#"):
            # A variant's address is on the next line that is no tag or comment.
            variant = variant or line.startswith(_VARIANT)
            line = _URI.sub(lambda found: found[1] + whole(found[2], False) + found[3], line)
        elif line.strip():
            line, variant = whole(line.strip(), variant), False
        lines.append(line)
    return "\n".join(lines) + "\n"
