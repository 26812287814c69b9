"""The value that a plugin keeps: a copy, its own, and not too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.memory import MAX_VALUE, Memory
from sandbox.errors import PluginError
from sandbox.values import GuestFunction, HostFunction
from sandbox.wire.codec import encode
from sandbox.wire.extensions import EncodeError

ROOM = 2 * MAX_VALUE
"""Bytes of storage that the plugin has left."""

PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@given(PLAIN)
def test_what_is_kept_comes_back(value: object) -> None:
    memory = Memory()
    try:
        memory.set("p", value, ROOM)
    except EncodeError:
        assert "surrogates" in repr(value) or "\\ud" in repr(value)
        return
    assert memory.get("p") == value


def test_it_is_a_copy_on_the_way_in_and_out() -> None:
    memory, value = Memory(), {"a": [1]}
    memory.set("p", value, ROOM)
    value["a"].append(2)
    memory.get("p")["a"].append(3)
    assert memory.get("p") == {"a": [1]}


def test_every_plugin_has_its_own() -> None:
    memory = Memory()
    memory.set("p", 1, ROOM)
    memory.set("q", 2, ROOM)
    assert (memory.get("p"), memory.get("q"), memory.get("")) == (1, 2, None)


def test_nothing_forgets() -> None:
    memory = Memory()
    memory.set("p", 1, ROOM)
    memory.set("p", None, ROOM)
    memory.set("p", None, ROOM)
    assert memory.get("p") is None
    assert memory._values == {}


@pytest.mark.parametrize("value", [False, 0, "", [], {}])
def test_empty_values_are_values(value: object) -> None:
    memory = Memory()
    memory.set("p", value, ROOM)
    assert memory.get("p") == value
    assert memory._values != {}


def test_the_largest_value() -> None:
    memory = Memory()
    room = MAX_VALUE - len(encode(b"x" * 70_000)) + 70_000
    memory.set("p", b"x" * room, ROOM)
    with pytest.raises(PluginError, match=f"more than {MAX_VALUE}") as caught:
        memory.set("p", b"x" * (room + 1), ROOM)
    assert caught.value.plugin == "p"
    assert memory.get("p") == b"x" * room


@pytest.mark.parametrize("value", [object(), len, {1}, 2**63, [print]], ids=repr)
def test_what_cannot_cross_is_refused_and_changes_nothing(value: object) -> None:
    memory = Memory()
    memory.set("p", "kept", ROOM)
    with pytest.raises(EncodeError):
        memory.set("p", value, ROOM)
    assert memory.get("p") == "kept"


@pytest.mark.parametrize("function", [HostFunction(1), GuestFunction(1)], ids=repr)
def test_a_function_is_no_value_to_keep(function: object) -> None:
    """What its handle stands for is another function, or none, in the next worker."""
    with pytest.raises(EncodeError, match="function"):
        Memory().set("p", [function], ROOM)
