"""What plugins get instead of modules: it works, it cannot be changed, it leads nowhere.

Owns the tests of the façades and of the import rules.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
from typing import Any

import pytest

from runtimes.python.environment import new_globals
from runtimes.python.facade import Facade, Frozen, GuestModule, freeze
from runtimes.python.facades import AVAILABLE, SHARED
from runtimes.python.policy import compile_source


def run(source: str, **options: Any) -> dict[str, Any]:
    environment = new_globals(name="plugin", filename="plugin.py", **options)
    exec(compile_source(source, "plugin.py"), environment)
    return environment


def result(source: str, **options: Any) -> Any:
    return run(source, **options)["RESULT"]


USES = {
    "json": (
        """
import json
try:
    json.loads("{x")
except json.JSONDecodeError as e:
    error = [e.msg, e.lineno, e.colno, e.pos]
text = json.dumps({"b": [1, None, True], "a": 1.5}, sort_keys=True, indent=1)
RESULT = [json.loads(text), json.dumps({1}, default=list), error,
          json.loads("[1.5]", parse_float=str), json.dumps("ä"),
          json.loads('{"a": 1}', object_hook=lambda d: list(d))]
""",
        [
            {"a": 1.5, "b": [1, None, True]}, "[1]",
            ["Expecting property name enclosed in double quotes", 1, 2, 1], ["1.5"], '"\\u00e4"',
            ["a"],
        ],
    ),
    "math and random": (
        """
import math, random
random.seed(5)
a = [random.random(), random.randint(1, 9), random.choice("abc")]
random.seed(5)
b = [random.random(), random.randint(1, 9), random.choice("abc")]
l = [1, 2, 3]; random.shuffle(l)
RESULT = [math.sqrt(4), math.pi > 3, math.floor(2.5), a == b, sorted(l), len(random.sample(l, 2))]
""",
        [2.0, True, 2, True, [1, 2, 3], 2],
    ),
    "re": (
        """
import re
p = re.compile(r"(?P<k>\\w+)=(?P<v>\\d+)", re.I | re.MULTILINE)
m = p.search("a x=12")
RESULT = [m["k"], m.group("v"), m.groupdict(), p.groupindex, re.sub("a", lambda m: "b", "aa"),
          re.split(",", "1,2"), [x.span() for x in re.finditer("a", "aba")], re.escape("."),
          re.findall("a", "AA", flags=re.IGNORECASE), isinstance(m, re.Match)]
try:
    re.compile("(")
except re.error as e:
    RESULT.append(e.msg)
""",
        [
            "x", "12", {"k": "x", "v": "12"}, {"k": 1, "v": 2}, "bb", ["1", "2"],
            [(0, 1), (2, 3)], "\\.", ["A", "A"], True, "missing ), unterminated subpattern",
        ],
    ),
    "datetime and time": (
        """
import datetime, time
from datetime import timedelta
class Zone(datetime.tzinfo):
    def utcoffset(self, dt): return timedelta(hours=2)
    def dst(self, dt): return None
    def tzname(self, dt): return "Z2"
d = datetime.datetime(2024, 2, 29, 12, tzinfo=Zone())
RESULT = [d.isoformat(), (d + timedelta(days=1)).strftime("%d/%m %Z"), f"{d:%Y}",
          datetime.datetime.strptime("2024-01", "%Y-%m").month, datetime.UTC is not None,
          time.strftime("%Y", time.gmtime(0)), time.monotonic() > 0, hasattr(time, "sleep"),
          type(d) is datetime.datetime, datetime.date.today() > datetime.date(2000, 1, 1)]
""",
        [
            "2024-02-29T12:00:00+02:00", "01/03 Z2", "2024", 1, True, "1970", True, False, True,
            True,
        ],
    ),
    "bytes": (
        """
import base64, hashlib, html
RESULT = [base64.b64encode(b"hi"), base64.urlsafe_b64decode("aGk="),
          hashlib.sha256(b"x").hexdigest()[:8], hashlib.new("md5", b"x").hexdigest()[:8],
          html.escape("<a>"), html.unescape("&lt;"), len(hashlib.pbkdf2_hmac("sha1", b"", b"", 1))]
