"""The module rand against Go's generator: recorded numbers, a second implementation, the tables."""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import strategies as st
from library import Library, TengoError, given

LENGTH, TAP = 607, 273
WORD = (1 << 64) - 1
INT31 = (1 << 31) - 1
STEPS = 7_800_000_000_000  # what Go's generator had run when its state became the table

rand = Library("rand")
TABLE = [rand.T[b"rand_table"][i] & WORD for i in range(1, LENGTH + 1)]


def follow(x: int) -> int:
    return x * 48271 % INT31


def seeds(seed: int, first: int, second: int) -> list[int]:
    """The words that a seed makes, before the table is mixed in."""
    x = seed % INT31 or 89482311
    words = []
    for _ in range(20):
        x = follow(x)
    for _ in range(LENGTH):
        x = follow(x)
        y = follow(x)
        z = follow(y)
        words.append((x << first ^ y << second ^ z) & WORD)
        x = z
    return words


class Go:
    """Go's rngSource, as its documentation describes it."""

    def __init__(self, seed: int) -> None:
        self.words = [w ^ t for w, t in zip(seeds(seed, 40, 20), TABLE, strict=True)]
        self.tap, self.feed = 0, LENGTH - TAP

    def int63(self) -> int:
        self.tap = (self.tap - 1) % LENGTH
        self.feed = (self.feed - 1) % LENGTH
        x = (self.words[self.feed] + self.words[self.tap]) & WORD
        self.words[self.feed] = x
        return x & (WORD >> 1)


def made(seed: int) -> Callable[..., Any]:
    """An object of rand.rand(seed), as a function of the name of a method and its arguments."""
    methods = rand.rand(seed)
    return lambda name, *arguments: rand.call(methods[name.encode()], *arguments)


def elements(array: Any) -> list[Any]:
    return [array[2][array[3] + i] for i in range(array[4])]


def test_recorded_numbers() -> None:
    """What the real VM gave for seed 9191, and Go's well-known first numbers of seed 1."""
    r = made(9191)
    assert r("int") == 7975121360587371943
    assert r("float") == 0.36007474661720695
    assert r("intn", 111) == 16
    assert r("exp_float") == 0.1302433309147427
    assert r("norm_float") == -1.8434500869607462
    assert elements(r("perm", 10)) == [4, 2, 8, 6, 0, 1, 3, 7, 9, 5]
    r = made(1)
    assert [r("int") for _ in range(3)] == [
        5577006791947779410,
        8674665223082153551,
        6129484611666145821,
    ]


def test_table_by_jumping_ahead() -> None:
    """x^STEPS modulo x^607 - x^334 - 1 gives the state after that many steps."""
    width = 20  # bytes of a coefficient in the big integers: 64 + 64 + 10 bits fit

    def reduced(c: list[int]) -> list[int]:
        for i in range(len(c) - 1, LENGTH - 1, -1):
            c[i - LENGTH] = (c[i - LENGTH] + c[i]) & WORD
            c[i - TAP] = (c[i - TAP] + c[i]) & WORD
        return c[:LENGTH]

    power = [1] + [0] * (LENGTH - 1)
    for bit in f"{STEPS:b}":
        packed = int.from_bytes(b"".join(c.to_bytes(width, "little") for c in power), "little")
        raw = (packed * packed).to_bytes(width * 2 * LENGTH, "little")
        square = [
            int.from_bytes(raw[i * width : i * width + 8], "little") for i in range(2 * LENGTH - 1)
        ]
        power = reduced(square)
        if bit == "1":
            power = reduced([0, *power])

    start = seeds(1, 20, 10)
    sequence = [start[(LENGTH - TAP - 1 - n) % LENGTH] for n in range(LENGTH)]
    for i in range(LENGTH, 2 * LENGTH):
        sequence.append((sequence[i - LENGTH] + sequence[i - TAP]) & WORD)
    state = [0] * LENGTH
    for i in range(LENGTH):
        word = sum(c * sequence[i + j] for j, c in enumerate(power)) & WORD
        state[(LENGTH - TAP - 1 - STEPS - i) % LENGTH] = word
    assert state == TABLE


