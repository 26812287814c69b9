"""An `AsyncEngine` in a loop of its own, with the few blocking methods that a storm uses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from sandbox import AsyncEngine

T = TypeVar("T")


class LoopedEngine:
    """Every call is sent to the loop's thread and waited for."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop")
        self._thread.start()
        self._engine = AsyncEngine(*args, **options)
        self._core = self._engine._core
        self.complaints: list[str] = []
        self._loop.set_exception_handler(lambda _, what: self.complaints.append(repr(what)))

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self, operation: Coroutine[Any, Any, T]) -> T:
        return self._wait(self._engine._run(operation))

    def do(self, function: Callable[[], T]) -> T:
        """Run a plain function where the engine lives."""

        async def call() -> T:
            return function()

        return self._wait(call())

    def __enter__(self) -> LoopedEngine:
        self._wait(self._engine.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(self._engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def load(self, *args: Any) -> Any:
        """See `Engine.load`; so with the others."""
        return self._wait(self._engine.load(*args))

    def unload(self, *args: Any) -> None:
        """See `Engine.unload`."""
        self._wait(self._engine.unload(*args))

    def fire(self, *args: Any) -> Any:
        """See `Engine.fire`."""
        return self._wait(self._engine.fire(*args))

    def execute(self, *args: Any, **options: Any) -> Any:
        """See `Engine.execute`."""
        return self._wait(self._engine.execute(*args, **options))

    def modules(self, host: str) -> list[str]:
        """See `Engine.modules`."""
        return self.do(lambda: self._engine.modules(host))

    def status(self) -> Any:
        """See `Engine.status`."""
        return self.do(self._engine.status)
