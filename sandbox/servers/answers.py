"""What the HTTP front end answers: header fields, types, files, and which error is which status.

Owns the list of fields that a script may not set and the texts that clients see of an error: the
plugin's own words and file names, never a path or a stack of ours.
"""

from __future__ import annotations

import logging
import os
import re
from typing import Final

from starlette.responses import Response as HttpResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from sandbox.engine.faults import one_line
from sandbox.engine.plugins import StaticFile
from sandbox.errors import (
    EngineClosed,
    LimitExceeded,
    PluginError,
    SandboxCrashed,
    SandboxError,
    UnknownPlugin,
)
from sandbox.messages import Response, plain, reason_phrase

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
_HTML: Final = re.compile(rb"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)


def sent(response: Response) -> HttpResponse:
    """An answer as Starlette sends it, with our header fields."""
    body = b"" if response.status in _NO_BODY else response.body
    answer = HttpResponse(body, response.status)
    fields = response.headers.items_all()
    if body and "content-type" not in {name.lower() for name, _ in fields}:
        fields.append(("Content-Type", _kind(body)))
    for name, value in fields:
        if name.lower() not in _OURS:
            answer.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    return answer


def _kind(body: bytes) -> str:
    """The Content-Type of a body whose script named none: what ServeMSX guesses, in short."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/html; charset=utf-8" if _HTML.match(body) else "text/plain; charset=utf-8"


def too_large(limit: int) -> HttpResponse:
    """The answer to a body of more than `limit` bytes."""
    answer = sent(plain(413, f"the body is longer than {limit} bytes"))
    # What is left of the body is not read, so this connection cannot go on.
    answer.headers["Connection"] = "close"
    return answer


def static_file(found: StaticFile, scope: Scope) -> HttpResponse:
    """A plugin's file: Starlette knows ranges, conditional requests and types."""
    try:
        status = os.stat(found.path)
    except OSError:
        return sent(plain(404, reason_phrase(404)))
    if not os.access(found.path, os.R_OK):
        return sent(plain(403, reason_phrase(403)))
    files = StaticFiles(check_dir=False)
    answer = files.file_response(found.path, status, scope)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


# ---------------------------------------------------------------------- errors


def author_text(error: SandboxError) -> str:
    """`file:line: message`, all of it the plugin's own."""
    place = f"{error.file}:{error.line}: " if error.file and error.line else ""
    return f"{place}{error.message}"


def failed(plugin: str, error: SandboxError) -> Response:
    """The answer to a request that failed, after a line in the log.

    A refused capability is an error of the script like any other: the client asked for nothing
    forbidden, so it is 500, not 403.
    """
    if isinstance(error, UnknownPlugin):
        # ServeMSX answers 500 with a path of its own; a name that is not there is 404.
        return plain(404, reason_phrase(404))
    shown = one_line(plugin)
    if isinstance(error, LimitExceeded):
        log.warning("plugin %s: %s", shown, one_line(error.message))
        return plain(503, f"plugin {shown}: {error.limit} limit exceeded")
    if isinstance(error, EngineClosed):
        return plain(503, "the server is stopping")
    if isinstance(error, SandboxCrashed):
        log.error("plugin %s: %s", shown, one_line(error.message))
        return plain(502, f"plugin {shown}: its worker died and was replaced")
    frames = " < ".join(one_line(str(frame)) for frame in reversed(error.frames))
    kind = error.type if isinstance(error, PluginError) else type(error).__name__
    text = one_line(author_text(error))
    log.error("plugin %s: %s: %s%s", shown, kind, text, f" [{frames}]" if frames else "")
    return plain(500, author_text(error))