def single(x: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", x))[0])


@pytest.mark.parametrize(
    ("kind", "strips", "edge", "area", "scale", "density", "inverse"),
    [
        (
            *("n", 128, "3.442619855899", "9.91256303526217e-3", 1 << 31),
            lambda x: (x * x / -2).exp(),
            lambda y: (-2 * y.ln()).sqrt(),
        ),
        (
            *("e", 256, "7.69711747013104972", "3.949659822581572e-3", 1 << 32),
            lambda x: (-x).exp(),
            lambda y: -y.ln(),
        ),
    ],
    ids=["normal", "exponential"],
)
def test_ziggurats(
    kind: str,
    strips: int,
    edge: str,
    area: str,
    scale: int,
    density: Callable[[Decimal], Decimal],
    inverse: Callable[[Decimal], Decimal],
) -> None:
    """The same tables with 40 digits: no entry is so close to a border that doubles matter."""
    tables = rand.T[b"random"][b"tables"]
    limits, widths, heights = (tables[f"{part}{kind}".encode()] for part in "kwf")
    with localcontext() as context:
        context.prec = 40
        x = previous = Decimal(edge)
        size = Decimal(area)
        base = size / density(x)
        last = strips - 1
        assert limits[0] == int(x / base * scale)
        assert limits[1] == 0
        assert (widths[0], widths[last]) == (single(float(base / scale)), single(float(x / scale)))
        assert (heights[0], heights[last]) == (1.0, single(float(density(x))))
        for i in range(last - 1, 0, -1):
            x = inverse(size / x + density(x))
            assert limits[i + 1] == int(x / previous * scale)
            previous = x
            assert heights[i] == single(float(density(x)))
            assert widths[i] == single(float(x / scale))
    # Some numbers of Go's files.
    if kind == "n":
        assert [limits[i] for i in (0, 2, 120, 127)] == [
            *(0x76AD2212, 0x600F1B53, 0x7DA61A1E, 0x77D664E5)
        ]
    else:
        assert [limits[i] for i in (0, 2, 254, 255)] == [
            *(0xE290A139, 0x9BEADEBC, 0xEEEFB15D, 0xE6DA6ECF)
        ]


@given(st.integers(-(1 << 63), (1 << 63) - 1), max_examples=30)
def test_any_seed(seed: int) -> None:
    r, go = made(seed), Go(seed)
    assert [r("int") for _ in range(700)] == [go.int63() for _ in range(700)]


@given(st.integers(1, (1 << 63) - 1), max_examples=50)
def test_intn(limit: int) -> None:
    r, go = made(limit), Go(limit)
    for _ in range(20):
        highest = (1 << 63) - 1 - (1 << 63) % limit
        x = go.int63()
        while x > highest and limit & (limit - 1):
            x = go.int63()
        assert r("intn", limit) == x % limit


@pytest.mark.parametrize("limit", [0, -1, -(1 << 63)])
def test_intn_without_a_range(limit: int) -> None:
    with pytest.raises(TengoError, match=r"^invalid argument to Int63n$"):
        rand.intn(limit)


def test_read_cuts_numbers_into_seven_bytes_and_goes_on() -> None:
    go = Go(5)
    expected = b"".join((go.int63() & (1 << 56) - 1).to_bytes(7, "little") for _ in range(10))
    r, got = made(5), b""
    for count in (0, 1, 5, 1, 7, 13, 30):
        value = rand.T[b"bytes"](b"x" * count)
        assert r("read", value) == count
        got += value[2]
    assert got == expected[: len(got)]
    assert len(got) == 57


def test_seed_starts_again() -> None:
    r = made(3)
    first = [r("int") for _ in range(5)]
    r("read", rand.T[b"bytes"](b"123"))
    r("seed", 3)
    assert [r("int") for _ in range(5)] == first
    rand.seed(3)
    assert [rand.int() for _ in range(5)] == first


def test_objects_do_not_share_their_state() -> None:
    a, b = made(1), made(1)
    assert [a("int") for _ in range(3)] == [b("int") for _ in range(3)]


def test_without_a_seed_numbers_differ() -> None:
    rand.T[b"fresh_random"]()
    first = [rand.int() for _ in range(3)]
    rand.T[b"fresh_random"]()
    assert [rand.int() for _ in range(3)] != first


@given(st.integers(0, 200), max_examples=20)
def test_perm(count: int) -> None:
    found = rand.perm(count)
    assert sorted(elements(found)) == list(range(count))


def test_perm_of_nothing_sensible() -> None:
    with pytest.raises(TengoError, match="makeslice: len out of range"):
        rand.perm(-1)


def test_distributions() -> None:
    """Mean and variance of 20,000 numbers, which pass through every branch of the ziggurats."""
    r = made(77)
    normal = [r("norm_float") for _ in range(20000)]
    exponential = [r("exp_float") for _ in range(20000)]
    uniform = [r("float") for _ in range(20000)]
    assert abs(sum(normal) / 20000) < 0.03
    assert abs(sum(x * x for x in normal) / 20000 - 1) < 0.05
    assert max(map(abs, normal)) > 3.442619855899
    assert abs(sum(exponential) / 20000 - 1) < 0.03
    assert max(exponential) > 7.69711747013104972
    assert all(0 <= x < 1 for x in uniform)
    assert abs(sum(uniform) / 20000 - 0.5) < 0.01


def test_wrong_arguments() -> None:
    with pytest.raises(TengoError, match=r"^wrong number of .* call to 'user-function:'$"):
        rand.int(1)
    with pytest.raises(TengoError, match=r"'first' in call to 'user-function:': expected int\(c"):
        rand.intn("x")
    with pytest.raises(TengoError, match=r"expected bytes, found string$"):
        rand.read("x")
    r = made(1)
    with pytest.raises(TengoError, match=r"in call to 'user-function:intn': .*, found undefined$"):
        r("intn", None)
    with pytest.raises(TengoError, match="arguments in call to 'user-function:float'"):
        r("float", 1)


def test_names() -> None:
    own = {"int", "float", "intn", "exp_float", "norm_float", "perm", "seed", "read"}
    assert rand.names() == own | {"rand"}
    assert {name.decode() for name in rand.rand(1) if isinstance(name, bytes)} == own
