"""Programs whose meaning a translation could easily lose: order, scopes, limits of Lua, places."""

from __future__ import annotations

from typing import Any

import probes
import pytest

from runtimes.tengo.runtime import TengoRuntime
from sandbox.values import Char, GuestError


@pytest.fixture(scope="module")
def runtime() -> TengoRuntime:
    return probes.new_runtime()


def out(runtime: TengoRuntime, source: str, **more: Any) -> Any:
    answer = probes.run(runtime, source, **more)
    assert answer.get("error") is None, answer["error"]
    return answer["globals"]["out"]


def error(runtime: TengoRuntime, source: str, **more: Any) -> str:
    answer = probes.outcome(probes.run(runtime, source, **more))
    assert not answer["ok"], answer
    text: str = answer["error"]
    return text


ORDER = "o := []; t := func(n) { o = append(o, n); return n }; "


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        # A variable to the left is read before a call to the right changes it.
        ("x := 1; f := func() { x = 10; return 1 }; out := x + f()", 2),
        ("g := func() { x := 1; f := func() { x = 10; return 1 }; return x - f() }; out := g()", 0),
        ("x := 1; f := func() { x = 10; return 1 }; out := [x, f(), x]", [1, 1, 10]),
        ("x := 1; f := func() { x = 10; return true }; out := [x, f() ? x : 0]", [1, 10]),
        ("x := 1; f := func() { x = 10; return undefined }; out := [x, f() || x]", [1, 10]),
        ("x := 1; f := func() { x = 10; return 0 }; out := [x, x && f(), x]", [1, 0, 10]),
        # An assignment reads its value, then its indexes, then its variable.
        (ORDER + "a := [[0, 0], [0, 0]]; a[t(0)][t(1)] = t(5); out := o", [5, 1, 0]),
        ("a := [1]; b := a; f := func() { a = [7]; return 9 }; a[0] = f(); out := [a, b]",
         [[9], [1]]),
        ("i := 0; f := func() { i = 1; return 5 }; a := [0, 0]; a[i] = f(); out := a", [0, 5]),
        ("x := 1; f := func() { x = 2; return 0 }; a := [0]; a[f()] = x; out := a", [1]),
        (ORDER + "a := [0]; a[t(0)] += t(3); out := [a, o]", [[3], [0, 3, 0]]),
        (ORDER + "m := {a: t(1), b: t(2)}; out := o", [1, 2]),
        (ORDER + "f := func(...a) { return a }; out := f(t(1), [t(2), t(3)]...)", [1, 2, 3]),
    ],
)  # fmt: skip
def test_order(runtime: TengoRuntime, source: str, wanted: Any) -> None:
    assert out(runtime, source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("end := 1; local := 2; nil := 3; out := end + local + nil", 6),
        ("t1 := 1; spill := 2; argc := 3; x := 0; out := [t1, x || spill, argc]", [1, 2, 3]),
        ("a := 1; f := func() { a := a + 1; return a }; out := [f(), a]", [2, 1]),
        ("x := 1; if true { x := 2; x = 3 }; out := x", 1),
        ("out := 0; for i := 0; i < 3; i++ { for i := 0; i < 2; i++ { out++ } }", 6),
        ("f := func(a, _) { return a }; out := f(1, 2)", 1),
        ("out := 0; for i := 0; i < 5; i++ { if i % 2 == 0 { continue }; x := i; out += x }", 4),
        ("out := 0; for i := 0; i < 5; i += 1 { i += 1; out++ }", 3),
        ("n := 3; out := 0; for i := 0; i < n; i++ { n = 2; out++ }", 2),
        ("f := func() { for i := 0; i < 3; i++ { return i } }; out := f()", 0),
        ("f := func() { for { break }; return 5; return 6 }; out := f()", 5),
        ("f := func() { }; out := [f(), f()]", [None, None]),
        ("m := {a: undefined}; m.b = undefined; out := [len(m), m]", [2, {"a": None, "b": None}]),
        ("m := {a: 1}; m.a = undefined; m.a = 2; delete(m, \"a\"); out := [m, len(m)]", [{}, 0]),
        ("f := func(n) { if n == 0 { return 7 }; f(n - 1) }; out := f(0)", 7),
    ],
)  # fmt: skip
def test_scopes_and_loops(runtime: TengoRuntime, source: str, wanted: Any) -> None:
    assert out(runtime, source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("out := [7 / 2, -7 / 2, 7 / -2, -7 % 3, 7 % -3]", [3, -3, -3, -1, 1]),
        ("f := func(a, b) { return [a / b, a % b] }; g := [f]; out := g[0](-7, 2)", [-3, -1]),
        ("x := -7; out := [x / 2, x % 2, x >> 1, x << 1]", [-3, -1, -4, -14]),
        ("x := -9223372036854775807 - 1; out := [x / -1, x % -1]", [-(2**63), 0]),
        ("x := 5; f := func(a) { return a == 5 }; out := [f(5), f(5.0), x == 5]",
         [True, False, True]),
        ("c := 'b'; f := func(x) { return x >= 'a' && x < 'c' }; out := [f(c), f(98), f('c')]",
         [True, True, False]),
        ("out := \"a\" + 1 + 'c' + 1.5 + [1] + undefined", "a1c1.5[1]<undefined>"),
        ("s := \"\"; for c in \"añ\" { s += c; s += \"|\" }; out := s", "a|ñ|"),
        ("s := \"añb\"; out := [s[0], s[1], s[2], s[3], len(s)]",
         [Char(97), Char(0xF1), Char(98), None, 4]),
        ("s := \"x\"; out := []; for i := 0; i < 40; i++ { s += \"y\" }; out = [s[39], s[41]]",
         [Char(121), None]),
        ("a := [1, 2, 3]; b := append(a, 4); c := append(a, 5); out := [b, c]",
         [[1, 2, 3, 5], [1, 2, 3, 5]]),
        ("a := [1, 2]; b := append(a, 4); c := append(a, 5); out := [b, c]",
         [[1, 2, 4], [1, 2, 5]]),
        ("m := {a: 1}; v := immutable(m); m.b = 2; out := [len(v), v.b, v]",
         [2, 2, {"a": 1, "b": 2}]),
        ("out := error([1])", GuestError([1])),
        ("out := [!0, !0.0, ![], !\"\", 0 || 5, \"\" && 1, 0.0 && 2]",
         [True, False, True, True, 5, "", 2]),
    ],
)  # fmt: skip
def test_values(runtime: TengoRuntime, source: str, wanted: Any) -> None:
    assert probes.same(out(runtime, source), wanted)


