"""A client that waits for a plugin's answer, and may leave before it is there."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from starlette.types import Receive

from sandbox.engine.async_engine import AsyncEngine
from sandbox.engine.faults import one_line
from sandbox.engine.plugins import Source
from sandbox.messages import Request, Response
from sandbox.servers.moment import Moment

log: Final = logging.getLogger("sandbox.servers.msx")


class Visit:
    """One request to a plugin.  When its client leaves, its script is ended."""

    __slots__ = ("_gone", "_receive", "_task", "_watcher")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def answer(
        self, engine: AsyncEngine, plugin: str, request: Request, found: Source, moment: Moment
    ) -> Response | None:
        """The engine's answer; None, and an ended script, when the client leaves before."""
        self._task = asyncio.current_task()
        moment.add(self.watch)  # most answers are there before anybody could leave
        try:
            return await engine.request(plugin, request, found)
        except asyncio.CancelledError:
            if not self._gone or self._task is None or self._task.uncancel() > 0:
                raise
            log.info("plugin %s: the client left before the answer", one_line(plugin))
            return None
        finally:
            moment.discard(self.watch)
            if self._watcher is not None:
                self._watcher.cancel()

    def watch(self) -> None:
        """Watch from now on whether the client leaves."""
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()
