"""What is under an answer: one transport's writes that leave together, and HTTP/1.1 on sockets."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import BOUND
from starlette.types import ASGIApp, Receive, Scope, Send
from talking import HELLO, lay_out

from sandbox import AsyncEngine
from sandbox.servers.house import House
from sandbox.servers.msx import create_app
from sandbox.servers.running import Server, _Http, _Joined, listen

HIGH_WATER = 64 * 1024
"""asyncio's: with more than this to send, a transport pauses whoever writes."""

MIB = 2**20


class Wire(asyncio.Transport):
    """A transport that writes down what is done with it, and sends nothing."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.1", 5)})
        self.done: list[Any] = []
        self.waiting = 0
        self.paused: Callable[[], None] = lambda: None

    def write(self, data: Any) -> None:
        """Keep it, and pause the writer when that is much."""
        self.done.append(bytes(data))
        self.waiting += len(data)
        if self.waiting > HIGH_WATER:
            self.paused()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """As the base class does."""
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        """All that was written."""
        return self.waiting

    def is_closing(self) -> bool:
        """Whether it was told to close."""
        return "close" in self.done or "abort" in self.done

    def write_eof(self) -> None:
        """Noted, as the rest."""
        self.done.append("write_eof")

    def close(self) -> None:
        """Noted."""
        self.done.append("close")

    def abort(self) -> None:
        """Noted."""
        self.done.append("abort")

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Noted."""
        self.done.append(protocol)

    def pause_reading(self) -> None:
        """Noted."""
        self.done.append("pause_reading")

    def resume_reading(self) -> None:
        """Noted."""
        self.done.append("resume_reading")


def with_wire(scenario: Callable[[_Joined, Wire], None]) -> list[Any]:
    """What was done with the real transport by the end of the iteration after `scenario`'s."""

    async def run() -> list[Any]:
        wire = Wire()
        scenario(_Joined(wire), wire)
        await asyncio.sleep(0)
        return wire.done

    return asyncio.run(run())


def test_writes_of_one_iteration_leave_together() -> None:
    def scenario(joined: _Joined, wire: Wire) -> None:
        joined.write(b"head")
        joined.write(b"")
        joined.write(b"body")
        assert wire.done == []
        assert joined.get_write_buffer_size() == 8

    assert with_wire(scenario) == [b"headbody"]


@pytest.mark.parametrize("name", ["write_eof", "close", "abort"])
def test_nothing_overtakes_what_was_written(name: str) -> None:
    def scenario(joined: _Joined, wire: Wire) -> None:
        joined.write(b"ab")
        joined.write(b"c")
        getattr(joined, name)()
        assert wire.done == [b"abc", name]

    assert with_wire(scenario) == [b"abc", name]


def test_nothing_overtakes_what_was_written_otherwise() -> None:
    other = asyncio.Protocol()

    def scenario(joined: _Joined, wire: Wire) -> None:
        joined.write(b"a")
        joined.writelines([b"b", b"c"])
        joined.set_protocol(other)
        joined.write(b"d")
        joined.write(bytes(HIGH_WATER))
        joined.writelines([b"e", bytes(HIGH_WATER)])

    expected = [b"abc", other, b"d", bytes(HIGH_WATER), b"e" + bytes(HIGH_WATER)]
    assert with_wire(scenario) == expected


def test_all_else_reaches_the_transport() -> None:
    def scenario(joined: _Joined, wire: Wire) -> None:
        assert joined.get_extra_info("peername") == ("10.0.0.1", 5)
        assert joined.is_closing() is False
        joined.pause_reading()
        joined.resume_reading()
        joined.abort()
        assert joined.is_closing() is True

    assert with_wire(scenario) == ["pause_reading", "resume_reading", "abort"]


def test_whoever_writes_much_is_paused_at_once() -> None:
    """Also when it writes little by little, and never lets the loop go on by itself."""
    paused = []

    def scenario(joined: _Joined, wire: Wire) -> None:
        wire.paused = lambda: paused.append(joined.get_write_buffer_size())
        while not paused:
            joined.write(bytes(1000))
            assert joined.get_write_buffer_size() < 4 * HIGH_WATER

    with_wire(scenario)
    assert paused[0] <= 2 * HIGH_WATER


