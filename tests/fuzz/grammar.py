"""Texts from a grammar and a seed.

A grammar is a table: symbol -> alternatives.  An alternative is text in which `<symbol>` stands
for an expansion of that symbol; anything else in angle brackets is text.  Knows no language but
for one courtesy: an expansion of several lines keeps the indentation of the line it is put in.

In a file a line `= symbol` begins a rule.  Each further line is an alternative, in which `\\n`,
`\\t` and `\\\\` are what they are elsewhere and `\\-` is nothing; of a line that begins with `*`
each word is one.  Lines that begin with `# ` and empty lines mean nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_SYMBOL: Final = re.compile(r"<([a-z_]+)>")
_FAR: Final = 1000
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n", "t": "\t", "\\": "\\", "-": ""}


def words(text: str) -> list[str]:
    """A table of names written as one text."""
    return text.split()


def read_rules(path: Path) -> dict[str, list[str]]:
    """The rules in a file."""
    rules: dict[str, list[str]] = {}
    current: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            current = rules[line[2:]] = []
        elif line.startswith("* "):
            current += line[2:].split()
        elif line and not line.startswith("# "):
            current.append(_ESCAPE.sub(lambda found: _ESCAPED[found[1]], line))
    return rules


class Grammar:
    """Expands symbols.  Alternatives of a rule are equally likely while there is depth left."""

    def __init__(self, rules: Mapping[str, Sequence[str]]) -> None:
        self._rules: dict[str, list[list[str]]] = {
            name: [_SYMBOL.split(text) for text in alternatives]
            for name, alternatives in rules.items()
        }
        # A symbol that is no rule is text after all.
        for alternatives in self._rules.values():
            for parts in alternatives:
                for at in range(len(parts) - 2, 0, -2):
                    if parts[at] not in self._rules:
                        parts[at - 1 : at + 2] = [f"{parts[at - 1]}<{parts[at]}>{parts[at + 1]}"]
        self._cost = self._costs()

    def _costs(self) -> dict[str, list[int]]:
        """How deep each alternative must go at least."""
        least = dict.fromkeys(self._rules, _FAR)
        costs: dict[str, list[int]] = {}
        changed = True
        while changed:
            changed = False
            for name, alternatives in self._rules.items():
                costs[name] = [
                    1 + max((least[symbol] for symbol in parts[1::2]), default=0)
                    for parts in alternatives
                ]
                if min(costs[name]) < least[name]:
                    least[name] = min(costs[name])
                    changed = True
        endless = [name for name, cost in least.items() if cost >= _FAR]
        if endless:
            raise ValueError(f"rules that never end: {endless}")
        return costs

    def words(self, symbol: str) -> list[str]:
        """The alternatives of a rule that has no symbols in it."""
        return [parts[0] for parts in self._rules[symbol]]

    def expand(self, symbol: str, source: random.Random, depth: int) -> str:
        """One random expansion of `symbol`, no deeper than `depth` where the rules allow it."""
        alternatives, costs = self._rules[symbol], self._cost[symbol]
        within = [parts for parts, cost in zip(alternatives, costs, strict=True) if cost <= depth]
        if not within:
            least = min(costs)
            within = [p for p, cost in zip(alternatives, costs, strict=True) if cost == least]
        parts = source.choice(within)
        text = parts[0]
        for at in range(1, len(parts), 2):
            made = self.expand(parts[at], source, depth - 1)
            if "\n" in made:
                line = text.rpartition("\n")[2]
                made = made.replace("\n", "\n" + line[: len(line) - len(line.lstrip())])
            text += made + parts[at + 1]
        return text
