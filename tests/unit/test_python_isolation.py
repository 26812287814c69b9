"""One environment against the next: nothing is shared that a plugin could change or follow.

Owns the poisoning attempts (each must fail on the write guard alone), the isolation of state
between environments, and the crawl over everything attributes can reach.
"""

from __future__ import annotations

import builtins
import gc
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import pytest

from runtimes.python import guards, names
from runtimes.python.builtins import BUILTINS, MISSING
from runtimes.python.environment import new_globals
from runtimes.python.facades import FACTORIES, SHARED
from runtimes.python.policy import compile_source


def run(source: str, **options: Any) -> dict[str, Any]:
    environment = new_globals(name="plugin", filename="plugin.py", **options)
    exec(compile_source(source, "plugin.py"), environment)
    return environment


def result(source: str, **options: Any) -> Any:
    return run(source, **options)["RESULT"]


# -- nothing to change -----------------------------------------------------------------------------

POISON = [
    "import math\nmath.sqrt = evil",
    "import json\njson.dumps = evil",
    "import json\ndel json.dumps",
    "import json\njson.dumps.x = 1",
    "import json\nfor json.dumps in [evil]: pass",
    "import json\nwith evil as json.dumps: pass",
    "import json\n[0 for json.dumps in [evil]]",
    "import json\njson.JSONDecodeError.x = 1",
    "import json\njson.JSONDecodeError.lineno = 1",
    "import re\nre.error.x = 1",
    "import random\nrandom.random = evil",
    "import urllib.parse\nurllib.parse.quote = evil",
    "import urllib.parse\nurllib.parse = evil",
    "import urllib.parse as p\np.SplitResult.geturl = evil",
    "import urllib.parse as p\np.SplitResult.geturl.x = 1",
    "import urllib.parse as p\np.urlsplit('a').x = 1",
    "import urllib.parse as p\np.SplitResult._field_defaults['x'] = 1",
    "from collections import Counter\nCounter.most_common = evil",
    "from collections import Counter\nCounter.most_common.x = 1",
    "from collections import Counter\nCounter().x = 1",
    "from string import Template\nTemplate.substitute = evil",
    "from string import Template\nTemplate.delimiter = '%'",
    "import hashlib\nhashlib.algorithms_guaranteed.add('x')",
    "import typing\ntyping.Any.x = 1",
    "import datetime\ndatetime.datetime.x = 1",
    "ValueError.note = 1",
    "Exception.x = 1",
    "int.x = 1",
    "len.x = 1",
    "getattr.x = 1",
    "type.x = 1",
    "setattr(getattr, 'x', 1)",
    "type(len).x = 1",
    "type(n for n in []).x = 1",
    "setattr(str, 'x', 1)",
    "delattr(type(len), '_name')",
    "api.value = 1",
    "api.call.x = 1",
    "api.value += 1",
    "def f(p):\n for i in range(2): p.value = i\nf(api)",
    "def f(p):\n p.x = 1\n p = api\n p.value = 1\nclass A: pass\nf(A())",
    "class A:\n def m(self): self.value = 1\nA.m(api)",
    "class A:\n def m(self):\n  def g(self): self.value = 1\n  self.x = 1; g(api)\nA().m()",
    "class A:\n def m(self):\n  self.x = 1\n  [0 for self in [api] for self.value in [1]]\nA().m()",
    "class A: pass\ndef f(p):\n p.x = 1\n def g():\n  nonlocal p\n  p = api\n g()\n"
    " p.value = 1\nf(A())",
    "class A: pass\ndef f(p):\n def g():\n  nonlocal p\n  p = api\n p.x = 1\n g()\n"
    " p.value = 1\nf(A())",
    "class A: pass\ndef f(p):\n p.x, p = 1, api\n p.value = 1\nf(A())",
    "class A: pass\ndef f():\n global q\n q = A()\n q.x = 1\n h()\n q.value = 1\n"
    "def h():\n global q\n q = api\nf()",
    "class A: pass\ndef f(p):\n while True:\n  p.value = 1\n  p = api\nf(A())",
    "class A: pass\ndef f(p):\n try:\n  p.x = 1\n  p = api\n  1/0\n"
    " except Exception: p.value = 1\nf(A())",
    "class A: pass\ndef f(p):\n p.x = 1\n for p in [api]: p.value = 1\nf(A())",
    "class A: pass\ndef f(p):\n p.x = 1\n if (p := api): p.value = 1\nf(A())",
    "class A: pass\ndef f(p):\n p.x = 1\n match api:\n  case p: p.value = 1\nf(A())",
    "class A: pass\ndef f(p):\n p.x = 1\n import math as p\n p.value = 1\nf(A())",
    "class A: pass\ndef f(p, a=api):\n p.x: int\n p, p.value = a, 1\nf(A())",
    "def f(p):\n p.x: int\n p.value = 1\nf(api)",
    "def f(p, c):\n if c:\n  p.x = 1\n p.value = 1\nf(api, 0)",
    "def f(p):\n for i in []: p.x = 1\n p.value = 1\nf(api)",
    "class E(Exception): pass\ndef f(p):\n p.x = 1\n try: raise ValueError\n"
    " except ValueError as p: pass\n p.x = 1\nf(E())",
]


