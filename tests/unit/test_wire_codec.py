"""The codec: what crosses comes back equal, and what cannot cross is refused by name.

Two promises.  The encoder raises `EncodeError`, which says what is wrong, for everything that the
decoder on the other side would refuse: a mistake of one side never kills the connection.  The
decoder raises `ProtocolError` and nothing else, whatever bytes it is given.
"""

from __future__ import annotations

import datetime
import enum
import math
import struct
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from decode_cost import costs
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import ProtocolError
from sandbox.values import (
    INT_MAX,
    INT_MIN,
    MAX_CONTAINERS,
    MAX_DEPTH,
    MAX_ENTRIES,
    Char,
    GuestError,
    GuestFunction,
    HostFunction,
    Stanza,
)
from sandbox.wire.codec import decode, encode
from sandbox.wire.extensions import EncodeError, exporting

UTC = datetime.UTC

# ---------------------------------------------------------------------- values

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
INTEGERS = st.one_of(
    st.integers(INT_MIN, INT_MAX),
    st.sampled_from([INT_MIN, INT_MAX, INT_MIN + 1, INT_MAX - 1, -1, 0, 1, 2**31, 2**32, -(2**31)]),
    st.sampled_from([1 << n for n in range(63)]),
)
ZONES = st.integers(-86_399, 86_399).map(
    lambda seconds: datetime.timezone(datetime.timedelta(seconds=seconds))
)
TIMES = st.datetimes(datetime.datetime(2, 1, 1), datetime.datetime(9998, 12, 31), timezones=ZONES)
STANZAS = st.recursive(
    st.builds(Stanza, TEXT, st.dictionaries(TEXT, TEXT, max_size=3)),
    lambda inner: st.builds(
        Stanza,
        TEXT,
        st.dictionaries(TEXT, TEXT, max_size=2),
        st.lists(st.one_of(TEXT, inner), max_size=3),
    ),
    max_leaves=6,
)
HANDLES = st.integers(0, 2**63 - 1)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    INTEGERS,
    st.floats(allow_nan=False),
    TEXT,
    st.binary(max_size=20),
    INTEGERS.map(Char),
    TIMES,
    HANDLES.map(HostFunction),
    HANDLES.map(GuestFunction),
    STANZAS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(TEXT, inner, max_size=5),
        inner.map(GuestError),
    ),
    max_leaves=20,
)


