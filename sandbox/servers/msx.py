"""The HTTP front end: `/{plugin}/[path]` runs a plugin's script or sends its file.

Owns the way from an ASGI request to one of our own pages (`routes.py`) or to `AsyncEngine`, and
back (`answers.py` makes the answers), and puts the CORS fields on every answer, because the pages
that use plugins come from elsewhere.  Knows no language and starts no processes.

Where ServeMSX and its document disagree, or ServeMSX is unsafe, the choice is explained at the
place: `/{plugin}` without a slash, unknown plugins, CONNECT.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import socket
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.types import Message, Receive, Scope, Send

from sandbox.engine.async_engine import AsyncEngine
from sandbox.engine.faults import one_line
from sandbox.engine.plugins import MAX_SOURCE, Source, StaticFile
from sandbox.errors import Busy, SandboxError, UnknownPlugin
from sandbox.messages import Headers, Request, Response, plain, reason_phrase
from sandbox.servers.access import is_loopback
from sandbox.servers.answers import (
    CORS_FIELDS,
    failed,
    isolated,
    sent,
    static_file,
    too_large,
)
from sandbox.servers.house import House
from sandbox.servers.moment import Moment
from sandbox.servers.paths import cleaned, moved
from sandbox.servers.replies import Refused
from sandbox.servers.routes import Page, Routes, is_folder
from sandbox.servers.running import Server, address_of
from sandbox.wire.framing import MAX_FRAME

log: Final = logging.getLogger("sandbox.servers.msx")

MAX_BODY: Final = MAX_FRAME - MAX_SOURCE - 128 * 1024
"""Longest request body in bytes: it travels to the worker in one frame, beside the script's
source and the request's head (uvicorn takes heads of 64 KiB at most)."""

_HOST: Final = re.compile(r"[A-Za-z0-9.\-_~%!$&'()*+,;=:\[\]]*", re.ASCII)
_MAX_QUERY: Final = 8192

_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")


def create_app(engine: AsyncEngine, house: House | None = None) -> Starlette:
    """The front end for `engine` as an application for any ASGI server.

    Without a `house` there is one that keeps nothing, whose token alone makes an operator.  The
    caller closes engine and house.  Routes added to the application come before plugins.
    """
    house = house or House(engine, None, loopback=False)
    app = Starlette(exception_handlers={Exception: _internal_error})
    app.state.house = house
    elsewhere = app.router.default
    front = FrontEnd(engine, house)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (front.answer if scope["type"] == "http" else elsewhere)(scope, receive, send)

    # The default of the router, not a route: a route's pattern does not match every path there
    # is ("*", "http://host/p/", a line feed in a name), and those must be answered as well.
    app.router.default = answer
    return app


async def serve(
    house: House, listener: socket.socket, started: Callable[[str], None] = lambda _: None
) -> bool:
    """Serve a house's engine until SIGINT, SIGTERM or `/restart`; True after `/restart`.

    The listening socket stays open, so that the next server finds who came meanwhile.  `started`
    is called with the address (`http://127.0.0.1:8080/`) once connections are taken.
    """
    address = address_of(listener)
    # Whatever was said before: only this machine's own addresses are loopback.
    house.access.loopback &= is_loopback(listener.getsockname()[0])
    server = Server(create_app(house.engine, house), lambda: started(address), house.engine.close)
    again = False

    def restart() -> None:
        nonlocal again
        again = server.should_exit = True

    house.restart = restart
    try:
        await server.serve([listener.dup()])  # uvicorn closes its own
    finally:
        house.restart = None
    return again and not server.signalled


async def _internal_error(_: HttpRequest, error: Exception) -> HttpResponse:
    """A bug of ours.  The server logs it; the client learns nothing but that."""
    answer = sent(plain(500, reason_phrase(500)))
    answer.raw_headers.extend(CORS_FIELDS)
    return answer


