"""The HTTP front end: `/{plugin}/[path]` runs a plugin's script or sends its file.

Owns the way from an ASGI request to `AsyncEngine` and back: which errors become which status,
which header fields a script may set, and the CORS fields that every answer has, because the
pages that use plugins come from elsewhere.  Knows no language and starts no processes.

Where ServeMSX and its document disagree, or ServeMSX is unsafe, the choice is explained at the
place: `/{plugin}` without a slash, unknown plugins, CONNECT.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from sandbox.engine.async_engine import AsyncEngine
from sandbox.engine.faults import one_line
from sandbox.engine.plugins import MAX_SOURCE, Source, StaticFile
from sandbox.errors import (
    EngineClosed,
    LimitExceeded,
    PluginError,
    SandboxCrashed,
    SandboxError,
    UnknownPlugin,
)
from sandbox.messages import Headers, Request, Response, plain, reason_phrase
from sandbox.servers.page import POLICY, Entry, page
from sandbox.servers.running import Server, address_of, listen
from sandbox.wire.framing import MAX_FRAME

log: Final = logging.getLogger("sandbox.servers.msx")

MAX_BODY: Final = MAX_FRAME - MAX_SOURCE - 128 * 1024
"""Longest request body in bytes: it travels to the worker in one frame, beside the script's
source and the request's head (uvicorn takes heads of 64 KiB at most)."""

CORS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, GET, OPTIONS"),
    ("Access-Control-Allow-Headers", "Origin, Content-Type, Accept"),
)
"""What ServeMSX sends with every answer."""

_CORS_FIELDS: Final = [(name.lower().encode(), value.encode()) for name, value in CORS]

