"""The web page: one document with the plugins in it, its style and its script.

The document lists the plugins for browsers that run no scripts; the script replaces that by what
the admin API says (`admin.py`).  All that comes from manifests is escaped here and text there, and
the document's policy lets no other script run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from functools import cache, partial
from html import escape
from importlib.resources import files
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from sandbox.servers.house import House
from sandbox.servers.logos import logo
from sandbox.servers.overview import Overview
from sandbox.servers.replies import Refused

Page: TypeAlias = Callable[[Request], Awaitable[Response]]

STATIC: Final = "/static/"
_KINDS: Final = {"page.css": "text/css", "page.js": "text/javascript"}
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}(?::[0-9]{1,5})?", re.ASCII)
_NONE: Final = "<li>There are no plugins here yet.</li>\n"


class WebPage:
    """The page of one house."""

    def __init__(self, house: House) -> None:
        self._overview = Overview(house)

    def find(self, path: str) -> Page | None:
        """What is at an unescaped path, or None."""
        if path == "/":
            return self._document
        if path == "/favicon.ico":
            return logo
        name = path.removeprefix(STATIC)
        if path.startswith(STATIC) and name in _KINDS:
            return partial(_static, name)
        return None

    async def _document(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, allowed=("GET", "HEAD"))
        items = "".join(_item(self._overview.brief(name)) for name in self._overview.names())
        fields = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy(request.headers.get("host", "")),
            "Referrer-Policy": "no-referrer",  # the address may have held the token
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        document = _template().replace("<!-- plugins -->\n", items or _NONE)
        return Response(document, headers=fields, media_type="text/html")


def policy(host: str) -> str:
    """The document's Content-Security-Policy, where the client found it at `host`.

    Plugins are of the same origin, so that "'self'" would let their scripts run here, too, should
    escaping ever fail: where a source can be written with its path, it is.
    """
    own = f"{host}{STATIC}" if _HOST.fullmatch(host) else "'self'"
    return (
        f"default-src 'none'; script-src {own}; style-src {own}; img-src 'self'; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    )


def _item(plugin: dict[str, Any]) -> str:
    about = " &middot; ".join(_text(plugin[key]) for key in ("name", "language") if plugin[key])
    problem = f'<p class="problem">{_text(plugin["problem"])}</p>' if plugin["problem"] else ""
    off = " (switched off)" if plugin["state"] == "disabled" else ""
    link = f'<a class="button" href="/{plugin["link"]}/">{_text(plugin["label"])}</a>'
    return f'<li class="plugin">{link}<p class="about">{about}{off}</p>{problem}</li>\n'


def _text(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode("utf-8"))


# ---------------------------------------------------------------------- the files


@cache
def _file(name: str) -> bytes:
    return (files("sandbox.servers") / "web" / name).read_bytes()


@cache
def _template() -> str:
    """The document without plugins; its style and script change their addresses as they change."""
    text = _file("page.html").decode("utf-8")
    for name in _KINDS:
        text = text.replace(f"{STATIC}{name}", f"{STATIC}{name}?{_digest(name)}")
    return text


def _digest(name: str) -> str:
    return hashlib.sha256(_file(name)).hexdigest()[:16]


async def _static(name: str, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise Refused(405, allowed=("GET", "HEAD"))
    fresh = request.url.query == _digest(name)
    fields = {
        "Cache-Control": "max-age=31536000, immutable" if fresh else "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(_file(name), headers=fields, media_type=_KINDS[name])
