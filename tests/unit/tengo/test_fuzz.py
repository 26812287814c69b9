"""Random Tengo programs: whatever they do, they end well or with an error in Tengo's own words.

Nothing of the Lua state underneath may show: not its words for an error, not the prelude's names,
not a table where a value should be.  `SANDBOX_FUZZ=100000` runs as many programs.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.wire.codec import decode, encode
from tests.fuzz.grammar import Grammar, read_rules
from tests.unit.tengo.probes import NoHost, new_runtime

RULES: Final = Path(__file__).resolve().parents[2] / "fuzz" / "tengo.grammar"
PROGRAMS: Final = int(os.environ.get("SANDBOX_FUZZ", "1500"))
SETUP: Final = """x := undefined
y := 1
m := {a: 1, b: [1, 2], c: {d: "e"}}
arr := [[1, 2], "s", 'c', 2.5, {a: 1}, undefined]
imm := immutable({a: [1]})
err := error("e")
t := import("times").unix(1, 0)
c := 'x'
b := bytes("abc")
s := "héllo wörld"
"""
WORDS: Final = ("Runtime Error: ", "Parse Error: ", "Compile Error: ", "runtime error: ")
UNDERNEATH: Final = re.compile(
    r"\[sandbox\]|attempt to|nil value|table value|a table|userdata|bad argument|stack traceback"
    r"|internal error|prelude|table: 0x|function: 0x|number has no integer"
)
CYCLIC: Final = re.compile(r"nests|contains itself|cannot cross")


def program(number: int, grammar: Grammar) -> str:
    """Program `number`."""
    source = random.Random(number)
    return SETUP + grammar.expand("program", source, source.choice((6, 9, 12)))


def faults_of(runtime: Any, text: str) -> list[str]:
    """What is wrong with what came of a program."""
    frame = [1, 1, "execute", ["(main)", text.encode(), {}, {}]]
    kind, _, answer = decode(runtime.handle(encode(frame), NoHost()))
    if kind != 3:
        if CYCLIC.search(answer["message"]):
            return []
        return [f"raised instead of answering: {answer}"]
    error = answer.get("error")
    if error is None:
        return []
    message = error["message"]
    if error["type"] == "MemoryError" or CYCLIC.search(message):
        return []
    found = []
    if not message.startswith(WORDS):
        found.append(f"not in Tengo's words: {message}")
    if UNDERNEATH.search(message):
        found.append(f"shows what is underneath: {message}")
    if not error.get("line"):
        found.append(f"has no place: {error}")
    return found


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(read_rules(RULES))


def test_programs_end_in_tengos_own_words(grammar: Grammar) -> None:
    runtime = new_runtime(64 << 20)
    wrong: list[str] = []
    for number in range(PROGRAMS):
        text = program(number, grammar)
        for fault in faults_of(runtime, text):
            wrong.append(f"program {number}: {fault}\n{text[len(SETUP) :]}")
        if len(wrong) > 5:
            break
    assert wrong == [], "\n\n".join(wrong[:6])


def test_the_grammar_makes_programs_that_run(grammar: Grammar) -> None:
    """A fuzzer whose programs are all refused before they run would prove nothing."""
    runtime = new_runtime()
    ran = 0
    for number in range(200):
        frame = [1, 1, "execute", ["(main)", program(number, grammar).encode(), {}, {}]]
        kind, _, answer = decode(runtime.handle(encode(frame), NoHost()))
        error = answer.get("error") if kind == 3 else None
        if error is None or error["message"].startswith("Runtime Error"):
            ran += 1
    assert ran > 60
