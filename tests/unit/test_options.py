"""Configuration that modules read: which section counts, and what the operator may write."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sandbox.engine.options import Options
from sandbox.errors import ConfigurationError

HOSTS = ("a.example", "b.example")
CONFIG: dict[str, Any] = {
    "name": "everywhere", "only": 1, "off": True, "zero": 5,
    "*": {"name": "global", "star": 2},
    "a.example": {"name": "a", "off": False, "zero": 0, "empty": "", "gone": None},
    "c.example": {"name": "no host of ours"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("host", "name", "value"),
    [
        ("a.example", "name", "a"), ("b.example", "name", "global"), ("*", "name", "global"),
        ("a.example", "only", 1), ("a.example", "star", 2), ("*", "star", 2),
        ("a.example", "off", False), ("a.example", "zero", 0), ("a.example", "empty", ""),
        ("b.example", "off", True), ("a.example", "gone", None), ("a.example", "nowhere", None),
        ("unknown", "name", "global"), ("", "", None), ("a.example", "b.example", None),
        ("a.example", "*", None), ("a.example", "a.example", None),
        ("a.example", "c.example", {"name": "no host of ours"}),
    ],
)  # fmt: skip
def test_the_own_section_counts_before_the_global_one(host: str, name: str, value: object) -> None:
    found = Options(CONFIG, HOSTS).get(host, name)
    assert (found, type(found)) == (value, type(value))


def test_own_options_alone() -> None:
    options = Options(CONFIG, HOSTS)
    assert options.own("a.example", "name") == "a"
    assert options.own("b.example", "name") is None
    assert options.own("a.example", "only") is None


def test_the_operators_mapping_is_left_alone() -> None:
    config = {"a.example": {"x": 1}, "y": 2}
    Options(config, HOSTS)
    assert config == {"a.example": {"x": 1}, "y": 2}


@pytest.mark.parametrize("section", [1, "text", [("a", 1)], True, b""])
def test_a_section_that_is_no_mapping_is_named(section: object) -> None:
    with pytest.raises(ConfigurationError, match=r"config\['a.example'\] must be a mapping"):
        Options({"a.example": section}, HOSTS)


@pytest.mark.parametrize("value", [object(), {1}, [len], 2**63, "\ud800", {"a": {"b": object()}}])
@pytest.mark.parametrize("where", ["everywhere", "own", "star"])
def test_a_value_that_cannot_cross_is_named(value: object, where: str) -> None:
    config: Any = {"everywhere": {"bad": value}, "own": {"a.example": {"bad": value}},
              "star": {"*": {"bad": value}}}[where]  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"config\['bad'\]: .* cannot cross"):
        Options(config, HOSTS)


def test_odd_values_that_can_cross() -> None:
    options = Options({"a": math.inf, "b": b"\xff", "c": [{"d": (1, 2)}]}, HOSTS)
    assert options.get("a.example", "a") == math.inf
    assert options.get("a.example", "c") == [{"d": (1, 2)}]
