"""The fast forms of emitted code: what they must not change.

Arrays that grow in place, arrays whose parts are taken out before a loop, functions without an
argument count, library functions without checks: each against the meaning that the slow form has.
"""

from __future__ import annotations

import re
from typing import Any

import probes
import pytest
from hypothesis import strategies as st
from library import given

from runtimes.tengo.compiler import compile_program
from runtimes.tengo.emit.facts import LoopFacts
from runtimes.tengo.runtime import TengoRuntime
from sandbox.values import Char

LIBRARIES = frozenset(("text", "fmt", "json", "enum"))


@pytest.fixture(scope="module")
def runtime() -> TengoRuntime:
    return probes.new_runtime()


def out(runtime: TengoRuntime, source: str, **more: Any) -> Any:
    answer = probes.run(runtime, source, **more)
    assert answer.get("error") is None, answer["error"]
    return answer["globals"]["out"]


def error(runtime: TengoRuntime, source: str) -> str:
    answer = probes.outcome(probes.run(runtime, source))
    assert not answer["ok"], answer
    text: str = answer["error"]
    return text.removeprefix("Runtime Error: ")


def lua_of(source: str) -> str:
    def find(importer: str, name: str) -> None:
        return None

    return compile_program(source.encode(), "(main)", find, LIBRARIES, ()).lua.decode()


