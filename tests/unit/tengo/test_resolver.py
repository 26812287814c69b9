"""What names stand for, what the compiler refuses, and the types that are known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.tengo import nodes as n
from runtimes.tengo.faults import TengoSyntaxError
from runtimes.tengo.parser import parse
from runtimes.tengo.resolver import resolve
from runtimes.tengo.scopes import Function, Kind, Symbol, Type
from runtimes.tengo.types import join, result_of, type_of

PROBES = Path(__file__).resolve().parents[4] / "shared" / "oracle" / "tengo" / "probes.jsonl"

_KINDS = "array bool bytes char error float function immutable_array immutable_map int"
_KINDS += " callable iterable map string time undefined"
_NAMES = "append bool bytes char copy delete float format int len range splice string time"
BUILTINS = frozenset(
    [*_NAMES.split(" "), "type_name", *(f"is_{kind}" for kind in _KINDS.split(" "))]
)
LIBRARIES = frozenset(("fmt", "text", "math", "times", "rand", "json", "base64", "hex", "enum"))


def compiled(
    source: str | bytes,
    *,
    is_module: bool = False,
    predefined: tuple[str, ...] = ("panic",),
    name: str = "(main)",
    modules: dict[str, Any] | None = None,
    chain: tuple[str, ...] = (),
) -> n.File:
    """Parse and resolve a file and what it imports."""
    file = parse(source.encode() if isinstance(source, str) else source, name)

    def follow(node: n.Import) -> None:
        module = (modules or {}).get(node.name)
        if module is not None and node.name not in chain:
            text = module["source"]
            inner = (*chain, node.name)
            compiled(
                text, is_module=True, predefined=(), name=node.name, modules=modules, chain=inner
            )
            return
        message = f"cyclic module import: {node.name}"
        if module is None:
            if node.name in LIBRARIES:
                return
            message = f"module '{node.name}' not found"
        raise TengoSyntaxError(message, phase="Compile Error", file=name, pos=node.pos)

    resolve(
        file,
        builtins=BUILTINS,
        predefined=predefined,
        is_module=is_module,
        on_import=None if modules is None else follow,
    )
    return file


def refusal(source: str, *, is_module: bool = False) -> str:
    with pytest.raises(TengoSyntaxError) as caught:
        compiled(source, is_module=is_module)
    assert caught.value.line_text == source.split("\n")[caught.value.pos.line - 1]
    text = str(caught.value)
    assert text.startswith("Compile Error: ")
    return text.removeprefix("Compile Error: ").replace("\n\tat (main):", " @")


def names(file: n.File) -> dict[str, list[n.Ident]]:
    """Every name of a file that has a symbol, in the order of the text."""
    found: dict[str, list[n.Ident]] = {}

    def walk(node: Any) -> None:
        if isinstance(node, n.Ident):
            found.setdefault(node.name, []).append(node)
        elif isinstance(node, list | tuple):
            for item in node:
                walk(item)
        elif dataclasses.is_dataclass(node) and not isinstance(node, Symbol | Function):
            for field in dataclasses.fields(node):
                walk(getattr(node, field.name))

    walk(file.body)
    for idents in found.values():
        idents.sort(key=lambda ident: ident.pos)
    return found


def symbols(file: n.File, name: str) -> list[Symbol]:
    found = [ident.symbol for ident in names(file)[name]]
    assert None not in found
    return [symbol for symbol in found if symbol is not None]


def numbering(source: str, name: str, *, is_module: bool = False) -> str:
    """Which of a name's uses are the same variable, as letters in the order of the text."""
    found = symbols(compiled(source, is_module=is_module), name)
    order = list(dict.fromkeys(found))
    return "".join("abcdef"[order.index(symbol)] for symbol in found)


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a := b", "unresolved reference 'b' @1:6"),
        ("a = 1", "unresolved reference 'a' @1:1"),
        ("a.b = 1", "unresolved reference 'a' @1:1"),
        ("a += 1", "unresolved reference 'a' @1:1"),
        ("x := 1\ny := x + z", "unresolved reference 'z' @2:10"),
        ("a := 1; a := 2", "'a' redeclared in this block @1:9"),
        ("if 1 { a := 1; a := 2 }", "'a' redeclared in this block @1:16"),
        ("len := 1", "'len' redeclared in this block @1:1"),
        ("panic := 1", "'panic' redeclared in this block @1:1"),
        ("len = 1", "invalid assignment variable scope: BUILTIN @1:1"),
        ("if 1 { a := 1 }; a", "unresolved reference 'a' @1:18"),
        ("for x in [1] { }; x", "unresolved reference 'x' @1:19"),
        ("for i := 0; i < 1; i++ { }; i", "unresolved reference 'i' @1:29"),
        ("f := func() { return x }; x := 1", "unresolved reference 'x' @1:22"),
        ("f := func() { a := a }", "unresolved reference 'a' @1:20"),
        ("break", "break not allowed outside loop @1:1"),
        ("if 1 { continue }", "continue not allowed outside loop @1:8"),
        ("for { f := func() { break } }", "break not allowed outside loop @1:21"),
        ("return 1", "return not allowed outside function @1:1"),
        ("f := func() { export 1 }", "export not allowed inside function @1:15"),
        ('import("")', "empty module name @1:1"),
        ("a, b := 1, 2", "tuple assignment not allowed @1:1"),
        ("a.b := 1", "operator ':=' not allowed with selector @1:1"),
        ("5 = 1", "unresolved reference '' @1:1"),
        ("a := 1\n\ta.b[c] = d", "unresolved reference 'd' @2:11"),  # the right side comes first
        ("a := 1; a[b][c] = 1", "unresolved reference 'c' @1:14"),  # then the last index
    ],
)
def test_refusals(source: str, expected: str) -> None:
    assert refusal(source) == expected


