"""Values to msgpack and back, with caps that hold against a hostile sender.

1 MiB of empty maps decodes to some 80 MiB of objects, and a kilobyte of brackets nests deeper than
Python recurses.  So the decoder first counts, in one C pass, the bytes that *could* open a
container.  Few of them: nothing can go wrong, decode.  Many: decode while counting containers,
then walk the result for depth; of more than 1 MiB the headers are counted before (`survey.py`).
The encoder obeys the same caps, so that a sender learns of its mistake and never kills the
connection.

Extension types are those of `extensions.py`; any other code is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

import msgpack

from sandbox.errors import ProtocolError
from sandbox.values import (
    INT_MAX,
    MAX_CONTAINERS,
    MAX_DEPTH,
    MAX_ENTRIES,
    Char,
    GuestError,
    GuestFunction,
    HostFunction,
    Value,
)
from sandbox.wire.extensions import (
    EXT_CHAR,
    EXT_ERROR,
    EXT_GUEST_FUNCTION,
    EXT_HOST_FUNCTION,
    EXT_STANZA,
    EXT_TIME,
    EncodeError,
    pack_special,
    unpack_stanza,
    unpack_time,
)
from sandbox.wire.survey import survey

# Bytes that open a container (0x80-0x9f, 0xdc-0xdf) or an extension (0xc7-0xc9, 0xd4-0xd8), and
# two that make a body worth a look: 0xcf opens an unsigned 64-bit integer, which may be beyond
# ours, and 0xff is the type of msgpack's own timestamps, which it decodes without asking us.
_WATCHED: Final = {
    *range(0x80, 0xA0), *range(0xC7, 0xCA), *range(0xD4, 0xD9), *range(0xDC, 0xE0), 0xCF, 0xFF,
}  # fmt: skip
_UNWATCHED: Final = bytes(set(range(256)) - _WATCHED)
_WIDE: Final = b"\xcf"
_TIMESTAMP: Final = b"\xff"
_MAX_MAP: Final = MAX_ENTRIES // 4
_MAX_EXTENSIONS: Final = 4096  # each costs a Python call: a body of nothing else would take 0.4 s
_MAX_NESTED: Final = 16  # extensions inside each other; each level needs C stack and a copy
_MAX_COPIED: Final = 2**24  # bytes of the copies that exist at a time
_SMALL: Final = 65_536  # a body up to this length cannot hold too many of anything
_FEW: Final = 4096  # entries of one container up to which nobody need count
_SCALARS: Final = frozenset({str, int, float, bool, bytes, type(None)})


Resolver: TypeAlias = Callable[[HostFunction | GuestFunction], Value]
"""Gives the function that stands behind a handle in incoming data."""


class Encoder:
    """Encodes values; one per connection, because msgpack's packer keeps its buffer.

    `special` is the hook for types that msgpack does not know.  `any_keys` lets maps have keys
    that are not texts: the engine's own data goes to a worker as it is, since looking at every
    map costs a tenth of a call, and a worker's decoder takes it (see `Decoder`).
    """

    __slots__ = ("_any_keys", "_pack")

    def __init__(
        self, special: Callable[[object], Any] = pack_special, *, any_keys: bool = False
    ) -> None:
        self._any_keys = any_keys
        self._pack: Callable[[Value], bytes] = msgpack.Packer(
            default=special, strict_types=True
        ).pack

    def encode(self, value: Value) -> bytes:
        """`value` as one body.

        Raises `EncodeError` for a type that cannot cross, an integer beyond 64 bits, text that
        is not valid Unicode, or nesting beyond `values.MAX_DEPTH` (which a cycle always is).
        """
        try:
            body = self._pack(value)
        except OverflowError:
            raise EncodeError("an integer beyond 64 bits cannot cross") from None
        except UnicodeEncodeError:
            raise EncodeError("text with lone surrogates cannot cross") from None
        except RecursionError:
            raise EncodeError(_too_deep()) from None
        except ValueError as error:
            if isinstance(error, EncodeError):
                raise
            raise EncodeError(_too_deep() if "recursion" in str(error) else str(error)) from None
        if self._any_keys and len(body) <= _SMALL:
            watched = body.translate(None, _UNWATCHED)
            if len(watched) > MAX_DEPTH or _WIDE in watched:
                _verify(body, self._any_keys)
        elif _WIDE in body or not _ordinary(value):
            _verify(body, self._any_keys)
        return body


def _ordinary(value: Value) -> bool:
    """Whether `value` is a scalar or a few small plain lists and maps with text keys.

    So few that they cannot nest too deep.  Raises `EncodeError` for a key that is not a text;
    False asks for a closer look.
    """
    if type(value) in _SCALARS:
        return True
    containers = [value]
    for container in containers:  # which grows while we look
        items = container
        if type(container) is dict:
            try:
                "".join(container)  # in C: all keys are texts
            except TypeError:
                raise EncodeError("the keys of a map must be texts to cross") from None
            items = container.values()
        elif type(container) is not list:
            return False
        if len(container) > _FEW:
            return False
        for item in items:
            if type(item) not in _SCALARS:
                containers.append(item)
        if len(containers) > MAX_DEPTH:
            return False
    return True


def _verify(body: bytes, any_keys: bool) -> None:
    """See our own body as the other side will: the way for everything that is not ordinary."""
    try:
        Decoder(any_keys=any_keys).decode(body)
    except ProtocolError as error:
        raise EncodeError(f"the value cannot cross: {error.message}") from None


def encode(value: Value, special: Callable[[object], Any] = pack_special) -> bytes:
    """`value` as one body; see `Encoder.encode`."""
    return Encoder(special).encode(value)


def _too_deep() -> str:
    return f"a value nests deeper than {MAX_DEPTH} levels, or contains itself"


def decode(body: bytes, resolve: Resolver | None = None) -> Value:
    """The value in `body`, with function handles replaced by what `resolve` gives for them.

    Raises `ProtocolError` for anything that `encode` would not send.
    """
    return Decoder(resolve).decode(body)


class Decoder:
    """Decodes bodies; `resolve` gives the functions behind handles.

    `any_keys` takes maps with keys that are not texts: a worker does, from its engine.
    """

    __slots__ = ("_any_keys", "_resolve", "_unpack")

    def __init__(self, resolve: Resolver | None = None, *, any_keys: bool = False) -> None:
        self._resolve = resolve
        self._any_keys = any_keys
        self._unpack = partial(
            msgpack.unpackb,
            ext_hook=self._unpack_few,
            max_map_len=_MAX_MAP,
            strict_map_key=not any_keys,
        )

    def _unpack_few(self, code: int, data: bytes) -> Value:
        """The extension hook of bodies with so few openers that no budget is needed."""
        return _Budget(self._resolve, self._any_keys).extension(code, data)

    def decode(self, body: bytes) -> Value:
        """The value in `body`; see `decode`."""
        watched = body.translate(None, _UNWATCHED)
        try:
            if len(watched) > MAX_DEPTH or len(body) > _SMALL:
                value = _Budget(self._resolve, self._any_keys).unpack(body)
                _inspect(value)
            else:
                value = self._unpack(body)
                if _WIDE in watched or _TIMESTAMP in watched:
                    _inspect(value)
        except ProtocolError:
            raise
        except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
            # msgpack raises subclasses of ValueError, and TypeError for keys that do not hash.
            if "exceeds max_" in str(error):
                raise ProtocolError(f"body holds more than {MAX_ENTRIES} entries") from None
            if "strict_map_key" in str(error):
                raise ProtocolError("keys of a map must be texts") from None
            raise ProtocolError(f"malformed body: {type(error).__name__}") from None
        except msgpack.exceptions.UnpackException as error:
            raise ProtocolError(f"malformed body: {type(error).__name__}") from None
        return value


class _Budget:
    """What one large body may still make the decoder build."""

    __slots__ = ("_copied", "_nested", "any_keys", "containers", "entries", "extensions", "resolve")

    def __init__(self, resolve: Resolver | None, any_keys: bool) -> None:
        self.resolve = resolve
        self.any_keys = any_keys
        self._nested = 0
        self._copied = 0
        self.containers = MAX_CONTAINERS
        self.entries = MAX_ENTRIES
        self.extensions = _MAX_EXTENSIONS

    def unpack(self, data: bytes) -> Value:
        survey(data)
        return msgpack.unpackb(
            data,
            ext_hook=self.extension,
            max_array_len=MAX_ENTRIES,
            max_map_len=_MAX_MAP,
            object_hook=self._container,
            list_hook=self._container,
            strict_map_key=not self.any_keys,
        )

    def _container(self, container: Value) -> Value:
        self.containers -= 1
        self.entries -= len(container)
        if self.containers < 0:
            raise ProtocolError(f"body holds more than {MAX_CONTAINERS} lists and maps")
        if self.entries < 0:
            raise ProtocolError(f"body holds more than {MAX_ENTRIES} entries")
        return container

    def extension(self, code: int, data: bytes) -> Value:
        self.extensions -= 1
        if self.extensions < 0:
            raise ProtocolError(f"body holds more than {_MAX_EXTENSIONS} extensions")
        if code == EXT_HOST_FUNCTION and len(data) == 8:
            return self._function(HostFunction(int.from_bytes(data, "big")))
        if code == EXT_GUEST_FUNCTION and len(data) == 8:
            return self._function(GuestFunction(int.from_bytes(data, "big")))
        if code == EXT_TIME and len(data) == 12:
            return unpack_time(data)
        if code == EXT_CHAR and len(data) == 8:
            return Char(int.from_bytes(data, "big", signed=True))
        if code == EXT_ERROR:
            return GuestError(self._inner(data))
        if code == EXT_STANZA:
            return unpack_stanza(self._inner(data))
        raise ProtocolError(f"body holds an unknown extension of type {code}")

    def _inner(self, data: bytes) -> Value:
        """The value inside an extension."""
        self._nested += 1
        self._copied += len(data)
        if self._nested > _MAX_NESTED:
            raise ProtocolError(f"extensions nest deeper than {_MAX_NESTED} levels")
        if self._copied > _MAX_COPIED:
            raise ProtocolError(f"extensions inside each other hold more than {_MAX_COPIED} bytes")
        try:
            return self.unpack(data)
        finally:
            self._nested -= 1
            self._copied -= len(data)

    def _function(self, handle: HostFunction | GuestFunction) -> Value:
        return handle if self.resolve is None else self.resolve(handle)


def _children(container: Value) -> Any:
    kind = type(container)
    if kind is list:
        return container
    if kind is dict:
        return container.values()
    return (container.value,) if kind is GuestError else ()


def _inspect(value: Value) -> None:
    """Refuse nesting beyond `MAX_DEPTH`, integers beyond 64 bits and msgpack's own timestamps.

    Level by level, not by recursion: the value may nest deeper than Python recurses.
    """
    level, depth = [[value]], -1
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ProtocolError(f"body nests deeper than {MAX_DEPTH} levels")
        following: list[Value] = []
        for container in level:
            for item in _children(container):
                kind = type(item)
                if kind is int:
                    if item > INT_MAX:
                        raise ProtocolError("body holds an integer beyond 64 bits")
                elif kind is msgpack.Timestamp:
                    raise ProtocolError("body holds an unknown extension of type -1")
                elif kind is list or kind is dict or kind is GuestError:
                    following.append(item)
        level = following
