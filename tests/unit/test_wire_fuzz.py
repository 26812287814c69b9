"""The wire against streams that nobody meant: changed sessions and random bytes, cut anywhere.

Whatever arrives, a connection gives frames or raises `ProtocolError`, once and for all; it never
hangs and never holds more than a frame and a read.  The seeds are fixed, so that a failure can be
repeated.  It runs for some seconds; set SANDBOX_FUZZ_SECONDS for longer.
"""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.errors import ProtocolError
from sandbox.limits import MAX_OUTPUT
from sandbox.values import Char, GuestError, GuestFunction, HostFunction, Stanza
from sandbox.wire.codec import encode
from sandbox.wire.connection import Connection, Role
from sandbox.wire.frames import VERSION, Frame, Kind
from sandbox.wire.framing import HEADER, MAX_FRAME, MAX_FROM_ENGINE, frame, most_from_worker
from sandbox.wire.state import State

SECONDS = float(os.environ.get("SANDBOX_FUZZ_SECONDS", "6"))
SLOWEST = 2.0
"""Processor seconds that one piece of input may cost: far from what it does, near to a hang."""
READ = 65_536

Step = tuple[str, bytes | tuple[Any, ...]]
"""`("take", bytes)` comes from the other side, `("send", frame)` is ours."""


def some_value(rng: random.Random, depth: int = 0) -> Any:
    """A value of any kind that crosses."""
    kinds = 14 if depth < 3 else 9
    match rng.randrange(kinds):
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2:
            return rng.choice([0, -1, 2**63 - 1, -(2**63), rng.getrandbits(40)])
        case 3:
            return rng.choice([0.0, float("nan"), float("inf"), rng.random()])
        case 4:
            return "".join(rng.choice("aä字\U0001f600\0") for _ in range(rng.randrange(9)))
        case 5:
            return rng.randbytes(rng.randrange(40))
        case 6:
            return Char(rng.getrandbits(20))
        case 7:
            return GuestFunction(rng.getrandbits(32))
        case 8:
            return HostFunction(1)
        case 9 | 10:
            return [some_value(rng, depth + 1) for _ in range(rng.randrange(5))]
        case 11 | 12:
            return {f"k{n}": some_value(rng, depth + 1) for n in range(rng.randrange(5))}
        case _:
            inner = Stanza("b", {"c": "d"}, ["e"])
            return rng.choice([GuestError(some_value(rng, depth + 1)), Stanza("a", {}, [inner])])


def body(fields: Frame) -> bytes:
    """A frame's bytes, length included."""
    return frame(encode([int(fields[0]), *fields[1:]]))


def session(rng: random.Random, role: Role) -> Iterator[Step]:
    """A legal session as `role` sees it: what it takes, and what it sends itself."""
    comes_from_worker = role is Role.ENGINE

    def step(from_worker: bool, kind: Kind, *fields: Any) -> Step:
        if from_worker is comes_from_worker:
            return ("take", body([kind, *fields]))
        return ("send", (kind, *fields))

    yield step(True, Kind.HELLO, VERSION, rng.getrandbits(15))
    for _ in range(rng.randrange(1, 5)):
        calls = [rng.getrandbits(32) for _ in range(rng.randrange(1, 4))]
        for call in calls:
            yield step(False, Kind.CALL, call, "operation", [some_value(rng)])
        for call in calls:
            yield from _run(rng, step, call, 0)
        if rng.random() < 0.3:
            yield step(rng.random() < 0.5, Kind.NOTE, "topic", [some_value(rng)])
    if rng.random() < 0.3:
        yield step(False, Kind.BYE)


def _run(rng: random.Random, step: Any, call: int, depth: int) -> Iterator[Step]:
    """What happens while a call runs, and its end."""
    for _ in range(rng.randrange(3)):
        asked = rng.getrandbits(32)
        yield step(True, Kind.HOST_CALL, asked, "a.b", [some_value(rng)])
        if depth < 3 and rng.random() < 0.4:
            nested = rng.getrandbits(32)
            yield step(False, Kind.NEST, nested, "operation", [])
            yield from _run(rng, step, nested, depth + 1)
        if rng.random() < 0.5:
            yield step(False, Kind.HOST_RETURN, asked, some_value(rng))
        else:
            yield step(False, Kind.HOST_RAISE, asked, {"message": "no"})
    if rng.random() < 0.7:
        yield step(True, Kind.RETURN, call, some_value(rng))
    else:
        yield step(True, Kind.RAISE, call, {"message": "oh", "x": some_value(rng)})


INTERESTING = [
    b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x00\x10\x00\x01", b"\x00\x10\x00\x00", b"\xc1",
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xcf" * 9,
    b"\xd6\xff\x00\x00\x00\x01", b"\x91" * 70, b"\x81\xa1a" * 70, b"\xd4\x05" * 20, b"\xc7\x00\x06",
    b"\x93\x03\x01\xc0", b"\xcb\x7f\xf8\0\0\0\0\0\0", b"\xa3\xed\xa0\x80",
]  # fmt: skip


def changed(rng: random.Random, data: bytes) -> bytes:
    """`data` with some mutations."""
    found = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(found) + 1)
        end = min(place + rng.randrange(1, 12), len(found))
        match rng.randrange(8):
            case 0 if place < len(found):
                found[place] ^= 1 << rng.randrange(8)
            case 1 if place < len(found):
                found[place] = rng.randrange(256)
            case 2:
                del found[place:end]
            case 3:
                found[place:place] = found[place:end]
            case 4:
                found[place:place] = rng.choice(INTERESTING)
            case 5:
                found[place:end] = rng.choice(INTERESTING)
            case 6:
                found[place:place] = rng.randbytes(rng.randrange(1, 30))
            case _:
                del found[place:]
    return bytes(found)