@pytest.mark.parametrize("attempt", POISON)
def test_shared_objects_cannot_be_changed(attempt: str) -> None:
    api = Careless()
    before = snapshot()
    with pytest.raises((AttributeError, TypeError, UnboundLocalError)):
        run("def evil(*a): return 'POISONED'\n" + attempt, extra_names={"api": api})
    assert vars(api) == {"value": 0}
    assert snapshot() == before


class Careless:
    """A host object nobody froze: the write guard alone has to protect it."""

    def __init__(self) -> None:
        self.value = 0

    def call(self) -> str:
        return "call"


def snapshot() -> Any:
    """What the next environment would see."""
    return result(
        """
import json, math, re, string, urllib.parse, collections, random
RESULT = [math.sqrt(4), json.dumps([1]), json.loads("[1]"), re.sub("a", "b", "a"),
          urllib.parse.quote("ä"), urllib.parse.urlsplit("http://h/p").geturl(),
          collections.Counter("aab").most_common(1), string.Template("$x").substitute(x=1),
          hasattr(ValueError, "note"), hasattr(getattr, "x"), hasattr(re.error, "x")]
"""
    )


def test_random_is_per_environment() -> None:
    source = "import random\nrandom.seed(42)\nRESULT = random.random()"
    assert result(source) == 0.6394267984578837
    fresh = "import random\nRESULT = random.random()"
    assert result(fresh) != 0.6394267984578837
    assert result(fresh) != result(fresh)


def test_caches_of_the_library_keep_no_plugin_objects() -> None:
    hostile = """
class H:
    def __hash__(self): return hash("http://victim/")
    def __eq__(self, other): calls.append(1); return True
    def decode(self, *a): return "http://poison/"
    def __and__(self, o): return 0
calls = []
"""
    for use in (
        "urllib.parse.urlsplit(H())",
        "urllib.parse.urlparse('x', H())",
        "urllib.parse.quote('x', H())",
        "re.compile(H())",
        "re.compile('x', H())",
        "re.sub('x', 'y', 'z', 0, H())",
        "re.escape(H())",
        "hashlib.new(H())",
    ):
        with pytest.raises((TypeError, ValueError)):
            run(hostile + "import urllib.parse, re, hashlib\n" + use)


def test_a_mapping_proxy_does_not_hand_out_the_real_dict() -> None:
    source = """
import re
class Thief:
    def __eq__(self, other): stolen.append(other); return True
    def __ror__(self, other): stolen.append(other); return True
stolen = []
p = re.compile("(?P<shared>x)")
p.groupindex == Thief(); p.groupindex | Thief()
for d in stolen: d["shared"] = 99
RESULT = re.compile("(?P<shared>x)").match("x").group("shared")
"""
    assert result(source) == "x"
    assert result("import re\nRESULT = re.compile('(?P<shared>x)').match('x')['shared']") == "x"


