"""`memory`: one value per plugin, kept between requests and across the deaths of workers."""

from __future__ import annotations

from typing import Any, Final

from sandbox.engine.services.store import Store
from sandbox.errors import LimitExceeded, PluginError
from sandbox.values import GuestFunction, HostFunction, Value
from sandbox.wire.codec import decode, encode
from sandbox.wire.extensions import EncodeError, pack_special

MAX_VALUE: Final = 512 * 1024
"""Largest kept value in bytes, as encoded."""


def _plain(value: object) -> Any:
    """The packing hook: a handle means nothing to the next worker."""
    if isinstance(value, (GuestFunction, HostFunction)):
        raise EncodeError("a function cannot be kept")
    return pack_special(value)


def frozen(value: Value) -> bytes:
    """Plain data as bytes that mean the same to any worker.

    Raises `EncodeError` for functions, and for what cannot cross at all.
    """
    return encode(value, _plain)


class Memory:
    """The kept values, encoded: what is given back is always a copy.

    `store` is where they outlive the engine, if anywhere.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._values: dict[str, bytes] = {}
        self._looked_for: set[str] = set()
        self._changed: set[str] = set()

    def _value(self, plugin: str) -> bytes | None:
        if self._store is not None and plugin not in self._looked_for:
            self._looked_for.add(plugin)
            stored = self._store.load(plugin)
            if stored is not None:
                self._values[plugin] = stored
        return self._values.get(plugin)

    def size(self, plugin: str) -> int:
        """Bytes that the plugin's value takes."""
        return len(self._value(plugin) or b"")

    def get(self, plugin: str) -> Value:
        """The plugin's value, or None."""
        kept = self._value(plugin)
        return None if kept is None else decode(kept)

    def set(self, plugin: str, value: Value, room: int) -> None:
        """Keep `value`; None forgets it.

        Raises `PluginError` for a value that does not cross in one piece, and `LimitExceeded`
        when it takes more than `room` bytes.
        """
        body = frozen(value)
        if len(body) > MAX_VALUE:
            raise PluginError(f"memory: {len(body)} bytes are more than {MAX_VALUE}", plugin=plugin)
        self._looked_for.add(plugin)
        if value is None:
            self._values.pop(plugin, None)
        elif len(body) > room:
            raise LimitExceeded("storage", allowed=room, used=len(body), plugin=plugin)
        else:
            self._values[plugin] = body
        self._changed.add(plugin)

    def write(self) -> list[PluginError]:
        """Write what changed to the store; returns what went wrong, which is tried again next."""
        problems: list[PluginError] = []
        if self._store is None:
            return problems
        for plugin in sorted(self._changed):
            body = self._values.get(plugin)
            try:
                if body is None:
                    self._store.delete(plugin)
                else:
                    self._store.save(plugin, body)
                self._changed.discard(plugin)
            except PluginError as problem:
                problems.append(problem)
        return problems
