"""How a request gets from ASGI to a script, without a socket: its head, its body, its moment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import BOUND
from talking import HELLO, lay_out

from sandbox import AsyncEngine
from sandbox.engine.plugins import Source
from sandbox.messages import Request
from sandbox.servers.house import House
from sandbox.servers.iteration import Iteration
from sandbox.servers.moment import Moment
from sandbox.servers.msx import create_app
from sandbox.servers.requests import MAX_BODY, Gone, body_of, field, request_of, target_of, text_of
from sandbox.servers.visit import Visit

Fields = list[tuple[bytes, bytes]]


def scope_of(version: str = "1.1", fields: Fields | None = None, **more: Any) -> dict[str, Any]:
    """A request's head as ASGI has it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": version,
        "method": "GET",
        "path": "/p/",
        "raw_path": b"/p/",
        "query_string": b"",
        "headers": fields or [],
        **more,
    }


def parts_of(*parts: bytes, gone: bool = False) -> list[dict[str, Any]]:
    """A body as ASGI has it, in parts; with `gone`, the client leaves before its end."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    last = "http.disconnect" if gone else "http.request"
    return [*messages, {"type": last}]


def body(scope: dict[str, Any], messages: list[dict[str, Any]]) -> bytes | None:
    """What `body_of` makes of them; it must not ask for more than there is."""

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return asyncio.run(body_of(scope, receive))


# ---------------------------------------------------------------------- heads


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"", ""),
        (b"plain", "plain"),
        ("\u00e9\u20ac".encode(), "\u00e9\u20ac"),
        (b"\xe9", "\u00e9"),
        (b"\xc3\xa9\xff", "\u00c3\u00a9\u00ff"),  # one byte that is no UTF-8, and none of it is
        (b"\xed\xa0\x80", "\u00ed\u00a0\u0080"),  # half of a pair is no text
    ],
)
def test_bytes_beyond_ascii(sent: bytes, text: str) -> None:
    assert text_of(sent) == text
    scope = scope_of(fields=[(b"x-a", sent), (b"x-a", b"second")])
    assert field(scope, b"x-a") == text
    assert field(scope, b"x-b") == ""


def test_a_request_s_head_is_text(tmp_path: Path) -> None:
    async def scenario() -> Request:
        async with AsyncEngine([]) as engine:
            house = House(engine, None, loopback=True)
            scope = scope_of(
                fields=[(b"host", b"h"), (b"x-\xe9", b"\xe9"), (b"x-u", "\u20ac".encode())],
                raw_path=b"/p/\xc3\xa9%20",
                query_string=b"q=\xe9&t=" + house.admin.encode(),
                client=("::1", 5),
            )
            try:
                return request_of(scope, target_of(scope), b"", house)
            finally:
                house.close()

    request = asyncio.run(scenario())
    assert request.uri == "/p/\u00e9%20?q=\u00e9&t="
    assert request.path == "/p/\u00e9 "
    assert request.host == "h"
    assert request.headers["x-\u00e9"] == "\u00e9"
    assert request.headers["X-U"] == "\u20ac"
    assert request.remote_addr == "[::1]:5"
    assert request.proto == "HTTP/1.1"


@pytest.mark.parametrize(
    ("sent", "target"),
    [
        (b"/a/b", "/a/b"),
        (b"http://h.example:80/a", "/a"),
        (b"http://h.example", "/"),
        (b"*", "*"),
        (b"a/b", "a/b"),
        (b"//h/a", "//h/a"),
    ],
)
def test_targets(sent: bytes, target: str) -> None:
    assert target_of(scope_of(raw_path=sent)) == target


# ---------------------------------------------------------------------- bodies


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_without_framing_there_is_no_body(version: str) -> None:
    # Nothing to receive: whoever asked would wait for what never comes.
    assert body(scope_of(version), []) == b""
    assert body(scope_of(version, method="POST"), []) == b""


@pytest.mark.parametrize("version", ["1.0", "1.1", "2", "3"])
@pytest.mark.parametrize(
    "fields", [[(b"content-length", b"4")], [(b"transfer-encoding", b"chunked")]]
)
def test_bodies_come_in_parts(version: str, fields: Fields) -> None:
    assert body(scope_of(version, fields), parts_of(b"ab", b"", b"cd")) == b"abcd"


@pytest.mark.parametrize("version", ["2", "3"])
def test_later_versions_need_no_framing(version: str) -> None:
    assert body(scope_of(version), parts_of(b"ab", b"cd")) == b"abcd"
    assert body(scope_of(version), parts_of()) == b""


def test_bodies_that_end_otherwise() -> None:
    fields = [(b"transfer-encoding", b"chunked")]
    assert body(scope_of(fields=fields), parts_of(bytes(MAX_BODY))) == bytes(MAX_BODY)
    rest = parts_of(bytes(MAX_BODY), b"x", b"never asked for")
    assert body(scope_of(fields=fields), rest) is None
    assert len(rest) == 2
    with pytest.raises(Gone):
        body(scope_of(fields=fields), parts_of(b"ab", gone=True))


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_script_s_request_over_asgi(tmp_path: Path, version: str) -> None:
    script = "local s = require'server' s.write(s.proto, '|', s.method, '|', s.read())"
    lay_out(tmp_path, {"plugins/p/main.lua": script})
    fields = [(b"host", b"h")]
    if version == "1.1":
        fields.append((b"transfer-encoding", b"chunked"))
    messages, sent = parts_of(b"ab", b"cd"), []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def send(message: Any) -> None:
        sent.append(message)

    async def scenario() -> None:
        async with AsyncEngine([tmp_path / "plugins"]) as engine, asyncio.timeout(BOUND):
            await create_app(engine)(scope_of(version, fields, method="POST"), receive, send)

    asyncio.run(scenario())
    assert sent[0]["status"] == 200
    assert sent[1]["body"] == f"HTTP/{version}|POST|abcd".encode()


# ---------------------------------------------------------------------- one iteration


def test_what_was_found_is_forgotten_with_its_iteration() -> None:
    async def scenario() -> None:
        found: Iteration[str, int] = Iteration()
        assert found.get("a") is None
        for _ in range(2):
            found.put("a", 1)
            found.put("b", 2)
            assert (found.get("a"), found.get("b"), found.get("c")) == (1, 2, None)
            await asyncio.sleep(0)
            assert (found.get("a"), found.get("b")) == (None, None)

    asyncio.run(scenario())


def test_what_comes_later_does_not_see_it() -> None:
    """A callback of a socket that became ready meanwhile runs after everything is forgotten."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        found: Iteration[str, int] = Iteration()
        seen: list[int | None] = []
        read, write = os.pipe()
        done = loop.create_future()

        def ready() -> None:
            seen.append(found.get("a"))
            done.set_result(None)

        loop.add_reader(read, ready)
        try:
            found.put("a", 1)
            os.write(write, b"x")
            loop.call_soon(lambda: seen.append(found.get("a")))
            await done
        finally:
            loop.remove_reader(read)
            os.close(read)
            os.close(write)
        assert seen == [None, None]

    asyncio.run(scenario())


