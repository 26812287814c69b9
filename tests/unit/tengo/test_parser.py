"""Tokens to trees: what the tree says, where its nodes are, and the errors of the original."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from runtimes.tengo import nodes as n
from runtimes.tengo.depth import MAX_DEPTH
from runtimes.tengo.faults import TengoSyntaxError
from runtimes.tengo.parser import parse

PROBES = Path(__file__).resolve().parents[4] / "shared" / "oracle" / "tengo" / "probes.jsonl"

LIKE_MASTER = frozenset(("P94", "P95", "P97", "P100", "P318", "P643"))
"""Number literals and a stray brace are read as upstream's master reads them."""

TOLERATED = frozenset(("P317",))
"""A first line `#!...` is a comment, as in the original's command line tool."""


def body(source: str) -> list[n.Stmt]:
    return parse(source.encode(), "(main)").body


def expr(source: str) -> n.Expr:
    (statement,) = body("out := " + source)
    assert isinstance(statement, n.Assign)
    return statement.value


def show(node: Any) -> str:
    """A tree as text, fully parenthesized."""
    match node:
        case n.IntLit() | n.FloatLit() | n.BoolLit() | n.CharLit() | n.StringLit():
            return repr(node.value)
        case n.UndefinedLit():
            return "undefined"
        case n.Ident():
            return node.name
        case n.ArrayLit():
            return f"[{', '.join(map(show, node.items))}]"
        case n.MapLit():
            return f"{{{', '.join(f'{k.decode()}: {show(v)}' for k, v in node.items)}}}"
        case n.FuncLit():
            params = [param.name for param in node.params]
            if node.variadic:
                params[-1] = "..." + params[-1]
            return f"func({', '.join(params)}) {show(node.body)}"
        case n.Unary():
            return f"({node.op}{show(node.operand)})"
        case n.Binary() | n.Logical():
            return f"({show(node.left)} {node.op} {show(node.right)})"
        case n.Cond():
            return f"({show(node.condition)} ? {show(node.then)} : {show(node.otherwise)})"
        case n.Index(selector=True, index=n.StringLit()):
            return f"{show(node.operand)}.{node.index.value.decode()}"
        case n.Index():
            return f"{show(node.operand)}[{show(node.index)}]"
        case n.Slice():
            return f"{show(node.operand)}[{show(node.low)}:{show(node.high)}]"
        case n.Call():
            dots = "..." if node.spread else ""
            return f"{show(node.function)}({', '.join(map(show, node.arguments))}{dots})"
        case n.Import():
            return f"import({node.name})"
        case n.ErrorExpr():
            return f"error({show(node.value)})"
        case n.ImmutableExpr():
            return f"immutable({show(node.value)})"
        case n.ExprStmt():
            return show(node.value)
        case n.Assign():
            op = ":=" if node.define else node.op + "="
            return f"{show(node.target)} {op} {show(node.value)}"
        case n.Block():
            return f"{{{'; '.join(map(show, node.body))}}}"
        case n.If():
            init = f"{show(node.init)}; " if node.init else ""
            other = f" else {show(node.otherwise)}" if node.otherwise else ""
            return f"if {init}{show(node.condition)} {show(node.then)}{other}"
        case n.For():
            parts = "; ".join(map(show, (node.init, node.condition, node.post)))
            return f"for {parts} {show(node.body)}"
        case n.ForIn():
            return f"for {show(node.key)}, {show(node.value)} in {show(node.iterable)} " + show(
                node.body
            )
        case n.Branch():
            return node.keyword
        case n.Return():
            return f"return {show(node.value)}"
        case n.Export():
            return f"export {show(node.value)}"
        case n.Refused():
            return f"refused: {node.message}"
        case None:
            return "-"
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2 * 3 - 4", "((1 + (2 * 3)) - 4)"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        ("1 - (2 - 3)", "(1 - (2 - 3))"),
        ("a || b && c == d + e * f", "(a || (b && (c == (d + (e * f)))))"),
        ("a * b + c == d && e || f", "(((((a * b) + c) == d) && e) || f)"),
        ("a | b & c ^ d", "((a | (b & c)) ^ d)"),
        ("1 << 2 + 3", "((1 << 2) + 3)"),
        ("a < b == c", "((a < b) == c)"),
        ("a &^ b", "(a &^ b)"),
        ("-a * !b", "((-a) * (!b))"),
        ("- -+^!a", "(-(-(+(^(!a)))))"),
        ("-a.b", "(-a.b)"),
        ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
        ("a ? b ? 1 : 2 : 3", "(a ? (b ? 1 : 2) : 3)"),
        ("a || b ? 1 + 2 : 3", "((a || b) ? (1 + 2) : 3)"),
        ("a.b[1].c(2)(3)[:]", "a.b[1].c(2)(3)[-:-]"),
        ("a[1:]", "a[1:-]"),
        ("a[:2]", "a[-:2]"),
        ("a[1:2]", "a[1:2]"),
        ("f(a, b...)", "f(a, b...)"),
        ("f(\na,\nb\n)", "f(a, b)"),
        ("[]", "[]"),
        ("[1, [2, 3\n]\n]", "[1, [2, 3]]"),
        ("{}", "{}"),
        ('{a: 1, "b c": {d: 2}\n}', "{a: 1, b c: {d: 2}}"),
        ("{a: 1, a: 2}", "{a: 1, a: 2}"),
        ("func() {}", "func() {}"),
        ("func(a, ...b) { return a }", "func(a, ...b) {return a}"),
        ("func(...b) { return; }()", "func(...b) {return -}()"),
        ("error(1 + 2)", "error((1 + 2))"),
        ("immutable([1])", "immutable([1])"),
        ('import("x/y")', "import(x/y)"),
        ("'a'", "97"),
        ('"a\\n"', repr(b"a\n")),
        ("1.5e1", "15.0"),
        ("undefined == true", "(undefined == True)"),
        ("a.\nb", "a.b"),
        ("a +\n\nb", "(a + b)"),
    ],
)
def test_expressions(source: str, expected: str) -> None:
    assert show(expr(source)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a = 1", "a = 1"),
        ("a.b[1] = 2", "a.b[1] = 2"),
        ("a &^= 2", "a &^= 2"),
        ("a <<= 2", "a <<= 2"),
        ("a++", "a += 1"),
        ("a.b--", "a.b -= 1"),
        (";;a;;", "a"),
        ("if a {} else if b { c } else { d }", "if a {} else if b {c} else {d}"),
        ("if a := 1; a { }", "if a := 1; a {}"),
        ("for {}", "for -; -; - {}"),
        ("for a {}", "for -; a; - {}"),
        ("for ;; {}", "for -; -; - {}"),
        ("for i := 0; i < 3; i++ { break }", "for i := 0; (i < 3); i += 1 {break}"),
        ("for x in y {}", "for -, x in y {}"),
        ("for _, x in y {}", "for -, x in y {}"),
        ("for k, _ in y {}", "for k, - in y {}"),
        ("for k, v in y { continue label }", "for k, v in y {continue}"),
        ("export a", "export a"),
        ("func() {}", "func() {}"),
        ("{a: 1}", "{a: 1}"),
        ("a, b = 1, 2", "refused: tuple assignment not allowed"),
        ("a = 1, 2", "refused: tuple assignment not allowed"),
        ("a.b := 1", "refused: operator ':=' not allowed with selector"),
        ("f() = 1", "refused: unresolved reference ''"),
        ("f().a = 1", "refused: unresolved reference ''"),
        ("(a) = 1", "refused: unresolved reference ''"),
        ("(a).b = 1", "refused: unresolved reference ''"),
        ("a[1:2] = 1", "refused: unresolved reference ''"),
        ("5++", "refused: unresolved reference ''"),
    ],
)
def test_statements(source: str, expected: str) -> None:
    assert [show(statement) for statement in body(source)] == [expected]