# How a message is framed is the server's business alone: a script that set these could make one
# answer look like two.  CORS fields are ours, too.
_OURS: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer", "te"}
    | {name.lower() for name, _ in CORS}
)
_NO_BODY: Final = frozenset({204, 205, 304})
_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_HTML: Final = re.compile(rb"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)


def create_app(engine: AsyncEngine) -> Starlette:
    """The front end for `engine` as an application for any ASGI server.

    The caller closes the engine.  Routes added to the application come before plugins.
    """
    app = Starlette(exception_handlers={Exception: _internal_error})
    elsewhere = app.router.default

    front = FrontEnd(engine)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (front.answer if scope["type"] == "http" else elsewhere)(scope, receive, send)

    # The default of the router, not a route: a route's pattern does not match every path there
    # is ("*", "http://host/p/", a line feed in a name), and those must be answered as well.
    app.router.default = answer
    return app


async def serve(engine: AsyncEngine, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve `engine` until SIGINT or SIGTERM, then return.  Port 0 takes a free one.

    `started` is called with the address (`http://127.0.0.1:8080/`) once connections are taken.
    Raises `ConfigurationError` when the address cannot be had.
    """
    with listen(host, port) as listener:
        address = address_of(listener)
        server = Server(create_app(engine), lambda: started(address), engine.close)
        await server.serve([listener])


async def _internal_error(_: HttpRequest, error: Exception) -> HttpResponse:
    """A bug of ours.  The server logs it; the client learns nothing but that."""
    answer = _sent(plain(500, reason_phrase(500)))
    answer.raw_headers.extend(_CORS_FIELDS)
    return answer


class FrontEnd:
    """Answers requests with one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI)."""

        async def send_with_cors(message: Message) -> None:
            # Here, because Starlette makes some answers by itself, such as those to bad ranges.
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_CORS_FIELDS]
            await send(message)

        response = await self._respond(scope, receive)
        if response is not None:
            await response(scope, receive, send_with_cors)

    async def _respond(self, scope: Scope, receive: Receive) -> HttpResponse | None:
        """What to answer; None when the client has gone."""
        method = scope["method"]
        if method == "OPTIONS":
            return HttpResponse()
        target = _AUTHORITY.sub("", scope["raw_path"].decode("latin-1"), count=1) or "/"
        if method == "CONNECT":
            # It asks for a tunnel, which this is not; ServeMSX runs scripts outside its folder.
            return _sent(plain(405, reason_phrase(405)))
        if not target.startswith("/"):
            return _sent(plain(400, "the request target must be a path"))
        request = _request(scope, target)
        if request.path == "/":
            return self._page(scope)
        plugin, slash, _ = request.path[1:].partition("/")
        if not plugin or not slash:
            # The document is silent on /{plugin} without a slash; ServeMSX answers 404, and a
            # redirect would make two addresses of one page.
            return _sent(plain(404, reason_phrase(404)))
        try:
            found = self._engine.resolve(plugin, request.path)
            if isinstance(found, StaticFile):
                return _file(found, scope)
            body = await _body(receive)
            if body is None:
                return _too_large()
            whole = Request(
                method, request.uri, request.headers, body,
                request.host, request.remote_addr, request.proto,
            )  # fmt: skip
            response = await self._unless_gone(plugin, whole, receive)
        except SandboxError as error:
            response = _failed(plugin, error)
        except _Gone:
            response = None
        return None if response is None else _sent(response)

    async def _unless_gone(
        self, plugin: str, request: Request, receive: Receive
    ) -> Response | None:
        """The engine's answer; None, and an ended script, when the client leaves before."""
        task = asyncio.current_task()
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            if task is not None:
                task.cancel()

        watcher = asyncio.create_task(watch())
        try:
            return await self._engine.request(plugin, request)
        except asyncio.CancelledError:
            if not gone or task is None or task.uncancel() > 0:
                raise
            log.info("plugin %s: the client left before the answer", one_line(plugin))
            return None
        finally:
            watcher.cancel()

    # ------------------------------------------------------------------ the start page

    def _page(self, scope: Scope) -> HttpResponse:
        if scope["method"] not in ("GET", "HEAD"):
            return _sent(plain(405, reason_phrase(405)))
        entries = [self._entry(name) for name in self._engine.plugin_names()]
        policy = {"Content-Security-Policy": POLICY}
        return HttpResponse(page(entries), headers=policy, media_type="text/html")

    def _entry(self, name: str) -> Entry:
        label, language, problem = name, "", ""
        try:
            main = self._engine.resolve(name, "")
            language = main.runtime.name if isinstance(main, Source) else ""
            label = self._engine.manifest(name).label or name
        except SandboxError as error:
            problem = _author_text(error)
        return Entry(name, label, language, problem)


class _Gone(Exception):
    """The client left before its request was complete."""


# ---------------------------------------------------------------------- requests


def _request(scope: Scope, target: str) -> Request:
    """The request without its body."""
    query = scope["query_string"].decode("latin-1")
    headers = Headers([(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]])
    client = scope.get("client") or ("", 0)
    server = scope.get("server") or ("localhost", None)
    return Request(
        scope["method"],
        f"{target}?{query}" if query else target,
        headers,
        host=headers.get("host") or _address(*server),
        remote_addr=_address(*client) if client[0] else "",
        proto=f"HTTP/{scope['http_version']}",
    )


def _address(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port is not None else shown


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None as soon as it is longer than `MAX_BODY`."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


# ---------------------------------------------------------------------- answers


def _sent(response: Response) -> HttpResponse:
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


def _too_large() -> HttpResponse:
    answer = _sent(plain(413, f"the body is longer than {MAX_BODY} bytes"))
    # What is left of the body is not read, so this connection cannot go on.
    answer.headers["Connection"] = "close"
    return answer


def _file(found: StaticFile, scope: Scope) -> HttpResponse:
    """A plugin's file: Starlette knows ranges, conditional requests and types."""
    try:
        status = os.stat(found.path)
    except OSError:
        return _sent(plain(404, reason_phrase(404)))
    if not os.access(found.path, os.R_OK):
        return _sent(plain(403, reason_phrase(403)))
    files = StaticFiles(check_dir=False)
    answer = files.file_response(found.path, status, scope)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


# ---------------------------------------------------------------------- errors


def _author_text(error: SandboxError) -> str:
    """`file:line: message`, all of it the plugin's own."""
    place = f"{error.file}:{error.line}: " if error.file and error.line else ""
    return f"{place}{error.message}"


def _failed(plugin: str, error: SandboxError) -> Response:
    """The answer to a request that failed, after a line in the log.

    A refused capability is an error of the script like any other: the client asked for nothing
    forbidden, so it is 500, not 403.
    """
    if isinstance(error, UnknownPlugin):
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
    frames = " < ".join(str(frame) for frame in reversed(error.frames))
    kind = error.type if isinstance(error, PluginError) else type(error).__name__
    text = one_line(_author_text(error))
    log.error("plugin %s: %s: %s%s", shown, kind, text, f" [{frames}]" if frames else "")
    return plain(500, _author_text(error))
