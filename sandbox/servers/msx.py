"""The HTTP front end: `/{plugin}/[path]` runs a plugin's script or sends its file.

Owns the way from an ASGI request to `AsyncEngine` and back (`answers.py` makes the answers), and
puts the CORS fields on every answer, because the pages that use plugins come from elsewhere.
Knows no language and starts no processes.

Where ServeMSX and its document disagree, or ServeMSX is unsafe, the choice is explained at the
place: `/{plugin}` without a slash, unknown plugins, CONNECT.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.types import Message, Receive, Scope, Send

from sandbox.engine.async_engine import AsyncEngine
from sandbox.engine.faults import one_line
from sandbox.engine.plugins import MAX_SOURCE, Source, StaticFile
from sandbox.errors import SandboxError
from sandbox.messages import Headers, Request, Response, plain, reason_phrase
from sandbox.servers.answers import CORS_FIELDS, author_text, failed, sent, static_file, too_large
from sandbox.servers.page import POLICY, Entry, page
from sandbox.servers.running import Server, address_of, listen
from sandbox.wire.framing import MAX_FRAME

log: Final = logging.getLogger("sandbox.servers.msx")

MAX_BODY: Final = MAX_FRAME - MAX_SOURCE - 128 * 1024
"""Longest request body in bytes: it travels to the worker in one frame, beside the script's
source and the request's head (uvicorn takes heads of 64 KiB at most)."""

_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")


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
    answer = sent(plain(500, reason_phrase(500)))
    answer.raw_headers.extend(CORS_FIELDS)
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
                message["headers"] = [*message["headers"], *CORS_FIELDS]
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
            return sent(plain(405, reason_phrase(405)))
        if not target.startswith("/"):
            return sent(plain(400, "the request target must be a path"))
        request = _request(scope, target)
        if request.path == "/":
            return self._page(scope)
        plugin, slash, _ = request.path[1:].partition("/")
        if not plugin or not slash:
            # The document is silent on /{plugin} without a slash; ServeMSX answers 404, and a
            # redirect would make two addresses of one page.
            return sent(plain(404, reason_phrase(404)))
        try:
            found = self._engine.resolve(plugin, request.path)
            if isinstance(found, StaticFile):
                return static_file(found, scope)
            body = await _body(receive)
            if body is None:
                return too_large(MAX_BODY)
            whole = Request(
                method, request.uri, request.headers, body,
                request.host, request.remote_addr, request.proto,
            )  # fmt: skip
            response = await self._unless_gone(plugin, whole, receive)
        except SandboxError as error:
            response = failed(plugin, error)
        except _Gone:
            response = None
        return None if response is None else sent(response)

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
            return sent(plain(405, reason_phrase(405)))
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
            problem = author_text(error)
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