""",
        [b"aGk=", b"hi", "2d711642", "9dd4e461", "&lt;a&gt;", "<", 20],
    ),
    "text": (
        """
import string, textwrap
from string import Template
RESULT = [string.ascii_lowercase[:3], string.capwords("a b"),
          Template("$x ${y}").substitute(x=1, y=2), textwrap.dedent("  a"),
          textwrap.wrap("a b c", 3), textwrap.shorten("a b c", 4, placeholder="")]
""",
        ["abc", "A B", "1 2", "a", ["a b", "c"], "a b"],
    ),
    "urls": (
        """
import urllib.parse
import urllib.parse as p
from urllib.parse import quote, urlencode
from urllib import parse
u = urllib.parse.urlparse("http://me:pw@Host:8080/a;b?q=1#f")
s = p.urlsplit("http://h/x")
RESULT = [quote("a b/ä"), urlencode({"a": "1 2"}), u.hostname, u.port, u.username, u.geturl(),
          s.path, p.urljoin("http://h/a/b", "../c"), parse.parse_qs("a=1&a=2"), p.unquote("%41"),
          tuple(u)[0], u._replace(fragment="").geturl(), p.urldefrag("http://h/#x")[1]]
""",
        [
            "a%20b/%C3%A4", "a=1+2", "host", 8080, "me", "http://me:pw@Host:8080/a;b?q=1#f", "/x",
            "http://h/c", {"a": ["1", "2"]}, "A", "http", "http://me:pw@Host:8080/a;b?q=1", "x",
        ],
    ),
    "collections": (
        """
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
P = namedtuple("P", "x y", defaults=[5])
class Q(P):
    def norm(self): return self.x + self.y
class Words(Counter):
    def top(self): return self.most_common(1)[0][0]
d = defaultdict(list); d["a"].append(1)
q = deque([1, 2], maxlen=2); q.append(3)
match P(1, 2):
    case P(x, y): matched = (x, y)
RESULT = [P(1), repr(P(1)), Q(1, 2).norm(), P(1)._replace(x=9).x, P(1, 2)._asdict(), P._fields,
          Words("aab").top(), dict(d), list(q), Counter("aab")["a"], list(OrderedDict(a=1)),
          matched]
""",
        [
            (1, 5), "P(x=1, y=5)", 3, 9, {"x": 1, "y": 2}, ("x", "y"), "a", {"a": [1]}, [2, 3], 2,
            ["a"], (1, 2),
        ],
    ),
    "itertools and functools": (
        """
import itertools, functools
from functools import lru_cache, cache, partial, reduce, wraps, total_ordering
@lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
@cache
def sq(n): return n * n
@lru_cache
def cube(n): return n ** 3
def deco(f):
    @wraps(f)
    def inner(*a): return f(*a) + 1
    return inner
@deco
def named(x):
    "documented"
    return x
@total_ordering
class V:
    def __init__(self, v): self.v = v
    def __eq__(self, o): return self.v == o.v
    def __lt__(self, o): return self.v < o.v
RESULT = [fib(50), sq(3), cube(2), named(1), named.__name__, named.__doc__, V(1) >= V(0),
          reduce(lambda a, b: a + b, [1, 2]), partial(pow, 2)(3), fib.cache_info().hits > 0,
          list(itertools.islice(itertools.count(), 2)), list(itertools.chain([1], [2])),
          sorted([3, 1], key=functools.cmp_to_key(lambda a, b: a - b))]
