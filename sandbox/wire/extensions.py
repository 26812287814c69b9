"""The special kinds of `sandbox.values` as msgpack extensions: their codes and their bytes.

What a kind looks like on the wire is decided here; how much of it one body may hold is the
codec's business (`codec.py`).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgpack

from sandbox.errors import ProtocolError
from sandbox.values import (
    MAX_DEPTH,
    Char,
    GuestError,
    GuestFunction,
    HostFunction,
    Stanza,
    Value,
)

EXT_TIME: Final = 1
EXT_HOST_FUNCTION: Final = 2
EXT_GUEST_FUNCTION: Final = 3
EXT_CHAR: Final = 4
EXT_ERROR: Final = 5
EXT_STANZA: Final = 6


class EncodeError(ValueError):
    """A value that cannot cross; the text says which kind and why."""


Exporter: TypeAlias = Callable[[Callable[..., Any]], int]
"""Gives a callable inside outgoing data a handle; the wire carries the handle."""


def exporting(export: Exporter) -> Callable[[object], Any]:
    """A packing hook for `encode` that sends callables as host function handles."""

    def pack(value: object) -> Any:
        if callable(value) and not isinstance(value, GuestFunction):
            return pack_special(HostFunction(export(value)))
        return pack_special(value)

    return pack


def pack_special(value: object) -> Any:
    """What msgpack asks for a type it does not know (its `default` hook)."""
    if isinstance(value, Char):
        return msgpack.ExtType(EXT_CHAR, int(value).to_bytes(8, "big", signed=True))
    if isinstance(value, HostFunction):
        return msgpack.ExtType(EXT_HOST_FUNCTION, value.handle.to_bytes(8, "big"))
    if isinstance(value, GuestFunction):
        return msgpack.ExtType(EXT_GUEST_FUNCTION, value.handle.to_bytes(8, "big"))
    if isinstance(value, datetime.datetime):
        return msgpack.ExtType(EXT_TIME, _pack_time(value))
    if isinstance(value, GuestError):
        return msgpack.ExtType(EXT_ERROR, _pack(value.value))
    if isinstance(value, Stanza):
        return msgpack.ExtType(EXT_STANZA, _pack(_parts(value, 1)))
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    if isinstance(value, (str, int, float)):  # enum members and other subclasses: their value
        return _base_scalar(value)
    raise EncodeError(f"a value of type {type(value).__name__} cannot cross to or from a plugin")


def _base_scalar(value: str | int | float) -> str | int | float:
    # Not str(value): an enumeration's own text is not its value.
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _parts(stanza: Stanza, depth: int) -> list[Any]:
    """A stanza as nested lists, checked: one extension holds the whole tree."""
    if depth > MAX_DEPTH:
        raise EncodeError(f"a stanza nests deeper than {MAX_DEPTH} levels, or contains itself")
    if not (
        isinstance(stanza.name, str)
        and isinstance(stanza.attr, dict)
        and isinstance(stanza.children, list)
        and all(isinstance(k, str) and isinstance(v, str) for k, v in stanza.attr.items())
        and all(isinstance(child, (str, Stanza)) for child in stanza.children)
    ):
        raise EncodeError("a stanza has a text name, text attributes, and texts or stanzas in it")
    children = [
        child if isinstance(child, str) else _parts(child, depth + 1) for child in stanza.children
    ]
    return [stanza.name, stanza.attr, children]


def _pack_time(value: datetime.datetime) -> bytes:
    moment = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    offset = moment.utcoffset()
    if offset is None:
        raise EncodeError("a time whose zone does not know its offset cannot cross")
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    micros = (moment - epoch) // datetime.timedelta(microseconds=1)
    seconds = int(offset.total_seconds())
    data = micros.to_bytes(8, "big", signed=True) + seconds.to_bytes(4, "big", signed=True)
    try:
        unpack_time(data)
    except (OverflowError, ValueError):
        raise EncodeError("a time outside the years 1 to 9999 in UTC cannot cross") from None
    return data


def unpack_time(data: bytes) -> datetime.datetime:
    """The time in twelve bytes: microseconds since 1970 and the zone's offset in seconds."""
    micros = int.from_bytes(data[:8], "big", signed=True)
    offset = int.from_bytes(data[8:12], "big", signed=True)
    zone = datetime.timezone(datetime.timedelta(seconds=offset))
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (epoch + datetime.timedelta(microseconds=micros)).astimezone(zone)


def _pack(value: Value, special: Callable[[object], Any] = pack_special) -> bytes:
    packed: bytes = msgpack.packb(value, default=special, strict_types=True)
    return packed


def unpack_stanza(parts: Value, depth: int = 1) -> Stanza:
    """The stanza in nested lists.  Raises `ProtocolError` when they are not of its shape."""
    if type(parts) is not list or len(parts) != 3 or depth > MAX_DEPTH:
        raise ProtocolError("body holds a malformed stanza")
    name, attr, children = parts
    if (
        type(name) is not str
        or type(attr) is not dict
        or type(children) is not list
        or not all(type(k) is str and type(v) is str for k, v in attr.items())
    ):
        raise ProtocolError("body holds a malformed stanza")
    return Stanza(
        name,
        attr,
        [child if type(child) is str else unpack_stanza(child, depth + 1) for child in children],
    )
