"""Random programs against the Python fence.

Owns two properties: whatever a program spells, it never holds a value from the other side of the
fence; and whatever path a program takes, no attribute write reaches an object it did not make.
The second one checks the proofs by which the compiler leaves write checks out.
"""

from __future__ import annotations

import builtins
import contextlib
import types
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtimes.python import guards
from runtimes.python.builtins import MISSING
from runtimes.python.environment import new_globals
from runtimes.python.errors import GuestSyntaxError
from runtimes.python.policy import compile_source

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

FORBIDDEN_TYPES = (types.ModuleType, types.FrameType, types.CodeType, types.CellType)
FORBIDDEN = [getattr(builtins, name) for name in MISSING if hasattr(builtins, name)]
FORBIDDEN += [type, guards.GuestType, getattr, setattr, delattr, builtins.__import__]
FORBIDDEN += [builtins.__build_class__, builtins.format, str.format, str.format_map]
TELLTALES = ("<frame ", "<code ", "<module ", "<class 'object'>", "<attribute '", "<cell ")


def leaks(value: Any) -> bool:
    """Tell whether `value` is, or shows, something from the other side."""
    if isinstance(value, FORBIDDEN_TYPES) or any(value is item for item in FORBIDDEN):
        return True
    if isinstance(value, types.BuiltinFunctionType):
        return value.__name__ in ("format", "format_map", "mro", "__subclasses__")
    if isinstance(value, str):
        return any(mark in value for mark in TELLTALES)
    if isinstance(value, tuple | list):
        return any(leaks(item) for item in value[:20])
    return False


# -- nothing forbidden is ever held ----------------------------------------------------------------

ATTRIBUTES = (
    "__class__ __base__ __bases__ __mro__ mro __subclasses__ __dict__ __globals__ __builtins__ "
    "__init__ __new__ __call__ __getattribute__ __self__ __func__ __code__ __closure__ __doc__ "
    "__name__ __qualname__ __module__ __traceback__ __context__ __cause__ __wrapped__ __reduce__ "
    "__init_subclass__ __origin__ __args__ __objclass__ __get__ __repr__ __eq__ __hash__ "
    "gi_frame gi_code gi_yieldfrom cr_frame ag_frame tb_frame tb_next f_back f_globals f_builtins "
    "f_locals co_consts cell_contents obj name path format format_map groupindex pattern re func "
    "fget keys values mapping pop copy args value real x _x _name _fields _asdict _make method "
    "datetime sys os codecs enum dumps compile Template flags Counter fromkeys most_common partial "
    "keywords with_traceback send throw close join encode"
)
ROOTS = (
    "() [] {} '' 0 1.5 None True len str int dict type getattr api A a A.method a.method f gen "
    "lam error caught kept json re datetime string collections functools math random pattern "
    "match point Point part cached tb exc super object print check alias union thief sentinel"
)
attributes = st.sampled_from(ATTRIBUTES.split())
roots = st.sampled_from(ROOTS.split())
fields = st.lists(attributes, min_size=1, max_size=4).map(".".join)
templates = st.builds(
    lambda field, kind, extra: "{0." + field + kind + extra + "}",
    fields,
    st.sampled_from(["", "!r", "!s", "[0]", "[__class__]"]),
    st.sampled_from(["", ":", ":>{1}", ":{1." + "__class__" + "}", ":{0.x}"]),
)


def strings(text: str) -> str:
    """The same string, built at run time."""
    middle = len(text) // 2
    return f"({text[:middle]!r} + {text[middle:]!r})"


