"""How our own pages answer Media Station X: JSON texts, and refusals.

The JSON is written as ServeMSX writes it (Go's `encoding/json`): `<`, `>` and `&` escaped, two
blanks of indentation or none, a line end, and `text/plain`, which no browser takes for a page.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.messages import plain, reason_phrase
from sandbox.servers.answers import sent

MAX_JSON: Final = 64 * 1024
"""Longest body of a request to one of our own pages, in bytes."""

_PLAIN: Final = "text/plain; charset=utf-8"
_ESCAPED: Final = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)


class Refused(Exception):
    """A request that is answered with `status` and one line.

    `allowed` are the methods that would have been answered, for 405.  `level` is that of the line
    in the log; without one, the status tells whose fault it was.
    """

    def __init__(
        self, status: int, text: str = "", *, allowed: Sequence[str] = (), level: int | None = None
    ) -> None:
        super().__init__(text)
        self.status, self.text = status, text or reason_phrase(status)
        self.allowed = tuple(allowed)
        self.level = _level(status) if level is None else level

    def answer(self) -> Response:
        """The answer."""
        answer = sent(plain(self.status, self.text))
        if self.allowed:
            answer.headers["Allow"] = ", ".join(self.allowed)
        return answer


def _level(status: int) -> int:
    """The client's fault, our own, or another server's."""
    if status < 500 or status == 501:
        return logging.INFO
    return logging.ERROR if status == 500 else logging.WARNING


def as_text(value: Any, *, indent: bool = False) -> str:
    """A value as JSON."""
    shape: dict[str, Any] = {"indent": 2} if indent else {"separators": (",", ":")}
    # What is no valid Unicode, such as a strange file name, must not fail while it is sent.
    text = json.dumps(value, ensure_ascii=False, **shape).translate(_ESCAPED)
    return text.encode("utf-8", "replace").decode("utf-8")


def words(text: str) -> Response:
    """A short answer, as it stands."""
    return Response(text, headers={"Content-Type": _PLAIN})


def document(value: Any) -> Response:
    """A page for Media Station X."""
    return words(as_text(value, indent=True) + "\n")


def action(what: str, data: Any = None) -> Response:
    """The answer to `execute:URL`: what the device has to do next, and with which data."""
    answer = {"response": {"data": {"action": what, "data": data}, "status": 200}}
    return words(as_text(answer) + "\n")


def base(request: Request) -> str:
    """Where the client found this server: `http://example.org:8080/`."""
    host = request.headers.get("host", "localhost")
    return f"{request.scope.get('scheme', 'http')}://{host}/"


async def body(request: Request, limit: int = MAX_JSON) -> bytes:
    """The whole body.  Raises `Refused` as soon as it is longer than `limit` bytes."""
    whole = bytearray()
    async for part in request.stream():
        whole += part
        if len(whole) > limit:
            raise Refused(413, f"the body is longer than {limit} bytes")
    return bytes(whole)


async def data(request: Request) -> Any:
    """What a device sent as `{"data": ...}`, None when there is no such member.

    Raises `Refused` for anything else.
    """
    try:
        content = json.loads(await body(request))
    except (ValueError, RecursionError):
        raise Refused(400) from None
    if not isinstance(content, dict):
        raise Refused(400)
    return content.get("data")
