"""Timers: which are due when, and how many a plugin may have."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.timers import MAX_TIMERS, Timers, checked_delay
from sandbox.errors import PluginError
from sandbox.limits import Limits


def sandbox(name: str) -> Sandbox:
    """A sandbox without a worker."""
    runtime = RuntimeInfo("none", "none:none", "none")
    return Sandbox(name, "module", (name,), runtime, Limits())


A, B = sandbox("a"), sandbox("b")


def pop(timers: Timers, now: float) -> tuple[Sandbox, int] | None:
    """The next timer that is due, whenever it was set."""
    return timers.pop_due(now, timers.mark())


def test_in_the_order_in_which_they_are_due() -> None:
    timers = Timers()
    for box, number, due in ((A, 1, 3.0), (B, 1, 1.0), (A, 2, 2.0), (B, 2, 2.0)):
        timers.add(box, number, due)
    assert timers.next_due() == 1.0
    assert pop(timers, 0.5) is None
    found = []
    while (one := pop(timers, 2.5)) is not None:
        found.append(one)
    assert found == [(B, 1), (A, 2), (B, 2)]
    assert timers.next_due() == 3.0
    assert pop(timers, 3.0) == (A, 1)
    assert timers.next_due() is None


def test_a_timer_that_is_set_again_moves() -> None:
    timers = Timers()
    timers.add(A, 1, 1.0)
    timers.add(A, 1, 5.0)
    assert pop(timers, 4.0) is None
    timers.add(A, 1, 2.0)
    assert pop(timers, 9.0) == (A, 1)
    assert pop(timers, 9.0) is None


def test_cancelled_and_forgotten_timers_never_come() -> None:
    timers = Timers()
    timers.add(A, 1, 1.0)
    timers.add(A, 2, 2.0)
    timers.add(B, 1, 3.0)
    timers.cancel(A, 1)
    timers.cancel(A, 99)
    timers.cancel(B, 99)
    assert timers.next_due() == 2.0
    timers.forget(A)
    timers.forget(A)
    assert pop(timers, 9.0) == (B, 1)
    assert timers.next_due() is None
    timers.add(A, 1, 4.0)
    assert pop(timers, 9.0) == (A, 1)


def test_a_timer_that_sets_itself_again_waits_for_the_next_turn() -> None:
    """With the mark of before, timers set meanwhile are not taken, however due they are."""
    timers = Timers()
    timers.add(A, 1, 1.0)
    timers.add(A, 2, 2.0)
    mark = timers.mark()
    assert timers.pop_due(9.0, mark) == (A, 1)
    timers.add(A, 1, 0.0)
    assert timers.pop_due(9.0, mark) in (None, (A, 2))
    assert timers.pop_due(9.0, mark) is None or timers.pop_due(9.0, mark) is None
    assert pop(timers, 9.0) == (A, 1)


def test_the_cap_is_each_sandboxs_own() -> None:
    timers = Timers()
    for number in range(MAX_TIMERS):
        timers.add(A, number, 1.0)
    with pytest.raises(PluginError, match=str(MAX_TIMERS)):
        timers.add(A, MAX_TIMERS, 1.0)
    timers.add(A, 0, 2.0)
    timers.add(B, 0, 1.0)
    timers.cancel(A, 5)
    timers.add(A, MAX_TIMERS, 1.0)


def test_a_timer_that_is_moved_for_ever_costs_no_memory() -> None:
    timers = Timers()
    for number in range(50_000):
        timers.add(A, 1, 1e9 + number)
        timers.add(A, 2, 1e9)
        timers.cancel(A, 2)
    assert len(timers._heap) <= 4 * MAX_TIMERS


@pytest.mark.parametrize(
    "delay",
    [
        None,
        True,
        False,
        "1",
        b"1",
        [],
        {},
        [1],
        math.nan,
        math.inf,
        -math.inf,
        1e300,
        2**63 - 1,
        1j,
    ],
    ids=repr,
)
def test_delays_that_make_no_sense(delay: Any) -> None:
    with pytest.raises(PluginError, match="number of seconds"):
        checked_delay(delay)


@pytest.mark.parametrize(
    ("delay", "seconds"), [(0, 0.0), (-5, 0.0), (-0.0, 0.0), (1.5, 1.5), (7, 7.0)]
)
def test_delays(delay: float, seconds: float) -> None:
    found = checked_delay(delay)
    assert (found, type(found)) == (seconds, float)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "cancel", "forget", "pop"]),
        st.sampled_from([0, 1]),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(STEPS)
def test_like_a_simple_table(steps: list[tuple[str, int, int, int]]) -> None:
    """The heap agrees with a dictionary that is searched."""
    timers, model, count = Timers(), dict[tuple[int, int], tuple[float, int]](), 0
    boxes = [A, B]
    for what, box, number, value in steps:
        if what == "add":
            count += 1
            timers.add(boxes[box], number, float(value))
            model[box, number] = (float(value), count)
        elif what == "cancel":
            timers.cancel(boxes[box], number)
            model.pop((box, number), None)
        elif what == "forget":
            timers.forget(boxes[box])
            model = {key: due for key, due in model.items() if key[0] != box}
        else:
            due = [key for key in model if model[key][0] <= value]
            expected = min(due, key=lambda key: model[key], default=None)
            found = pop(timers, float(value))
            if expected is None:
                assert found is None
            else:
                del model[expected]
                assert found == (boxes[expected[0]], expected[1])
        assert timers.next_due() == min((due for due, _ in model.values()), default=None)