def same(one: object, other: object) -> bool:
    """Equal, and of the same types all the way down: 1, 1.0, True and Char(1) are not the same."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, GuestError) and isinstance(other, GuestError):
        return same(one.value, other.value)
    if isinstance(one, Stanza) and isinstance(other, Stanza):
        return (
            one.name == other.name
            and one.attr == other.attr
            and list(one.attr) == list(other.attr)
            and same(one.children, other.children)
        )
    if isinstance(one, datetime.datetime) and isinstance(other, datetime.datetime):
        return one == other and one.utcoffset() == other.utcoffset()
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack(">d", one) == struct.pack(">d", other)
    return one == other


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_round_trip(value: Any) -> None:
    assert same(decode(encode(value)), value)


@given(st.lists(VALUES, min_size=70, max_size=75))
@settings(max_examples=12, deadline=None)
def test_round_trip_of_large_bodies(values: list[Any]) -> None:
    """More containers than nesting could have: the decoder takes its careful way."""
    value = [[[item], {}] for item in values]
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    "value",
    [
        INT_MIN, INT_MAX, 0, -1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, -32, -33,
        -128, -129, -32_768, -32_769, True, False, None, 0.0, -0.0, 1e-310, math.inf, -math.inf,
        math.nan, "", "\0", "ā\U0001f600", "a" * 70_000, b"", b"\xff" * 70_000, [], {}, [[]],
        {"": {}}, Char(0), Char(0x10FFFF), Char(INT_MIN), GuestError(None),
        GuestError(GuestError([])), Stanza("", {}, []),
        Stanza("a", {"xmlns": "b"}, ["c", Stanza("d", {}, ["e"]), ""]), GuestFunction(0),
        HostFunction(2**64 - 1), GuestFunction(2**64 - 1), list(range(1000)),
        {str(n): n for n in range(1000)}, {str(n): 0 for n in range(30_000)},
        [0] * (MAX_ENTRIES - 10_000),
        [[]] * (MAX_CONTAINERS - 1), b"\x80" * 100_000, "\x7f" * 1000, b"\xcf" * 1000,
        datetime.datetime(1970, 1, 1, tzinfo=UTC), datetime.datetime.min.replace(tzinfo=UTC),
        datetime.datetime.max.replace(tzinfo=UTC),
        datetime.datetime(2024, 2, 29, 23, 59, 59, 999_999, datetime.timezone(
            datetime.timedelta(hours=-11, minutes=-30, seconds=-7))),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_edges_cross(value: Any) -> None:
    assert same(decode(encode(value)), value)


def test_what_crosses_as_something_simpler() -> None:
    class Colour(enum.IntEnum):
        RED = 3

    class Word(enum.StrEnum):
        YES = "yes"

    Pair = namedtuple("Pair", "a b")
    given_value = [
        (1, 2),
        Pair(1, "x"),
        OrderedDict(a=1),
        defaultdict(int, b=2),
        Colour.RED,
        Word.YES,
    ]
    expected = [[1, 2], [1, "x"], {"a": 1}, {"b": 2}, 3, "yes"]
    assert same(decode(encode(given_value)), expected)


def test_a_member_of_a_text_enumeration_is_its_value() -> None:
    class Word(str, enum.Enum):  # noqa: UP042 - the older way, which many servers use
        YES = "yes"

    assert decode(encode(Word.YES)) == "yes"


def test_a_time_without_a_zone_is_utc() -> None:
    found = decode(encode(datetime.datetime(2024, 1, 2, 3, 4, 5)))
    assert found == datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_functions_cross_as_handles() -> None:
    given_out: list[Callable[..., Any]] = []

    def export(function: Callable[..., Any]) -> int:
        given_out.append(function)
        return len(given_out)

    guest = GuestFunction(7)
    body = encode({"a": print, "b": [len, guest]}, exporting(export))
    assert given_out == [print, len]
    seen: list[object] = []

    def resolve(function: HostFunction | GuestFunction) -> object:
        seen.append(function)
        if isinstance(function, HostFunction):
            return given_out[function.handle - 1]
        return "bound"

    assert decode(body, resolve) == {"a": print, "b": [len, "bound"]}
    assert seen == [HostFunction(1), HostFunction(2), guest]
    assert decode(body) == {"a": HostFunction(1), "b": [HostFunction(2), guest]}


def test_functions_inside_errors_are_exported() -> None:
    """What a list may hold an error may hold."""
    body = encode([GuestError(GuestFunction(3))], exporting(lambda function: 1))
    assert decode(body, lambda function: "bound") == [GuestError("bound")]


def test_an_unknown_handle_is_the_resolvers_to_refuse() -> None:
    def resolve(function: HostFunction | GuestFunction) -> object:
        raise ProtocolError("no such function")

    with pytest.raises(ProtocolError, match="no such function"):
        decode(encode(HostFunction(1)), resolve)


# ---------------------------------------------------------------------- the encoder refuses


def deep(levels: int) -> Any:
    """Lists and maps, nested."""
    value: Any = []
    for level in range(levels - 1):
        value = [value] if level % 2 else {"a": value}
    return value


def deep_errors(levels: int) -> Any:
    """Errors, nested."""
    value: Any = None
    for _ in range(levels):
        value = GuestError(value)
    return value


def deep_stanzas(levels: int) -> Any:
    """Stanzas, nested."""
    value = Stanza("a")
    for _ in range(levels - 1):
        value = Stanza("a", {}, [value])
    return value


def deep_of(kind: Callable[[Any], Any], levels: int) -> Any:
    """Containers of a subclass, nested."""
    value = kind(None)
    for _ in range(levels - 1):
        value = kind(value)
    return value


def cycles() -> dict[str, Any]:
    """Values that contain themselves."""
    in_list: list[Any] = []
    in_list.append(in_list)
    in_map: dict[str, Any] = {}
    in_map["a"] = {"b": [in_map]}
    in_error: list[Any] = []
    in_error.append(GuestError(in_error))
    in_stanza = Stanza("a")
    in_stanza.children.append(in_stanza)
    in_subclass: OrderedDict[str, Any] = OrderedDict()
    in_subclass["a"] = in_subclass
    return {
        "list": in_list, "map": in_map, "error": in_error, "stanza": in_stanza,
        "subclass": in_subclass,
    }  # fmt: skip


@pytest.mark.parametrize("kind", cycles())
def test_a_cycle_is_refused(kind: str) -> None:
    with pytest.raises(EncodeError, match=r"deeper than 64 levels, or contains itself"):
        encode(cycles()[kind])


def test_errors_within_errors_are_capped() -> None:
    """Each level needs stack of the interpreter's own, so fewer are allowed than of lists."""
    assert same(decode(encode(deep_errors(16))), deep_errors(16))
    for levels in (17, 64, 100, 511, 900):
        with pytest.raises(EncodeError, match=r"deeper than|contains itself"):
            encode(deep_errors(levels))


