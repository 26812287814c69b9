"""`memory`: one value per plugin, kept between requests and across the deaths of workers."""

from __future__ import annotations

from typing import Any, Final

from sandbox.errors import PluginError
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


class Memory:
    """The kept values, encoded: what is given back is always a copy."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def get(self, plugin: str) -> Value:
        """The plugin's value, or None."""
        kept = self._values.get(plugin)
        return None if kept is None else decode(kept)

    def set(self, plugin: str, value: Value) -> None:
        """Keep `value`; None forgets it.  Raises `PluginError` when it is too large."""
        body = encode(value, _plain)
        if len(body) > MAX_VALUE:
            raise PluginError(f"memory: {len(body)} bytes are more than {MAX_VALUE}", plugin=plugin)
        if value is None:
            self._values.pop(plugin, None)
        else:
            self._values[plugin] = body
