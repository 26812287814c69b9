"""The HTTP front end: `/{plugin}/[path]` runs a plugin's script or sends its file.

Owns the way from an ASGI request to one of our own pages (`routes.py`) or to `AsyncEngine`, and
back (`answers.py` makes the answers), and puts the CORS fields on every answer, because the pages
that use plugins come from elsewhere.  Knows no language and starts no processes.

Where ServeMSX and its document disagree, or ServeMSX is unsafe, the choice is explained at the
place: `/{plugin}` without a slash, unknown plugins, CONNECT.
"""

from __future__ import annotations

import logging
import math
import re
import socket
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.types import Message, Receive, Scope, Send

from sandbox.engine.async_engine import AsyncEngine
from sandbox.engine.faults import one_line
from sandbox.engine.plugins import Source, StaticFile
from sandbox.errors import Busy, SandboxError, UnknownPlugin
from sandbox.messages import plain, reason_phrase
from sandbox.servers.access import is_loopback
from sandbox.servers.answers import (
    CORS_FIELDS,
    Answer,
    failed,
    of_plugin,
    sent,
    too_large,
)
from sandbox.servers.files import static_file
from sandbox.servers.house import House
from sandbox.servers.iteration import Iteration
from sandbox.servers.moment import Moment
from sandbox.servers.paths import cleaned, moved, unescaped
from sandbox.servers.replies import Refused
from sandbox.servers.requests import MAX_BODY, Gone, body_of, field, request_of, target_of, text_of
from sandbox.servers.routes import Page, Routes, is_folder
from sandbox.servers.running import Server, address_of
from sandbox.servers.visit import Visit

log: Final = logging.getLogger("sandbox.servers.msx")

_METHODS: Final = ("GET", "HEAD", "POST", "OPTIONS")
_HOST: Final = re.compile(r"[A-Za-z0-9.\-_~%!$&'()*+,;=:\[\]]*", re.ASCII)


def create_app(engine: AsyncEngine, house: House | None = None) -> Starlette:
    """The front end for `engine` as an application for any ASGI server.

    Without a `house` there is one that keeps nothing, whose token alone makes an operator.  The
    caller closes engine and house.  Routes added to the application come before plugins.
    """
    house = house or House(engine, None, loopback=False)
    app = Application(FrontEnd(engine, house))
    app.state.house = house
    return app


