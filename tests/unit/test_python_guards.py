"""The guards that are inlined into compiled code, attacked between their test and their use.

Owns the proofs for what ``transform`` leaves out: that an object is the tested one when it is
used, whatever runs in between, and that what the tests compare with cannot be had by a plugin.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runtimes.python import trees
from runtimes.python.builtins import BUILTINS
from runtimes.python.environment import new_globals
from runtimes.python.guards import GuestType
from runtimes.python.policy import compile_source
from runtimes.python.transform import FencePolicy


class Host:
    """Stands for an object of ours that is not as immutable as it should be."""

    started = 0

    def __init__(self, *_values: object) -> None:
        type(self).started += 1


def run(source: str, **extra: object) -> dict[str, Any]:
    space: dict[str, Any] = new_globals(name="probe", filename="probe.py", extra_names=extra)
    exec(compile_source(source, "probe.py"), space)
    return space


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


# -- special methods of base classes -----------------------------------------------------------

PLACES = {
    "module": "RESULT = {read}(it, 1)",
    "function": "def f():\n    return {read}(it, 1)\nRESULT = f()",
    "method": "class M:\n    def m(self):\n        return {read}(it, 1)\nRESULT = M().m()",
    "class body": "class M:\n    got = {read}(it, 1)\nRESULT = M.got",
    "lambda": "RESULT = (lambda: {read}(it, 1))()",
    "comprehension": "def f():\n    return [{read}(it, 1) for _ in 'a'][0]\nRESULT = f()",
    "nested function": (
        "def f():\n    def g():\n        return {read}(it, 1)\n    return g()\nRESULT = f()"
    ),
    "generator": "def f():\n    yield {read}(it, 1)\nRESULT = next(f())",
    "default": "def f(x={read}(it, 1)):\n    return x\nRESULT = f()",
    "bound first": "def f():\n    m = {read}\n    return m(it, 1)\nRESULT = f()",
}
OWN = """
class Base:
    def __init__(self, n):
        self.n = n
    def __add__(self, n):
        return self.n + n
    def add(self):
        pass
class Own(Base):
    pass
it = Own(41)
"""


@pytest.mark.parametrize("place", PLACES)
def test_special_methods_of_own_classes_can_be_read_everywhere(place: str) -> None:
    assert run(OWN + PLACES[place].format(read="Base.__add__"))["RESULT"] == 42


@pytest.mark.parametrize("place", PLACES)
def test_special_methods_of_allowed_bases_can_be_read_everywhere(place: str) -> None:
    source = "class Own(dict):\n    pass\nit = Own({1: 5})\n"
    assert run(source + PLACES[place].format(read="dict.__getitem__"))["RESULT"] == 5


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("owner", ["host", "Host", "it", "it.add", "len", "str", "f'{1}'"])
def test_special_methods_of_anything_else_cannot(place: str, owner: str) -> None:
    source = OWN + PLACES[place].format(read=f"({owner}).__init__")
    host = Host()
    before = Host.started
    with pytest.raises(AttributeError, match="available on super"):
        run(source, host=host, Host=Host)
    assert Host.started == before


def test_the_owner_of_a_special_method_is_evaluated_once() -> None:
    source = OWN + (
        "asked = []\n"
        "def base():\n    asked.append(1)\n    return Base if len(asked) == 1 else host\n"
        "def f():\n    return base().__add__(it, 1)\nRESULT = f(), len(asked)"
    )
    assert run(source, host=Host())["RESULT"] == (42, 1)


def test_a_foreign_self_is_refused_by_every_method_that_writes() -> None:
    source = (
        "class Base:\n    def __init__(self, n):\n        self.n = n\n"
        "class Own(Base):\n    def __init__(self, n):\n        Base.__init__(self, n)\n"
        "def f(cls):\n    try:\n        cls.__init__(host, 1)\n"
        "    except AttributeError:\n        return 'refused'\n"
        "RESULT = [f(Base), f(Own), Own(7).n]"
    )
    host = Host()
    assert run(source, host=host)["RESULT"] == ["refused", "refused", 7]
    assert not vars(host)


# -- between test and use ----------------------------------------------------------------------
# A garbage collection can run the `finally` of a plugin's generator between two instructions
# (after any call from Python 3.12 on), and that may bind variables anew.  A trace function does
# the same at every instruction in turn, on every version.

RACES = {
    "module": "x = G()\nx.a = 1\nx.a += 1\ndel x.a\n",
    "private": "def f():\n    _y = G()\n    _y.a = x.a = 1\nf()\n",
    "function": "def f():\n    x.a = 1\n    x.a += 1\n    del x.a\nf()\n",
    "loop": "def f():\n    for _ in (1, 2):\n        x.a = 1\nf()\n",
    "targets": (
        "def f():\n    (x.a, [x.b]) = 1, [2]\n    for x.c in (1,):\n        pass\n"
        "    with W() as x.d:\n        pass\nf()\n"
    ),
    "comprehension": "def f():\n    return [1 for x.a in (1,)]\nf()\n",
    "class body": "class C:\n    x.a = 1\n",
    "class name": "class C:\n    y = x\n    y.a = 1\n",
    "global": "def f():\n    global x\n    x = G()\n    x.a = 1\n    x.b = 1\nf()\n",
    "shared": (
        "def f():\n    y = G()\n    def bind():\n        nonlocal y\n        y = host\n"
        "    flips.append(bind)\n    y.a = 1\n    y.b = 1\n"
        "    for _ in (1, 2):\n        y.c = 1\nf()\n"
    ),
    "shared inside": (
        "def f(y):\n    def bind():\n        nonlocal y\n        y = host\n    flips.append(bind)\n"
        "    def g():\n        y.a = 1\n        y.b = 1\n    g()\nf(G())\n"
    ),
    "self": (
        "class C:\n    def m(self):\n        def bind():\n            nonlocal self\n"
        "            self = host\n        flips.append(bind)\n        self.a = 1\n"
        "        self.b = 1\nC().m()\n"
    ),
    "bound later": (
        "def f():\n    g = ((y := host) for _ in (1, 2))\n    flips.append(lambda: next(g, 0))\n"
        "    y = G()\n    y.a = 1\n    y.b = 1\n    for _ in (1, 2):\n        y.c = 1\nf()\n"
    ),
    "self bound later": (
        "class C:\n    def m(self):\n        g = ((self := host) for _ in (1, 2))\n"
        "        flips.append(lambda: next(g, 0))\n        self.a = 1\n        self.b = 1\n"
        "C().m()\n"
    ),
    "method": "class C:\n    def m(self):\n        x.a = self.b = x.c = 1\nC().m()\n",
    "base": (
        "class C:\n    def m(self):\n        x.__init__(self)\n        G.__init__(self)\n"
        "x = G\nC().m()\nx.__init__(C())\n[x.__init__(C()) for _ in 'a']\n"
    ),
}
SETTING = """
flips = []
class G:
    def __init__(self):
        pass
