"""`python -m benchmarks.serving bare|ours|origin [ORIGIN]`: the servers that http.* measures.

Each prints its address and serves until it is ended.  `bare` and `ours` run on the same uvicorn
in the same way; `bare` answers as the plugins do, with Starlette alone, in the server itself.
`origin` has the page that http.parse fetches, from the address given to the other two.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from benchmarks.peers import placements
from sandbox import AsyncEngine, Request
from sandbox.engine.runtimes import installed
from sandbox.servers.house import House
from sandbox.servers.msx import create_app
from sandbox.servers.running import Server, address_of, listen

PLUGINS: Final = Path(__file__).parent / "plugins"
HITS: Final = 50
_PAGE: Final = (
    "".join(
        f'<li><a class="hit" href="/item/{i}">Item {i}</a><p>{"lorem ipsum " * 115}</p></li>\n'
        for i in range(HITS)
    )
).encode()
"""72 KB with fifty links, as the page of a catalogue is."""

_HIT: Final = re.compile(r'<a class="hit" href="([^"]*)">([^<]*)</a>')


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type="application/json")


async def _hello(request: HttpRequest) -> Response:
    name = request.query_params.get("name", "world")
    return Response(f'{{"hello":"{name}"}}', media_type="application/json")


async def _list(request: HttpRequest) -> Response:
    base = f"{request.base_url}json/"
    items = [
        {
            "title": f"Item {i}",
            "playerLabel": f"Item {i}",
            "image": f"{base}{i}.png",
            "action": f"video:{base}play/{i}",
            "length": i * 60,
        }
        for i in range(1, 21)
    ]
    return _json({"type": "list", "items": items})


def _parse(client: urllib3.PoolManager) -> Callable[[HttpRequest], Response]:
    def answer(request: HttpRequest) -> Response:  # in a thread of Starlette's: it waits
        page = client.request("GET", request.query_params["from"]).data.decode("utf-8")
        return _json([{"url": url, "title": title} for url, title in _HIT.findall(page)])

    return answer


def _bare() -> Starlette:
    client = urllib3.PoolManager(maxsize=64)
    answers: dict[str, Any] = {"hello": _hello, "json": _list, "parse": _parse(client)}
    return Starlette(routes=[Route(f"/{name}/{{rest:path}}", answers[name]) for name in answers])


def _origin() -> Starlette:
    async def page(_: HttpRequest) -> Response:
        return Response(_PAGE, media_type="text/html")

    return Starlette(routes=[Route("/", page)])


async def _ours(origin: str, until: AsyncExitStack) -> Starlette:
    engine = await until.enter_async_context(AsyncEngine([PLUGINS]))
    grants = {"parse": [f"http:{urlsplit(origin).netloc}"]}
    house = House(engine, None, loopback=False, plugin_grants=grants)
    for runtime in installed().values():  # its zygote, and so its workers, stay where we are now
        if (PLUGINS / "hello" / f"main.{runtime.extension}").exists():
            await engine.request("hello", Request("GET", f"/hello/main.{runtime.extension}"))
    return create_app(engine, house)


async def main(kind: str, origin: str) -> None:
    """Serve until SIGTERM."""

    def started() -> None:
        sys.stdout.write(address_of(listener) + "\n")
        sys.stdout.flush()

    async def give_up() -> None:
        """Nothing is under way that would not end by itself."""

    # The server has a core to itself; workers, the origin and the client share the other one.
    here, there = placements()[""]
    os.sched_setaffinity(0, {there})
    with listen("127.0.0.1", 0) as listener:
        async with AsyncExitStack() as until:
            app: ASGIApp = _origin() if kind == "origin" else _bare()
            if kind == "ours":
                app = await _ours(origin, until)
            if kind != "origin":
                os.sched_setaffinity(0, {here})
            await Server(app, started, give_up).serve([listener])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