class FrontEnd:
    """Answers requests with one engine."""

    def __init__(self, engine: AsyncEngine, house: House) -> None:
        self._engine, self._house = engine, house
        self._routes = Routes(house, house.egress)
        self._moment = Moment()

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
        if not _HOST.fullmatch(_field(scope, b"host")):
            # It becomes part of links, in pages of ours and of plugins.
            return sent(plain(400, "malformed Host header"))
        request = _request(scope, target, self._house)
        path = cleaned(request.path) + ("/" if is_folder(request.path) else "")
        if path != request.path:
            return moved(path, request.query, method)
        own = self._routes.find(path)
        if own is not None:
            return await _own(own, HttpRequest(scope, receive))
        return await self._plugins(request, scope, receive)

    async def _plugins(
        self, request: Request, scope: Scope, receive: Receive
    ) -> HttpResponse | None:
        plugin, slash, _ = request.path[1:].partition("/")
        if not plugin or not slash:
            # The document is silent on /{plugin} without a slash; ServeMSX answers 404, and a
            # redirect would make two addresses of one page.
            return sent(plain(404, reason_phrase(404)))
        found: Source | StaticFile | None = None
        try:
            if plugin in self._house.disabled:
                raise UnknownPlugin("it is switched off", plugin=plugin)
            found = self._engine.resolve(plugin, request.path)
            if isinstance(found, StaticFile):
                return static_file(found, scope)
            body = await _body(receive)
            if body is None:
                return too_large(MAX_BODY)
            whole = Request(
                request.method, request.uri, request.headers, body,
                request.host, request.remote_addr, request.proto, request.settings,
            )  # fmt: skip
            response = await self._unless_gone(plugin, whole, found, receive)
        except Busy as error:
            log.info("plugin %s: %s", one_line(plugin), error.message)
            answer = sent(plain(503, error.message))
            answer.headers["Retry-After"] = str(math.ceil(error.retry_after))
            return answer
        except SandboxError as error:
            response = failed(plugin, error, found.file if isinstance(found, Source) else "")
        except _Gone:
            response = None
        return None if response is None else isolated(sent(response))

    async def _unless_gone(
        self, plugin: str, request: Request, found: Source | None, receive: Receive
    ) -> Response | None:
        """The engine's answer; None, and an ended script, when the client leaves before."""
        task = asyncio.current_task()
        gone = False
        watcher: asyncio.Task[None] | None = None

        async def watch() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            if task is not None:
                task.cancel()

        def begin() -> None:
            nonlocal watcher
            watcher = asyncio.create_task(watch())

        self._moment.add(begin)  # most answers are there before anybody could leave
        try:
            return await self._engine.request(plugin, request, found)
        except asyncio.CancelledError:
            if not gone or task is None or task.uncancel() > 0:
                raise
            log.info("plugin %s: the client left before the answer", one_line(plugin))
            return None
        finally:
            self._moment.discard(begin)
            if watcher is not None:
                watcher.cancel()


class _Gone(Exception):
    """The client left before its request was complete."""


# ---------------------------------------------------------------------- requests


async def _own(page: Page, request: HttpRequest) -> HttpResponse | None:
    """The answer of one of our own pages."""
    try:
        return await page(request)
    except Refused as refused:
        answer = refused.answer()
        if refused.status == 413:
            answer.headers["Connection"] = "close"  # what is left of the body is not read
        return answer
    except ClientDisconnect:
        return None


def _request(scope: Scope, target: str, house: House) -> Request:
    """The request without its body, and without the operator's token."""
    withheld = house.access.withheld
    target, query = withheld(target), withheld(scope["query_string"].decode("latin-1"))
    fields = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]]
    headers = Headers([(name, withheld(value)) for name, value in fields])
    client = scope.get("client") or ("", 0)
    server = scope.get("server") or ("localhost", None)
    return Request(
        scope["method"],
        f"{target}?{query}" if query else target,
        headers,
        host=headers.get("host") or _address(*server),
        remote_addr=_address(*client) if client[0] else "",
        proto=f"HTTP/{scope['http_version']}",
        settings=house.seen(_device(query)),
    )


def _field(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for known, value in scope["headers"] if known == name), "")


def _device(query: str) -> str:
    """The id that Media Station X put into a query."""
    if "id=" not in query:
        return ""
    return next((value for name, value in parse_qsl(query[:_MAX_QUERY]) if name == "id"), "")


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