def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = attributes
    return st.one_of(
        st.builds("{}.{}".format, inner, names),
        st.builds("{}.{}".format, inner, names),
        st.builds("{}()".format, inner),
        st.builds("{}({})".format, inner, inner),
        st.builds("{}[{}]".format, inner, st.sampled_from(["0", "'x'", "-1", "int", ":"])),
        st.builds(lambda o, n: f"getattr({o}, {strings(n)})", inner, names),
        st.builds(lambda o, n: f"getattr({o}, {strings(n)}, None)", inner, names),
        st.builds("type({})".format, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds(lambda t, o: f"{strings(t)}.format({o}, {o})", templates, inner),
        st.builds(lambda t, o: f"{t!r}.format({o}, 3)", templates, inner),
        st.builds(lambda t, o: f"str.format({t!r}, {o}, {o})", templates, inner),
        st.builds(lambda t, o: f"list(map({t!r}.format, [{o}], [1]))", templates, inner),
        st.builds(
            lambda t, o: f"{t!r}.replace('0', 'k').format_map({{'k': {o}}})", templates, inner
        ),
        st.builds(lambda o, n: f"super({o}, a).{n}", inner, names),
        st.builds("({} == thief, {} | thief, thief.got)".format, inner, inner),
        st.builds("[v for v in {}]".format, inner),
        st.builds("(lambda *v, **k: v)(*{})".format, inner),
        st.builds("f'{{{}!r}}'".format, inner),
    )


expressions = st.recursive(roots, extend, max_leaves=5)

snippets = st.one_of(
    st.builds("check({})".format, expressions),
    st.builds("check(({}).{})".format, expressions, attributes),
    st.builds("for kept in {}: check(kept)".format, expressions),
    st.builds("[check(a.x) for a.x in {}]".format, expressions),
    st.builds("kept, *part = {}\ncheck(kept); check(part)".format, expressions),
    st.builds("({}).{} = {}".format, expressions, attributes, expressions),
    st.builds("({}).{} += thief\ncheck(thief.got)".format, expressions, attributes),
    st.builds("({})[0] += thief\ncheck(thief.got)".format, expressions),
    st.builds("del ({}).{}".format, expressions, attributes),
    st.builds(
        "match {}:\n case A({}=kept) | object({}=kept): check(kept)".format,
        expressions, attributes, attributes,
    ),
    st.builds("match {}:\n case {{'x': kept, **part}}: check(part)".format, expressions),
    st.builds("match {}:\n case [kept, *part]: check((kept, part))".format, expressions),
    st.builds("class K({}):\n x = 1\ncheck(K.{})".format, expressions, attributes),
    st.builds(
        "class K(A):\n def {}(self, *v): check(v); return thief\ncheck(K().{})".format,
        attributes, attributes,
    ),
    st.builds("with {} as kept: check(kept)".format, expressions),
    st.builds(
        "try: raise {}\nexcept Exception as exc: check(exc.{})".format, expressions, attributes
    ),
    st.builds(
        "try: ({}).{}\nexcept Exception as exc: check(exc.obj)".format, expressions, attributes
    ),
    st.builds("import {} as kept\ncheck(kept)".format, attributes),
    st.builds("from json import {} as kept\ncheck(kept)".format, attributes),
    st.builds("setattr({}, {!r}, {})".format, expressions, attributes, expressions),
    st.builds("@{}\ndef f(v): return v\ncheck(f)".format, expressions),
    st.builds("@({})\nclass K: pass\ncheck(K)".format, expressions),
)  # fmt: skip

SETUP = """
import json, re, datetime, string, collections, functools, math, random
class A:
    def __init__(self): self.x = 1; self._x = 2
    def method(self, *v): return v
    def __enter__(self): return self
    def __exit__(self, *v):
        global tb
        tb = v[2]
        return True
class Thief:
    def __init__(self): self.got = []
    def take(self, other): self.got.append(other); return self
"""
SETUP += "".join(
    f"    def __{name}__(self, other): return self.take(other)\n"
    for name in ("eq", "ne", "lt", "radd", "ror", "rand", "rmul", "rmod", "contains", "ror", "rsub")
)
SETUP += """
a = A(); thief = Thief(); tb = None
with A(): 1 / 0
def f(*v): return v
def generate(): yield 1
gen = generate(); lam = lambda *v: v
pattern = re.compile("(?P<x>a)"); match = pattern.match("a")
Point = collections.namedtuple("Point", "x y"); point = Point(1, 2)
part = functools.partial(f, 1); cached = functools.lru_cache(f)
alias = list[int]; union = int | str
sentinel = object(); error = AttributeError("m", name="n", obj=len); caught = ImportError("m")
exc = error; kept = None
"""


@SETTINGS
@given(st.lists(snippets, min_size=1, max_size=6))
def test_nothing_from_the_other_side_is_ever_held(program: list[str]) -> None:
    from runtimes.python.facade import Facade

    found: list[str] = []

    def check(value: object) -> None:
        if leaks(value):
            found.append(repr(value)[:100])

    api = Facade("api", {"value": 1, "call": lambda: 1})
    extra = {"check": check, "api": api, "print": api.call}
    environment = new_globals(name="fuzz", filename="fuzz.py", extra_names=extra)
    exec(compile_source(SETUP, "fuzz.py"), environment)
    for snippet in program:
        try:
            exec(compile_source(snippet, "fuzz.py"), environment)
        except GuestSyntaxError:
            continue
        except BaseException as error:  # noqa: BLE001 - most random programs are wrong
            message = str(error) if type(error) is not RecursionError else ""
            assert not leaks(message), (snippet, message)
        assert found == [], snippet
    for name, value in environment.items():
        if name.isidentifier() and name != "__builtins__":
            assert not leaks(value), (program, name)


# -- no write reaches a foreign object -------------------------------------------------------------


class Foreign:
    """Would take any attribute; stands for whatever a host hands out by mistake."""


variables = st.sampled_from(["p", "q", "r"])
simple = st.one_of(
    st.builds("{}.n = 1".format, variables),
    st.builds("{}.n += 1".format, variables),
    st.builds("{}.m.n = 1".format, variables),
    st.builds("del {}.n".format, variables),
    st.builds("{}.n, {}.n = 1, 2".format, variables, variables),
    st.builds("{} = {}".format, variables, variables),
    st.builds("{} = A()".format, variables),
    st.builds("{} = foreign".format, variables),
    st.builds("{}, q.n = foreign, 1".format, variables),
    st.builds("{0}.n, {0} = 1, foreign".format, variables),
    st.builds("tick(({} := foreign))".format, variables),
    st.builds("[0 for {} in (foreign, A()) for p.n in (1,)]".format, variables),
    st.builds("x = [({} := foreign) for i in (1, 2)]".format, variables),
    st.builds("{}.n: int".format, variables),
    st.builds("{}.n: int = 3".format, variables),
    st.builds("del {}".format, variables),
    st.sampled_from(["tick(other())", "tick(inner())"]),
    st.sampled_from(["break", "continue", "return", "tick(1)", "raise KeyError"]),
    st.just("import math as p"),
)  # fmt: skip


def indent(block: list[str]) -> str:
    return "\n".join(" " + line for statement in block for line in statement.split("\n"))


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    block = st.lists(inner, min_size=1, max_size=3).map(indent)
    return st.one_of(
        st.builds("if tick({}):\n{}\nelse:\n{}".format, variables, block, block),
        st.builds("while tick(1):\n{}".format, block),
        st.builds("for {} in (A(), foreign, A()):\n{}\nelse:\n{}".format, variables, block, block),
        st.builds("for {}.n in (1, 2):\n{}".format, variables, block),
        st.builds("for i in (1, 2):\n{}".format, block),
        st.builds(
            "try:\n{}\nexcept Exception as {}:\n{}\nfinally:\n{}".format,
            block, variables, block, block,
        ),
        st.builds("with A() as {}:\n{}".format, variables, block),
        st.builds("match foreign:\n case {}:\n{}".format, variables, block.map(indent_text)),
        st.builds("def inner():\n nonlocal {}\n{}\ntick(inner())".format, variables, block),
        st.builds("def inner(p=foreign):\n{}\ntick(inner())".format, block),
        st.builds("class C:\n{}".format, block),
    )  # fmt: skip


def indent_text(text: str) -> str:
    return "\n".join(" " + line for line in text.split("\n"))


bodies = st.lists(st.recursive(simple, compound, max_leaves=10), min_size=1, max_size=6)


@SETTINGS
@given(bodies, st.booleans(), st.sampled_from(["A()", "foreign"]), st.booleans())
def test_no_write_reaches_a_foreign_object(
    body: list[str], method: bool, argument: str, shared: bool
) -> None:
    foreign = Foreign()
    ticks = iter([True, True, False] * 100)

    def tick(_value: object = None) -> bool:
        steps = next(ticks, None)
        if steps is None:
            raise SystemExit
        return steps

    header = " global q\n" if shared else ""
    source = (
        "class A:\n def __init__(self): self.n = 1; self.m = foreign\n"
        " def __enter__(self): return foreign\n def __exit__(self, *v): return True\n"
        "q = A()\ndef other():\n global q\n q = foreign\n"
    )
    function = f"def f(p, *, r=foreign):\n{header}{indent(body)}\n"
    if method:
        source += "class B(A):\n" + indent_text(function) + f"\nB.f({argument})\n"
    else:
        source += function + f"f({argument})\n"
    extra = {"foreign": foreign, "tick": tick}
    environment = new_globals(name="fuzz", filename="fuzz.py", extra_names=extra)
    with contextlib.suppress(BaseException):  # wrong programs are welcome
        exec(compile_source(source, "fuzz.py"), environment)
    assert vars(foreign) == {}, source
