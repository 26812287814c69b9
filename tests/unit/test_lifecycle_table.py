"""The table of module states: complete, and obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.lifecycle import TRANSITIONS, Module, ModuleState, Step
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.sandbox import Sandbox
from sandbox.errors import LifecycleError
from sandbox.limits import Limits

MOVES = [(state, step) for state in ModuleState for step in Step]
SETTLED = {
    ModuleState.ABSENT, ModuleState.ACTIVE, ModuleState.RESTARTING, ModuleState.FAILED,
}  # fmt: skip


def module(state: ModuleState = ModuleState.ABSENT) -> Module:
    """A module in a state."""
    runtime = RuntimeInfo("none", "none:none", "none")
    return Module("a.example", "hello", Sandbox("s", "module", ("s",), runtime, Limits()), state)


def reachable(start: ModuleState) -> set[ModuleState]:
    """The states that can follow."""
    found = {start}
    for _ in ModuleState:
        found |= {after for state in found for after in TRANSITIONS[state].values()}
    return found


def test_every_state_has_a_row_and_every_step_is_used() -> None:
    assert set(TRANSITIONS) == set(ModuleState)
    assert {step for row in TRANSITIONS.values() for step in row} == set(Step)


def test_every_state_can_be_reached_and_left() -> None:
    assert reachable(ModuleState.ABSENT) == set(ModuleState)
    for state in ModuleState:
        assert TRANSITIONS[state]
        assert ModuleState.ABSENT in reachable(state), "a module that can never be unloaded"
        assert ModuleState.ACTIVE in reachable(state), "a module that can never be loaded again"


@pytest.mark.parametrize("state", set(ModuleState) - {ModuleState.ABSENT}, ids=str)
def test_a_death_is_possible_whenever_code_may_run(state: ModuleState) -> None:
    """And leaves the module where an operation can begin."""
    assert TRANSITIONS[state][Step.DIED] in SETTLED


def test_operations_begin_only_where_nothing_is_under_way() -> None:
    for step in (Step.LOAD, Step.SAVE):
        assert {state for state in ModuleState if step in TRANSITIONS[state]} <= SETTLED
    assert Step.LOAD not in TRANSITIONS[ModuleState.ACTIVE]


@pytest.mark.parametrize(("state", "step"), MOVES, ids=str)
def test_move(state: ModuleState, step: Step) -> None:
    moved = module(state)
    following = TRANSITIONS[state].get(step)
    if following is not None:
        moved.move(step)
        assert moved.state is following
        return
    with pytest.raises(LifecycleError) as caught:
        moved.move(step)
    assert moved.state is state
    assert caught.value.plugin == "hello"
    assert caught.value.reason.startswith("module-busy")
    assert step.value in str(caught.value)
    assert state.value in str(caught.value)


WAYS: dict[str, tuple[list[Step], ModuleState]] = {
    "load": ([Step.LOAD, Step.LOADED], ModuleState.ACTIVE),
    "failed load": ([Step.LOAD, Step.FAIL], ModuleState.ABSENT),
    "unload": ([Step.LOAD, Step.LOADED, Step.UNLOAD, Step.UNLOADED], ModuleState.ABSENT),
    "reload": (
        [Step.LOAD, Step.LOADED, Step.SAVE, Step.SAVED, Step.UNLOAD, Step.RELOAD, Step.RESTORE,
         Step.RESTORED],
        ModuleState.ACTIVE,
    ),
    "save fails": ([Step.LOAD, Step.LOADED, Step.SAVE, Step.SAVE_FAILED], ModuleState.ACTIVE),
    "new version fails": (
        [Step.LOAD, Step.LOADED, Step.SAVE, Step.SAVED, Step.UNLOAD, Step.RELOAD, Step.FAIL],
        ModuleState.ABSENT,
    ),
    "dies and comes back": ([Step.LOAD, Step.LOADED, Step.DIED, Step.LOADED], ModuleState.ACTIVE),
    "dies, is given up and reset": (
        [Step.LOAD, Step.LOADED, Step.DIED, Step.GIVE_UP, Step.RESTART, Step.LOADED],
        ModuleState.ACTIVE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_the_operations_are_ways_through_the_table(name: str) -> None:
    steps, end = WAYS[name]
    moved = module()
    for step in steps:
        moved.move(step)
    assert moved.state is end


@given(st.lists(st.sampled_from(Step), max_size=30))
def test_no_sequence_of_steps_breaks_a_module(steps: list[Step]) -> None:
    moved = module()
    for step in steps:
        before = moved.state
        try:
            moved.move(step)
        except LifecycleError:
            assert step not in TRANSITIONS[before]
            assert moved.state is before
        else:
            assert TRANSITIONS[before][step] is moved.state