def test_environments_are_cheap_and_freed() -> None:
    start = time.process_time()
    for _ in range(1000):
        new_globals(name="p", filename="p.py", extra_names={"print": print})
    assert (time.process_time() - start) / 1000 < 0.000_2
    gc.collect()
    before = len([o for o in gc.get_objects() if isinstance(o, guards.GuestType)])
    run("class Kept: pass\nk = Kept(); k.x = 1; import random, re\nre.compile('abc')")
    gc.collect()
    after = len([o for o in gc.get_objects() if isinstance(o, guards.GuestType)])
    assert after == before


# -- nothing to follow -----------------------------------------------------------------------------

FORBIDDEN_TYPES = (
    types.ModuleType, types.FrameType, types.CodeType, types.TracebackType, types.CellType,
    types.MappingProxyType,
)  # fmt: skip
DANGEROUS = [
    getattr(builtins, name)
    for name in MISSING
    if hasattr(builtins, name) and not name.endswith("Warning")
] + [type, guards.GuestType, getattr, setattr, sys.modules, builtins.__import__]


def forbidden(value: object) -> bool:
    return isinstance(value, FORBIDDEN_TYPES) or any(value is item for item in DANGEROUS)


def reachable(roots: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Every value within reach of attribute reads a plugin may write."""
    seen: set[int] = set()
    pending = list(roots.items())
    keep = []
    while pending:
        path, value = pending.pop()
        if id(value) in seen or path.count(".") > 5:
            continue
        seen.add(id(value))
        keep.append(value)
        yield path, value
        for name in dir(value):
            if names.attribute_refusal(name) is None and not names.is_private(name):
                try:
                    found = guards.safe_getattr(value, name)
                except Exception:  # noqa: BLE001 - some descriptors refuse, whatever they raise
                    continue
                pending.append((f"{path}.{name}", found))


def roots() -> dict[str, object]:
    spelled = {name: value for name, value in BUILTINS.items() if name.isidentifier()}
    del spelled["__build_class__"]
    made = {name: factory() for name, factory in FACTORIES.items()}
    instances = {
        "pattern": SHARED["re"].compile("(?P<a>x)"),
        "match": SHARED["re"].match("x", "x"),
        "url": SHARED["urllib.parse"].urlsplit("http://h/"),
        "hash": SHARED["hashlib"].sha256(),
        "generator": (x for x in "a"),
        "function": run("def f(): pass")["f"],
        "class": run("class A:\n def m(self): pass")["A"],
        "instance": run("class A:\n def m(self): pass\na = A()")["a"],
        "cached": result("import functools\n@functools.lru_cache\ndef RESULT(): pass"),
        "partial": result("import functools\nRESULT = functools.partial(len)"),
        "tuple": result("import collections\nRESULT = collections.namedtuple('T', 'a b')(1, 2)"),
        "error": AttributeError("x", name="n", obj=sys),
        "type": result("RESULT = type(len)"),
        "sentinel": result("RESULT = object()"),
        "alias": list[int],
        "union": int | str,
    }
    return {**spelled, **dict(SHARED), **made, **instances}


def test_no_attribute_leads_out() -> None:
    found = [path for path, value in reachable(roots()) if forbidden(value)]
    assert found == []


def test_no_reachable_value_is_mutable_and_shared() -> None:
    shared = {name: value for name, value in BUILTINS.items() if name.isidentifier()}
    shared |= dict(SHARED)
    mutable = [
        path
        for path, value in reachable(shared)
        if isinstance(value, list | dict | set | bytearray)
        and not path.endswith(".groupindex")  # a copy, made at every read
    ]
    assert mutable == []


def test_no_reachable_value_can_be_written_to() -> None:
    shared = {name: value for name, value in BUILTINS.items() if name.isidentifier()}
    for path, value in reachable(shared | dict(SHARED)):
        # Exact builtin exceptions would be writable; none is shared.
        with pytest.raises(AttributeError, match="read-only"):
            guards.safe_setattr(value, "poison", 1)
        assert path


def test_missing_builtins_are_missing_and_the_rest_is_a_choice() -> None:
    spelled = {name for name in BUILTINS if name.isidentifier()}
    assert not spelled & set(MISSING)
    constants = {"None", "True", "False"}
    considered = spelled | set(MISSING) | constants
    unconsidered = {
        name for name in dir(builtins) if not name.startswith("_") and name not in considered
    }
    assert unconsidered == set()
