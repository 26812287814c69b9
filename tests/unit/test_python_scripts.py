"""Ordinary Python scripts that have to run behind the fence exactly as they do without it.

Owns the author's side of the language: every program here is run plainly as well, and both runs
have to agree.
"""

from __future__ import annotations

from typing import Any

import pytest

from runtimes.python.environment import new_globals
from runtimes.python.policy import compile_source


def result(source: str) -> Any:
    """Run `source` in a fresh environment and return its RESULT."""
    environment = new_globals(name="plugin", filename="plugin.py")
    exec(compile_source(source, "plugin.py"), environment)
    return environment["RESULT"]


def plain(source: str) -> Any:
    space: dict[str, Any] = {"__name__": "plugin"}
    exec(compile(source, "plain.py", "exec"), space)
    return space["RESULT"]


WORKING = {
    "plain class": (
        """
class Point(object):
    '''A point.'''
    count = 0
    def __init__(self, x: int, y: "int" = 0) -> None:
        self.x, self._y = x, y
        self.__secret = x * y
        Point.count += 1
    def __repr__(self): return f"Point({self.x}, {self._y})"
    def __eq__(self, other): return isinstance(other, Point) and self.x == other.x
    def __hash__(self): return hash(self.x)
    def __lt__(self, other): return self.x < other.x
    def __add__(self, other): return Point(self.x + other.x, self._y + other._y)
    def __iadd__(self, n): self.x += n; return self
    def __len__(self): return 2
    def __iter__(self): return iter((self.x, self._y))
    def __getitem__(self, i): return (self.x, self._y)[i]
    def __contains__(self, v): return v == self.x
    def __call__(self, k): return self.x * k
    def __bool__(self): return True
    def secret(self): return self.__secret
p = Point(2, 3)
p += 1
a, b = p
RESULT = [repr(p + Point(1)), p == Point(3), sorted([Point(5), p])[0].x, len(p), a, b, p[1],
          3 in p, p(2), p.secret(), Point.count, {p: 1}[Point(3)], Point.__doc__, Point.__name__]
""",
        ["Point(4, 3)", True, 3, 2, 3, 3, 3, True, 6, 6, 5, 1, "A point.", "Point"],
    ),
    "inheritance and super": (
        """
class Base:
    def __init__(self, name): self.name = name
    def hello(self): return "base " + self.name
    def __repr__(self): return "Base"
class Child(Base):
    def __init__(self, name):
        super().__init__(name)
        Base.__init__(self, name + "!")
    def hello(self): return "child of " + super().hello()
    def __repr__(self): return super().__repr__() + "+"
class Grandchild(Child):
    def hello(self): return "grand" + super(Grandchild, self).hello()
class Oops(ValueError):
    def __init__(self, code):
        super().__init__("code %d" % code)
        self.code = code
try:
    raise Oops(7)
except ValueError as error:
    RESULT = [Grandchild("x").hello(), repr(Child("y")), str(error), error.code, error.args]
""",
        ["grandchild of base x!", "Base+", "code 7", 7, ("code 7",)],
    ),
    "properties and decorators": (
        """
def twice(function):
    def wrapper(*args, **kwargs):
        return [function(*args, **kwargs)] * 2
    return wrapper
class T:
    def __init__(self): self._v = 1
    @property
    def v(self): return self._v
    @v.setter
    def v(self, value): self._v = value + 1
    @v.deleter
    def v(self): self._v = None
    @staticmethod
    def s(x): return x + 1
    @classmethod
    def make(cls): return cls()
    @twice
    def m(self, x, *, k=1): return x + k
t = T.make()
t.v = 10
r = [t.v, T.s(1), t.m(2, k=3)]
del t.v
RESULT = r + [t.v]
""",
        [11, 2, [5, 5], None],
    ),
    "generators and comprehensions": (
        """
def numbers(n):
    received = yield from range(n)
    while True:
        received = yield received
g = numbers(2)
first = [next(g), next(g), next(g), g.send("hi")]
g.close()
pairs = {k: v for k, v in zip("abc", range(3)) if v}
nested = [x * y for x in range(3) for y in range(x)]
total = sum(x for x in range(10) if (half := x // 2) > 1)
RESULT = [first, pairs, nested, total, half, {x % 2 for x in range(5)}]
""",
        [[0, 1, None, "hi"], {"b": 1, "c": 2}, [0, 0, 2], 39, 4, {0, 1}],
    ),
    "assignments": (
        """
class Box: pass
b = Box(); b.n = 1; b.d = {"k": [1]}; b.inner = Box(); b.inner.n = 0
b.n += 1; b.d["k"] += [2]; b.d["k"][0] *= 10; b.inner.n -= 5
x = y = 3
x, *rest, (p, q) = [1, 2, 3, (4, 5)]
i: int = 4
b.note: str = "x"
def local() -> None:
    z: int
    z = 1
    return z
for b.n, b.m in [(1, 2), (3, 4)]: pass
del b.note, b.d["k"][1]
RESULT = [b.n, b.m, b.d, b.inner.n, x, y, rest, p, q, i, local(), hasattr(b, "note")]
""",
        [3, 4, {"k": [10]}, -5, 1, 3, [2, 3], 4, 5, 4, 1, False],
    ),
    "match": (
        """
class P:
    def __init__(self, x, _k): self.x = x; self._k = _k
def kind(v):
    match v:
        case 0 | 1: return "bit"
        case int(n) if n > 100: return "big"
        case str() as s: return "text " + s
        case [first, *_rest]: return ("list", first, _rest)
        case {"type": t, **others}: return (t, others)
        case P(x=0, _k=k): return ("origin", k)
        case None | True: return "single"
        case _: return "?"
RESULT = [kind(v) for v in (1, 500, "a", [1, 2], {"type": "t", "o": 1}, P(0, 9), True, None, 2.5)]
""",
        [
            "bit", "big", "text a", ("list", 1, [2]), ("t", {"o": 1}), ("origin", 9), "bit",
            "single", "?",
        ],
    ),
    "errors and finally": (
        """
log = []
class Manager:
    def __enter__(self): log.append("in"); return (1, 2)
    def __exit__(self, kind, error, traceback): log.append(kind and kind.__name__); return True
with Manager() as (a, b), Manager():
    raise KeyError("k")
def f():
    try:
        return 1 / 0
    except (ZeroDivisionError, TypeError) as e:
        log.append(type(e).__name__)
        raise ValueError("bad") from e
    else:
        log.append("never")
    finally:
        log.append("finally")
try:
    f()
except:
    log.append("bare")
assert log
RESULT = log + [a, b]
""",
        ["in", "in", "KeyError", None, "ZeroDivisionError", "finally", "bare", 1, 2],
    ),
    "scopes": (
        """
count = 0
_private = 5
def bump():
    global count, _private
    count += 1; _private += 1
def counter():
    n = 0
    def inc(_step=2):
        nonlocal n
        n += _step
        return n
    return inc
bump()
c = counter(); c()
f = lambda a, /, b=2, *args, k=3, **kw: (a, b, args, k, kw)
RESULT = [count, _private, c(), f(1, 2, 3, k=4, z=5), f(*[1, 2], **{"k": 9})]
""",
        [1, 6, 4, (1, 2, (3,), 4, {"z": 5}), (1, 2, (), 9, {})],
    ),
    "formatting": (
        """
class A:
    def __init__(self): self.x = [1]
    def format(self, *a): return ("mine", a)
template = "{0:>{w}}|{name!r}|{1[k]}"
parts = ["{} {}", "{a.x[0]}"]
RESULT = [template.format(7, {"k": 1}, w=4, name="n"), "%5.1f|%s" % (1.25, "x"),
          f"{3.14159:.2f} {'a'!r:>5} {1 + 1 = }", parts[0].format(1, 2), parts[1].format(a=A()),
          A().format(1), "{x}".format_map({"x": 1}), format(3, "04d"), str.format("{}", 5),
          list(map("<{}>".format, [1, 2])), "{}".format(*[9]), "{k}".format(**{"k": 8})]
""",
        [
            "   7|'n'|1", "  1.2|x", "3.14   'a' 1 + 1 = 2", "1 2", "1", ("mine", (1,)), "1",
            "0003", "5", ["<1>", "<2>"], "9", "8",
        ],
    ),
    "builtins": (
        """
class D(dict):
    def __missing__(self, key): return key * 2
RESULT = [type(1) is int, type("x") == str, type(D()) is D, isinstance(1, (int, str)),
          issubclass(D, dict), D()["a"], getattr(D, "nothing", 4), hasattr([], "append"),
          list(reversed(sorted({3, 1}))), dict(zip("ab", (1, 2))), max([1, 5], key=lambda v: -v),
          callable(len), round(2.567, 1), divmod(7, 2), bytes([65]), bytearray(b"x"), slice(1, 2),
          any(map(bool, [0, 1])), list(enumerate("a", 1)), __name__, next(iter([]), "end"),
          type(D).__name__, type(lambda: 0).__name__]
""",
        [
            True, True, True, True, True, "aa", 4, True, [3, 1], {"a": 1, "b": 2}, 1, True, 2.6,
            (3, 1), b"A", bytearray(b"x"), slice(1, 2), True, [(1, "a")], "plugin", "end",
            "type", "function",
        ],
    ),
    "setattr family": (
        """
class A: pass
a = A()
setattr(a, "x", 1); setattr(a, "_y", 2)
def f(): f.calls += 1
f.calls = 0; f()
delattr(a, "x")
missing = object()
RESULT = [hasattr(a, "x"), a._y, getattr(a, "_y"), f.calls, getattr(a, "z", missing) is missing]
""",
        [False, 2, 2, 1, True],
    ),
    "future and typing": (
        """
from __future__ import annotations
from typing import Any, Dict, List, Optional, TYPE_CHECKING, cast
if TYPE_CHECKING:
    import nothing
Names = Dict[str, Optional[int]]
def f(a: Names, b: "List[Any] | None" = None, *c: int, **d: unknown) -> "nonsense((":
    return cast(int, a)
RESULT = f(3)
""",
        3,
    ),
    "main guard": ("RESULT = 0\nif __name__ == 'plugin': RESULT = 1", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKING)
def test_ordinary_scripts_work(name: str) -> None:
    source, expected = WORKING[name]
    assert result(source) == expected
    assert plain(source) == expected


def test_attribute_writes_in_all_positions_reach_the_right_object() -> None:
    source = """
class N:
    def __init__(self, v): self.v = v; self.next = None
    def bump(self, other):
        "doc"
        self.v += 1
        other.v = self.v
        other.v += 1
        if other.v > 2:
            other = N(0)
            other.v = 50
        return other.v
def chain(n):
    head = node = N(0)
    for i in range(n):
        node.next = N(i)
        node = node.next
        node.v = node.v * 10
        head.v += 1
        while node.v > 1000: node.v -= 1
    return head
def swap(a, b):
    a.v, b.v = b.v, a.v
    [a.v for a.v in (7, 8)]
    return a.v, b.v
def early(p, flag):
    if flag: p.v = 1
    return p
h = chain(4)
values = []
while h: values.append(h.v); h = h.next
RESULT = [values, N(1).bump(N(0)), N(5).bump(N(0)), swap(N(1), N(2)), early(3, False),
          early.__name__, N.bump.__doc__]
"""
    assert result(source) == [[4, 0, 10, 20, 30], 50, 50, (8, 1), 3, "early", "doc"]