LONG = 10_000
LUA_LIMITS = {
    "nested arrays": (f"out := len({'[' * 600}{']' * 600})", 1),
    "nested calls": ("f := func(x) { return x }; out := " + "f(" * 600 + "1" + ")" * 600, 1),
    "long sum": ("a := 1; out := a" + " + a" * LONG, LONG + 1),
    "long unknown sum": (f"f := func(a) {{ return a{' + a' * LONG} }}; out := [f][0](1)", LONG + 1),
    "long text": ('a := "x"; out := len(""' + " + a" * LONG + ")", LONG),
    "long quotient": ("a := 1; out := a" + " / a" * LONG, 1),
    "long and": ("a := 1; out := a" + " && a" * LONG, 1),
    "long or": ("a := 0; out := a" + " || a" * LONG, 0),
    "long condition": ("a := 0; out := 5; if a" + " || a" * LONG + " { out = 1 }", 5),
    "selectors": ("a := {b: 1}; a.a = a; out := a" + ".a" * 3000 + ".b", 1),
    "choices": ("a := 5; out := " + "".join(f"a == {i + 9} ? {i} : " for i in range(150)) + "7", 7),
    "else if": (
        "a := 5; out := 0; if a == 1 { } "
        + "".join(f"else if a == {i + 9} {{ out = {i} }} " for i in range(500))
        + "else { out = 9 }",
        9,
    ),
    "globals": (
        "\n".join(f"g{i} := {i}" for i in range(1500))
        + "\nf := func() { return "
        + " + ".join(f"g{i}" for i in range(1500))
        + " }\nout := f()",
        sum(range(1500)),
    ),
    "locals": (
        "f := func() {\n"
        + "\n".join(f"g{i} := {i}" for i in range(600))
        + "\nh := func() { return "
        + " + ".join(f"g{i}" for i in range(600))
        + " }\nreturn h() }\nout := f()",
        sum(range(600)),
    ),
    "parameters": (
        f"f := func({','.join(f'a{i}' for i in range(250))}) {{ return a0 + a249 }}\n"
        f"out := f({','.join(map(str, range(250)))})",
        249,
    ),
    "arguments": (
        f"f := func(...a) {{ return len(a) }}; out := f({','.join(map(str, range(500)))})",
        500,
    ),
    "array literal": (f"out := len([{','.join(map(str, range(5000)))}])", 5000),
    "map literal": (f"out := len({{{','.join(f'k{i}: {i}' for i in range(5000))}}})", 5000),
    "functions": (
        "m := {"
        + ",".join(f"k{i}: func() {{ return {i} }}" for i in range(500))
        + "}; out := m.k499()",
        499,
    ),
    "nested functions": (
        "f := " + "func() { return " * 60 + "1" + " }" * 60 + "; out := f()" + "()" * 59,
        1,
    ),
    "nested ifs": ("a := 1; out := 0; " + "if a == 1 { " * 150 + "out = 5" + " }" * 150, 5),
    "tail call": ("f := func(n) { return n == 0 ? 3 : f(n - 1) }; out := f(300000)", 3),
    "modules": (
        "out := " + " + ".join(f'import("m{i}")' for i in range(40)),
        sum(range(40)),
    ),
}