def reframed(rng: random.Random, data: bytes) -> bytes:
    """`data`, one frame, with a changed body and a true length, which gets past the framing."""
    inside = changed(rng, data[HEADER:])[:MAX_FRAME] or b"\xc0"
    return frame(inside)


def pieces(rng: random.Random, data: bytes) -> Iterator[bytes]:
    """`data` cut at random places, at most a read long."""
    largest = rng.choice([1, 3, 50, READ])
    place = 0
    while place < len(data):
        size = rng.randrange(1, largest + 1)
        yield data[place : place + size]
        place += size


class Fed:
    """A connection that is fed, with all its promises checked."""

    def __init__(self, role: Role, from_worker: int = MAX_FRAME) -> None:
        self.connection = Connection(role, from_worker, resolve=self.resolve)
        self.most = from_worker if role is Role.ENGINE else MAX_FROM_ENGINE
        self.frames = 0
        self.refused = False
        self.refusals: list[str] = []

    @staticmethod
    def resolve(function: HostFunction | GuestFunction) -> Any:
        """As the engine: some handles are known, others are a lie."""
        if isinstance(function, HostFunction) and function.handle > 3:
            raise ProtocolError("no such function")
        return function

    def take(self, data: bytes) -> None:
        """Receive a piece."""
        start = time.process_time()
        try:
            got = self.connection.receive(data)
        except ProtocolError as error:
            self.refused = True
            self.refusals.append(str(error))
        else:
            assert not self.refused, "it took bytes after it had refused some"
            assert all(type(one) is list and one for one in got)
            self.frames += len(got)
            assert len(self.connection._buffer) <= self.most + HEADER + READ
        assert time.process_time() - start < SLOWEST
        assert self.refused is (self.connection.state is State.CLOSED) or not self.refusals
        assert all(len(text) < 500 for text in self.refusals[-1:])

    def send(self, kind: Kind, *fields: Any) -> None:
        """Send our own side's frame; after a lie it may be illegal."""
        try:
            self.connection.send(kind, *fields)
        except ProtocolError:
            self.refused = self.refused or self.connection.state is State.CLOSED


def feed(rng: random.Random, role: Role, mutate: float) -> Fed:
    """One session, changed here and there."""
    fed = Fed(role)
    for what, content in session(rng, role):
        if isinstance(content, tuple):
            fed.send(*content)
            continue
        assert what == "take"
        data = content
        if rng.random() < mutate:
            data = changed(rng, data) if rng.random() < 0.5 else reframed(rng, data)
        for piece in pieces(rng, data):
            fed.take(piece)
    return fed


@pytest.mark.parametrize("role", Role)
def test_legal_sessions_pass_however_they_are_cut(role: Role) -> None:
    """Without this the other tests could pass by refusing everything."""
    frames = 0
    for seed in range(150):
        fed = feed(random.Random(seed), role, 0.0)
        assert not fed.refused
        frames += fed.frames
    assert frames > 500


@pytest.mark.parametrize("role", Role)
def test_changed_sessions(role: Role) -> None:
    until = time.monotonic() + SECONDS / 4
    refused = seed = 0
    while seed < 50 or time.monotonic() < until:
        seed += 1
        refused += feed(random.Random(seed), role, 0.3).refused
    assert refused > seed / 4


@pytest.mark.parametrize("role", Role)
def test_random_bytes(role: Role) -> None:
    """Bytes alone, and bytes in frames with true lengths, in every state that can be had."""
    until = time.monotonic() + SECONDS / 4
    seed = 0
    while seed < 50 or time.monotonic() < until:
        seed += 1
        rng = random.Random(seed)
        fed = Fed(role)
        if rng.random() < 0.8:
            steps = list(session(rng, role))
            for _, content in steps[: rng.randrange(len(steps))]:
                if isinstance(content, tuple):
                    fed.send(*content)
                else:
                    fed.take(content)
        for _ in range(rng.randrange(1, 5)):
            noise = rng.randbytes(rng.randrange(1, 300))
            if rng.random() < 0.7:
                # A list that begins with a kind gets furthest.
                noise = frame(bytes([0x90 + rng.randrange(5), rng.randrange(10)]) + noise)
            for piece in pieces(rng, noise):
                fed.take(piece)


@pytest.mark.parametrize("output", [0, MAX_OUTPUT])
def test_memory_stays_bounded(output: int) -> None:
    """Floods of large and half frames: what an engine's connection holds, and what is left of it.

    A worker's takes as much as the largest frame of an engine, which it trusts.
    """
    most = most_from_worker(output)
    rng = random.Random(3)
    tracemalloc.start()
    try:
        for number in range(20):
            fed = Fed(Role.ENGINE, most)
            size = rng.choice([most, most + 1, 2**31, 1000])
            flood = size.to_bytes(HEADER, "big") + rng.randbytes(READ)
            for _ in range(512):
                fed.take(flood[:READ] if number % 2 else rng.choice([b"\x80" * READ, flood]))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * most
    assert held < 2 * most


def test_a_frame_that_comes_byte_by_byte_costs_no_square() -> None:
    data = frame(encode([int(Kind.NOTE), "a", [b"x" * 200_000]]))
    fed = Fed(Role.ENGINE)
    fed.take(body([Kind.HELLO, VERSION, 1]))
    start = time.process_time()
    for number in range(len(data)):
        fed.connection.receive(data[number : number + 1])
    assert time.process_time() - start < 5
    assert fed.connection.state is State.IDLE
    assert len(fed.connection._buffer) == 0