""",
        [12586269025, 9, 8, 2, "named", "documented", True, 3, 8, True, [0, 1], [1, 2], [1, 3]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_modules_work(name: str) -> None:
    source, expected = USES[name]
    assert result(source) == expected


# -- imports -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("import os", "os is excluded: plugins have no access to it; available: base64, "),
        ("import os.path", "os.path is excluded"),
        ("from sys import modules", "sys is excluded"),
        ("import json.decoder as d", "json.decoder is excluded"),
        ("from json import decoder", "cannot import name 'decoder' from 'json'"),
        ("from json import codecs", "cannot import name 'codecs' from 'json'"),
        ("from urllib import request", "cannot import name 'request' from 'urllib'"),
        ("import collections.abc", "collections.abc is excluded"),
        ("from collections import abc", "cannot import name 'abc'"),
        ("from urllib.parse import _coerce_args", "cannot import name '_coerce_args'"),
        ("import nothing_here", "no module named nothing_here; available: base64, "),
        ("from . import x", "relative imports are not available"),
        ("import runtimes.python.guards", "no module named runtimes.python.guards"),
        ("import builtins", "builtins is excluded"),
    ],
)
def test_refused_imports(statement: str, message: str) -> None:
    with pytest.raises(ImportError) as caught:
        run(statement)
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert caught.value.path is None


def test_further_modules_and_the_hook() -> None:
    server = Facade("server", {"version": 3, "hello": lambda: "hi"})
    library = new_globals(name="lib", filename="lib.py")
    source = "_secret = 2\nclass Thing: pass\nthings = []\ndef add(x): things.append(x); return x"
    exec(compile_source(source, "lib.py"), library)
    asked = []

    def hook(name: str) -> object:
        asked.append(name)
        return {
            "lib": GuestModule("lib", library),
            "pkg": Facade("pkg", {"sub": GuestModule("sub", library)}),
            "pkg.sub": GuestModule("sub", library),
        }.get(name)

    values = result(
        """
import server, lib, pkg.sub
import pkg.sub as s
from lib import add, Thing, _secret
add(1); lib.add(2)
t = Thing(); t.x = 5
RESULT = [server.version, server.hello(), lib.things, t.x, _secret, lib._secret,
          pkg.sub is not None, s.things, getattr(lib, "__builtins__", None),
          getattr(lib, "$write", None), getattr(lib, "$fence", None),
          hasattr(lib, "_globals"), repr(lib)]
""",
        modules={"server": server},
        import_hook=hook,
    )
    assert values == [
        3, "hi", [1, 2], 5, 2, 2, True, [1, 2], None, None, None, False, "<module 'lib'>",
    ]  # fmt: skip
    assert set(asked) == {"lib", "pkg", "pkg.sub"}
    with pytest.raises(ImportError, match=r"no module named other.*server"):
        run("import other", modules={"server": server}, import_hook=hook)


def test_facades_refuse_what_could_be_changed() -> None:
    unsafe: tuple[object, ...] = (
        [],
        {},
        set(),
        bytearray(),
        sys,
        sys._getframe(),
        (1, [2]),
        iter([]),
    )
    for bad in unsafe:
        with pytest.raises(TypeError):
            Facade("bad", {"x": bad})
    for name in ("_x", "__class__", "a b", ""):
        with pytest.raises(ValueError, match="cannot be an attribute"):
            Facade("bad", {name: 1})
    facade = Facade("good", {"f": lambda x: x + 1, "n": 1, "t": (1, "a")})
    assert (facade.f(1), facade.n, repr(facade)) == (2, 1, "<good>")
    assert not hasattr(facade, "__dict__")
    assert isinstance(facade, Frozen)
    with pytest.raises(AttributeError):
        facade.n = 2
    with pytest.raises(AttributeError):
        del facade.n
    with pytest.raises(AttributeError):
        freeze(run)._x = 1


def test_every_facade_attribute_is_the_one_listed() -> None:
    assert "os" not in AVAILABLE
    for name, facade in SHARED.items():
        assert isinstance(facade, Frozen), name
        assert not hasattr(facade, "__name__"), "from-import would look in sys.modules"
        for attribute in vars(type(facade)):
            assert not inspect.ismodule(getattr(facade, attribute)), (name, attribute)
    assert SHARED["math"].sqrt is math.sqrt
    assert SHARED["json"].dumps([1]) == json.dumps([1])
