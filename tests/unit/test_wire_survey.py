"""The walk over long bodies: it counts as the decoder does, and nothing makes it fail."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest

from sandbox.errors import ProtocolError
from sandbox.values import MAX_CONTAINERS, MAX_ENTRIES
from sandbox.wire import survey as walk
from sandbox.wire.codec import Decoder, decode, encode
from sandbox.wire.extensions import EncodeError
from sandbox.wire.survey import LONG, survey

PADDING = b"x" * LONG


def long(*values: Any) -> bytes:
    """A body of a list with these values, long enough to be walked to its end."""
    body: bytes = msgpack.packb([PADDING, *values])
    return body


SCALARS: list[Any] = [
    None, True, False, 0, 127, 128, 255, 256, 65_535, 65_536, 2**32, 2**63 - 1, -1, -32, -33, -128,
    -129, -32_768, -32_769, -(2**31), -(2**31) - 1, -(2**63), 0.5, "", "a", "a" * 31, "a" * 32,
    "a" * 255, "a" * 256, "a" * 65_536, b"", b"a" * 255, b"a" * 256, b"a" * 65_536,
    *(msgpack.ExtType(9, b"e" * size) for size in (0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65_536)),
]  # fmt: skip
CONTAINERS: list[Any] = [
    [], {}, [[]], [{}], {"a": []}, [0] * 15, [0] * 16, [[0] * 70_000],
    {str(n): n for n in range(15)}, {str(n): n for n in range(16)},
    {str(n): n for n in range(70_000)},
]  # fmt: skip


def counted(value: Any) -> tuple[int, int]:
    """How many lists and maps there are in a value, and how many entries they have."""
    if not isinstance(value, (list, dict)):
        return 0, 0
    inner = [counted(one) for one in (value.values() if isinstance(value, dict) else value)]
    return 1 + sum(one[0] for one in inner), len(value) + sum(one[1] for one in inner)


@pytest.mark.parametrize("value", [*SCALARS, *CONTAINERS], ids=lambda value: repr(value)[:30])
def test_every_kind_of_item_is_stepped_over(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step too far or too short, and the count would not be what it is."""
    given = [value, [1, 2], value, {"z": value}]
    body = long(*given)
    containers, entries = counted([PADDING, *given])
    for name, most in (("MAX_CONTAINERS", containers), ("MAX_ENTRIES", entries)):
        with monkeypatch.context() as changed:
            changed.setattr(walk, "MAX_ENTRIES", 10**6)
            changed.setattr(walk, name, most)
            survey(body)
            changed.setattr(walk, name, most - 1)
            with pytest.raises(ProtocolError):
                survey(body)


def test_single_precision_is_stepped_over() -> None:
    body = b"\x93\xca\x3f\x80\x00\x00" + msgpack.packb(PADDING) + msgpack.packb([0] * MAX_ENTRIES)
    with pytest.raises(ProtocolError, match="entries"):
        survey(body)


def test_the_caps_are_those_of_the_decoder() -> None:
    fits = [PADDING, [0] * (MAX_ENTRIES - 2)]
    assert decode(encode(fits)) == fits
    for over in ([PADDING, [0] * (MAX_ENTRIES - 1)], [PADDING, *([[]] * MAX_CONTAINERS)]):
        with pytest.raises(ProtocolError, match="body holds more than"):
            decode(msgpack.packb(over))
        for encoder in (encode, lambda value: Decoder(any_keys=True).decode(msgpack.packb(value))):
            with pytest.raises((EncodeError, ProtocolError), match="body holds more than"):
                encoder(over)


def test_a_short_body_is_not_walked() -> None:
    survey(b"\xdd\xff\xff\xff\xff" * (LONG // 5))


def test_extensions_inside_each_other_are_copied_so_often_only() -> None:
    def wrapped(times: int, size: int) -> bytes:
        body: bytes = msgpack.packb(b"x" * size)
        for _ in range(times):
            body = b"\xc9" + len(body).to_bytes(4, "big") + b"\x05" + body
        return body

    decode(wrapped(1, 15 * 2**20))
    decode(wrapped(15, 2**20))
    with pytest.raises(ProtocolError, match="inside each other"):
        decode(wrapped(2, 15 * 2**20))


def test_what_is_in_a_long_extension_is_walked_too() -> None:
    nearly = b"\xdd" + MAX_ENTRIES.to_bytes(4, "big") + b"\xa2\xc4\x80" * (MAX_ENTRIES - 1)
    inner = nearly * 4
    assert len(inner) > LONG
    with pytest.raises(ProtocolError, match=f"more than {MAX_ENTRIES} entries"):
        decode(b"\xc9" + len(inner).to_bytes(4, "big") + b"\x05" + inner)


@pytest.mark.parametrize("seed", range(30))
def test_no_bytes_break_it(seed: int) -> None:
    rng = random.Random(seed)
    body = bytearray(long({"a": [1, "b", b"c", 2.5, None, {"d": [2**40]}]}, *range(200)))
    for _ in range(rng.randrange(1, 6)):
        body[rng.choice([rng.randrange(8), rng.randrange(LONG, len(body))])] = rng.randrange(256)
    cut = bytes(body[: rng.choice([len(body), LONG + 1 + rng.randrange(300)])])
    try:
        survey(cut)
    except ProtocolError as error:
        refused = str(error)
    else:
        refused = "body holds more than it seems"
    assert refused.startswith("body holds more than")