@pytest.mark.parametrize("name", LUA_LIMITS)
def test_limits_of_lua_do_not_show(runtime: TengoRuntime, name: str) -> None:
    source, wanted = LUA_LIMITS[name]
    modules = {f"m{i}": f"export {i}".encode() for i in range(40)}
    assert out(runtime, source, modules=modules) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (
            "f := func(a) {\n  return a.b.c +\n    a.x.y\n}\nf({b: {c: 1}, x: 5})",
            "not indexable: string\n\tat (main):3:9\n\tat (main):5:1",
        ),
        (
            "f := func() { return 1 + g() }\n".replace("g()", "undefined()") + "x := [f(),\n f()]",
            "not callable: undefined\n\tat (main):1:26\n\tat (main):2:7",
        ),
        ("a := [1]; a[0][1].c = 5", "not indexable: int\n\tat (main):1:11"),
        ("f := func(a, b) { return a }\nf(1)",
         "wrong number of arguments: want=2, got=1\n\tat (main):2:1"),
        ("f := func(a, ...b) { return a }\nf()",
         "wrong number of arguments: want>=1, got=0\n\tat (main):2:1"),
        ("x := 1\ny := \"a\"\nz := x >= y", "invalid operation: int >= string\n\tat (main):3:6"),
        ("x := {}\nif x.a.b > 1 { }", "invalid operation: undefined > int\n\tat (main):2:4"),
        ("len(1)", "invalid type for argument 'first' in call to 'builtin-function:len': "
         "expected array/string/bytes/map, found int\n\tat (main):1:1"),
        ("f := func() { return [1](2) }\nh := func() { return f() }\nh()",
         "not callable: array\n\tat (main):1:22\n\tat (main):2:22\n\tat (main):3:1"),
        ("e := import(\"enum\")\ne.each([1], func(k, v) { return v.x })",
         "not indexable: string\n\tat (main):2:35\n\tat (main):2:1"),
    ],
)  # fmt: skip
def test_places(runtime: TengoRuntime, source: str, wanted: str) -> None:
    assert error(runtime, source) == "Runtime Error: " + wanted


