"""Anything at all against the front end: it is a program, or it is a TengoSyntaxError."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runtimes.tengo.faults import TengoSyntaxError
from runtimes.tengo.parser import parse
from runtimes.tengo.resolver import resolve

_TEXT = (
    "a b f len 0 1.5 'c' \"s\" `r` + - * / % & | ^ &^ << >> && || ! == != < <= := = += ++ --"
    " ( ) [ ] { } , ; : . ... ? func if else for in break continue return export error immutable"
    " import true false undefined \n // /* */ ' \" ` \\ $ 0x 1e \0 é"
)
WORDS = _TEXT.split(" ")
QUIET = settings(
    max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def refusal(source: bytes, *, is_module: bool) -> TengoSyntaxError | None:
    """What the front end says of a program, if it does not take it."""
    try:
        file = parse(source, "(main)")
        resolve(file, builtins=frozenset(("len",)), predefined=("panic",), is_module=is_module)
    except TengoSyntaxError as fault:
        return fault
    return None


def survives(source: bytes) -> None:
    """Whatever the bytes are, an error is a TengoSyntaxError with a place in them."""
    lines = source.split(b"\n")
    for is_module in (False, True):
        fault = refusal(source, is_module=is_module)
        if fault is not None:
            assert 1 <= fault.pos.line <= len(lines)
            assert 1 <= fault.pos.column <= len(lines[fault.pos.line - 1]) + 2
            assert str(fault).startswith(f"{fault.phase}: {fault.message}")


@QUIET
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
@example(b"'\\")
@example(b"a /*")
def test_any_bytes(source: bytes) -> None:
    survives(source)


@QUIET
@given(st.lists(st.sampled_from(WORDS), max_size=40), st.sampled_from(["", " "]))
def test_any_words(words: list[str], between: str) -> None:
    survives(between.join(words).encode())


PROGRAM = b"""f := func(a, ...b) { for i, x in b { if x > a { return [i, x] } else { a += 1 } } }
m := {k: f(1, 2, 3...), "s": 'c', n: {o: -1.5e3 << 2}}; m.k[0].z = m.n.o ? `raw` : undefined
for i := 0; i < 10; i++ { if i % 2 == 0 { continue }; g := func() { return i && m || !f } }
"""


@QUIET
@given(
    st.lists(
        st.tuples(st.integers(0, len(PROGRAM)), st.integers(0, 12), st.binary(max_size=3)),
        max_size=6,
    )
)
def test_any_damage_to_a_program(edits: list[tuple[int, int, bytes]]) -> None:
    source = PROGRAM
    for at, length, text in edits:
        source = source[:at] + text + source[at + length :]
    survives(source)