def test_nodes_are_where_the_original_places_errors() -> None:
    assert expr("  1 + true").pos == (1, 10)
    assert expr("(1 + true) * 2").pos == (1, 8)
    assert expr("((1)) + true").pos == (1, 8)
    inner = expr("2 * (1 + true)")
    assert isinstance(inner, n.Binary)
    assert inner.right.pos == (1, 13)
    assert expr("-'a'").pos == (1, 9)  # a unary operator: its operand
    assert expr("f.g(1)[2].h").pos == (1, 8)
    assert expr("a ? b : c").pos == (1, 8)
    assert expr("func() {}").pos == (1, 8)
    assert body("x.y = 1; z++")[1].pos == (1, 10)
    chain = expr("1 + 2 +\n 3 * x")
    assert isinstance(chain, n.Binary)
    assert (chain.pos, chain.right.pos) == ((1, 8), (2, 2))
    function = expr("func() {\n}")
    assert isinstance(function, n.FuncLit)
    assert (function.body.pos, function.body.end) == ((1, 15), (2, 1))


def test_imports_are_collected() -> None:
    file = parse(b'a := import("x"); f := func() { return [import("y/z")] }', "(main)")
    assert [(node.name, node.pos) for node in file.imports] == [("x", (1, 6)), ("y/z", (1, 41))]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("a := (1", "expected ')', found newline\n\tat (main):1:8"),
        ("a := [1", "expected ']', found 'EOF'\n\tat (main):1:8"),
        ("a := {b", "expected ':', found newline\n\tat (main):1:8"),
        ("a := {b: 1", "expected '}', found 'EOF'\n\tat (main):1:11"),
        ("a := func() {", "expected '}', found 'EOF'\n\tat (main):1:14"),
        ("a := func() {\n", "expected '}', found 'EOF'\n\tat (main):1:15"),
        ("a := func(1) {}", "expected 'IDENT', found 1\n\tat (main):1:11"),
        ("a := ", "expected operand, found 'EOF'\n\tat (main):1:6"),
        ("a := 1 2", "expected ';', found 2\n\tat (main):1:8"),
        ("a := {b: 1,}", "expected map element, found '}'\n\tat (main):1:12"),
        ("if {}", "missing condition in if statement\n\tat (main):1:4"),
        ("if ; a {}", "missing init in if statement\n\tat (main):1:4"),
        ("if a := 1 {}", "expected boolean expression, found assignment\n\tat (main):1:4"),
        ("if a; b++ {}", "expected boolean expression, found simple statement\n\tat (main):1:7"),
        ("if a {} else b", "expected if or {, found b\n\tat (main):1:14"),
        ("for a++ {}", "expected condition expression, found simple statement\n\tat (main):1:5"),
        ("for 5 in x {}", "expected identifier\n\tat (main):1:5"),
        ("for (a) in x {}", "expected identifier\n\tat (main):1:5"),
        ("a, b", "expected 1 expression\n\tat (main):1:1"),
        ("else", "expected statement, found 'else'\n\tat (main):1:1"),
        ("a := 0xffffffffffffffff", "invalid integer\n\tat (main):1:6"),
        ("a := 1e400", "invalid float\n\tat (main):1:6"),
        ("a := 1 }", "expected 'EOF', found '}'\n\tat (main):1:8"),
        ("a := $", "illegal character U+0024 '$'\n\tat (main):1:6"),
        ("a := [1,\n2,\n]", "expected array element, found ']'\n\tat (main):3:1"),
        ("a := )\nb := )\nc", "expected operand, found ')'\n\tat (main):1:6 (and 1 more errors)"),
        (
            "for )\nfor )\n",
            "expected operand, found ')'\n\tat (main):1:5 (and 1 more errors)",
        ),
        ('a := "x\nb := "y', "string literal not terminated\n\tat (main):1:6 (and 1 more errors)"),
        ("for )\n" * 20, "expected operand, found ')'\n\tat (main):1:5 (and 10 more errors)"),
    ],
)
def test_errors(source: str, error: str) -> None:
    with pytest.raises(TengoSyntaxError) as caught:
        body(source)
    assert str(caught.value) == f"Parse Error: {error}"