# ---------------------------------------------------------------------- on real sockets


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[tuple[Server, int]]:
    """A server in this loop, and its port."""
    ready = asyncio.Event()

    async def give_up() -> None:
        """Nothing is to be hurried."""

    server = Server(app, ready.set, give_up)
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    task = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(BOUND):
            await ready.wait()
            yield server, port
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def plugins(root: Path) -> AsyncIterator[tuple[Server, int]]:
    """A server of the plugins of a folder."""
    async with AsyncEngine([root / "plugins"]) as engine:
        house = House(engine, root, loopback=True)
        try:
            async with serving(create_app(engine, house)) as served:
                yield served
        finally:
            house.close()


def caller(port: int, buffer: int = 0) -> socket.socket:
    """A connection; `buffer` is how many bytes its system takes before they are read, roughly."""
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


async def everything(client: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    loop, whole = asyncio.get_running_loop(), b""
    while part := await loop.sock_recv(client, 65536):
        whole += part
    return whole


async def ask(port: int, request: bytes) -> bytes:
    """All that is answered to some bytes."""
    with caller(port) as client:
        await asyncio.get_running_loop().sock_sendall(client, request)
        return await everything(client)


def test_a_slow_reader_holds_the_sender_up(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096 * 24
    assert len(content) == 24 * MIB
    lay_out(tmp_path, {"plugins/p/film.bin": content, "plugins/p/main.lua": HELLO})

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with plugins(tmp_path) as (server, port):
            with caller(port, buffer=4096) as client:
                request = b"GET /p/film.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                await loop.sock_sendall(client, request)
                protocol: Any = None
                while protocol is None or not protocol.flow.write_paused:
                    await asyncio.sleep(0)
                    protocol = next(iter(server.server_state.connections), None)
                # It holds nobody else up, and while they are served no more of it is read.
                for _ in range(20):
                    assert b"hello" in await ask(port, request.replace(b"film.bin", b""))
                    assert protocol.transport.get_write_buffer_size() <= 4 * HIGH_WATER
                whole = bytearray()
                while part := await loop.sock_recv(client, 65536):
                    whole += part
                    assert protocol.transport.get_write_buffer_size() <= 4 * HIGH_WATER
        head, _, body = whole.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == content

    asyncio.run(scenario())


def test_an_application_that_never_waits_is_held_up() -> None:
    chunk, chunks = bytes(16 * 1024), 512
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for sent in range(1, chunks + 1):
            await send({"type": "http.response.body", "body": chunk, "more_body": sent < chunks})

    async def scenario() -> None:
        async with serving(app) as (server, port):
            with caller(port, buffer=4096) as client:
                request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                await asyncio.get_running_loop().sock_sendall(client, request)
                while not sent:
                    await asyncio.sleep(0)
                # 8 MiB are more than the buffers of the system take.
                assert 0 < sent < chunks
                (protocol,) = server.server_state.connections
                assert protocol.transport.get_write_buffer_size() <= 4 * HIGH_WATER
                answer = await everything(client)
        assert answer.count(b"\0") == len(chunk) * chunks

    asyncio.run(scenario())


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    script = "local s = require'server' s.write('<', s.uri, s.read(), '>')"
    lay_out(tmp_path, {"plugins/p/main.lua": script, "plugins/p/a.txt": "file"})
    parts = [
        b"GET /p/1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /p/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /p/a.txt HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /nothing/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /p/5 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    ]

    async def scenario() -> None:
        async with plugins(tmp_path) as (_, port):
            answer = await ask(port, b"".join(parts))
        statuses = re.findall(rb"HTTP/1\.1 ([0-9]{3})", answer)
        assert statuses == [b"200", b"200", b"200", b"404", b"200"]
        places = [answer.index(body) for body in (b"</p/1>", b"</p/2abc>", b"file", b"</p/5abc>")]
        assert places == sorted(places)

    asyncio.run(scenario())


def test_a_change_between_two_requests_is_seen(tmp_path: Path) -> None:
    lay_out(tmp_path, {"plugins/p/main.lua": HELLO, "plugins/p/a.txt": "one"})

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with plugins(tmp_path) as (_, port):
            with caller(port) as client:

                async def until(target: str, body: bytes) -> None:
                    head = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"
                    await loop.sock_sendall(client, head.encode())
                    answer = b""
                    while not answer.endswith(b"\r\n\r\n" + body):
                        part = await loop.sock_recv(client, 65536)
                        assert part, answer
                        answer += part

                async with asyncio.timeout(BOUND):
                    await until("/p/", b"hello")
                    await until("/p/a.txt", b"one")
                    (tmp_path / "plugins/p/main.lua").write_text("require'server'.write('new')")
                    (tmp_path / "plugins/p/a.txt").write_text("other")
                    await until("/p/", b"new")
                    await until("/p/a.txt", b"other")
                    (tmp_path / "plugins/p/a.txt").unlink()
                    await until("/p/a.txt", b"new")

    asyncio.run(scenario())


def test_a_client_that_leaves_in_the_middle_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lay_out(tmp_path, {"plugins/p/film.bin": bytes(8 * MIB), "plugins/p/main.lua": HELLO})

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with plugins(tmp_path) as (server, port):
            for _ in range(3):
                with caller(port, buffer=4096) as client:
                    await loop.sock_sendall(client, b"GET /p/film.bin HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert await loop.sock_recv(client, 12) == b"HTTP/1.1 200"
                while server.server_state.connections or server.server_state.tasks:
                    await asyncio.sleep(0)
            end = b"Host: x\r\nConnection: close\r\n\r\n"
            assert b"hello" in await ask(port, b"GET /p/ HTTP/1.1\r\n" + end)

    asyncio.run(scenario())
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


@pytest.mark.parametrize("version", ["3.0", "2.0", "0.9"])
def test_other_versions_are_refused(tmp_path: Path, version: str) -> None:
    async def scenario() -> None:
        async with plugins(lay_out(tmp_path, {})) as (_, port):
            answer = await ask(port, f"GET /?token=x HTTP/{version}\r\nHost: x\r\n\r\n".encode())
            head = await ask(port, f"HEAD / HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 505 HTTP Version Not Supported\r\n")
        assert answer == head + b"this server speaks HTTP/1.1\n"

    asyncio.run(scenario())


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_minor_versions_are_answered(tmp_path: Path, version: str) -> None:
    async def scenario() -> None:
        async with plugins(lay_out(tmp_path, {"plugins/p/main.lua": HELLO})) as (_, port):
            head = f"GET /p/ HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert (await ask(port, head.encode())).endswith(b"\r\n\r\nhello")

    asyncio.run(scenario())


@pytest.mark.parametrize("wanted", ["websocket", "h2c", "x" * 200])
def test_another_protocol_is_not_spoken_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wanted: str
) -> None:
    async def scenario() -> None:
        async with plugins(lay_out(tmp_path, {"plugins/p/main.lua": HELLO})) as (_, port):
            head = f"GET /p/ HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: {wanted}"
            answer = await ask(port, f"{head}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 ")

    asyncio.run(scenario())
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


@pytest.mark.parametrize("path", ["/p/", "/nothing/", "/msx/start.json"])
def test_head_and_body_leave_in_one_write(tmp_path: Path, path: str) -> None:
    lay_out(tmp_path, {"plugins/p/main.lua": HELLO})

    async def give_up() -> None:
        """Nothing is to be hurried."""

    async def scenario() -> list[Any]:
        wire = Wire()
        async with AsyncEngine([tmp_path / "plugins"]) as engine, asyncio.timeout(BOUND):
            server = Server(create_app(engine), lambda: None, give_up)
            protocol = _Http(server.config, server.server_state, {})
            protocol.connection_made(wire)
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            protocol.data_received(head.encode())
            while not wire.is_closing():
                await asyncio.sleep(0)
        return wire.done

    written = [one for one in asyncio.run(scenario()) if isinstance(one, bytes)]
    assert len(written) == 1
    head, _, body = written[0].partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert body