GROW = "for i := 0; i < 3; i++ { a = append(a, i) }; "


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        # Another name for the array, made before the loop, sees nothing of what it appends ...
        ("a := [7]; b := a; " + GROW + "out := [a, b]", [[7, 0, 1, 2], [7]]),
        ("a := [7]; m := {b: a}; " + GROW + "out := [a, m.b]", [[7, 0, 1, 2], [7]]),
        ("a := [7]; f := func() { return a }; b := f(); " + GROW + "out := [len(b), len(f())]",
         [1, 4]),
        # ... but shares elements with it for as long as there is room.
        ("a := [1, 2, 3]; b := a; for i := 0; i < 1; i++ { a = append(a, 4); a[0] = 9 }; "
         "out := [a, b]", [[9, 2, 3, 4], [9, 2, 3]]),
        ("a := [1, 2]; b := a; for i := 0; i < 1; i++ { a = append(a, 4); a[0] = 9 }; "
         "out := [a, b]", [[9, 2, 4], [1, 2]]),
        ("a := [1, 2, 3, 4]; b := a[:2]; for i := 0; i < 1; i++ { b = append(b, 9) }; out := a",
         [1, 2, 9, 4]),
        # Names made within the loop.
        ("a := []; o := []; for i := 0; i < 3; i++ { a = append(a, i); o = append(o, a) }; "
         "out := o", [[0], [0, 1], [0, 1, 2]]),
        ("a := []; o := []; for i := 0; i < 3; i++ { a = append(a, i); o = append(o, [a]) }; "
         "out := o", [[[0]], [[0, 1]], [[0, 1, 2]]]),
        ("a := []; b := a; for i := 0; i < 3; i++ { a = append(a, i); if i == 1 { b = a } }; "
         "out := [a, b]", [[0, 1, 2], [0, 1]]),
        ("a := []; f := func(x) { return x }; b := []; for i := 0; i < 3; i++ { a = append(a, i); "
         "if i == 0 { b = f(a) } }; out := [a, b]", [[0, 1, 2], [0]]),
        ("a := [1]; for i := 0; i < 3; i++ { a = append(a, a) }; out := a",
         [1, [1], [1, [1]], [1, [1], [1, [1]]]]),
        ("a := [[1]]; for i := 0; i < 2; i++ { a = append(a, a[0]); a[0][0] = i }; out := a",
         [[1], [1], [1]]),
        ("a := []; b := []; for i := 0; i < 6; i++ { a = append(a, i); "
         "if i == 3 { b = a[:2] }; a[0] = i }; out := [a, b]", [[5, 1, 2, 3, 4, 5], [3, 1]]),
        # A loop in a loop: what is between the inner loops may give the array away.
        ("o := []; a := []; for i := 0; i < 2; i++ { for j := 0; j < 2; j++ { a = append(a, j) }; "
         "o = append(o, a) }; out := o", [[0, 1], [0, 1, 0, 1]]),
        ("o := []; for i := 0; i < 2; i++ { a := []; for j := 0; j < 2; j++ { a = append(a, i) }; "
         "o = append(o, a) }; out := o", [[0, 0], [1, 1]]),
        # The iterated array is the one of the start.
        ("a := [1, 2, 3]; for x in a { a = append(a, x); a[0] = 9 }; out := a",
         [9, 2, 3, 1, 2, 3]),
        ("a := [1]; o := []; for i := 0; i < 2; i++ { for x in a { a = append(a, x + 1) } }; "
         "out := a", [1, 2, 2, 3]),
        # New arrays within the loop.
        ("a := [5]; for i := 0; i < 4; i++ { if i == 2 { a = [] }; a = append(a, i) }; out := a",
         [2, 3]),
        ("a := [1, 2, 3, 4]; for i := 0; i < 3; i++ { a = a[1:]; a = append(a, i) }; out := a",
         [4, 0, 1, 2]),
        ("b := [8]; a := []; for i := 0; i < 2; i++ { a = b; a = append(a, i) }; out := [a, b]",
         [[8, 1], [8]]),
        ("a := []; for i := 0; i < 3; i++ { a = append(a, i, i) }; out := a", [0, 0, 1, 1, 2, 2]),
        ("a := [0]; for i := 0; i < 3; i++ { a = append(a, a...) }; out := len(a)", 8),
        ("a := [0]; b := a; for i := 0; i < 2; i++ { a += [i] }; out := [a, b]", [[0, 0, 1], [0]]),
        # Other types, and undefined elements.
        ("a := immutable([1]); b := a; " + GROW + "out := [a, b]", [[1, 0, 1, 2], [1]]),
        ("a := []; for i := 0; i < 3; i++ { a = append(a, undefined) }; out := [a, len(a)]",
         [[None, None, None], 3]),
        ("f := func(a) { for i := 0; i < 2; i++ { a = append(a, i) }; return a }; x := [1]; "
         "out := [f(x), f(x), x, f(immutable(x))]", [[1, 0, 1], [1, 0, 1], [1], [1, 0, 1]]),
        ("f := func() { a := []; g := func() { return a }; o := []; for i := 0; i < 2; i++ { "
         "a = append(a, i); o = append(o, g()) }; return o }; out := f()", [[0], [0, 1]]),
        ("f := func() { a := []; for { a = append(a, 1); if len(a) == 3 { return a } } }; "
         "out := [f(), f()]", [[1, 1, 1], [1, 1, 1]]),
        # splice changes an array for all who see it.
        ("a := [1, 2, 3]; b := a; o := []; for i := 0; i < 3; i++ { splice(b, 0, 1); "
         "o = append(o, a[0]) }; out := o", [2, 3, None]),
        ("a := [1, 2, 3]; o := 0; for i := 0; i < len(a); i++ { splice(a, 0, 1); o++ }; out := o",
         2),
    ],
)  # fmt: skip
def test_arrays_that_grow(runtime: TengoRuntime, source: str, wanted: Any) -> None:
    assert out(runtime, source) == wanted
    # The same with all variables in a function.
    inner = f"main := func() {{ {source}; return out }}; out := main()"
    assert out(runtime, inner) == wanted


