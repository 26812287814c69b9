"""Python programs that look for a way out.

Owns the grammar, the objects that every program starts with, and the walk that each program ends
with, which is written in the guest's own language.  Whether anything was found is not decided
here: `python_oracle` looks at what the program holds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.grammar import Grammar, read_rules, words

WALKED: Final = (
    "__class__", "__dict__", "__globals__", "__builtins__", "__self__", "__func__", "__code__",
    "__mro__", "__subclasses__", "__base__", "__traceback__", "__context__", "__closure__",
    "__wrapped__", "gi_frame", "tb_frame", "f_back", "f_globals", "f_builtins", "f_locals", "obj",
    "cell_contents", "func", "fget", "args", "keywords", "__init__", "__name__", "value", "re",
    "format", "groupindex", "got", "x", "_x", "__reduce__", "name", "pattern", "mro",
)  # fmt: skip

GRAMMAR: Final = Grammar(read_rules(Path(__file__).with_name("python.grammar")))
_DEPTH: Final = 7
_STATEMENTS: Final = 10

SETUP: Final = """
GIVEN = []
def give(value):
    if len(GIVEN) < 600: GIVEN.append(value)
    return value
import json, re, datetime, string, collections, functools, math, random, typing, itertools
import hashlib, textwrap, urllib.parse
class A:
    def __init__(self): self.x = 1; self._x = 2
    def method(self, *v): return v
    def __enter__(self): return self
    def __exit__(self, *v):
        give(v)
        global tb
        tb = v[2]
        return True
class Thief:
    def __init__(self): self.got = []
    def take(self, *others):
        self.got.extend(others)
        for other in others: give(other)
        return self
"""
SETUP += "".join(
    f"    def __{name}__(self, *others): return self.take(*others)\n"
    for name in words(
        "eq ne lt gt add radd ror or rand rmul rmod contains rsub call getitem setitem "
        "rmatmul rxor rpow enter exit missing"
    )
)
SETUP += """
Thief.__name__
a = A(); thief = Thief(); tb = None
with A(): 1 / 0
def f(*v): return v
def generate():
    try:
        got = yield 1
        give(got)
        yield got
    finally:
        give(generate)
gen = generate(); lam = lambda *v, **w: v
class Sub(A):
    x = 3
    def __init__(self): super().__init__(); self.sup = super()
sub = Sub()
pattern = re.compile("(?P<x>a)"); match = pattern.match("a")
Point = collections.namedtuple("Point", "x y"); point = Point(1, 2)
part = functools.partial(f, 1); cached = functools.lru_cache(f)
alias = list[int]; union = int | str; it = iter([a, thief]); sentinel = object()
error = AttributeError("m", name="n", obj=len); caught = ImportError("m"); exc = error
error_class = UnicodeDecodeError("utf-8", b"x", 0, 1, "r")
prop = property(lambda self: self); kept = None; v = w = q = None; self = a; cls = A
frame_like = A(); frame_like.args = a; keyed = {"x": a, "k": thief}
template = string.Template("$x {0.x}"); wrapped = functools.wraps(f)(lam); deep = [[a], {"x": sub}]
partial_class = functools.partial(A); mapped = map(give, [a, sub]); tee = itertools.tee([a, 1])[0]
url = urllib.parse.urlsplit("http://u:p@h:80/p?q#f"); hint = typing.Any
ordered = collections.OrderedDict(x=a); counter = collections.Counter("aab"); moved = A.method
"""

WALK: Final = """
def walk(value, depth):
    if depth > 2 or len(GIVEN) > 500: return
    give(value)
    for name in NAMES:
        try: walk(getattr(value, name), depth + 1)
        except Exception: pass
    try:
        if isinstance(value, dict):
            for key, item in list(value.items())[:8]:
                give(key); walk(item, depth + 1)
        else:
            for count, item in enumerate(value):
                walk(item, depth + 1)
                if count > 2: break
    except Exception as problem:
        give(problem)
for number in range(len(GIVEN)):
    walk(GIVEN[number], 0)
for value in [kept, v, w, q, exc, a, thief, tb, gen]:
    walk(value, 0)
"""


@dataclass(frozen=True, slots=True)
class Program:
    """Statements between the common beginning and the walk at the end."""

    statements: tuple[str, ...]
    names: tuple[str, ...]

    def source(self) -> str:
        """The whole program but for `SETUP`: each statement on its own, its errors given out."""
        parts = [
            f"try:\n{_indented(statement)}\nexcept Exception as problem:\n give(problem)\n"
            for statement in self.statements
        ]
        return "".join(parts) + f"NAMES = {self.names!r}\n" + WALK

    def lines(self) -> list[range]:
        """The lines of each statement in `source`, counted from 1."""
        found, line = [], 1
        for statement in self.statements:
            end = line + 3 + statement.count("\n") + 1
            found.append(range(line, end))
            line = end
        return found

    def without(self, dropped: set[int]) -> Program:
        """The same program with some of its statements left out."""
        kept = [one for at, one in enumerate(self.statements) if at not in dropped]
        return Program(tuple(kept), self.names)


def _indented(text: str) -> str:
    return "\n".join(" " + line for line in text.split("\n"))


def _placed(statement: str, number: int, source: random.Random) -> str:
    """The statement at the top level, in a function, in a method or in a class body."""
    where = source.randrange(8)
    body = _indented(statement)
    if where < 4:
        return statement
    if where == 4:
        return f"def block{number}(kept=None, *v, w=None):\n{body}\ngive(block{number}())"
    if where == 5:
        return f"def block{number}(a, thief):\n{body}\ngive(block{number}({_root(source)}, thief))"
    if where == 6:
        inside = _indented(body)
        return f"class C{number}(A):\n def run(self):\n{inside}\ngive(C{number}().run())"
    return f"class C{number}:\n{body}\ngive(C{number})"


def _root(source: random.Random) -> str:
    return GRAMMAR.expand("root", source, 2)


def generate(seed: int) -> Program:
    """The program of a number: always the same one."""
    source = random.Random(seed)
    statements = [
        _placed(GRAMMAR.expand("stmt", source, source.randint(3, _DEPTH)), number, source)
        for number in range(source.randint(3, _STATEMENTS))
    ]
    return Program(tuple(statements), tuple(source.sample(WALKED, 6)))