def test_an_error_knows_its_line() -> None:
    with pytest.raises(TengoSyntaxError) as caught:
        parse(b"a := 1\r\nb := )\r\n", "mod")
    fault = caught.value
    assert (fault.file, fault.pos, fault.line_text) == ("mod", (2, 6), "b := )")
    assert (fault.phase, fault.message) == ("Parse Error", "expected operand, found ')'")


DEEP = MAX_DEPTH - 10


@pytest.mark.parametrize(
    ("opening", "core", "closing"),
    [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{a: ", "1", "}"),
        ("f(", "1", ")"),
        ("a[", "1", "]"),
        ("! ", "1", ""),
        ("1 ? 2 : ", "3", ""),
        ("error(", "1", ")"),
    ],
)
def test_nesting(opening: str, core: str, closing: str) -> None:
    limit = sys.getrecursionlimit()
    body("out := " + opening * DEEP + core + closing * DEEP)
    for depth in (MAX_DEPTH + 10, 300_000):
        with pytest.raises(TengoSyntaxError, match="nesting too deep"):
            body("out := " + opening * depth + core + closing * depth)
    with pytest.raises(TengoSyntaxError):
        body("out := " + opening * DEEP)
    assert sys.getrecursionlimit() == limit


def test_nested_statements() -> None:
    body("if a { " * DEEP + "}" * DEEP)
    body("f := " + "func() { return " * 300 + "1" + " }" * 300)
    with pytest.raises(TengoSyntaxError, match="nesting too deep"):
        body("for a { " * 2 * MAX_DEPTH)
    with pytest.raises(TengoSyntaxError, match="nesting too deep"):
        body("if a := 1; a {} else " * 2 * MAX_DEPTH + "{}")


def spine_length(node: n.Expr) -> int:
    length = 0
    left: n.Expr | None = node
    while left is not None:
        left = n.left_of(left)
        length += 1
    return length


@pytest.mark.parametrize("link", ["+1", "&&1", ".a", "[0]", "[:]", "()"])
def test_chains_have_no_depth(link: str) -> None:
    assert spine_length(expr("x" + link * 20_000)) == 20_001


def test_long_else_if_chains() -> None:
    node: n.Stmt | None = body("if a {} else " * 20_000 + "{}")[0]
    length = 0
    while isinstance(node, n.If):
        node = node.otherwise
        length += 1
    assert length == 20_000
    assert isinstance(node, n.Block)


def recorded() -> list[dict[str, Any]]:
    if not PROBES.exists():
        return []
    with PROBES.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


RECORDED = recorded()


@pytest.mark.skipif(not RECORDED, reason="the recordings in ../shared are not there")
def test_recorded_parse_errors() -> None:
    seen = 0
    for probe in RECORDED:
        actual = probe["actual"]
        version = "master" if probe["id"] in LIKE_MASTER else "2.10.0"
        outcome = actual.get("both") or actual[version]
        expected = outcome["error"] if outcome.get("phase") == "parse" else None
        if probe["id"] in TOLERATED:
            expected = None
        got = None
        try:
            parse(probe["source"].encode(), "(main)")
        except TengoSyntaxError as fault:
            got = str(fault)
            seen += 1
        assert got == expected, probe["id"]
    assert seen >= 35