READ = "o := []; for i := -1; i < 4; i++ { o = append(o, x[i]) }; out := o"


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("x := [1, 2, 3]; " + READ, [None, 1, 2, 3, None]),
        ("x := [1, 2, 3, 4, 5][1:3]; " + READ, [None, 2, 3, None, None]),
        ("x := [1, 2, 3]; y := append(x, 4); " + READ, [None, 1, 2, 3, None]),
        ("x := immutable([1, 2]); " + READ, [None, 1, 2, None, None]),
        ("x := [false, undefined, 0]; " + READ, [None, False, None, 0, None]),
        ("x := \"añb\"; " + READ, [None, Char(97), Char(0xF1), Char(98), None]),
        ("x := bytes(\"ab\"); " + READ, [None, 97, 98, None, None]),
        ("x := {\"1\": 5}; " + READ, [None, None, 5, None, None]),
        ("x := undefined; " + READ, [None] * 5),
        # The variable gets another array, by assignment or from elsewhere.
        ("x := [1]; o := []; for i := 0; i < 3; i++ { o = append(o, x[0]); x = [i] }; out := o",
         [1, 0, 1]),
        ("x := [1]; f := func(i) { x = [i] }; o := []; for i := 0; i < 3; i++ { "
         "o = append(o, x[0]); f(i) }; out := o", [1, 0, 1]),
        ("o := []; for x in [[1, 2], [3]] { for i := 0; i < 2; i++ { o = append(o, x[i]) } }; "
         "out := o", [1, 2, 3, None]),
        # Elements that others write.
        ("x := [1, 2]; f := func(y, i) { y[0] = i }; o := []; for i := 0; i < 3; i++ { "
         "o = append(o, x[0]); f(x, i) }; out := o", [1, 0, 1]),
        ("x := [0, 0, 0, 0]; for i := 0; i < 3; i++ { x[i + 1] = x[i] + 1 }; out := x",
         [0, 1, 2, 3]),
        ("x := [5, 6, 7]; n := 0; for i := 0; i < len(x); i++ { n += x[len(x) - 1 - i] * i }; "
         "out := n", 16),
        ("x := [1, 2]; y := x[1:]; for i := 0; i < 1; i++ { y[i] = 9 }; out := [x, y]",
         [[1, 9], [9]]),
        ("x := [[1], [2]]; for i := 0; i < 2; i++ { x[i][0] += i }; out := x", [[1], [3]]),
        ("f := func(x) { return func(i) { n := 0; for j := 0; j < 1; j++ { n = x[i] }; "
         "return n } }; g := f([1, 2]); out := [g(0), g(1), g(2)]", [1, 2, None]),
        # Counting to a length that changes, of an array and of a map.
        ("x := [1]; n := 0; for i := 0; i < len(x); i++ { if len(x) < 5 { x = append(x, i) }; "
         "n++ }; out := n", 5),
        ("x := {a: 1}; n := 0; for i := 0; i < len(x); i++ { if i == 0 { x.b = 2 }; n++ }; "
         "out := n", 2),
        ("s := \"abc\"; n := 0; for i := 0; i < len(s); i++ { n += i }; out := n", 3),
        ("n := 0; for i := 0; i <= len([1]); i++ { n++ }; out := n", 2),
    ],
)  # fmt: skip
def test_arrays_that_are_read(runtime: TengoRuntime, source: str, wanted: Any) -> None:
    assert out(runtime, source) == wanted
    inner = f"main := func() {{ {source}; return out }}; out := main()"
    assert out(runtime, inner) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("x := [1]\nfor i := 0; i < 3; i++ {\n  x[i] = 2\n}",
         "index out of bounds\n\tat (main):3:3"),
        ("x := [1]\nfor i := -1; i < 3; i++ {\n  x[i] = 2\n}",
         "index out of bounds\n\tat (main):3:3"),
        ("x := immutable([1])\nfor i := 0; i < 3; i++ {\n  x[i] = 2\n}",
         "not index-assignable: immutable-array\n\tat (main):3:3"),
        ("x := 5\nfor i := 0; i < 3; "
         "i++ {\n  y := x[i]\n}", "not indexable: int\n\tat (main):3:10"),
        ("x := [1]\nfor f := 1.0; f < 3; f += 1.0 {\n  y := x[f]\n}",
         "invalid index type: float\n\tat (main):3:10"),
        ("x := [1, 2]\ny := 0\nfor i := 0; i < 2; i++ {\n  y = x[i] + x\n}",
         "invalid operation: int + array\n\tat (main):4:7"),
        ("a := 5\nfor i := 0; i < 3; i++ {\n  a = append(a, i)\n}",
         "invalid type for argument 'first' in call to 'builtin-function:append': expected array, "
         "found int\n\tat (main):3:7"),
        ("a := []\nfor i := 0; i < 3; i++ {\n  a = append(a, 1 + {})\n}",
         "invalid operation: int + map\n\tat (main):3:17"),
        ("s := \"abc\"\nx := s[2:1]", "invalid slice index: 2 > 1\n\tat (main):2:6"),
        ("s := \"abc\"\nx := s[4:]", "invalid slice index: 4 > 3\n\tat (main):2:6"),
        ("s := \"abc\"\nx := s[:-1]", "invalid slice index: 0 > -1\n\tat (main):2:6"),
        ("f := func(a) { return a.b.c }\nx := f(1)",
         "not indexable: string\n\tat (main):1:25\n\tat (main):2:6"),
        ("f := func(a) { return 1 }\nx := f(1, 2)",
         "wrong number of arguments: want=1, got=2\n\tat (main):2:6"),
    ],
)  # fmt: skip
def test_faults_keep_their_words_and_places(
    runtime: TengoRuntime, source: str, wanted: str
) -> None:
    found = error(runtime, source)
    if "float" in wanted or "slice index" in wanted:  # the column is the probes' business
        found, wanted = (re.sub(r":\d+$", "", text) for text in (found, wanted))
    assert found == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("s := \"hello\"; out := [s[1:3], s[:2], s[3:], s[:], s[-2:2], s[1:99], s[5:]]",
         ["el", "he", "lo", "hello", "he", "ello", ""]),
        ("s := \"hello\"; a := -3; b := -1; out := [s[a:b], s[a:], s[9:9]]", ["", "hello", ""]),
        ("t := import(\"text\"); s := \"a,b\"; out := [t.split(s, \",\"), t.index(s, \"b\"), "
         "t.to_upper(s + \"ñ\"), t.trim_space(\" x\\u00a0\"), t.trim_space(\"\"), "
         "t.trim_space(\"é \"), t.trim_space(\"a b\")]",
         [["a", "b"], 2, "A,BÑ", "x", "", "é", "a b"]),
        # Arguments of other types, and of unknown ones, go through the checks.
        ("t := import(\"text\"); f := func(x) { return t.index(x, 5) }; out := [f(15), f(\"a5\")]",
         [1, 1]),
        # A library's variable that gets another value is an ordinary one.
        ("t := import(\"text\"); t = {index: func(a, b) { return a }}; out := t.index(\"a\", "
         "\"b\")",
         "a"),
        ("f := func(t) { return t.index(\"a\", \"b\") }; out := f({index: func(a, "
         "b) { return b }})",
         "b"),
        ("t := import(\"text\"); g := t.to_upper; out := g(\"a\")", "A"),
        ("o := []; for x in import(\"text\").split(\"a-b\", \"-\") { o = append(o, x + 1) }; "
         "out := o",
         ["a1", "b1"]),
        # Builtins without the count, and functions of the same names.
        ("out := [string(1.0), string(undefined), string('a'), int(\"7\"), int(2.9), float(3), "
         "float(\"x\"), bool(\"\"), type_name(1), is_int(1.0), is_string(\"\"), is_array([])]",
         ["1", None, "a", 7, 2, 3.0, None, False, "int", False, True, True]),
        ("f := func() { string := func(x) { return 5 }; len := func(x) { return 6 }; "
         "append := func(a, x) { return [x] }; a := [7]; for i := 0; i < 3; i++ { "
         "a = append(a, i) }; return [string(1), len([]), a] }; out := f()", [5, 6, [2]]),
        ("f := string; out := [f(1), f(undefined, 2)]", ["1", 2]),
        ("out := [float(9007199254740993), -float(0)]", [9007199254740992.0, -0.0]),
        # Functions that are called by name only, and those that are not.
        ("f := func(a, b) { return a - b }; out := [f(3, 1), f(1, 3)]", [2, -2]),
        ("f := func(a) { return a }; g := f; out := [f(1), g(2)]", [1, 2]),
        ("f := func(a) { return a }; out := [f([3]...), f(4)]", [3, 4]),
        ("f := func(...a) { return a }; out := [f(), f(1, 2)]", [[], [1, 2]]),
        ("f := func(n) { return n == 0 ? 3 : f(n - 1) }; out := f(100000)", 3),
        # Characters, ints and floats.
        ("c := 'a'; i := 97; f := func(x, y) { return x == y }; out := [c == i, f(c, i), f(c, "
         "'a'), "
         "f(1, 1.0), c < 98]", [False, False, True, False, True]),
        # Remainders and quotients of counters, and of what may be negative or wrap around.
        ("o := []; for i := 0; i < 3; i++ { o = append(o, [i % 2, i / 2, (i + 5) % 3, (i - 2) % 2, "
         "(i - 3) / 2]) }; out := o",
         [[0, 0, 2, 0, -1], [1, 0, 0, -1, -1], [0, 1, 1, 0, 0]]),
        ("o := 0; n := 9223372036854775807; for i := 3; i < 4; i++ { o = (i * n + i) % 10 }; "
         "out := o", -8),
        ("o := []; for i := 4611686018427387900; i < 4611686018427387902; i++ { "
         "o = append(o, (i * 3) % 7) }; out := o", [-2, -6]),
        # `||` of all that is false in Tengo and what is not.
        ("o := []; for x in [0, 0.0, \"\", \"a\", [], {}, [0], 'a', false, true, undefined, -1] { "
         "o = append(o, x || 5) }; out := o",
         [5, 0.0, 5, "a", 5, 5, [0], Char(97), 5, True, 5, -1]),
        ("m := {a: undefined}; f := func(m, v) { m.a = v; m.b = v; return len(m) }; "
         "out := [f(m, undefined), f(m, 1), f(m, undefined), m]",
         [2, 2, 2, {"a": None, "b": None}]),
        ("m := {}; for i := 0; i < 4; i++ { k := \"k\" + i % 2; m[k] = (m[k] || 0) + i }; out := m",
         {"k0": 2, "k1": 4}),
    ],
)  # fmt: skip
def test_values_of_fast_forms(runtime: TengoRuntime, source: str, wanted: Any) -> None:
    found = out(runtime, source)
    assert probes.same(found, wanted), found


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("a := []; for i := 0; i < 3; i++ { a = append(a, i) }", "a = _push(a, i)"),
        ("f := func(a) { for i := 0; i < 3; i++ { a[i] = a[i + 1] } }; f([])",
         "if i < a_count then a_list[a_first + i] ="),
        ("f := func(a) { n := 0; for i := 0; i < len(a); i++ { n += i }; return n }; f([1])",
         "for i = 0, a[4] - 1 do"),
        ("f := func(n) { return n }; f(1)", "f = function(n)"),
        ("t := import(\"text\"); x := t.index(\"abc\", \"b\")", "x = _text_index(\"abc\", \"b\")"),
        ("s := \"abc\"; x := s[1:2]", "x = _cut(s, 1, 2)"),
        ("for i := 0; i < 9; i++ { x := i * 3 % 7 }", "local x = i * 3 % 7"),
    ],
)  # fmt: skip
def test_fast_forms_are_taken(source: str, part: str) -> None:
    assert part in lua_of(source)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("a := []; b := 0; for i := 0; i < 3; i++ { a = append(a, i); b = a }", "_push"),
        ("a := []; f := func() { return a }; for i := 0; i < 3; i++ { a = append(a, f()) }",
         "_push"),
        ("f := func(a) { for i := 0; i < 3; i++ { splice(a); a[i] = 1 } }; f([])", "a_list"),
        ("f := func(n) { return n }; g := f", "function(n)"),
        ("t := import(\"text\"); f := func(x) { return t.index(x, \"b\") }; g := f", "_text_index"),
        ("for i := -1; i < 9; i++ { x := i % 7 }", "local x = i % 7"),
    ],
)  # fmt: skip
def test_fast_forms_are_not_taken(source: str, part: str) -> None:
    assert part not in lua_of(source)


