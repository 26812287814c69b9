"""The module enum: what its functions give, and what they do with odd arguments."""

from __future__ import annotations

from typing import Any

import pytest
from strings_library import Strings, TengoError

strings = Strings()
FUNCTIONS = [
    "all",
    "any",
    "at",
    "chunk",
    "each",
    "filter",
    "find",
    "find_key",
    "key",
    "map",
    "value",
]


def function(source: str) -> Any:
    """A guest's function of key and value, in Lua."""
    return strings.lua.execute(f"return function(n, k, v) {source} end".encode())


BIG = function("return v > 1")
KEY = function("return k")

CASES: list[tuple[str, tuple[Any, ...], str]] = [
    ("all", ([2, 3], BIG), "true"),
    ("all", ([1, 2], BIG), "false"),
    ("all", ([], BIG), "true"),
    ("all", ({"a": 2, "b": 1}, BIG), "false"),
    ("all", (5, BIG), "<undefined>"),
    ("all", ("abc", BIG), "<undefined>"),
    ("any", ([1, 2], BIG), "true"),
    ("any", ([0, 1], KEY), "true"),
    ("any", ([0], KEY), "false"),
    ("any", (None, KEY), "<undefined>"),
    ("chunk", ([1, 2, 3], 2), "[[1, 2], [3]]"),
    ("chunk", ([1, 2], 5), "[[1, 2]]"),
    ("chunk", ([], 2), "[]"),
    ("chunk", ([1], 0), "<undefined>"),
    ("chunk", ({"a": 1}, 2), "<undefined>"),
    ("at", ([1, 2], 1), "2"),
    ("at", ([1, 2], 2), "<undefined>"),
    ("at", ([1, 2], "0"), "<undefined>"),
    ("at", ({"a": 1}, "a"), "1"),
    ("at", ({"1": 1}, 1), "<undefined>"),
    ("at", ("abc", 1), "<undefined>"),
    ("each", ([1], KEY), "<undefined>"),
    ("filter", ([1, 2, 3], BIG), "[2, 3]"),
    ("filter", ({"a": 2}, BIG), "<undefined>"),
    ("find", ([1, 2, 3], BIG), "2"),
    ("find", ({"a": 2}, BIG), "2"),
    ("find", ([1], BIG), "<undefined>"),
    ("find_key", ([1, 2, 3], BIG), "1"),
    ("find_key", ({"a": 2}, BIG), '"a"'),
    ("find_key", (1, BIG), "<undefined>"),
    ("map", ([5, 6], KEY), "[0, 1]"),
    ("map", ([5, 6], function("return nil")), "[<undefined>, <undefined>]"),
    ("map", ({"a": 5}, KEY), '["a"]'),
    ("map", ("ab", KEY), "<undefined>"),
    ("key", ("a", 1), '"a"'),
    ("value", ("a", 1), "1"),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_functions(name: str, arguments: tuple[Any, ...], expected: str) -> None:
    assert strings.call(f"enum.{name}", *arguments) == expected
    if arguments and isinstance(arguments[0], list | dict):
        frozen = strings.T[b"immutable"](strings.value(arguments[0]))
        assert strings.call(f"enum.{name}", frozen, *arguments[1:]) == expected


def test_the_module_is_complete() -> None:
    assert sorted(name.decode() for name in strings.modules["enum"]) == sorted(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_counts_its_arguments(name: str) -> None:
    for count in (0, 1, 3):
        message = strings.outcome(f"enum.{name}", *[[]] * count)
        assert message == f"fails: wrong number of arguments: want=2, got={count}"


FAULTS: list[tuple[str, tuple[Any, ...], str]] = [
    ("each", ([1], 5), "not callable: int"),
    ("all", ([1], None), "not callable: undefined"),
    ("chunk", ([1], "x"), "invalid operation: int + string"),
    ("chunk", ([1], -1), "invalid slice index: 0 > -1"),
    ("chunk", ([1], 1.5), "invalid slice index type: float"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), FAULTS)
def test_faults(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TengoError) as raised:
        strings.call(f"enum.{name}", *arguments)
    assert str(raised.value) == message


def test_each_shows_every_element_in_order() -> None:
    seen = strings.lua.table()
    note = strings.lua.eval(b"function(t) return function(n, k, v) t[#t + 1] = k * 10 + v end end")
    strings.call("enum.each", [7, 8], note(seen))
    assert list(seen.values()) == [7, 18]


def test_chunks_share_their_elements_with_the_array() -> None:
    array = strings.value([1, 2, 3])
    chunks = strings.modules["enum"][b"chunk"](2, array, 2)
    strings.T[b"set"](chunks[2][2], 0, 9)
    assert strings.call("text.join", array, ",") == '"1,2,9"'