class Application(Starlette):
    """Starlette, where what no route answers is the front end's."""

    def __init__(self, front: FrontEnd) -> None:
        super().__init__()
        self._front = front
        elsewhere = self.router.default

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await (front.answer if scope["type"] == "http" else elsewhere)(scope, receive, send)

        # The default of the router, not a route: a route's pattern does not match every path there
        # is ("*", "http://host/p/", a line feed in a name), and those must be answered as well.
        self.router.default = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI.  Where the embedder added no routes and no middleware there is nothing to
        pass through on the way, which would take a tenth of an answer's time."""
        if scope["type"] == "http" and not self.router.routes and not self.user_middleware:
            scope["app"] = self
            await self._front.answer(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


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


class FrontEnd:
    """Answers requests with one engine."""

    def __init__(self, engine: AsyncEngine, house: House) -> None:
        self._engine, self._house = engine, house
        self._routes = Routes(house, house.egress)
        self._moment = Moment()
        self._resolved: Iteration[tuple[str, str], Source | StaticFile] = Iteration()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI)."""
        with_cors = _WithCors(send)
        try:
            response = await self._respond(scope, receive)
            if isinstance(response, Answer):
                with_cors.started = True
                await response.send(send)
            elif response is not None:
                await response(scope, receive, with_cors)
        except Exception as error:
            # A bug of ours.  The server logs it; the client learns nothing but that.
            log.error("%s: %s", one_line(target_of(scope)), type(error).__name__)
            if not with_cors.started:
                await sent(plain(500, reason_phrase(500)))(scope, receive, with_cors)
            raise

    async def _respond(self, scope: Scope, receive: Receive) -> HttpResponse | Answer | None:
        """What to answer; None when the client has gone."""
        method = scope["method"]
        if method == "OPTIONS":
            return HttpResponse()
        target = target_of(scope)
        if method == "CONNECT":
            # It asks for a tunnel, which this is not; ServeMSX runs scripts outside its folder.
            return _refused(target, Refused(405, "this is no proxy", allowed=_METHODS))
        if target[0] != "/":
            return _refused(target, Refused(400, "the request target must be a path"))
        if not _HOST.fullmatch(field(scope, b"host")):
            # It becomes part of links, in pages of ours and of plugins.
            return _refused(target, Refused(400, "malformed Host header"))
        asked = unescaped(target)
        path = cleaned(asked) + ("/" if is_folder(asked) else "")
        if path != asked:
            return moved(path, text_of(scope["query_string"]), method)
        own = self._routes.find(path)
        if own is not None:
            return await _own(own, path, HttpRequest(scope, receive))
        return await self._plugins(path, target, scope, receive)

    async def _plugins(
        self, path: str, target: str, scope: Scope, receive: Receive
    ) -> HttpResponse | Answer | None:
        plugin, slash, _ = path[1:].partition("/")
        if not plugin or not slash:
            # The document is silent on /{plugin} without a slash; ServeMSX answers 404, and a
            # redirect would make two addresses of one page.
            return sent(plain(404, reason_phrase(404)))
        found: Source | StaticFile | None = None
        try:
            found = self._resolve(plugin, path)
            if isinstance(found, StaticFile):
                return static_file(found, scope)
            body = await body_of(scope, receive)
            if body is None:
                return too_large(MAX_BODY, plugin)
            if found is None:
                return of_plugin(plain(404, reason_phrase(404)))
            request = request_of(scope, target, body, self._house)
            visit = Visit(receive)
            response = await visit.answer(self._engine, plugin, request, found, self._moment)
        except Busy as error:
            log.info("plugin %s: %s", one_line(plugin), error.message, extra={"plugin": plugin})
            answer = sent(plain(503, error.message))
            answer.headers["Retry-After"] = str(math.ceil(error.retry_after))
            return answer
        except SandboxError as error:
            response = failed(plugin, error, found.file if isinstance(found, Source) else "")
        except Gone:
            about = {"plugin": plugin}
            log.info("plugin %s: the client left while it asked", one_line(plugin), extra=about)
            response = None
        return None if response is None else of_plugin(response)

    def _resolve(self, plugin: str, path: str) -> Source | StaticFile | None:
        found = self._resolved.get((plugin, path))
        if found is None:
            if plugin in self._house.disabled:
                raise UnknownPlugin("it is switched off", plugin=plugin)
            found = self._engine.resolve(plugin, path)
            if found is not None:
                self._resolved.put((plugin, path), found)
        return found


class _WithCors:
    """Sends with the CORS fields, and knows whether anything was sent.

    Here, because Starlette makes some answers by itself, such as those to bad ranges.
    """

    __slots__ = ("_send", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message["headers"], *CORS_FIELDS]
        await self._send(message)


async def _own(page: Page, path: str, request: HttpRequest) -> HttpResponse | None:
    """The answer of one of our own pages, which is at `path`."""
    try:
        return await page(request)
    except Refused as refused:
        answer = _refused(path, refused)
        if refused.status == 413:
            answer.headers["Connection"] = "close"  # what is left of the body is not read
        return answer
    except ClientDisconnect:
        return None


def _refused(path: str, refused: Refused) -> HttpResponse:
    """The answer to a refused request, after a line in the log; that nothing is there has none."""
    if refused.status != 404:
        # What led to it is for the log alone: it may name a place of this machine.
        cause = refused.__context__
        why = cause.message if isinstance(cause, SandboxError) else ""
        text = refused.text if why in refused.text else f"{refused.text} ({why})"
        log.log(refused.level, "%s: %d %s", one_line(path), refused.status, one_line(text))
    return refused.answer()
