"""script.python.*: eight Python programs in the sandbox against plain CPython.

Each is of a kind that plugins are made of, and takes some 50 ms.  The floor runs the same source,
compiled beforehand, in this process; the guards of the language fence are the difference.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from types import CodeType
from typing import Any, Final

from benchmarks.report import Row, alternate, benchmark, timed
from sandbox import Engine, Limits

PROGRAMS: Final = {
    "numeric": """
def sieve(limit):
    flags = [True] * (limit + 1)
    count = 0
    for number in range(2, limit + 1):
        if flags[number]:
            count += 1
            for multiple in range(number * number, limit + 1, number):
                flags[multiple] = False
    return count

def integrate(steps):
    total = 0.0
    width = 1.0 / steps
    for step in range(steps):
        x = (step + 0.5) * width
        total += 4.0 / (1.0 + x * x)
    return total * width

RESULT = [sieve(300000), round(integrate(500000), 6)]
""",
    "strings": """
def words(count):
    parts = []
    for number in range(count):
        word = f"item {number}".upper().replace("ITEM", "x")
        if word.endswith("7"):
            word = word.strip() + "!"
        parts.append(word)
    text = ",".join(parts)
    seen = 0
    for part in text.split(","):
        if part.startswith("x 1"):
            seen += len(part)
    return seen

RESULT = words(150000)
""",
    "attributes": """
class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def move(self, dx, dy):
        self.x += dx
        self.y += dy
        return self

    def length(self):
        return self.x * self.x + self.y * self.y

def walk(count):
    points = [Point(number, -number) for number in range(100)]
    total = 0
    for step in range(count):
        point = points[step % 100]
        total += point.move(1, 2).length() % 7
    return total

RESULT = walk(280000)
""",
    "dicts": """
def tally(count):
    found = {}
    for number in range(count):
        key = "k" + str(number % 997)
        found[key] = found.get(key, 0) + 1
    best = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    groups = {}
    for key, value in best:
        groups.setdefault(value, []).append(key)
    return [len(groups), best[0][0]]

RESULT = tally(380000)
""",
    "generators": """
def numbers(count):
    for number in range(count):
        yield number * 3

def odd(source):
    return (number for number in source if number % 2)

def pairs(source):
    last = None
    for number in source:
        if last is not None:
            yield last, number
        last = number

RESULT = sum(a * b % 11 for a, b in pairs(odd(numbers(660000))))
""",
    "classes": """
class Shape:
    def __init__(self, name):
        self.name = name

    def area(self):
        return 0

    def describe(self):
        return (self.name, self.area())

class Square(Shape):
    def __init__(self, side):
        Shape.__init__(self, "square")
        self.side = side

    def area(self):
        return self.side * self.side

class Box(Square):
    def area(self):
        return 6 * Square.area(self)

def total(count):
    found = 0
    for number in range(count):
        shape = Box(number % 10) if number % 2 else Square(number % 10)
        found += shape.describe()[1]
    return found

RESULT = total(130000)
""",
    "recursion": """
def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)

def moves(n, source, target, spare):
    if n == 0:
        return 0
    return moves(n - 1, source, spare, target) + 1 + moves(n - 1, spare, target, source)

RESULT = [fib(26), moves(19, "a", "b", "c")]
""",
    "json": """
import json

def transform(rounds):
    people = [
        {"name": "person %d" % number, "age": number % 90, "tags": ["a", "b", str(number % 5)]}
        for number in range(200)
    ]
    text = json.dumps({"people": people})
    total = 0
    for turn in range(rounds):
        data = json.loads(text)
        by_tag = {}
        for person in data["people"]:
            person["age"] += turn
            for tag in person["tags"]:
                by_tag.setdefault(tag, []).append(person["name"])
        adults = [person for person in data["people"] if person["age"] >= 18]
        total += len(json.dumps({"adults": adults, "tags": by_tag}))
    return total

RESULT = transform(200)
""",
}

_LIMITS: Final = Limits(cpu=60, wall=60)
_ROUNDS: Final = 11


def bare(code: CodeType) -> Any:
    """What a program leaves in RESULT under plain CPython."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(code, space)
    return space["RESULT"]


def measured(name: str) -> Row:
    """One program against its floor."""
    source = PROGRAMS[name]
    code = compile(source, f"{name}.py", "exec")
    with Engine(limits=_LIMITS, workers=1) as engine:
        run = engine.execute(source, language="python")
        assert run.error is None, run.error
        assert run.globals["RESULT"] == bare(code)
        gc.collect()
        gc.freeze()  # as in a worker: the collector passes over what was there before
        try:
            floor, ours, ratio = alternate(
                lambda: timed(lambda: bare(code)),
                lambda: timed(lambda: engine.execute(source, language="python")),
                _ROUNDS,
            )
        finally:
            gc.unfreeze()
    return Row(f"script.python.{name}", ours * 1e3, "ms", floor * 1e3, ratio)


_measured: Final[dict[str, Row]] = {}


def _program(name: str) -> Iterator[Row]:
    row = measured(name)
    _measured[name] = row
    yield row


for _name in PROGRAMS:
    benchmark(f"script.python.{_name}")(
        lambda name=_name: _program(name)  # type: ignore[misc]
    )


@benchmark("script.python")
def mean() -> Iterator[Row]:
    """The geometric mean of the programs' ratios; those measured before are not run again."""
    rows = [_measured.get(name) or measured(name) for name in PROGRAMS]
    ratios = [row.ratio for row in rows if row.ratio is not None]
    ratio = math.exp(sum(map(math.log, ratios)) / len(ratios))
    total = sum(row.value for row in rows)
    yield Row("script.python", total, "ms", sum(row.floor or 0 for row in rows), ratio)