def test_modules_differ() -> None:
    compiled("return 1", is_module=True)
    compiled("if 1 { export 1 }", is_module=True)
    compiled("len := 1; export len", is_module=True)
    assert refusal("a := a", is_module=True) == "unresolved reference 'a' @1:6"
    assert refusal("export b", is_module=True) == "unresolved reference 'b' @1:8"
    with pytest.raises(TengoSyntaxError, match="unresolved reference 'panic'"):
        compiled("panic()", is_module=True, predefined=())


def test_an_export_of_the_main_program_is_not_compiled() -> None:
    file = compiled('export [nothing, import("nope")]; import("fmt")', modules={})
    assert [node.name for node in file.imports] == ["fmt"]


# ---------------------------------------------------------------------------- scopes


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x := 1; x = 2; x", "aaa"),
        ("x := 1; if 1 { x := 2; x }; x", "abba"),
        ("x := 1; f := func() { x = 2 }", "aa"),
        ("x := 1; f := func() { x := x; x }", "abab"),
        ("x := 1; f := func(x) { x; if 1 { x := x } }", "abbcb"),
        ("x := x", "aa"),
        ("x := 1; if x := x; x { x } else { x }; x", "abbbbba"),
        ("x := 1; for x in x { x }; x", "ababa"),
        ("for x, x in [] { x }", "abb"),
        ("f := func(x, x) { x }", "abb"),
        ("f := func() { x := func() { return x } }", "aa"),
        ("x := 1; f := func() { x := [func() { x }, x] }", "abbb"),
        ("x := 1; f := func() { x := [x, func() { x }] }", "abab"),
        ("x := 1; f := func() { if 1 { x := x + 1 }; x }", "abaa"),
    ],
)
def test_which_variable_a_name_is(source: str, expected: str) -> None:
    assert numbering(source, "x") == expected


def test_kinds() -> None:
    file = compiled("a := 1; if 1 { b := 2; f := func(p) { c := b + p; return len(c) } }; panic()")
    kinds = {name: symbols(file, name)[0].kind for name in names(file)}
    assert kinds == {
        "a": Kind.GLOBAL,
        "b": Kind.GLOBAL,
        "f": Kind.GLOBAL,
        "p": Kind.PARAMETER,
        "c": Kind.LOCAL,
        "len": Kind.BUILTIN,
        "panic": Kind.BUILTIN,
    }
    assert symbols(file, "panic")[0].predefined
    assert not symbols(file, "len")[0].predefined
    assert symbols(file, "b")[0].captured
    assert not symbols(file, "c")[0].captured
    assert file.function is not None
    assert [symbol.name for symbol in file.function.symbols] == ["a", "b", "f"]
    module = compiled("a := 1; export a", is_module=True)
    assert symbols(module, "a")[0].kind is Kind.LOCAL


