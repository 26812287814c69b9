"""What the HTTP front end answers: header fields, types, and which error is which status.

Owns the list of fields that a script may not set and the texts that clients see of an error: the
plugin's own words and file names, never a path or a stack of ours.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Final, TypeAlias

from starlette.responses import Response as HttpResponse
from starlette.types import Send

from sandbox.engine.faults import one_line
from sandbox.errors import (
    EngineClosed,
    Frame,
    LimitExceeded,
    PluginError,
    SandboxCrashed,
    SandboxError,
    UnknownPlugin,
)
from sandbox.messages import Response, plain, reason_phrase
from sandbox.servers.access import COOKIE
from sandbox.servers.sniffing import guessed

log: Final = logging.getLogger("sandbox.servers.msx")

CORS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, GET, OPTIONS"),
    ("Access-Control-Allow-Headers", "Origin, Content-Type, Accept"),
)
"""What ServeMSX sends with every answer."""

CORS_FIELDS: Final = [(name.lower().encode(), value.encode()) for name, value in CORS]

# How a message is framed is the server's business alone: a script that set these could make one
# answer look like two.  CORS fields are ours, too.
_OURS: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer", "te"}
    | {name.lower() for name, _ in CORS}
)
_NO_BODY: Final = frozenset({204, 205, 304})
_NO_LENGTH: Final = frozenset({204, 304})  # RFC 9110, section 8.6


Fields: TypeAlias = list[tuple[bytes, bytes]]
"""Header fields as ASGI has them: names in lower case."""


class Answer:
    """A whole answer, CORS fields included, which an ASGI application sends as it is.

    What scripts answer goes out as one of these, since Starlette's take as long again to make.
    """

    __slots__ = ("_body", "_fields", "_status")

    def __init__(self, status: int, fields: Fields, body: bytes) -> None:
        self._status, self._fields, self._body = status, fields, body

    async def send(self, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self._status, "headers": self._fields})
        await send({"type": "http.response.body", "body": self._body})


def sent(response: Response) -> HttpResponse:
    """An answer of ours as Starlette sends it."""
    body = b"" if response.status in _NO_BODY else response.body
    answer = HttpResponse(body, response.status)
    answer.raw_headers += _fields(response, body)
    return answer


def of_plugin(response: Response) -> Answer:
    """An answer of a plugin, which has an origin of its own wherever it could be a page."""
    status = response.status
    body = b"" if status in _NO_BODY else response.body
    fields = _fields(response, body)
    isolate(fields, body)
    if status not in _NO_LENGTH:
        fields.append((b"content-length", b"%d" % len(body)))
    fields += CORS_FIELDS
    return Answer(status, fields, body)


def _fields(response: Response, body: bytes) -> Fields:
    """The header fields that a script may set, and a type if it has set none."""
    fields: Fields = []
    typed = not body
    for name, value in response.headers.items_all():
        known = name.lower()
        # What is encoded, is of a type that its bytes do not show.
        typed = typed or known in ("content-type", "content-encoding")
        if known == "set-cookie" and COOKIE in value.partition(";")[0]:
            continue  # the operator's cookie is not theirs to set or to clear, whatever its value
        if known not in _OURS and known != "clear-site-data":
            fields.append((known.encode(), value.encode("utf-8", "surrogateescape")))
    if not typed:
        fields.append((b"content-type", guessed(body).encode()))
    return fields


def too_large(limit: int, plugin: str) -> HttpResponse:
    """The answer to a body of more than `limit` bytes, after a line in the log."""
    about = {"plugin": plugin}
    log.info("plugin %s: the body is longer than %d bytes", one_line(plugin), limit, extra=about)
    answer = sent(plain(413, f"the body is longer than {limit} bytes"))
    # What is left of the body is not read, so this connection cannot go on.
    answer.headers["Connection"] = "close"
    return answer


# ---------------------------------------------------------------------- pages of plugins

ISOLATION: Final = (
    "sandbox allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups "
    "allow-popups-to-escape-sandbox allow-scripts"
)
"""The Content-Security-Policy of what plugins send: all that a page may do, except to have the
origin of this server.  With it, a page of a stranger could act for the operator who opens it."""

# Types which no browser shows as a document in which scripts run.
_HARMLESS: Final = re.compile(
    r"(?:text/(?:plain|css|csv|javascript|vtt)|application/(?:json|javascript|octet-stream|pdf|zip|"
    r"vnd\.apple\.mpegurl|x-mpegurl)|(?:audio|video|font)/[a-z0-9.+\-]+|"
    r"image/(?:png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon))(?:\s*;[^,]*)?",
    re.IGNORECASE,
)


# The note of a redirect: one link, which runs nothing, and no other markup.
_NOTE: Final = re.compile(rb"""<a href="(?:https?://|/)[^"<>]*">[A-Za-z' ]*</a>\.\n\n""")


