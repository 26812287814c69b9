"""What a client asks: from the server's terms (ASGI) to those of scripts.

A request's head is text here as RFC 9112 has it, whose bytes beyond ASCII mean whatever both ends
agree on; today that is UTF-8, and what is none is read as Latin-1.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from sandbox.messages import Headers, Request
from sandbox.servers.house import House

MAX_BODY: Final = 640 * 1024
"""Longest request body in bytes.  A frame to a worker has room for far more beside it, whatever
head the server takes."""

_MAX_QUERY: Final = 8192
_HTTP_1: Final = ("1.0", "1.1")
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")


class Gone(Exception):
    """The client left before its request was complete."""


def target_of(scope: Scope) -> str:
    """The path that is asked for, as it was sent: without a query, and without the scheme and
    authority that a client may put before it (RFC 9112, section 3.2.2)."""
    target = text_of(scope["raw_path"])
    return target if target[:1] == "/" else _AUTHORITY.sub("", target, count=1) or "/"


def field(scope: Scope, name: bytes) -> str:
    """The first value of a header field, or an empty text; `name` is in lower case."""
    for known, value in scope["headers"]:
        if known == name:
            return text_of(value)
    return ""


def text_of(sent: bytes) -> str:
    """Bytes of a request's head as text."""
    try:
        return sent.decode()
    except UnicodeDecodeError:
        return sent.decode("latin-1")


def request_of(scope: Scope, target: str, body: bytes, house: House) -> Request:
    """The request for a script: without the operator's token, and with what the house has set."""
    withheld = house.access.withheld
    target, query = withheld(target), withheld(text_of(scope["query_string"]))
    fields = [(text_of(name), withheld(text_of(value))) for name, value in scope["headers"]]
    headers = Headers(fields)
    client = scope.get("client") or ("", 0)
    return Request(
        scope["method"],
        f"{target}?{query}" if query else target,
        headers,
        body,
        headers.get("host") or _address(*(scope.get("server") or ("localhost", None))),
        _address(*client) if client[0] else "",
        f"HTTP/{scope['http_version']}",
        house.seen(_device(query)),
    )


def _device(query: str) -> str:
    """The id that Media Station X put into a query."""
    if "id=" not in query:
        return ""
    return next((value for name, value in parse_qsl(query[:_MAX_QUERY]) if name == "id"), "")


def _address(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port is not None else shown


async def body_of(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body, or None as soon as it is longer than `MAX_BODY`.  Raises `Gone`."""
    announced = any(name in _FRAMING for name, _ in scope["headers"])
    if not announced and scope["http_version"] in _HTTP_1:
        return b""  # without either there is no body (RFC 9112, section 6.3)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)
