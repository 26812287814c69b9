"""The worst frame that a worker can send: what it costs the engine to decode it, or refuse it.

A frame is at most 1 MiB, or 15 MiB and a little where the operator raised the limit of output that
far.  Whatever is in it, taking it may cost less than 100 MiB of memory and less than 100 ms of
processor time, and must not end the process.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import msgpack
import pytest
from decode_cost import Cost, costs

from sandbox.limits import MAX_OUTPUT
from sandbox.values import MAX_CONTAINERS, MAX_ENTRIES
from sandbox.wire.framing import MAX_FRAME, most_from_worker

ERROR, STANZA = 5, 6


def array(count: int) -> bytes:
    """The header of a list."""
    return b"\xdd" + count.to_bytes(4, "big")


def mapping(count: int) -> bytes:
    """The header of a map."""
    return b"\xdf" + count.to_bytes(4, "big")


def extension(code: int, data: bytes) -> bytes:
    """One extension, with the longest header, so that its size is easy to foretell."""
    return b"\xc9" + len(data).to_bytes(4, "big") + bytes([code % 256]) + data


def filled(items: Iterator[bytes] | bytes, room: int = MAX_FRAME) -> bytes:
    """A list of lists with as many of `items` (or repetitions of one) as a frame can hold."""
    lists: list[bytes] = []
    left = room - 10
    while left > 5:
        if isinstance(items, bytes):
            current = [items * min(MAX_ENTRIES, (left - 5) // len(items))]
            count = len(current[0]) // len(items)
        else:
            current = list(islice(items, min(MAX_ENTRIES, left // 16)))
            count = len(current)
        lists.append(array(count) + b"".join(current))
        left -= len(lists[-1])
        if count < MAX_ENTRIES:
            break
    return array(len(lists)) + b"".join(lists)


def packed(value: object) -> bytes:
    """A value as msgpack."""
    data: bytes = msgpack.packb(value)
    return data


def distinct(template: Callable[[int], object]) -> Iterator[bytes]:
    """Endless values, each different."""
    number = 0
    while True:
        yield packed(template(number))
        number += 1


def nested(levels: int, inner: bytes, wrap: Callable[[bytes], bytes]) -> bytes:
    """`inner` wrapped `levels` times."""
    for _ in range(levels):
        inner = wrap(inner)
    return inner


def error(data: bytes) -> bytes:
    """An error extension around a value."""
    return extension(ERROR, data)


def stanza(*children: bytes, attr: bytes = b"\x80") -> bytes:
    """A stanza extension."""
    return extension(STANZA, b"\x93\xa1a" + attr + array(len(children)) + b"".join(children))


def stanza_around(child: bytes) -> bytes:
    """A stanza with one child."""
    return stanza(child)


def just_allowed(item: bytes) -> bytes:
    """As many of `item` as the cap on containers lets through: the worst that is taken."""
    return array(MAX_CONTAINERS - 1) + item * (MAX_CONTAINERS - 1)


def bodies(room: int) -> dict[str, bytes]:
    """What a sender may think of, none longer than `room`."""
    long = (room - 8192).to_bytes(4, "big")
    blob = b"\xc6" + long + bytes(room - 8192)
    long_text = b"\xdb" + long + b"a" * (room - 8192)
    fill = partial(filled, room=room)
    nearly_full = array(MAX_ENTRIES) + b"\xa2\xc4\x80" * (MAX_ENTRIES - 1)
    return {
        "empty maps": fill(b"\x80"),
        "empty lists": fill(b"\x90"),
        "one-entry maps": fill(b"\x81\xa0\xc0"),
        "one-entry lists": fill(b"\x91\xc0"),
        "maps with long headers": fill(b"\xde\x00\x00"),
        "lists with the longest headers": fill(b"\xdd\x00\x00\x00\x00"),
        "maps with distinct keys": fill(distinct(lambda n: {f"{n:x}": 0})),
        "allowed: empty maps": just_allowed(b"\x80"),
        "allowed: empty lists": just_allowed(b"\x90"),
        "allowed: one-entry maps": just_allowed(b"\x81\xa0\xc0"),
        "allowed: maps of three": just_allowed(packed({"a": 0, "b": 0, "c": 0})),
        "lists of fifteen": fill(b"\x9f" + bytes(15)),
        "one wide map": mapping(MAX_ENTRIES // 4)
        + b"".join(packed(f"{n:x}") + b"\xc0" for n in range(MAX_ENTRIES // 4)),
        "one wide map, one key": mapping(MAX_ENTRIES // 4) + b"\xa0\xc0" * (MAX_ENTRIES // 4),
        "maps wide by their header only": mapping(2**32 - 1) + b"\xa0\xc0" * 1000,
        "lists long by their header only": array(2**32 - 1) + b"\xc0" * 1000,
        "lists long by an allowed header": fill(array(MAX_ENTRIES)),
        "maps wide by an allowed header": fill(mapping(MAX_ENTRIES // 4)),
        "chain of long headers": array(MAX_ENTRIES) * 1000,
        "chain of wide headers": (mapping(MAX_ENTRIES // 4) + b"\xa0") * 1000,
        "chain of lists": b"\x91" * (room - 1) + b"\xc0",
        "chain of maps": b"\x81\xa0" * (room // 2 - 1) + b"\xc0",
        "many chains of 60": fill(b"\x91" * 60 + b"\xc0"),
        "many chains of 1000": fill(b"\x91" * 1000 + b"\xc0"),
        "chains of maps of 60": fill(b"\x81\xa0" * 60 + b"\xc0"),
        "lists in lists, all nearly full": nearly_full * (room // len(nearly_full)),
        "nothing": fill(b"\xc0"),
        "integers": fill(b"\xcd\x7f\xff"),
        "long integers": fill(b"\xd3" + b"\x7f" * 8),
        "unsigned integers": fill(b"\xcf" + b"\xff" * 8),
        "floats": fill(b"\xca\x3f\x80\x00\x01"),
        "empty texts": fill(b"\xa0"),
        "one-letter texts": fill(b"\xa1a"),
        "texts beyond Latin-1": fill(b"\xa2\xc4\x80"),
        "texts beyond the base plane": fill(b"\xa4\xf0\x9f\x98\x80"),
        "one long text beyond the base plane": packed("a" * (room - 16) + "\U0001f600"),
        "texts with long headers": fill(b"\xdb\x00\x00\x00\x02\xc4\x80"),
        "short bytes": fill(b"\xc4\x02ab"),
        "one long bytes": blob,
        "characters": fill(extension(4, b"\x80" * 8)),
        "allowed: characters": array(4096) + extension(4, bytes(8)) * 4096,
        "functions": fill(b"\xd7\x03" + bytes(8)),
        "allowed: functions": array(4096) + (b"\xd7\x03" + bytes(8)) * 4096,
        "times": fill(b"\xc7\x0c\x01" + bytes(12)),
        "allowed: times": array(4096) + (b"\xc7\x0c\x01" + bytes(12)) * 4096,
        "timestamps of msgpack": fill(b"\xd6\xff" + bytes(4)),
        "long timestamps of msgpack": fill(b"\xd7\xff" + bytes(8)),
        "unknown extensions": fill(b"\xd4\x2a\x00"),
        "errors": fill(b"\xd4\x05\xc0"),
        "allowed: errors": array(4096) + b"\xd4\x05\xc0" * 4096,
        "errors of lists": fill(b"\xd5\x05\x91\xc0"),
        "stanzas": fill(stanza()),
        "allowed: stanzas": array(4000) + stanza() * 4000,
        "stanzas with texts": fill(stanza(*[b"\xa2\xc4\x80"] * 10)),
        "stanzas with attributes": fill(stanza(attr=b"\x82\xa1a\xa2\xc4\x80\xa1b\xa2\xc4\x80")),
        "one stanza with many children": stanza(*[b"\xa2\xc4\x80"] * (MAX_ENTRIES - 1)),
        "stanzas in a stanza": stanza(*[stanza()] * 8000),
        "one level of errors around a blob": error(blob),
        "blob in 60 errors": nested(60, blob, error),
        "text in 60 stanzas": nested(60, long_text, stanza_around),
        "blob and long headers in 60 errors": nested(
            60, b"\x92" + blob + array(MAX_ENTRIES) * 1000, error
        ),
        "blob in 90 errors": nested(90, blob, error),
        "blob in 150 errors": nested(150, blob, error),
        "blob in 400 errors": nested(400, blob, error),
        "chain of 100 errors": nested(100, b"\xc0", error),
        "chain of 200 errors": nested(200, b"\xc0", error),
        "chain of 400 errors": nested(400, b"\xc0", error),
        "chain of 5000 errors": nested(5000, b"\xc0", error),
        "chain of 200 stanzas": nested(200, stanza(), stanza_around),
        "chain of 2000 stanzas": nested(2000, stanza(), stanza_around),
        "chain of errors of lists": nested(300, b"\xc0", lambda data: error(b"\x91" + data)),
        "chain of errors with siblings": nested(
            60, b"\xc0", lambda data: error(b"\x92" + data + packed(["x"] * 200))
        ),
        "errors, each of many maps": fill(error(b"\xdc\x10\x00" + b"\x80" * 4096)),
        "chains of 60 errors, many": fill(nested(60, b"\xc0", error)),
        "mixed": fill(packed([{"a": []}, "ā", 70_000, 1.5, b"ab", {"b": {}}])),
        "garbage": random.Random(1).randbytes(room),
    }  # fmt: skip


LONGEST = most_from_worker(MAX_OUTPUT)
BODIES = bodies(MAX_FRAME) | {f"longest: {name}": body for name, body in bodies(LONGEST).items()}


def worst(given: dict[str, bytes]) -> dict[str, str]:
    """The bodies over the bar, each with what it did."""
    found: dict[str, Cost] = dict(zip(given, costs(list(given.values())), strict=True))
    return {
        name: f"{cost.outcome}, {cost.seconds * 1000:.0f} ms, {cost.mib:.0f} MiB"
        for name, cost in found.items()
        if cost.over
    }


@pytest.fixture(scope="module")
def measured() -> dict[str, Cost]:
    """Every body of the table, measured once."""
    return dict(zip(BODIES, costs(list(BODIES.values())), strict=True))


def test_every_body_fits_into_a_frame() -> None:
    for room in (MAX_FRAME, LONGEST):
        found = bodies(room)
        assert {name: len(body) for name, body in found.items() if len(body) > room} == {}
        # At least these must be as large as a frame can be, or the test would prove little.
        assert sum(len(body) > room * 0.9 for body in found.values()) > 30


@pytest.mark.parametrize("name", BODIES)
def test_worst_frame(name: str, measured: dict[str, Cost]) -> None:
    cost = measured[name]
    shown = f"{cost.outcome}, {cost.seconds * 1000:.0f} ms, {cost.mib:.0f} MiB"
    assert not cost.died, shown
    assert not cost.over, shown
    assert cost.outcome == "value" or cost.outcome.startswith("ProtocolError: "), shown


def test_what_is_called_allowed_is_taken(measured: dict[str, Cost]) -> None:
    refused = {
        name: cost.outcome
        for name, cost in measured.items()
        if "allowed: " in name and cost.outcome != "value"
    }
    assert refused == {}


def _random_item(random_: random.Random, depth: int = 0) -> bytes:
    """A small random value, often with more containers and extensions than data."""
    leaves = [
        b"\xc0", b"\x00", b"\xa0", b"\xa1a", b"\xa2\xc4\x80", b"\xca\x3f\x80\x00\x01",
        b"\xc4\x01a", b"\xd7\x03" + bytes(8), b"\xd7\x04" + bytes(8), b"\xcd\x7f\xff",
    ]  # fmt: skip
    if depth > 3 or random_.random() < 0.3:
        return random_.choice(leaves)
    count = random_.randrange(4)
    inner = [_random_item(random_, depth + 1) for _ in range(count)]
    match random_.randrange(4):
        case 0:
            return bytes([0x90 + count]) + b"".join(inner)
        case 1:
            keyed = [b"\xa1" + bytes([97 + n]) + item for n, item in enumerate(inner)]
            return bytes([0x80 + count]) + b"".join(keyed)
        case 2:
            return error(inner[0] if inner else b"\xc0")
        case _:
            return stanza(*(stanza() for _ in range(count)))


def test_random_patterns_repeated() -> None:
    """A search: small random values, each repeated until the frame is full."""
    random_ = random.Random(20_240_601)
    found = {}
    for number in range(60):
        item = _random_item(random_)
        found[item.hex()] = filled(item, LONGEST if number % 6 == 0 else MAX_FRAME)
    assert worst(found) == {}


def test_random_bytes_repeated() -> None:
    """As above with patterns that know nothing of msgpack, in a list that ends too early."""
    random_ = random.Random(7)
    found = {}
    openers = bytes([*range(0x80, 0xA0), *range(0xC0, 0xE0)])
    for number in range(60):
        pattern = bytes(
            random_.choice(openers) if random_.random() < 0.5 else random_.randrange(256)
            for _ in range(1 + number % 8)
        )
        room = LONGEST if number % 6 == 0 else MAX_FRAME
        body = array(MAX_ENTRIES) + pattern * (room // len(pattern) - 1)
        found[pattern.hex()] = body[:room]
    assert worst(found) == {}