ARMS = 900
LONG_PROGRAMS = {
    "calls": ("x := undefined; x = func() { return x }; out := is_callable(x" + "()" * 10_000 + ")",
              True, 100_000),
    "indexes": ("a := []; out := a" + "[0]" * 10_000, None, 400_000),
    "slices": ("a := [1]; out := a" + "[0:]" * 10_000, [1], 400_000),
    "else if with init": (
        "a := 5; out := 0; if z := 1; a == z { } "
        + "".join(f"else if y{i} := {i + 9}; a + 500 == y{i} {{ out = {i} }} " for i in range(ARMS))
        + "else { out = -1 }", 496, 200_000),
    "else if, none": (
        "a := 5; out := 0; if z := 1; a == z { } "
        + "".join(f"else if y{i} := {i + 9}; a == y{i} {{ out = {i} }} " for i in range(ARMS))
        + "else { out = z + y0 }", 10, 200_000),
    "else if with statements": (
        "f := func(a) { if a == 1 { return 1 } "
        + "".join(f"else if (a == {i + 9} ? [1][0] : 0) {{ return {i} }} " for i in range(ARMS))
        + "else { return 9 } }; out := [f(5), f(1), f(9), f(700)]", [9, 1, 0, 691], 300_000),
    "choices": (
        "f := func(a) { return " + "".join(f"a == {i + 9} ? [a][0] : " for i in range(ARMS))
        + "7 }; out := [f(5), f(9), f(900)]", [7, 9, 900], 200_000),
    "choices with statements": (
        "f := func(a) { return "
        + "".join(f"(a ? a && {i + 9} : a) == {i + 9} && a == {i + 9} ? [{i}][0] : "
        f"" for i in range(300))
        + "7 }; out := [f(5), f(9), f(10), f(308)]", [7, 0, 1, 299], 300_000),
    "functions in an assigned index": (
        "a := [0, 0]; " + "a[func() { " * 25 + "a[1] += 1" + "; return 0 }()] += 1" * 25
        + "; out := a[0] >= 25", True, 20_000),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG_PROGRAMS)
