"""What a plugin raised, made into our errors: everything in it is hostile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.engine.faults import clean, error_from, frames_of, one_line
from sandbox.errors import Frame, LimitExceeded, PluginError, PolicyDenied
from sandbox.limits import Limits

LIMITS = Limits()
HOSTILE = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
        st.sampled_from(["\x1b[2J", "\0", "\x9b", "x" * 10_000, "\n" * 500]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)  # fmt: skip
NAMES = ["type", "message", "file", "line", "frames", "capability", "plugin", "args"]
CONTROL = {chr(code) for code in (*range(32), *range(127, 160))}


@given(st.dictionaries(st.sampled_from(NAMES), HOSTILE))
@settings(max_examples=300, deadline=None)
def test_any_map_becomes_an_error_of_the_plugin(raised: dict[str, Any]) -> None:
    error = error_from(raised, "p", LIMITS)
    assert isinstance(error, (PluginError, PolicyDenied, LimitExceeded))
    assert error.plugin == "p"
    assert isinstance(error.line, int)
    assert not (set(error.file) - {"\n", "\t"}) & CONTROL
    assert not (set(str(error)) - {"\n", "\t"}) & CONTROL
    assert len(str(error)) < 6000
    assert len(error.frames) <= 50
    if isinstance(error, PluginError):
        assert not (set(error.traceback()) - {"\n", "\t"}) & CONTROL


def test_a_proper_error_keeps_everything() -> None:
    error = error_from(
        {"type": "ZeroDivisionError", "message": "division by zero", "file": "main.x", "line": 3,
         "frames": [["main.x", 9, "main"], ["lib.x", 2, "divide"]]},
        "p", LIMITS,
    )  # fmt: skip
    assert type(error) is PluginError
    assert (error.type, error.message) == ("ZeroDivisionError", "division by zero")
    assert (error.file, error.line) == ("main.x", 3)
    assert error.frames == (Frame("main.x", 9, "main"), Frame("lib.x", 2, "divide"))
    assert str(error) == "division by zero (plugin 'p', main.x:3)"


def test_memory_that_ran_out_is_a_limit() -> None:
    error = error_from({"type": "MemoryError", "message": "x"}, "p", LIMITS)
    assert isinstance(error, LimitExceeded)
    assert (error.limit, error.allowed) == ("memory", LIMITS.memory)


def test_a_refusal_keeps_its_capability() -> None:
    raised = {"type": "PolicyDenied", "message": "no", "capability": "http:a.example"}
    error = error_from(raised, "p", LIMITS)
    assert isinstance(error, PolicyDenied)
    assert error.capability == "http:a.example"
    assert str(error) == "no"
    assert type(error_from({**raised, "capability": 5}, "p", LIMITS)) is PluginError


@given(HOSTILE)
def test_clean_texts(text: object) -> None:
    found = clean(text, 50)
    assert isinstance(found, str)
    assert len(found) <= 51
    assert not (set(found) - {"\n", "\t"}) & CONTROL
    assert not set(one_line(text)) & (CONTROL - {"\t"})


def test_clean_shows_what_it_took_away() -> None:
    assert clean("a\x1b[2Jb\0") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"
    assert clean("abc", 2) == "ab…"
    assert clean("abc", 3) == "abc"
    assert clean(b"caf\xc3\xa9\xff") == "café\N{REPLACEMENT CHARACTER}"
    assert clean(5) == "(int)"
    assert one_line("a\nb\r\nc") == "a\\nb\N{REPLACEMENT CHARACTER}\\nc"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\r"])
def test_one_line_has_no_line_end_of_any_kind(separator: str) -> None:
    assert len(one_line(f"a{separator}b").splitlines()) == 1


@given(HOSTILE)
def test_frames(value: object) -> None:
    for frame in frames_of(value):
        assert isinstance(frame.file, str)
        assert isinstance(frame.line, int)
        assert isinstance(frame.function, str)


def test_well_formed_frames_are_kept_among_others() -> None:
    value = [
        ["a", 1, "f"],
        None,
        ["a"],
        ["a", "1", "f"],
        ["a", 1, "f", "2"],
        ["b", 3, "g", 7],
        ["a", 1, "f", 2, 3],
        (1, 2, 3),
        [None, 2, 5],
    ]
    assert frames_of(value) == [
        Frame("a", 1, "f"), Frame("a", 1, "f"), Frame("b", 3, "g", 7),
        Frame("(NoneType)", 2, "(int)"),
    ]  # fmt: skip
    assert len(frames_of([["a", 1, "f"]] * 1000)) == 50
    assert frames_of("abc") == frames_of({"a": 1}) == frames_of(None) == []
