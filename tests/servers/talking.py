"""The HTTP front end as an ASGI application in this process, over a house in a folder."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from sandbox import AsyncEngine
from sandbox.servers.house import House
from sandbox.servers.msx import create_app

BASE = "http://127.0.0.1:8080"
LAN = "http://192.168.1.5:8080"
HELLO = "require'server'.write('hello')"


def lay_out(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder; returns the folder."""
    (root / "plugins").mkdir(exist_ok=True, parents=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


@asynccontextmanager
async def talking(
    root: Path | None, *, base: str = BASE, loopback: bool = True, **more: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, House]]:
    """A client and the house that it talks to."""
    folders = [root / "plugins"] if root else []
    async with AsyncEngine(folders, data=root / "data" if root else None) as engine:
        house = House(engine, root, loopback=loopback, **more)
        transport = httpx.ASGITransport(create_app(engine, house))
        try:
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                yield client, house
        finally:
            house.close()


def talk(
    root: Path | None,
    scenario: Callable[[httpx.AsyncClient, House], Awaitable[None]],
    **options: Any,
) -> None:
    """Run one conversation."""

    async def run() -> None:
        async with talking(root, **options) as (client, house):
            await scenario(client, house)

    asyncio.run(run())


def package(files: Mapping[str, str] | None = None) -> bytes:
    """A package with these files, or with a plugin that says hello."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, text in (files or {"manifest.json": "{}", "main.lua": HELLO}).items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return held.getvalue()