def test_long_programs_stay_short_and_right(name: str) -> None:
    source, wanted, size = LONG_PROGRAMS[name]
    assert len(lua_of(source.replace("out := a[0] >= 25", ""))) < size
    if name != "functions in an assigned index":  # each of these functions runs 2^25 times
        assert out(probes.new_runtime(), source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("o := []; a := [0, 0]; a[func() { o = append(o, 1); return 1 }()] += 5; out := [a, o]",
         [[0, 5], [1, 1]]),
        ("f := func(x) { if x == 1 { return 1 } else if y := x * 2; y == 4 { return y } "
         "else if z := y + 1; z == 7 { y := z; return [y, z] } else { return [y, z] } }; "
         "out := [f(1), f(2), f(3), f(4)]", [1, 4, [7, 7], [8, 9]]),
        ("o := []; for i := 0; i < 5; i++ { if i == 0 { continue } else if j := i; "
         "j == 1 { continue } "
         "else if j == 3 { break } else { o = append(o, j) }; o = append(o, -1) }; "
         "out := o", [2, -1]),
        ("fs := []; for i in [1, 2] { if i == 0 { } else if j := i; j == 0 { } "
         "else if k := j * 2; k > 0 { fs = append(fs, func() { return j + k }) } }; "
         "out := len(fs)", 2),
        ("main := func() { fs := []; for i in [1, 2] { if i == 0 { } else if j := i; j == 0 { } "
         "else if k := j * 2; k > 0 { fs = append(fs, func() { return j + k }) } }; "
         "return [fs[0](), fs[1]()] }; out := main()", [3, 6]),
        ("t := []; f := func(n) { t = append(t, n); return n == 2 }; "
         "x := f(1) ? [1][0] : f(2) ? [2][0] : f(3) ? [3][0] : 4; out := [x, t]", [2, [1, 2]]),
    ],
)  # fmt: skip
def test_flattened_choices(runtime: TengoRuntime, source: str, wanted: Any) -> None:
    assert out(runtime, source) == wanted


