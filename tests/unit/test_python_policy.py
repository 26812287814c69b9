"""The language a plugin may write: what runs, what is refused, and how a refusal reads.

Owns the compile-time half of the Python fence.  Escapes have their own file.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from runtimes.python.environment import new_globals
from runtimes.python.errors import GuestSyntaxError
from runtimes.python.frames import MAX_TEXT, describe, guest_frames
from runtimes.python.policy import MAX_SOURCE, VALUE_NAME, compile_source


def run(source: str, **extra: object) -> dict[str, Any]:
    """Run `source` in a fresh environment and return its globals."""
    environment = new_globals(name="plugin", filename="plugin.py", extra_names=extra)
    exec(compile_source(source, "plugin.py"), environment)
    return environment


def result(source: str, **extra: object) -> Any:
    return run(source, **extra)["RESULT"]


def refusal(source: str | bytes) -> GuestSyntaxError:
    with pytest.raises(GuestSyntaxError) as caught:
        compile_source(source, "plugin.py")
    return caught.value


def test_value_of_the_last_expression() -> None:
    for source, expected in (("x = 1\nx + 1", 2), ("x = 1", None), ("'doc'", "doc"), ("", None)):
        environment = new_globals(name="p", filename="p.py")
        exec(compile_source(source, "p.py", value=True), environment)
        assert environment.get(VALUE_NAME) == expected


REFUSED = {
    "().__class__": '"__class__" is a reserved attribute name',
    "x.gi_frame": '"gi_frame" is an inspection attribute',
    "str.mro": '"mro" is an inspection attribute',
    "__builtins__": '"__builtins__" is a reserved name',
    "__import__('os')": '"__import__" is a reserved name',
    "def f(_getattr_, /): pass": '"_getattr_" is a reserved name',
    "lambda *_write_: 0": '"_write_" is a reserved name',
    "lambda *, _write_=1: 0": '"_write_" is a reserved name',
    "lambda **_write_: 0": '"_write_" is a reserved name',
    "(_getattr_ := 1)": '"_getattr_" is a reserved name',
    "for _getiter_ in x: pass": '"_getiter_" is a reserved name',
    "[1 for _getiter_ in x]": '"_getiter_" is a reserved name',
    "import math as _getattr_": '"_getattr_" is a reserved name',
    "from math import sqrt as _getattr_": '"_getattr_" is a reserved name',
    "from math import __loader__": '"__loader__" is a reserved name',
    "import a._b": "may not be imported",
    "with x as _write_: pass": '"_write_" is a reserved name',
    "try: pass\nexcept E as _getattr_: pass": '"_getattr_" is a reserved name',
    "def f():\n global __builtins__": '"__builtins__" is a reserved name',
    "class _getattr_: pass": '"_getattr_" is a reserved name',
    "def __getattr__(n): pass": '"__getattr__" is a reserved name',
    "class A:\n def __getattr__(self, n): pass": '"__getattr__" is a reserved name',
    "class A:\n def __class_getitem__(c, n): pass": '"__class_getitem__" is a reserved name',
    "class A:\n def __del__(self): pass": '"__del__" is a reserved name',
    "class A:\n __slots__ = ()": '"__slots__" is a reserved name',
    "class A:\n __eq__ = f": '"__eq__" is a reserved name',
    "class A(metaclass=M): pass": 'class keyword "metaclass" is not available',
    "class A(**k): pass": 'class keyword "**" is not available',
    "match x:\n case {**_write_}: pass": '"_write_" is a reserved name',
    "match x:\n case [*_write_]: pass": '"_write_" is a reserved name',
    "match x:\n case 1 as _write_: pass": '"_write_" is a reserved name',
    "match x:\n case object(__class__=c): pass": '"__class__" is a reserved attribute name',
    "match x:\n case object(gi_frame=c): pass": '"gi_frame" is an inspection attribute',
    "match x:\n case str(format=f): pass": '"format" may not be matched',
    "x.obj += y": '"obj" may not be assigned in place',
    "x.__class__ = y": '"__class__" is a reserved attribute name',
    "del x.__dict__": '"__dict__" is a reserved attribute name',
    "f(__x__=1)": '"__x__" is an invalid keyword',
    "async def f(): pass": "async def is not available",
    "(x async for x in y)": "asynchronous comprehension is not available",
    "try: pass\nexcept* E: pass": "except* is not available",
    "from math import *": '"*" imports are not available',
    "def f(): return super().__init__()": "available in methods only",
    f"().{chr(0x5F)}{chr(0xFE4F)}class{chr(0xFE4F)}{chr(0x5F)}": '"__class__" is a reserved',
}  # fmt: skip


@pytest.mark.parametrize("source", REFUSED)
def test_refusals(source: str) -> None:
    error = refusal("\n" + source)
    expected = REFUSED[source]
    assert any(part in error.message for part in expected.split("|")), error.message
    assert error.line >= 2
    assert error.message.startswith(f"line {error.line}: ")


def test_a_refusal_names_every_reason_and_shows_the_first_line() -> None:
    error = refusal("x = 1\ny = ().__class__\nz = f.__globals__\nimport a._b")
    assert [line.split(":")[0] for line in error.message.split("\n")] == [
        "line 2", "line 3", "line 4",
    ]  # fmt: skip
    assert (error.filename, error.line, error.column) == ("plugin.py", 2, 5)
    assert error.text == "y = ().__class__"
    assert str(error).startswith("plugin.py:2: ")


@pytest.mark.parametrize(
    "source",
    [
        "x = (",
        "x = 1\0",
        "x = '\ud800'",
        "(" * 300 + ")" * 300,
        "x = " + "-" * 100_000 + "1",
        "x = " + "1+" * 50_000 + "1",
        "x = a" + ".b" * 50_000,
        "x = a" + "[0]" * 20_000,
        "x = " + "[" * 150 + "]" * 150,
        "\n".join(" " * i + "if 1:" for i in range(150)),
        "x = " + "9" * 5000,
        "f" + "()" * 20_000,
        "x = 1 if " * 5000 + "1",
        "a" * (MAX_SOURCE + 1),
        "return 1",
        "break",
        "nonlocal x",
        "def f(a, a): pass",
        "del f()",
        "x: int = yield",
        "*a",
        b"x = '\xff'",
        b"\xff\xfe",
        b"# coding: latin-1\nx = 1",
        b"#!/usr/bin/python\n# -*- coding: utf-7 -*-\nx = 1",
        b"x = 1\0",
    ],
    ids=range(26),
)
def test_every_unacceptable_source_is_a_guest_syntax_error(source: str | bytes) -> None:
    deep_but_legal = ("x = [[", "x = 1 if", "x = a", "x = 1+", "f()")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = attempt(source)
    if error is None:
        assert isinstance(source, str)
        assert source.startswith(deep_but_legal)
    else:
        assert error.line >= 1
        assert error.message
        assert len(error.text) <= 200


def attempt(source: str | bytes) -> GuestSyntaxError | None:
    try:
        compile_source(source, "plugin.py")
    except GuestSyntaxError as error:
        return error
    return None


def test_bytes_are_utf8_only_and_say_where_not() -> None:
    assert compile_source(b"\xef\xbb\xbfx = '\xc3\xa4'", "p.py")
    assert compile_source(b"# coding: utf-8\nx = 1", "p.py")
    error = refusal(b"x = 1\ny = '\xff'")
    assert error.line == 2
    assert "byte offset 11" in error.message
    assert "'utf-7' is refused" in refusal(b"# coding: utf-7\n").message


def test_noise_of_the_compiler_stays_inside() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_source("x = '\\d'\ny = 1 is 1\nassert (x, 'always')\n[1](2)", "p.py")


def test_guest_frames_are_the_plugins_own() -> None:
    source = (
        "import json\ndef f(v):\n    return json.dumps(v, default=g)\ndef g(v):\n    1 / 0\n\nf(f)"
    )
    with pytest.raises(ZeroDivisionError) as caught:
        run(source)
    assert guest_frames(caught.value) == [
        ("plugin.py", 7, "<module>"),
        ("plugin.py", 3, "f"),
        ("plugin.py", 5, "g"),
    ]


def test_deep_tracebacks_are_cut_in_the_middle() -> None:
    with pytest.raises(RecursionError) as caught:
        run("def _f(n):\n    return _f(n + 1)\n_f(0)")
    frames = guest_frames(caught.value)
    assert len(frames) == 64
    assert frames[0] == ("plugin.py", 3, "<module>")
    assert frames[-1] == ("plugin.py", 2, "_f")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise KeyError('k')", ("KeyError", "'k'")),
        ("class E(Exception):\n def __str__(self): return 'mine'\nraise E", ("E", "mine")),
        ("class E(Exception):\n def __str__(self): return 1\nraise E", ("E", "(no message")),
        ("class E(Exception):\n def __str__(self): raise self\nraise E", ("E", "(no message")),
        ("raise ValueError('x' * 10**7)", ("ValueError", "xxx")),
        ("raise ValueError('\\ud800')", ("ValueError", "\\ud800")),
        ("class E(Exception):\n def __str__(self): return str(self)\nraise E", ("E", "(no mess")),
        ("_x", ("NameError", "name '_x' is not defined")),
        ("class _E(Exception): pass\nraise _E(1)", ("_E", "1")),
    ],
)
def test_describe_survives_hostile_errors(source: str, expected: tuple[str, str]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any exception of the plugin's
        run(source)
    name, message = describe(caught.value)
    assert name == expected[0]
    assert message.startswith(expected[1])
    assert len(message) < MAX_TEXT + 100
    message.encode()