@pytest.mark.parametrize("make", [deep, deep_stanzas])
def test_depth_is_capped(make: Callable[[int], Any]) -> None:
    assert same(decode(encode(make(MAX_DEPTH))), make(MAX_DEPTH))
    for levels in (MAX_DEPTH + 1, 100, 511, 512, 900):
        with pytest.raises(EncodeError, match=r"deeper than 64 levels"):
            encode(make(levels))


class ManyList(list[Any]):
    """A list of the embedder's own."""


class BadZone(datetime.tzinfo):
    """A zone that knows nothing, as the base class allows."""

    def utcoffset(self, dt: datetime.datetime | None) -> None:
        """See `datetime.tzinfo`."""

    def dst(self, dt: datetime.datetime | None) -> None:
        """See `datetime.tzinfo`."""

    def tzname(self, dt: datetime.datetime | None) -> None:
        """See `datetime.tzinfo`."""


def zone(hours: int) -> datetime.timezone:
    """A fixed zone."""
    return datetime.timezone(datetime.timedelta(hours=hours))


INTEGER = "integer beyond 64 bits"
KEYS = "key"
MANY = "more than|too many|at most"
REFUSED: dict[str, tuple[Any, str]] = {
    "2**63": (2**63, INTEGER),
    "2**64": (2**64, INTEGER),
    "2**64 - 1": (2**64 - 1, INTEGER),
    "-2**63 - 1": (INT_MIN - 1, INTEGER),
    "huge integer": (10**1000, INTEGER),
    "2**63 in a list": ([1, [2**63]], INTEGER),
    "2**63 in a map": ({"a": {"b": 2**63}}, INTEGER),
    "2**63 in a tuple": ((2**63,), INTEGER),
    "2**63 in an error": (GuestError([2**63]), INTEGER),
    "2**63 in a subclass of dict": (OrderedDict(a=2**63), INTEGER),
    "2**63 in a subclass of list": (ManyList([2**63]), INTEGER),
    "2**63 as a subclass of int": (enum.IntEnum("Big", {"A": 2**63}).A, INTEGER),  # type: ignore[attr-defined]
    "character beyond": (Char(2**63), INTEGER),
    "handle beyond": (HostFunction(2**64), INTEGER),
    "negative handle": (GuestFunction(-1), INTEGER),
    "lone surrogate": ("\ud800", "surrogates"),
    "lone surrogate in a key": ({"\udfff": 1}, "surrogates"),
    "lone surrogate in a stanza": (Stanza("\ud800"), "surrogates"),
    "object": (object(), "type object cannot cross"),
    "set": ({1}, "type set cannot cross"),
    "complex": (1j, "type complex cannot cross"),
    "date": (datetime.date(2024, 1, 1), "type date cannot cross"),
    "function": ([len], "cannot cross"),
    "class in a map": ({"a": {"b": int}}, "type type cannot cross"),
    "generator": ((n for n in [1]), "type generator cannot cross"),
    "exception": (ValueError("x"), "type ValueError cannot cross"),
    "foreign extension": (msgpack.ExtType(42, b""), "cannot cross"),
    "timestamp of msgpack": (msgpack.Timestamp(1), "cannot cross"),
    "number as a key": ({1: 2}, KEYS),
    "nothing as a key": ({"a": {None: 2}}, KEYS),
    "tuple as a key": ({(1,): 2}, KEYS),
    "NaN as a key": ({math.nan: 2}, KEYS),
    "true as a key": ({True: 2}, KEYS),
    "long list": ([0] * (MAX_ENTRIES + 1), MANY),
    "long tuple": ((0,) * (MAX_ENTRIES + 1), MANY),
    "wide map": ({str(n): 0 for n in range(MAX_ENTRIES // 4 + 1)}, MANY),
    "many containers": ([[]] * MAX_CONTAINERS, MANY),
    "many containers in stanzas": ([Stanza("a")] * (MAX_CONTAINERS + 1), MANY),
    "many characters": ([Char(1)] * 4097, MANY),
    "many times": ([datetime.datetime(2024, 1, 1, tzinfo=UTC)] * 4097, MANY),
    "deep subclasses": (deep_of(lambda value: OrderedDict(a=value), 65), "deeper than 64"),
    "deep lists of a subclass": (deep_of(lambda value: ManyList([value]), 65), "deeper than 64"),
    "stanza with a number as attribute": (Stanza("a", {"b": 1}), "stanza"),  # type: ignore[dict-item]
    "stanza with a number as child": (Stanza("a", {}, [1]), "stanza"),  # type: ignore[list-item]
    "stanza with a number as name": (Stanza(1), "stanza"),  # type: ignore[arg-type]
    "time after all times": (datetime.datetime.max.replace(tzinfo=zone(-1)), "time"),
    "time before all times": (datetime.datetime.min.replace(tzinfo=zone(1)), "time"),
    "time in a zone that knows nothing": (datetime.datetime(2024, 1, 1, tzinfo=BadZone()), "time"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_encoder_refuses(name: str) -> None:
    """An `EncodeError` that says what is wrong: never an error of another class, and never a body
    that the other side would take for an attack."""
    value, says = REFUSED[name]
    with pytest.raises(EncodeError, match=says):
        encode(value)


# ---------------------------------------------------------------------- the decoder refuses


def lying(header: bytes) -> bytes:
    """A header that promises more than follows."""
    return header + b"\xc0" * 5


def chain(count: int, code: int) -> bytes:
    """Extensions of `code` within each other."""
    body = b"\xc0"
    for _ in range(count):
        body = b"\xc9" + len(body).to_bytes(4, "big") + bytes([code]) + body
    return body


def special(code: int, data: bytes) -> bytes:
    """One extension."""
    packed: bytes = msgpack.packb(msgpack.ExtType(code, data))
    return packed


NAN = b"\xcb\x7f\xf8\0\0\0\0\0\0"
MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "trailing bytes": b"\x93\x01\x02\x03\xc0\xc0",
    "two values": b"\x01\x02",
    "reserved byte": b"\x93\x01\xc1\x02",
    "reserved byte alone": b"\xc1",
    "garbage": bytes((i * 37 + 11) % 256 for i in range(5000)),
    "list cut short": b"\x93\x01\x02",
    "map cut short": b"\x82\xa1a\x01",
    "text cut short": b"\xa5abc",
    "extension cut short": b"\xc7\x08\x04\x00",
    "float cut short": b"\xcb\x00",
    "list16 lies": lying(b"\xdc\xff\xff"),
    "list32 lies": lying(b"\xdd\xff\xff\xff\xff"),
    "map16 lies": lying(b"\xde\xff\xff"),
    "map32 lies": lying(b"\xdf\xff\xff\xff\xff"),
    "text8 lies": lying(b"\xd9\xff"),
    "text32 lies": lying(b"\xdb\xff\xff\xff\xff"),
    "bytes32 lies": lying(b"\xc6\xff\xff\xff\xff"),
    "extension32 lies": lying(b"\xc9\xff\xff\xff\xff\x04"),
    "list over the cap": b"\xdd" + (MAX_ENTRIES + 1).to_bytes(4, "big") + bytes(MAX_ENTRIES + 1),
    "map over the cap": b"\xdf" + (MAX_ENTRIES // 4 + 1).to_bytes(4, "big")
    + b"".join(msgpack.packb(str(n)) + b"\0" for n in range(MAX_ENTRIES // 4 + 1)),
    "lists 65 deep": b"\x91" * 65 + b"\xc0",
    "maps 65 deep": b"\x81\xa1a" * 65 + b"\xc0",
    "lists 1000 deep": b"\x91" * 1000 + b"\xc0",
    "lists 200,000 deep": b"\x91" * 200_000 + b"\xc0",
    "errors 65 deep": chain(65, 5),
    "too many containers": b"\xdd\x00\x01\x00\x00" + b"\x80" * 65_536,
    "too many extensions": b"\xdc\x10\x01" + b"\xd4\x05\xc0" * 4097,
    "extension of no known type": special(42, b"payload"),
    "extension of type 0": special(0, b"12345678"),
    "timestamp of 32 bits": b"\xd6\xff\x00\x00\x00\x01",
    "timestamp of 64 bits": b"\xd7\xff" + bytes(8),
    "timestamp of 96 bits": b"\xc7\x0c\xff" + b"\xff" * 12,
    "timestamp in a list": b"\x91\xd6\xff\x00\x00\x00\x01",
    "negative extension": b"\xd4\x80\x00",
    "handle of 7 bytes": special(2, bytes(7)),
    "handle of 9 bytes": special(3, bytes(9)),
    "character of 4 bytes": special(4, bytes(4)),
    "time of 8 bytes": special(1, bytes(8)),
    "time beyond all times": special(1, b"\x7f" + b"\xff" * 7 + bytes(4)),
    "time before all times": special(1, b"\x80" + bytes(7) + bytes(4)),
    "zone of a day": special(1, bytes(8) + (86_400).to_bytes(4, "big")),
    "zone beyond all zones": special(1, bytes(8) + b"\x7f\xff\xff\xff"),
    "zone that leaves all times": special(
        1, (253_402_300_799_999_999).to_bytes(8, "big") + (3600).to_bytes(4, "big")
    ),
    "error without a value": special(5, b""),
    "error with trailing bytes": special(5, b"\x01\x02"),
    "error with a malformed value": special(5, b"\xc1"),
    "error with a long integer": special(5, b"\xcf" + b"\xff" * 8),
    "error with a bad key": special(5, b"\x81\x01\x02"),
    "stanza of nothing": special(6, b""),
    "stanza of a number": special(6, b"\x01"),
    "stanza of two parts": special(6, b"\x92\xa1a\x80"),
    "stanza of four parts": special(6, b"\x94\xa1a\x80\x90\xc0"),
    "stanza with a number as name": special(6, b"\x93\x01\x80\x90"),
    "stanza with bytes as name": special(6, b"\x93\xc4\x01a\x80\x90"),
    "stanza with a list as attributes": special(6, b"\x93\xa1a\x90\x90"),
    "stanza with a number as attribute": special(6, b"\x93\xa1a\x81\xa1b\x01\x90"),
    "stanza with bytes as attribute": special(6, b"\x93\xa1a\x81\xa1b\xc4\x01b\x90"),
    "stanza with bytes as key": special(6, b"\x93\xa1a\x81\xc4\x01b\xa1b\x90"),
    "stanza with a map as children": special(6, b"\x93\xa1a\x80\x80"),
    "stanza with a number as child": special(6, b"\x93\xa1a\x80\x91\x01"),
    "stanza with an error as child": special(6, b"\x93\xa1a\x80\x91" + special(5, b"\xc0")),
    "number as key": b"\x81\x01\x02",
    "nothing as key": b"\x81\xc0\x02",
    "true as key": b"\x81\xc3\x02",
    "list as key": b"\x81\x91\x01\x02",
    "map as key": b"\x81\x80\x02",
    "NaN as key": b"\x82" + NAN + b"\x01" + NAN + b"\x02",
    "extension as key": b"\x81" + special(4, bytes(8)) + b"\x01",
    "number as key, deep": b"\x91\x81\xa1a\x81\x01\x02",
    "text that is not UTF-8": b"\xa6\xff\xfe\xed\xa0\x80\xc0",
    "surrogate in UTF-8": b"\xa3\xed\xa0\x80",
    "overlong UTF-8": b"\xa2\xc0\x80",
    "key that is not UTF-8": b"\x81\xa1\xff\x01",
    "2**63": b"\xcf\x80" + bytes(7),
    "2**64 - 1": b"\xcf" + b"\xff" * 8,
    "2**63 in a list": b"\x91\x91\xcf\x80" + bytes(7),
    "2**63 in a map": b"\x81\xa1a\x81\xa1b\xcf\x80" + bytes(7),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_the_decoder_refuses(name: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(MALFORMED[name])
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", MALFORMED)
def test_the_decoder_refuses_within_a_large_body(name: str) -> None:
    """The same with so many containers around that the decoder takes its careful way."""
    around = b"\xdc\x00\x65" + b"\x90" * 100
    with pytest.raises(ProtocolError):
        decode(around + MALFORMED[name])


@pytest.mark.parametrize("code", [5, 6])
@pytest.mark.parametrize("levels", [100, 200, 300, 500, 1000, 5000])
def test_extensions_within_extensions_do_not_end_the_process(code: int, levels: int) -> None:
    """Decoded in a child, because the interpreter's own stack is at stake."""
    (cost,) = costs([chain(levels, code)])
    assert cost.outcome.startswith("ProtocolError: ")


def test_numbers_of_64_bits_written_as_unsigned_are_taken() -> None:
    assert decode(b"\xcf\x7f" + b"\xff" * 7) == INT_MAX
    assert decode(b"\xcf" + bytes(8)) == 0


def test_the_last_of_equal_keys_counts() -> None:
    assert decode(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}


@given(st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_random_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except ProtocolError:
        return


@given(VALUES, st.data())
@settings(max_examples=200, deadline=None)
def test_a_cut_body_is_refused(value: Any, data: st.DataObject) -> None:
    body = encode(value)
    end = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ProtocolError):
        decode(body[:end])


@given(VALUES, st.binary(min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_a_body_with_more_behind_it_is_refused(value: Any, more: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(encode(value) + more)


@given(VALUES, st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_decoded_can_be_encoded(value: Any, data: st.DataObject) -> None:
    """Of a changed body the decoder gives nothing that the encoder would refuse to send on."""
    body = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(body))
    except ProtocolError:
        return
    assert decode(encode(found)) == found or "nan" in repr(found)