# ---------------------------------------------------------------------------- fast against slow

NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(0, 5)
SIMPLE = st.one_of(
    st.builds("if len({0}) < 12 {{ {0} = append({0}, {1}) }}".format, NAMES, NUMBERS),
    st.builds("if len({0}) < 12 {{ {0} = append({0}, {1}, k) }}".format, NAMES, NUMBERS),
    st.builds("{0} = {1}".format, NAMES, NAMES),
    st.builds("if len({1}) < 12 {{ {0} = append({1}, k) }}".format, NAMES, NAMES),
    st.builds("if len({1}) > {2} {{ {0} = {1}[{2}:] }}".format, NAMES, NAMES, NUMBERS),
    st.builds("if len({1}) > {2} {{ {0} = {1}[:{2}] }}".format, NAMES, NAMES, NUMBERS),
    st.builds("{0} = []".format, NAMES),
    st.builds("if len({0}) > {1} {{ {0}[{1}] = k }}".format, NAMES, NUMBERS),
    st.builds("o += len({0}) * 7 + sum({0})".format, NAMES),
    st.builds("if {0}[{1}] {{ o += {0}[{1}] }}".format, NAMES, NUMBERS),
    st.builds("{0} = keep({1}, k)".format, NAMES, NAMES),
    st.just("k++"),
)


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    block = st.lists(inner, min_size=1, max_size=5).map("; ".join)
    return st.one_of(
        st.builds("for i := 0; i < {0}; i++ {{ {1} }}".format, NUMBERS, block),
        st.builds("for x in {0} {{ o += x; {1} }}".format, NAMES, block),
        st.builds(
            "for i := 0; i < len({0}) && i < 4; i++ {{ o += {0}[i]; {1} }}".format, NAMES, block
        ),
    )