class W:
    def __enter__(self):
        return 1
    def __exit__(self, *error):
        return False
def bind():
    global x, G
    x = G = host
flips.append(bind)
x = G()
"""


def raced(body: str, host: object, moment: int) -> bool:
    """Run `body`, binding its variables to `host` before instruction number `moment`."""
    space: dict[str, Any] = new_globals(
        name="probe", filename="probe.py", extra_names={"host": host}
    )
    exec(compile_source(SETTING, "probe.py"), space)
    left = moment

    def trace(frame: types.FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != "probe.py":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                flips: list[Callable[[], None]] = space["flips"]
                for flip in flips:  # tracing is off while a trace function runs
                    flip()
        return trace

    code = compile_source(body, "probe.py")
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        exec(code, space)
    except (AttributeError, TypeError):
        pass
    finally:
        sys.settrace(before)
    return left <= 0


def test_a_generator_expression_cannot_exchange_a_checked_object() -> None:
    source = (
        "def f(early):\n    y = G()\n    g = ((y := host) for _ in (1, 2))\n"
        "    if early:\n        y = G()\n    y.a = 1\n    next(g)\n    y.b = 1\n"
        "def h():\n    g = ((y := host) for _ in (1, 2))\n    y = G()\n"
        "    for _ in (1, 2):\n        next(g)\n        y.c = 1\n"
        "def refused(work, *values):\n    try:\n        work(*values)\n"
        "    except AttributeError:\n        return True\n"
        "RESULT = [refused(f, False), refused(f, True), refused(h)]"
    )
    host = Host()
    assert run(f"{SETTING}{source}", host=host)["RESULT"] == [True, True, True]
    assert not vars(host)


@pytest.mark.parametrize("name", RACES)
def test_what_is_used_is_what_was_tested(name: str) -> None:
    raced("x\n", Host(), 0)  # 3.12 reports instructions from the second trace of a process on
    moment = 0
    while moment < 2000:
        moment += 1
        host = Host()
        started = Host.started
        in_time = raced(RACES[name], host, moment)
        assert not vars(host), f"{name}: written at instruction {moment}"
        assert Host.started == started, f"{name}: started at instruction {moment}"
        if not in_time:
            break
    assert 10 < moment < 2000


# -- what the tests compare with ---------------------------------------------------------------

WRITING = (
    "class C:\n    def __init__(self, o):\n        self.o = o\n        o.a = 1\n"
    "        C.__init__\n"
    "def f(x):\n    for _ in x:\n        x.a = 1\n    return lambda: C.__init__\n"
)


def test_the_literals_in_the_tree_become_the_types_themselves() -> None:
    tree = ast.parse(WRITING)
    FencePolicy(errors=[]).visit(tree)
    assert ast.dump(tree).count(trees.TYPE) > 4
    assert ast.dump(tree).count(trees.GUEST_TYPE) > 3
    found: list[object] = []
    for code in codes(compile_source(WRITING, "probe.py")):
        found += code.co_consts
        assert not {name for name in code.co_names if name in ("$type", "$guest")}
    assert type in found and GuestType in found
    assert not [constant for constant in found if constant in (trees.TYPE, trees.GUEST_TYPE)]
    assert type not in BUILTINS.values() and GuestType not in BUILTINS.values()


def test_a_plugin_cannot_spell_those_literals() -> None:
    guesses = ["$type", "$guest", "$type ", "$guest ", "$type " + "0" * 32, "$guest " + "0" * 32]
    source = f"{WRITING}RESULT = {guesses!r}\nSAME = [g for g in {tuple(guesses)!r}]"
    space = run(source)
    assert space["RESULT"] == space["SAME"] == guesses
    for marker in (trees.TYPE, trees.GUEST_TYPE):
        assert len(marker.split()[1]) == 32 and marker not in space


def test_errors_in_guarded_code_show_no_literal() -> None:
    with pytest.raises(AttributeError) as caught:
        run(WRITING + "f([1])")
    assert trees.TYPE.split()[1] not in str(caught.value)
