"""Maps with keys that are not texts: an embedder's may go in, a plugin's may not come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import Engine, PluginError
from sandbox.wire.codec import encode
from sandbox.wire.extensions import EncodeError

MODULES = {
    "mod_keys.lua": 'module:hook("seen", function(e) return e.map[1] end)\n'
    'module:hook("fine", function() return true end)\n',
    "mod_pykeys.py": 'module.hook("pyseen", lambda e: e["map"][1])\n'
    'module.hook("pyback", lambda e: {1: 2})\n'
    'module.hook("fine", lambda e: True)\n',
}


@pytest.fixture
def engine(tmp_path: Path):  # type: ignore[no-untyped-def]
    for name, source in MODULES.items():
        (tmp_path / name).write_text(source)
    with Engine([tmp_path], ["a.example"]) as engine:
        engine.load("a.example", "keys")
        engine.load("a.example", "pykeys")
        yield engine


def test_they_reach_the_plugin(engine: Engine) -> None:
    assert engine.fire("a.example", "seen", {"map": {1: "x"}}) == "x"
    assert engine.fire("a.example", "pyseen", {"map": {1: "x"}}) == "x"


def test_they_do_not_leave_it_and_cost_no_worker(engine: Engine) -> None:
    before = [one.pid for one in engine.status()]
    with pytest.raises(PluginError, match="keys of a map must be texts"):
        engine.fire("a.example", "pyback", {})
    assert engine.fire("a.example", "fine", {}) is True
    assert [one.pid for one in engine.status()] == before


@pytest.mark.parametrize("number", [1, 0xDB, 0xDEADBEEF, 0xD9D9D9D9])
def test_they_are_named_whatever_else_is_in_the_body(number: int) -> None:
    """A call's id may hold a byte that has the whole body looked at: the words are the same."""
    with pytest.raises(EncodeError, match="keys of a map must be texts"):
        encode([3, number, {1: 2}])