def test_recursion_without_end_is_an_error(runtime: TengoRuntime) -> None:
    text = error(runtime, "f := func(n) { return 1 + f(n + 1) }; f(0)")
    assert text.startswith("Runtime Error: stack overflow\n\tat (main):1:27\n\tat (main):1:27")
    assert out(runtime, "out := 1") == 1


def test_memory_is_a_limit() -> None:
    answer = probes.run(probes.new_runtime(32 << 20), "a := []; for { a = append(a, [1]) }")
    assert answer["error"]["type"] == "MemoryError"


def test_inputs_modules_output_and_value(runtime: TengoRuntime) -> None:
    answer = probes.run(
        runtime,
        'm := import("lib/a"); fmt := import("fmt"); fmt.println(x, m.y); x = [x]; m.y + 1',
        {"lib/a": b'export {y: import("b")}', "b": b"export 5"},
        {"x": {"k": [1, 2.0, b"\xff", None]}},
    )
    # Bytes that are no UTF-8 stay what they are, in a text too.
    assert answer["output"] == b"{k: [1, 2, \xff, <undefined>]}5\n"
    assert answer["value"] == 6
    assert answer["globals"] == {"x": [{"k": [1, 2.0, b"\xff", None]}], "m": {"y": 5}}


def test_panic(runtime: TengoRuntime) -> None:
    assert probes.run(runtime, "panic(undefined); panic(404)")["panic"] == {"status": 404}
    assert probes.run(runtime, 'panic(["a"])')["panic"] == {"text": '["a"]'}
    assert "builtin-function:panic" in error(runtime, "panic()")


def test_compile_errors_have_a_place(runtime: TengoRuntime) -> None:
    assert error(runtime, "a := 1\nb := c") == (
        "Compile Error: unresolved reference 'c'\n\tat (main):2:6"
    )
    assert error(runtime, 'import("x")', modules={"x": b"1 +"}).startswith("Parse Error: ")


def test_runs_share_nothing(runtime: TengoRuntime) -> None:
    source = "a := undefined; out := a; a = [1]; f := func() { return a }"
    assert out(runtime, source) is None
    assert out(runtime, source) is None


@pytest.mark.parametrize(
    "statement",
    ["len([1, 2])", 'string("a")', "int(5)", "len(x)", "f()", "[1][0]", "is_int(1)",
     'format("%d)", 1)', "float(1)", "char(97)", "bool(x)", "copy(x)", "type_name(x)"],
)  # fmt: skip
def test_an_expression_for_its_effect(runtime: TengoRuntime, statement: str) -> None:
    """What a call becomes need not be a call, and Lua takes no other expression for a statement."""
    source = f"x := [1]\nf := func() {{ return func() {{ {statement} }} }}\n{statement}\nout := 1\n"
    source += f"for i := 0; i < 2; i++ {{\n\t{statement}\n}}\nif out {{ {statement} }}\n"
    assert out(runtime, source) == 1


@pytest.mark.parametrize(
    ("value", "column"),
    [("x / 0", 9), ("x % 0", 9), ("[1][5:2]", 15), ("x[0]", 11), ('x &^ "a"', 9), ("len(x)", 9),
     ('"a" - x', 9), ("x << 1.5", 9), ("-[x]", 10), ("x(1)", 9)],
)  # fmt: skip
def test_an_error_in_a_returned_value_has_its_place(
    runtime: TengoRuntime, value: str, column: int
) -> None:
    """A helper called in a return must not take the place of the function it is called in."""
    source = f"f := func(x) {{\n\treturn {value}\n}}\ny := f(1)\n"
    fault = probes.run(runtime, source)["error"]
    assert [frame[1] for frame in fault["frames"]] == [4, 2]
    assert (fault["line"], fault["frames"][-1][3]) == (2, column)