# Two loops deep: each walks over a dozen elements at most.
STATEMENTS = st.one_of(SIMPLE, _nested(SIMPLE), _nested(st.one_of(SIMPLE, _nested(SIMPLE))))
PROGRAMS = st.lists(STATEMENTS, min_size=1, max_size=8)
FRAME = """
sum := func(x) {{
    n := 0
    for i := 0; i < len(x); i++ {{ n = (n * 3 + x[i]) % 10007 }}
    return n
}}
keep := func(x, k) {{
    if len(x) > 1 {{ x[1] = k }}
    return len(x) > 12 || k % 2 == 0 ? x : append(x, k)
}}
main := func() {{ a := []; b := [1, 2, 3]; c := b; k := 1; o := 0; {}; return [a, b, c, k, o] }}
out := main()
"""


@pytest.fixture(scope="module")
def slow_runtime() -> TengoRuntime:
    return probes.new_runtime()


@given(PROGRAMS, max_examples=150)
def test_fast_and_slow_forms_agree(
    runtime: TengoRuntime, slow_runtime: TengoRuntime, statements: list[str]
) -> None:
    source = FRAME.format("; ".join(statements))
    fast = probes.outcome(probes.run(runtime, source))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoopFacts, "growing", lambda facts: [])
        patch.setattr(LoopFacts, "steady", lambda facts: [])
        slow = probes.outcome(probes.run(slow_runtime, source))
    assert fast == slow