def test_assignments_are_counted() -> None:
    file = compiled("a := 1; a = 2; a += 1; a++; a.b = 1; f := func() { a = 3 }; panic = 1")
    assert symbols(file, "a")[0].assigned == 4
    assert symbols(file, "panic")[0].assigned == 1


def test_functions_have_parents() -> None:
    file = compiled("f := func(a) { return func(b) { c := a + b } }")
    a, c = symbols(file, "a")[0], symbols(file, "c")[0]
    assert a.function is not None and c.function is not None
    assert c.function.parent is a.function
    assert a.function.parent is file.function
    assert [symbol.name for symbol in c.function.symbols] == ["b", "c"]


# ---------------------------------------------------------------------------- types


def typed(source: str, name: str = "x") -> str:
    return symbols(compiled(source), name)[0].type.value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x := 1", "int"),
        ("x := 1; x = 2.5", "unknown"),
        ("x := 1; x += 2; x++; x = x * 2 - x / 3", "int"),
        ("x := 1; x += 2.5", "unknown"),
        ("x := 1.5; x += 2", "float"),
        ("x := 1.5; x *= panic()", "float"),
        ('x := ""; x += 1; x += panic()', "string"),
        ("x := panic() % 2", "int"),
        ("x := panic() + 2", "unknown"),
        ("x := panic() < 2", "bool"),
        ("x := !panic()", "bool"),
        ("x := ^panic()", "int"),
        ("x := -1", "int"),
        ("x := -panic()", "unknown"),
        ("x := +1.5", "float"),
        ("x := 'a' + 1", "char"),
        ("x := 'b' - 'a'", "char"),
        ("x := 1 + 'a'", "char"),
        ("x := 'a' * 2", "unknown"),
        ("x := 1 + 2.5", "float"),
        ("x := panic() + 2.5", "unknown"),
        ("x := panic() - 2.5", "float"),
        ("x := 1 && 2", "int"),
        ("x := 1 || true", "unknown"),
        ("x := 1 < 2 && !3", "bool"),
        ("x := 1 ? 2 : 3", "int"),
        ('x := 1 ? "" : 3', "unknown"),
        ("x := undefined", "undefined"),
        ("x := undefined; x = 1", "unknown"),
        ("x := []", "array"),
        ("x := [1] + panic()", "array"),
        ("x := [1, 2][1:]", "array"),
        ('x := "abc"[1:]', "string"),
        ('x := "abc"[1]', "unknown"),
        ("x := {}", "map"),
        ("x := immutable([])", "unknown"),
        ("x := len(panic())", "int"),
        ("f := func(len) { x := len(1) }", "unknown"),
        ("x := append([], 1)", "array"),
        ("x := string(1)", "string"),
        ("x := string(panic())", "unknown"),
        ("x := string([1]...)", "unknown"),
        ("x := int(2.5)", "int"),
        ('x := int("2")', "unknown"),
        ("x := copy([1])", "array"),
        ("x := is_int(panic())", "bool"),
        ("x := len", "function"),
        ("x := panic", "unknown"),
        ("x := func() {}", "function"),
        ("x := func() {}; x = 1", "unknown"),
        ("x := func() { return 1 }()", "int"),
        ("x := func() { }()", "undefined"),
        ("x := func() { if 1 { return 1 } }()", "unknown"),
        ("x := func() { if 1 { return 1 } else { return 2 } }()", "int"),
        ("for x in [1, 2] {}", "int"),
        ("for x in [1, 2.5] {}", "unknown"),
        ("for x in range(0, 3) {}", "int"),
        ("for x, v in panic() {}", "unknown"),
        ("for x, v in [1] {}", "int"),
        ("for x, v in {} {}", "string"),
        ('for x in "abc" {}', "char"),
        ("for x := 0; x < 10; x++ {}", "int"),
        ("x := x", "unknown"),
        ("x := [x]", "unknown"),
        ("x := 1; f := func() { x = 2.5 }", "unknown"),
        ("x := 1; f := func() { x = 2 }", "int"),
        ("a := 1; b := a; c := b; x := c", "int"),
        # parameters: known only if every call is
        ("f := func(x) { return x }; f(1); f(2)", "int"),
        ("f := func(x) { return x }; f(1); f(2.5)", "unknown"),
        ("f := func(x) { return x }; f(1); g := f", "unknown"),
        ("f := func(x) { return x }; f(1); f = 1", "unknown"),
        ("f := func(x) { return x }; f([1]...)", "unknown"),
        ("f := func(x) { return x }; f(1, 2)", "unknown"),
        ("f := func(...x) { return x }; f(1)", "unknown"),
        ("f := func(x) { return x }; h := {f: f}", "unknown"),
        ("f := func(x) { x = 2.5 }; f(1)", "unknown"),
        ("f := func(x) { return x }", "unknown"),
        ("func(x) { return x }(1)", "unknown"),
        ("f := func(n) { return n < 2 ? n : f(n - 1) + f(n - 2) }; x := f(20)", "int"),
        ("f := func(n) { return n ? f(n) : 1.5 }; x := f(20)", "float"),
        ("f := func(n) { return f(n) }; x := f(1)", "unknown"),
    ],
)
def test_types_of_variables(source: str, expected: str) -> None:
    assert typed(source) == expected


