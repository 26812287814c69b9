"""The load: clients on kept connections, each asking one thing after another, and an origin."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.soak.plugins import KINDS, Asked, Kind

BOUND = 60.0
"""Seconds after which an answer counts as wrong."""


@dataclass
class Tally:
    """What came of one kind of request."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """A percentile of the times to an answer, in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3 if ordered else 0.0


class Client:
    """One connection, made anew when the server closed it or the client itself left."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, asked: Asked) -> tuple[int, str]:
        """Status and body of the answer; status 0 when the client was to leave."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        method = "POST" if asked.body else "GET"
        head = f"{method} {asked.target} HTTP/1.1\r\nHost: soak\r\n"
        writer.write(f"{head}Content-Length: {len(asked.body)}\r\n\r\n".encode() + asked.body)
        if asked.leaves is not None:
            await asyncio.sleep(asked.leaves)
            self.leave()
            return 0, ""
        head_bytes = await reader.readuntil(b"\r\n\r\n")
        status_line, *fields = head_bytes.decode("latin-1").lower().split("\r\n")
        named = dict(line.split(": ", 1) for line in fields if line)
        body = await reader.readexactly(int(named["content-length"]))
        if named.get("connection") == "close":
            self.leave()
        return int(status_line.split()[1]), body.decode("utf-8", "replace")

    def leave(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def load(
    address: tuple[str, int], origin: str, connections: int, seconds: float, seed: int
) -> dict[str, Tally]:
    """Ask for so long, and return what came of it by kind."""
    tallies = {kind.name: Tally() for kind in KINDS}
    end = time.monotonic() + seconds

    async def one(number: int) -> None:
        dice = random.Random(seed * 1000 + number)
        client = Client(*address)
        while time.monotonic() < end:
            (kind,) = dice.choices(KINDS, [kind.share for kind in KINDS])
            await _ask(client, kind, kind.ask(dice, origin), tallies[kind.name])
        client.leave()

    await asyncio.gather(*(one(number) for number in range(connections)))
    return tallies


async def _ask(client: Client, kind: Kind, asked: Asked, tally: Tally) -> None:
    start = time.monotonic()
    try:
        async with asyncio.timeout(BOUND):
            status, body = await client.ask(asked)
    except (OSError, EOFError, TimeoutError) as error:
        client.leave()
        tally.wrong.append(f"{kind.name}: {error!r}")
        return
    tally.statuses[status] += 1
    tally.seconds.append(time.monotonic() - start)
    if status and status not in asked.statuses:
        tally.wrong.append(f"{kind.name}: status {status}: {body[:200]}")
    elif asked.text is not None and body != asked.text:
        tally.wrong.append(f"{kind.name}: {body[:200]!r} instead of {asked.text!r}")


@asynccontextmanager
async def origin_server() -> AsyncIterator[str]:
    """The server elsewhere: /soon is answered at once, /never not at all."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/never" in head.split(b"\r\n")[0]:
                await reader.read()
            else:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
                writer.write(head + b"soon")
        except (OSError, EOFError):
            pass  # it left, as half of them do
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