def isolate(fields: Fields, body: bytes) -> None:
    """Give what a plugin sends an origin of its own, wherever it could be a page; `body` is what
    is known of it.  Adds to `fields`."""
    kinds = [value for name, value in fields if name == b"content-type"]
    if not kinds and not body:
        return
    if len(kinds) == 1 and len(kinds[0]) < 200 and _is_harmless(kinds[0]):
        return
    if kinds == [b"text/html; charset=utf-8"] and _NOTE.fullmatch(body):
        return
    # A second policy of the plugin's own can only forbid more.
    fields.append((b"content-security-policy", ISOLATION.encode()))


@lru_cache(maxsize=256)
def _is_harmless(kind: bytes) -> bool:
    # A comma would begin another type (WHATWG Fetch, "extract a MIME type").
    return bool(_HARMLESS.fullmatch(kind.decode("latin-1").strip()))


# ---------------------------------------------------------------------- errors


def author_text(error: SandboxError) -> str:
    """`file:line: message`, all of it the plugin's own."""
    place = f"{error.file}:{error.line}: " if error.file and error.line else ""
    return f"{place}{error.message}"


_TENGO: Final = re.compile(r"(?:Parse|Compile|Runtime) Error: ")
_MORE: Final = re.compile(r"(?: \(and \d+ more errors\))?\Z")


def client_text(error: SandboxError, main: str = "") -> str:
    """What the client of a failed script reads; `main` is the script's file.

    An error in Tengo's words is shown as Tengo shows it: the message, then each place that led
    there, the innermost first.  What ends the original from outside of a program has no places.
    """
    if error.column and error.message.startswith("runtime error:"):
        return error.message
    if not error.column or not _TENGO.match(error.message):
        return author_text(error)
    frames = error.frames or (Frame(error.file, error.line, "", error.column),)
    places = "".join(
        f"\n\tat {'(main)' if frame.file == main else frame.file}:{frame.line}:{frame.column}"
        for frame in reversed(frames)
    )
    # How many errors were found besides, stands last.
    return _MORE.sub(lambda more: places + more[0], error.message, count=1)


def failed(plugin: str, error: SandboxError, main: str = "") -> Response:
    """The answer to a request that failed, after a line in the log; `main` is the script's file.

    A refused capability is an error of the script like any other: the client asked for nothing
    forbidden, so it is 500, not 403.
    """
    if isinstance(error, UnknownPlugin):
        # ServeMSX answers 500 with a path of its own; a name that is not there is 404.
        return plain(404, reason_phrase(404))
    shown, about = one_line(plugin), {"plugin": plugin}
    if isinstance(error, LimitExceeded):
        log.warning("plugin %s: %s", shown, one_line(error.message), extra=about)
        return plain(503, f"plugin {shown}: {error.limit} limit exceeded")
    if isinstance(error, EngineClosed):
        log.info("plugin %s: the server is stopping", shown, extra=about)
        return plain(503, "the server is stopping")
    if isinstance(error, SandboxCrashed):
        log.error("plugin %s: %s", shown, one_line(error.message), extra=about)
        return plain(502, f"plugin {shown}: its worker died and was replaced")
    frames = " < ".join(one_line(str(frame)) for frame in reversed(error.frames))
    kind = error.type if isinstance(error, PluginError) else type(error).__name__
    text = one_line(author_text(error))
    where = f" [{frames}]" if frames else ""
    log.error("plugin %s: %s: %s%s", shown, kind, text, where, extra=about)
    return plain(500, client_text(error, main))