def test_types_of_expressions() -> None:
    file = compiled("a := 1; b := a + 2 * a; c := b < 2 || a")
    b, c = file.body[1], file.body[2]
    assert isinstance(b, n.Assign) and isinstance(c, n.Assign)
    assert type_of(b.value) is Type.INT
    assert isinstance(c.value, n.Logical)
    assert (type_of(c.value), type_of(c.value.left)) == (Type.UNKNOWN, Type.BOOL)


def test_types_that_take_many_rounds_to_settle_are_given_up() -> None:
    count = 200
    lines = [f"v{i} := 0" for i in range(count)]
    lines += [f"v{i} = v{i + 1}" for i in range(count - 1)] + [f'v{count - 1} = ""']
    file = compiled("\n".join(lines))
    assert {symbols(file, f"v{i}")[0].type for i in range(count)} == {Type.UNKNOWN}


@given(
    st.sampled_from(("+", "-", "*", "/", "%", "&", "<<", "==", "<")),
    *(st.sampled_from(list(Type)) for _ in range(4)),
)
def test_rules_are_monotonic(op: str, left: Type, right: Type, more: Type, also: Type) -> None:
    """More values for an operand never make the result more certain; else rounds might not end."""
    before = result_of(op, left, right)
    after = result_of(op, join(left, more), join(right, also))
    assert join(before, after) is after


def test_visits_do_not_multiply() -> None:
    """An index of `a[...] += 1` is compiled twice by the original: in nests, exponentially."""
    depth = 60
    compiled("a := [0]; " + "a[func() { " * depth + "a[0] += 1" + " }()] += 1" * depth)


def test_deep_and_long_programs_resolve() -> None:
    compiled("x := 1" + "+1" * 20_000)
    compiled("x := {}" + ".a" * 20_000)
    compiled("if 1 {} else " * 20_000 + "{}")
    compiled("x := " + "(1 + " * 900 + "1" + ")" * 900)
    compiled("x := " + "! " * 900 + "1")
    compiled("x := " + "func() { return " * 300 + "1" + " }" * 300)


# ---------------------------------------------------------------------------- recordings

LIKE_MASTER = frozenset(("P94", "P95", "P97", "P100", "P318", "P491", "P643"))
TOLERATED = frozenset(("P317",))


def recorded() -> list[dict[str, Any]]:
    if not PROBES.exists():
        return []
    with PROBES.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


RECORDED = recorded()


@pytest.mark.skipif(not RECORDED, reason="the recordings in ../shared are not there")
def test_recorded_programs() -> None:
    refused = 0
    for probe in RECORDED:
        actual = probe["actual"]
        version = "master" if probe["id"] in LIKE_MASTER else "2.10.0"
        outcome = actual.get("both") or actual[version]
        wrong = outcome.get("phase") in ("parse", "compile") and probe["id"] not in TOLERATED
        expected = outcome["error"] if wrong else None
        got = None
        try:
            compiled(probe["source"], modules=probe.get("modules", {}))
        except TengoSyntaxError as fault:
            got = str(fault)
            refused += 1
        assert got == expected, probe["id"]
    assert refused >= 50
