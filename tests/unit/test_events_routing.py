"""Who listens to what: order across sandboxes, and what workers may claim."""

from __future__ import annotations

import contextlib
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.events import MAX_EVENTS, Routes
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.sandbox import Sandbox
from sandbox.errors import PluginError
from sandbox.limits import Limits

HOST, EVENT = "a.example", "message"


def sandbox(name: str) -> Sandbox:
    """A sandbox without a worker."""
    runtime = RuntimeInfo("none", "none:none", "none")
    return Sandbox(name, "module", (name,), runtime, Limits())


A, B, C = sandbox("a"), sandbox("b"), sandbox("c")


def listening(**priorities: list[float]) -> tuple[Routes, dict[str, Sandbox]]:
    """A table in which sandboxes listen to one event, in the order given."""
    routes = Routes()
    made = {name: sandbox(name) for name in priorities}
    for name, own in priorities.items():
        routes.listen(made[name], HOST, EVENT, own)
    return routes, made


PRIORITIES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=4)


@given(st.lists(PRIORITIES, max_size=4), st.integers(-3, 3), st.integers(-3, 3))
def test_handlers_run_by_priority_then_by_who_listened_first(
    lists: list[list[float]], one: int, other: int
) -> None:
    """Every handler within the bounds is in exactly one segment, and in the right order."""
    low, high = sorted((one, other))
    routes, made = listening(**{f"s{n}": own for n, own in enumerate(lists)})
    handlers = [
        (-priority, order, name)
        for order, name in enumerate(made)
        for priority in lists[order]
        if low <= priority <= high
    ]
    expected = [name for name, _ in itertools.groupby(name for _, _, name in sorted(handlers))]
    segments = routes.segments(HOST, EVENT, high=high, low=low)
    assert [box.name for box, _, _ in segments] == expected
    for name, box in made.items():
        own = [priority for priority in lists[int(name[1:])] if low <= priority <= high]
        covered = [
            priority
            for there, top, bottom in segments
            if there is box
            for priority in set(own)
            if bottom <= priority <= top
        ]
        assert sorted(covered) == sorted(set(own)), "a handler that runs twice or never"


def test_one_without_another() -> None:
    routes, made = listening(a=[5, 1], b=[3], c=[1])
    visits = [(box.name, high, low) for box, high, low in routes.segments(HOST, EVENT)]
    assert visits == [("a", 5, 5), ("b", 3, 3), ("a", 1, 1), ("c", 1, 1)]
    visits = [
        (box.name, high, low)
        for box, high, low in routes.segments(HOST, EVENT, without=made["b"], high=5, low=1)
    ]
    assert visits == [("a", 5, 1), ("c", 1, 1)]
    assert routes.priorities_elsewhere(made["a"], HOST, EVENT) == [3, 1]


def test_alone() -> None:
    routes = Routes()
    assert routes.alone(HOST, EVENT) is None
    routes.listen(A, HOST, EVENT, [0])
    assert routes.alone(HOST, EVENT) is A
    assert routes.alone("*", EVENT) is None
    assert routes.alone(HOST, "other") is None
    routes.listen(B, HOST, EVENT, [0])
    assert routes.alone(HOST, EVENT) is True
    routes.listen(A, HOST, EVENT, [])
    assert routes.alone(HOST, EVENT) is B
    routes.forget(B)
    assert routes.alone(HOST, EVENT) is None


def test_a_sandbox_that_is_gone_is_forgotten_everywhere() -> None:
    routes = Routes()
    for event in ("one", "two"):
        routes.listen(A, HOST, event, [1, 2])
        routes.listen(B, HOST, event, [1])
        routes.watch(A, HOST, event)
    assert sorted(routes.forget(A)) == [(HOST, "one"), (HOST, "two")]
    assert routes.forget(A) == []
    for event in ("one", "two"):
        assert routes.alone(HOST, event) is B
        assert routes.watchers(HOST, event) == []
        assert [box for box, _, _ in routes.segments(HOST, event)] == [B]


def test_watchers() -> None:
    routes = Routes()
    assert routes.watchers(HOST, EVENT) == []
    routes.watch(A, HOST, EVENT)
    routes.watch(A, HOST, EVENT)
    routes.watch(B, HOST, EVENT)
    assert set(routes.watchers(HOST, EVENT)) == {A, B}
    assert len(routes.watchers(HOST, EVENT)) == 2


HOSTILE: list[tuple[Any, Any, Any]] = [
    (None, EVENT, [0]), (1, EVENT, [0]), (b"a", EVENT, [0]), ([], EVENT, [0]), ({}, EVENT, [0]),
    (HOST, None, [0]), (HOST, 1, [0]), (HOST, b"e", [0]), (HOST, [], [0]), (HOST, "", [0]),
    (HOST, "e" * 1025, [0]), ("h" * 100_000, EVENT, [0]), (HOST, EVENT, None), (HOST, EVENT, "0"),
    (HOST, EVENT, {"a": 1}), (HOST, EVENT, 0), (HOST, EVENT, (0,)), (HOST, EVENT, [None]),
    (HOST, EVENT, ["0"]), (HOST, EVENT, [True]), (HOST, EVENT, [[0]]), (HOST, EVENT, [math.nan]),
    (HOST, EVENT, [math.inf]), (HOST, EVENT, [-math.inf]), (HOST, EVENT, [0, math.nan]),
    (HOST, EVENT, [0] * 1001), (HOST, EVENT, [b"0"]),
]  # fmt: skip


@pytest.mark.parametrize("arguments", HOSTILE, ids=lambda one: repr(one)[:40])
def test_hostile_claims_are_refused_and_change_nothing(arguments: tuple[Any, Any, Any]) -> None:
    routes = Routes()
    routes.listen(B, HOST, EVENT, [0])
    with pytest.raises(PluginError) as caught:
        routes.listen(A, *arguments)
    assert caught.value.plugin == "a"
    assert len(str(caught.value)) < 200
    assert routes.alone(HOST, EVENT) is B
    assert routes.forget(A) == []


def test_events_are_capped_for_each_sandbox() -> None:
    routes = Routes()
    for number in range(MAX_EVENTS):
        routes.listen(A, HOST, f"e{number}", [0])
    with pytest.raises(PluginError, match=f"more than {MAX_EVENTS} events"):
        routes.listen(A, HOST, "one more", [0])
    assert routes.alone(HOST, "one more") is None
    routes.listen(A, HOST, "e0", [1])
    routes.listen(A, HOST, "e0", [])
    routes.listen(A, HOST, "one more", [0])
    routes.listen(B, HOST, "e0", [0])


def test_what_is_watched_is_capped() -> None:
    """A worker asks for events by any name: the engine may not remember them without end."""
    routes, watched = Routes(), 0
    with contextlib.suppress(PluginError):
        while watched < 2 * MAX_EVENTS:
            routes.watch(A, HOST, f"e{watched}")
            watched += 1
    assert watched <= MAX_EVENTS
    with pytest.raises(PluginError):
        routes.watch(B, HOST, "e" * 100_000)


def test_watching_leaves_nothing_behind() -> None:
    routes = Routes()
    for number in range(100):
        routes.watch(A, HOST, f"e{number}")
    routes.forget(A)
    assert not routes._watchers