def test_a_change_between_two_requests_is_seen(tmp_path: Path) -> None:
    lay_out(tmp_path, {"plugins/p/main.lua": HELLO})
    plugin = tmp_path / "plugins" / "p"
    bodies: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def scenario() -> None:
        async with AsyncEngine([tmp_path / "plugins"]) as engine, asyncio.timeout(BOUND):
            app = create_app(engine)

            async def ask(path: str = "/p/") -> None:
                async def send(message: Any) -> None:
                    if message["type"] == "http.response.body":
                        bodies.append(message["body"])

                scope = scope_of(fields=[(b"host", b"h")], path=path, raw_path=path.encode())
                await app(scope, receive, send)

            await ask()
            (plugin / "main.lua").write_text("require'server'.write('changed')")
            await ask()
            await ask("/p/a.lua")
            (plugin / "a.lua").write_text("require'server'.write('new')")
            await ask("/p/a.lua")
            (plugin / "main.lua").unlink()
            (plugin / "a.lua").unlink()
            await ask()

    asyncio.run(scenario())
    assert bodies == [b"hello", b"changed", b"changed", b"new", b"Not Found\n"]


# ---------------------------------------------------------------------- visits


class Engine:
    """An engine whose answers are made by the test."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    async def request(self, plugin: str, request: Request, found: Source) -> Any:
        """See `AsyncEngine`."""
        return await self._answer()


def visited(engine: Engine, receive: Callable[[], Any]) -> Any:
    """What a visit to a plugin comes to, with the moment over as soon as it has begun."""

    async def scenario() -> Any:
        moment, visit = Moment(), Visit(receive)
        arguments: list[Any] = [engine, "p", Request("GET", "/"), None, moment]
        task = asyncio.create_task(visit.answer(*arguments))
        await asyncio.sleep(0)
        if not task.done():
            visit.watch()
        async with asyncio.timeout(BOUND):
            return await task

    return asyncio.run(scenario())


def test_a_visit_is_over_when_its_client_leaves() -> None:
    ended: list[str] = []
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def answer() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("script")
            raise

    assert visited(Engine(answer), receive) is None
    assert ended == ["script"]


def test_a_visit_whose_client_stays() -> None:
    async def receive() -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def answer() -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        return "answer"

    assert visited(Engine(answer), receive) == "answer"


def test_a_visit_that_is_cancelled_by_others() -> None:
    async def receive() -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def answer() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        visited(Engine(answer), receive)
