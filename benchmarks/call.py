"""call.*: a warm call with a 100-byte map, answered with the same map, against a bare echo."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgpack

from benchmarks.peers import PAYLOAD, bare_echo, held_on, placements
from benchmarks.report import Row, alternate, benchmark, seconds_each
from sandbox import AsyncEngine, Engine

PLUGINS: Final = Path(__file__).parent / "plugins"
HOST: Final = "example.org"
_CALLS: Final = 640
_ROUNDS: Final = 60
_IN_FLIGHT: Final = 64


@benchmark("call.blocking")
def blocking() -> Iterator[Row]:
    """`Engine.fire` against send, receive and msgpack by hand."""
    for suffix, (here, there) in placements().items():
        bare, ours, ratio = _measure_blocking(here, there)
        yield Row(f"call.blocking{suffix}", ours * 1e6, "us", bare * 1e6, ratio)


def _measure_blocking(here: int, there: int) -> tuple[float, float, float]:
    packb, unpackb = msgpack.packb, msgpack.unpackb
    with held_on(here), bare_echo(there) as connection, Engine([PLUGINS], [HOST]) as engine:
        engine.load(HOST, "echo")
        assert engine.fire(HOST, "echo", PAYLOAD) == PAYLOAD
        os.sched_setaffinity(engine.status()[0].pid, {there})

        def floor() -> None:
            body = packb(PAYLOAD)
            connection.sendall(len(body).to_bytes(4, "big") + body)
            unpackb(connection.recv(65_536)[4:])

        return alternate(
            lambda: seconds_each(floor, _CALLS),
            lambda: seconds_each(lambda: engine.fire(HOST, "echo", PAYLOAD), _CALLS),
            _ROUNDS,
        )


class _Echo(asyncio.Protocol):
    """A bare asyncio client of the echo: futures answered in order."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Any]] = []
        self.transport: Any = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) < end:
                return
            value = msgpack.unpackb(self._buffer[4:end])
            self._buffer = self._buffer[end:]
            self.waiting.pop(0).set_result(value)

    async def call(self, value: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        body = msgpack.packb(value)
        self.transport.write(len(body).to_bytes(4, "big") + body)
        return await future


async def _measure_async(in_flight: int, there: int) -> tuple[float, float, float]:
    loop = asyncio.get_running_loop()
    with bare_echo(there) as connection:
        connection.setblocking(False)
        echo = _Echo()
        await loop.create_connection(lambda: echo, sock=connection)
        async with AsyncEngine([PLUGINS], [HOST]) as engine:
            await engine.load(HOST, "echo")
            assert await engine.fire(HOST, "echo", PAYLOAD) == PAYLOAD
            os.sched_setaffinity(engine.status()[0].pid, {there})

            async def each(call: Any) -> float:
                async def one_after_another() -> None:
                    for _ in range(_CALLS // in_flight):
                        await call()

                start = time.perf_counter()
                if in_flight == 1:
                    await one_after_another()
                else:
                    await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
                return (time.perf_counter() - start) / (_CALLS // in_flight * in_flight)

            async def floor() -> float:
                return await each(lambda: echo.call(PAYLOAD))

            async def subject() -> float:
                return await each(lambda: engine.fire(HOST, "echo", PAYLOAD))

            await floor(), await subject()
            pairs = [(await floor(), await subject()) for _ in range(_ROUNDS)]
        echo.transport.abort()
    pairs.sort(key=lambda pair: pair[1] / pair[0])
    middle = pairs[len(pairs) // 2]
    return middle[0], middle[1], middle[1] / middle[0]


@benchmark("call.asyncio")
def asynchronous() -> Iterator[Row]:
    """`await AsyncEngine.fire`, one at a time, against a bare asyncio protocol."""
    for suffix, (here, there) in placements().items():
        with held_on(here):
            bare, ours, ratio = asyncio.run(_measure_async(1, there))
        yield Row(f"call.asyncio{suffix}", ours * 1e6, "us", bare * 1e6, ratio)


@benchmark("call.pipelined")
def pipelined() -> Iterator[Row]:
    """64 calls in flight on one worker, in calls per second against the bare echo's."""
    here, there = placements()[""]
    with held_on(here):
        bare, ours, ratio = asyncio.run(_measure_async(_IN_FLIGHT, there))
    yield Row("call.pipelined", 1 / ours, "calls/s", 1 / bare, 1 / ratio)
