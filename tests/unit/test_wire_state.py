"""The connection's states: the table is complete, both sides agree, and no other move is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sandbox.errors import ProtocolError
from sandbox.limits import MAX_OUTPUT
from sandbox.wire.codec import encode
from sandbox.wire.connection import Connection, Role
from sandbox.wire.extensions import EncodeError
from sandbox.wire.frames import FIELDS, MAX_ID, VERSION, Frame, Kind, check
from sandbox.wire.framing import (
    HEADER,
    MAX_FRAME,
    MAX_FROM_ENGINE,
    FrameBuffer,
    frame,
    most_from_worker,
)
from sandbox.wire.state import TRANSITIONS, ConnectionState, State, Trigger

FROM_WORKER = {Kind.HELLO, Kind.RETURN, Kind.RAISE, Kind.HOST_CALL, Kind.NOTE}
FROM_ENGINE = {Kind.CALL, Kind.NEST, Kind.HOST_RETURN, Kind.HOST_RAISE, Kind.NOTE, Kind.BYE}
FROM_ENGINE |= {Kind.WITHDRAW}

# ---------------------------------------------------------------------- the tables


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


def test_every_trigger_is_used() -> None:
    assert {trigger for row in TRANSITIONS.values() for trigger in row} == set(Trigger)


def test_every_state_is_reached() -> None:
    reached = {State.OPENING}
    for _ in State:
        reached |= {after for state in reached for after in TRANSITIONS[state].values()}
    assert reached == set(State)


def test_nothing_leaves_closed_and_everything_can_close() -> None:
    assert TRANSITIONS[State.CLOSED] == {}
    for state in set(State) - {State.CLOSED}:
        assert TRANSITIONS[state][Trigger.BYE] is State.CLOSED


def test_every_kind_has_fields_and_a_sender() -> None:
    assert set(FIELDS) == set(Kind)
    assert set(Kind) == FROM_WORKER | FROM_ENGINE
    assert {Kind.NOTE} == FROM_WORKER & FROM_ENGINE


# ---------------------------------------------------------------------- every move in every state

FRAMES: dict[Kind, Frame] = {
    Kind.HELLO: [Kind.HELLO, VERSION, 1],
    Kind.CALL: [Kind.CALL, 1, "a", []],
    Kind.NEST: [Kind.NEST, 2, "a", []],
    Kind.RETURN: [Kind.RETURN, 1, None],
    Kind.RAISE: [Kind.RAISE, 1, {}],
    Kind.HOST_CALL: [Kind.HOST_CALL, 7, "a.b", []],
    Kind.HOST_RETURN: [Kind.HOST_RETURN, 7, None],
    Kind.HOST_RAISE: [Kind.HOST_RAISE, 7, {}],
    Kind.NOTE: [Kind.NOTE, "log", []],
    Kind.BYE: [Kind.BYE],
    Kind.WITHDRAW: [Kind.WITHDRAW],
}

WAYS: dict[State, list[Kind]] = {
    State.OPENING: [],
    State.IDLE: [Kind.HELLO],
    State.RUNNING: [Kind.HELLO, Kind.CALL],
    State.SUSPENDED: [Kind.HELLO, Kind.CALL, Kind.HOST_CALL],
    State.CLOSED: [Kind.BYE],
}
"""How to get into each state."""

MOVES = [(state, kind) for state in State for kind in Kind]

LEGAL: dict[State, set[Kind]] = {
    State.OPENING: {Kind.HELLO, Kind.BYE},
    State.IDLE: {Kind.CALL, Kind.NOTE, Kind.BYE},
    State.RUNNING: {Kind.CALL, Kind.RETURN, Kind.RAISE, Kind.HOST_CALL, Kind.NOTE, Kind.BYE},
    State.SUSPENDED: {
        Kind.CALL, Kind.NEST, Kind.HOST_RETURN, Kind.HOST_RAISE, Kind.NOTE, Kind.BYE,
        Kind.WITHDRAW,
    },
    State.CLOSED: set(),
}  # fmt: skip
"""Written down a second time, by kinds and not by triggers."""


def body(fields: Frame) -> bytes:
    """A frame's bytes, length included."""
    return frame(encode([int(fields[0]), *fields[1:]]))


def machine_in(state: State) -> ConnectionState:
    """A machine that got into `state` by legal frames."""
    machine = ConnectionState()
    for kind in WAYS[state]:
        machine.apply(FRAMES[kind])
    assert machine.state is state
    return machine


def connection_in(state: State, role: Role) -> Connection:
    """A connection of `role` that got into `state` by legal frames."""
    connection = Connection(role)
    sends = FROM_ENGINE if role is Role.ENGINE else FROM_WORKER
    for kind in WAYS[state]:
        if kind in sends:
            connection.send(kind, *FRAMES[kind][1:])
        else:
            connection.receive(body(FRAMES[kind]))
    assert connection.state is state
    return connection


@pytest.mark.parametrize(("state", "kind"), MOVES)
def test_move(state: State, kind: Kind) -> None:
    machine = machine_in(state)
    if kind in LEGAL[state]:
        machine.apply(FRAMES[kind])
    else:
        with pytest.raises(ProtocolError):
            machine.apply(FRAMES[kind])
        assert machine.state is State.CLOSED
        assert machine.running is None
        assert machine.host_call is None


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("state", "kind"), MOVES)
def test_received_move(state: State, kind: Kind, role: Role) -> None:
    if state is State.CLOSED and role is Role.WORKER:
        connection = connection_in(State.IDLE, role)
        connection.receive(body(FRAMES[Kind.BYE]))
    else:
        connection = connection_in(state, role)
    comes = FROM_WORKER if role is Role.ENGINE else FROM_ENGINE
    if kind in comes and kind in LEGAL[state]:
        assert connection.receive(body(FRAMES[kind])) == [FRAMES[kind]]
    else:
        with pytest.raises(ProtocolError):
            connection.receive(body(FRAMES[kind]))
        assert connection.state is State.CLOSED
        with pytest.raises(ProtocolError):
            connection.receive(b"")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("state", "kind"), MOVES)
def test_sent_move(state: State, kind: Kind, role: Role) -> None:
    connection = connection_in(state if role is Role.ENGINE else State.IDLE, role)
    if role is Role.WORKER:
        connection = connection_in(state, role) if state is not State.CLOSED else connection
        if state is State.CLOSED:
            connection.close()
    sends = FROM_ENGINE if role is Role.ENGINE else FROM_WORKER
    if kind in sends and kind in LEGAL[state]:
        assert connection.send(kind, *FRAMES[kind][1:]) == body(FRAMES[kind])
        return
    with pytest.raises(ProtocolError):
        connection.send(kind, *FRAMES[kind][1:])
    if kind in sends:
        assert connection.state is State.CLOSED


# ---------------------------------------------------------------------- ids


def after(*frames: Frame) -> ConnectionState:
    """A machine after HELLO and these frames."""
    machine = ConnectionState()
    machine.apply(FRAMES[Kind.HELLO])
    for one in frames:
        machine.apply(one)
    return machine


CALL_1: Frame = [Kind.CALL, 1, "a", []]
CALL_2: Frame = [Kind.CALL, 2, "a", []]
HOST_7: Frame = [Kind.HOST_CALL, 7, "a", []]
HOST_8: Frame = [Kind.HOST_CALL, 8, "a", []]
NEST_5: Frame = [Kind.NEST, 5, "a", []]

WRONG_IDS: dict[str, tuple[list[Frame], Frame]] = {
    "answer to another call": ([CALL_1], [Kind.RETURN, 2, None]),
    "answer to a later call": ([CALL_1, CALL_2], [Kind.RETURN, 2, None]),
    "second answer": ([CALL_1, CALL_2, [Kind.RETURN, 1, None]], [Kind.RETURN, 1, None]),
    "second answer when idle": ([CALL_1, [Kind.RETURN, 1, None]], [Kind.RETURN, 1, None]),
    "unasked answer": ([], [Kind.RETURN, 999_999, None]),
    "error for another call": ([CALL_1], [Kind.RAISE, 0, {}]),
    "answer while suspended": ([CALL_1, HOST_7], [Kind.RETURN, 1, None]),
    "answer to the outer call from a nested one": (
        [CALL_1, HOST_7, NEST_5], [Kind.RETURN, 1, None],
    ),
    "answer with the id of the host call": ([CALL_1, HOST_7, NEST_5], [Kind.RETURN, 7, None]),
    "host answer to another": ([CALL_1, HOST_7], [Kind.HOST_RETURN, 8, None]),
    "host answer below a nested call": ([CALL_1, HOST_7, NEST_5], [Kind.HOST_RETURN, 7, None]),
    "host answer to the outer of two": (
        [CALL_1, HOST_7, NEST_5, HOST_8], [Kind.HOST_RETURN, 7, None],
    ),
    "second host answer": (
        [CALL_1, HOST_7, [Kind.HOST_RETURN, 7, None]], [Kind.HOST_RETURN, 7, None],
    ),
    "two host calls": ([CALL_1, HOST_7], HOST_8),
    "host call when idle": ([], HOST_7),
    "host call after the end": ([CALL_1, [Kind.RETURN, 1, None]], HOST_7),
    "nested call while running": ([CALL_1], NEST_5),
    "two nested calls": ([CALL_1, HOST_7, NEST_5], [Kind.NEST, 6, "a", []]),
    "second greeting": ([], [Kind.HELLO, 1, 1]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_IDS)
def test_wrong_id(name: str) -> None:
    before, move = WRONG_IDS[name]
    machine = after(*before)
    with pytest.raises(ProtocolError):
        machine.apply(move)
    assert machine.state is State.CLOSED


def test_what_runs_and_what_waits() -> None:
    machine = after()
    assert (machine.running, machine.host_call) == (None, None)
    for move, running, host_call in (
        (CALL_1, 1, None), (CALL_2, 1, None), (HOST_7, 1, 7), (NEST_5, 5, None), (HOST_8, 5, 8),
        ([Kind.HOST_RAISE, 8, {}], 5, None), ([Kind.RAISE, 5, {}], 1, 7),
        ([Kind.HOST_RETURN, 7, 0], 1, None), ([Kind.RETURN, 1, 0], 2, None),
        ([Kind.RETURN, 2, 0], None, None),
    ):  # fmt: skip
        machine.apply(move)
        assert (machine.running, machine.host_call) == (running, host_call)
    assert machine.state is State.IDLE


def test_what_was_withdrawn_is_never_answered() -> None:
    machine = after(CALL_1, CALL_2, [Kind.CALL, 3, "a", []], HOST_7, [Kind.WITHDRAW])
    assert (machine.running, machine.host_call) == (1, 7)
    machine.apply([Kind.CALL, 4, "a", []])
    for move in ([Kind.HOST_RETURN, 7, 0], [Kind.RETURN, 1, 0]):
        machine.apply(move)
    assert machine.running == 4
    with pytest.raises(ProtocolError):
        machine.apply([Kind.RETURN, 2, 0])


# ---------------------------------------------------------------------- shapes of frames

BAD_SHAPES: dict[str, Any] = {
    "a number": 42, "a text": "RETURN", "nothing": None, "a map": {"t": 3}, "an empty list": [],
    "a kind that is a text": ["RETURN", 1, None], "a kind that is a float": [3.0, 1, None],
    "a kind that is true": [True, 1, "a", []], "a negative kind": [-1], "no such kind": [11, 1],
    "a huge kind": [2**63 - 1], "too few fields": [3, 1], "too many fields": [3, 1, None, None],
    "an id that is a text": [3, "1", None], "an id that is a float": [3, 1.0, None],
    "an id that is true": [3, True, None], "an id that is nothing": [3, None, None],
    "an id that is a list": [3, [1], None], "a negative id": [3, -1, None],
    "an id out of range": [3, MAX_ID + 1, None], "an error that is a text": [4, 1, "x"],
    "an error that is a list": [4, 1, []], "arguments that are a map": [5, 1, "a", {}],
    "arguments that are a text": [5, 1, "a", "abc"],
    "arguments that are nothing": [5, 1, "a", None],
    "a function that is a list": [5, 1, ["a"], []], "a function that is nothing": [5, 1, None, []],
    "a function that is bytes": [5, 1, b"a", []], "a topic that is a number": [8, 1, []],
    "a payload that is a text": [8, "log", "x"], "bye with a field": [9, 1],
    "withdraw with a field": [10, 1],
    "a greeting with a text": [0, 1, "pid"], "a version that is negative": [0, -1, 1],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_bad_shape(name: str) -> None:
    with pytest.raises(ProtocolError):
        check(BAD_SHAPES[name])
    connection = connection_in(State.RUNNING, Role.ENGINE)
    with pytest.raises(ProtocolError):
        connection.receive(frame(encode(BAD_SHAPES[name])))
    assert connection.state is State.CLOSED


# ---------------------------------------------------------------------- sending


def test_what_cannot_be_sent_leaves_the_connection_as_it_was() -> None:
    connection = connection_in(State.IDLE, Role.ENGINE)
    with pytest.raises(EncodeError):
        connection.send(Kind.CALL, 1, "a", [object()])
    with pytest.raises(ProtocolError, match="frame of"):
        connection.send(Kind.CALL, 1, "a", ["x" * 2**24])
    assert connection.state is State.IDLE
    # Not a byte of what was refused is left to be sent with the next.
    assert connection.send(*FRAMES[Kind.CALL]) == body(FRAMES[Kind.CALL])
    assert connection.running == 1


def test_frames_after_a_bad_one_are_lost() -> None:
    connection = connection_in(State.RUNNING, Role.ENGINE)
    with pytest.raises(ProtocolError):
        connection.receive(frame(b"\xc1") + body([Kind.RETURN, 1, "accepted"]))
    with pytest.raises(ProtocolError, match="closed"):
        connection.receive(body([Kind.RETURN, 1, "accepted"]))


# ---------------------------------------------------------------------- sizes


def sized(size: int) -> Frame:
    """A RETURN whose body has that many bytes."""
    around = len(encode([int(Kind.RETURN), 1, b"x" * 2**16])) - 2**16
    return [int(Kind.RETURN), 1, b"x" * (size - around)]


def test_an_engine_may_send_more_than_it_takes() -> None:
    engine, worker = connection_in(State.IDLE, Role.ENGINE), connection_in(State.IDLE, Role.WORKER)
    call = encode([int(Kind.CALL), 1, "a", [b"x" * 2**16]])
    argument = b"x" * (MAX_FROM_ENGINE - len(call) + 2**16)
    with pytest.raises(ProtocolError, match=f"more than {MAX_FROM_ENGINE}"):
        engine.send(Kind.CALL, 1, "a", [argument + b"x"])
    data = engine.send(Kind.CALL, 1, "a", [argument])
    assert data[:HEADER] == b"\0\xff\xff\xff"
    assert worker.receive(data) == [[Kind.CALL, 1, "a", [argument]]]


@pytest.mark.parametrize("output", [1, 2**20, 2**21, MAX_OUTPUT])
@pytest.mark.parametrize("split", [HEADER, 70_000, None])
def test_a_worker_may_send_what_its_limit_of_output_has_room_for(
    output: int, split: int | None
) -> None:
    most = most_from_worker(output)
    assert output + 60_000 < most < MAX_FROM_ENGINE
    for size in (most, most + 1):
        data = frame(encode(sized(size)), size)
        engine = Connection(Role.ENGINE, most)
        engine.receive(body(FRAMES[Kind.HELLO]))
        engine.send(*FRAMES[Kind.CALL])
        parts = [data[:split], data[split:]] if split else [data]
        if size > most:
            with pytest.raises(ProtocolError, match=f"frame of {size} bytes"):
                engine.receive(parts[0])  # nothing is kept for what is too long
        else:
            assert [engine.receive(part) for part in parts][-1][0][0] == Kind.RETURN


def test_a_worker_does_not_send_more_than_its_engine_takes() -> None:
    worker = connection_in(State.RUNNING, Role.WORKER)
    with pytest.raises(ProtocolError, match=f"more than {MAX_FRAME}"):
        worker.send(*sized(MAX_FRAME + 1))
    assert worker.state is State.RUNNING
    assert worker.send(*sized(MAX_FRAME))


# ---------------------------------------------------------------------- framing


@pytest.mark.parametrize("size", [0, 2**20 + 1, 2**24, 2**31, 2**32 - 1])
def test_a_length_is_refused_by_its_header_alone(size: int) -> None:
    buffer = FrameBuffer()
    header = size.to_bytes(HEADER, "big")
    assert buffer.feed(header[:3]) == []
    with pytest.raises(ProtocolError, match=f"frame of {size} bytes"):
        buffer.feed(header[3:])


@pytest.mark.parametrize("size", [0, 101])
def test_a_length_is_refused_with_its_body(size: int) -> None:
    with pytest.raises(ProtocolError):
        FrameBuffer(100).feed(size.to_bytes(HEADER, "big") + b"\xc0" * size)


def test_the_largest_frame_passes_whole_and_in_parts() -> None:
    data = frame(bytes(100), 100)
    assert FrameBuffer(100).feed(data) == [bytes(100)]
    buffer = FrameBuffer(100)
    got = [one for byte in data for one in buffer.feed(bytes([byte]))]
    assert got == [bytes(100)]
    assert len(buffer) == 0


def test_several_frames_and_a_part_in_one_read() -> None:
    buffer = FrameBuffer()
    assert buffer.feed(frame(b"a") + frame(b"bc") + frame(b"def")[:5]) == [b"a", b"bc"]
    assert len(buffer) == 5
    assert buffer.feed(b"ef") == [b"def"]


def test_a_call_and_an_answer_may_pass_each_other() -> None:
    """The engine calls ahead while the answer to the call before is on its way."""
    engine = connection_in(State.RUNNING, Role.ENGINE)
    worker = connection_in(State.RUNNING, Role.WORKER)
    answer = worker.send(Kind.RETURN, 1, None)
    ahead = engine.send(Kind.CALL, 2, "a", [])
    worker.receive(ahead)
    engine.receive(answer)
    assert engine.state is worker.state is State.RUNNING
    assert engine.running == worker.running == 2


# ---------------------------------------------------------------------- two sides

VALUES = st.one_of(
    st.none(), st.integers(-5, 5), st.text(max_size=3), st.lists(st.none(), max_size=2)
)


class TwoSides(RuleBasedStateMachine):
    """An engine's and a worker's connection, joined; a model says what is legal.

    Frames are delivered at once or in pieces, but always before the next move of the other side:
    a worker that runs may be overtaken only by CALLs, which are legal in any busy state.
    """

    def __init__(self) -> None:
        super().__init__()
        self.engine = Connection(Role.ENGINE)
        self.worker = Connection(Role.WORKER)
        self.greeted = False
        self.waiting: list[int] = []
        self.stack: list[tuple[str, int]] = []
        self.closed = False
        self.number = 0

    def new_id(self) -> int:
        """The next id."""
        self.number += 1
        return self.number

    def pass_on(self, sender: Connection, kind: Kind, *fields: Any) -> None:
        """Send a frame and deliver it, cut in two."""
        receiver = self.worker if sender is self.engine else self.engine
        data = sender.send(kind, *fields)
        cut = (self.number * 7) % len(data)
        got = receiver.receive(data[:cut]) + receiver.receive(data[cut:])
        assert got == [[kind, *fields]]

    def expected(self) -> State:
        """The state by the model."""
        if self.closed:
            return State.CLOSED
        if not self.greeted:
            return State.OPENING
        if self.stack:
            return State.SUSPENDED if self.stack[-1][0] == "host" else State.RUNNING
        return State.RUNNING if self.waiting else State.IDLE

    @precondition(lambda self: not self.greeted and not self.closed)
    @rule()
    def hello(self) -> None:
        """The worker greets."""
        self.pass_on(self.worker, Kind.HELLO, VERSION, 1)
        self.greeted = True

    @precondition(lambda self: self.greeted and not self.closed)
    @rule()
    def call(self) -> None:
        """The engine calls, perhaps ahead."""
        number = self.new_id()
        self.pass_on(self.engine, Kind.CALL, number, "operation", [])
        self.waiting.append(number)

    @precondition(lambda self: self.expected() is State.RUNNING)
    @rule()
    def host_call(self) -> None:
        """The worker asks."""
        number = self.new_id()
        self.pass_on(self.worker, Kind.HOST_CALL, number, "a.b", [1])
        self.stack.append(("host", number))

    @precondition(lambda self: self.expected() is State.SUSPENDED)
    @rule()
    def nest(self) -> None:
        """The engine makes a nested call."""
        number = self.new_id()
        self.pass_on(self.engine, Kind.NEST, number, "operation", [])
        self.stack.append(("nest", number))

    @precondition(lambda self: self.expected() is State.SUSPENDED)
    @rule()
    def withdraw(self) -> None:
        """The engine takes back what waits."""
        self.pass_on(self.engine, Kind.WITHDRAW)
        del self.waiting[1:]

    @precondition(lambda self: self.expected() is State.SUSPENDED)
    @rule(raises=st.booleans(), value=VALUES)
    def host_answer(self, raises: bool, value: Any) -> None:
        """The engine answers."""
        _, number = self.stack.pop()
        if raises:
            self.pass_on(self.engine, Kind.HOST_RAISE, number, {"message": "no"})
        else:
            self.pass_on(self.engine, Kind.HOST_RETURN, number, value)

    @precondition(lambda self: self.expected() is State.RUNNING)
    @rule(raises=st.booleans(), value=VALUES)
    def end(self, raises: bool, value: Any) -> None:
        """The worker ends what runs."""
        number = self.stack.pop()[1] if self.stack else self.waiting.pop(0)
        if raises:
            self.pass_on(self.worker, Kind.RAISE, number, {"message": "oh"})
        else:
            self.pass_on(self.worker, Kind.RETURN, number, value)

    @precondition(lambda self: self.greeted and not self.closed)
    @rule(from_engine=st.booleans())
    def note(self, from_engine: bool) -> None:
        """Either side notes something."""
        sender = self.engine if from_engine else self.worker
        self.pass_on(sender, Kind.NOTE, "topic", ["x"])

    @precondition(lambda self: not self.closed)
    @rule()
    def bye(self) -> None:
        """The engine hangs up."""
        self.pass_on(self.engine, Kind.BYE)
        self.closed = True

    @precondition(lambda self: not self.closed)
    @rule(kind=st.sampled_from(sorted(FROM_WORKER)), offset=st.integers(1000, 2000))
    def lie(self, kind: Kind, offset: int) -> None:
        """The worker sends something that is against the rules now; both sides close."""
        legal: dict[Kind, Callable[[], bool]] = {
            Kind.HELLO: lambda: not self.greeted,
            Kind.NOTE: lambda: self.greeted,
            Kind.HOST_CALL: lambda: self.expected() is State.RUNNING,
            Kind.RETURN: lambda: False,
            Kind.RAISE: lambda: False,
        }
        if legal[kind]():
            return
        table: dict[Kind, list[Any]] = {
            Kind.HELLO: [1, 1], Kind.NOTE: ["a", []], Kind.HOST_CALL: [offset, "a", []],
            Kind.RETURN: [self.number + offset, 0], Kind.RAISE: [self.number + offset, {}],
        }  # fmt: skip
        lies = table[kind]
        with pytest.raises(ProtocolError):
            self.worker.send(kind, *lies)
        with pytest.raises(ProtocolError):
            self.engine.receive(body([kind, *lies]))
        self.closed = True

    @precondition(lambda self: self.closed)
    @rule()
    def nothing_more(self) -> None:
        """After the end neither side sends or takes anything."""
        with pytest.raises(ProtocolError):
            self.engine.send(Kind.CALL, self.new_id(), "operation", [])
        with pytest.raises(ProtocolError):
            self.worker.receive(b"")

    @invariant()
    def both_sides_agree(self) -> None:
        """On the state, on what runs, and with the model."""
        assert self.engine.state is self.worker.state is self.expected()
        assert self.engine.running == self.worker.running
        assert self.engine.host_call == self.worker.host_call
        if not self.closed:
            nested = [number for kind, number in self.stack if kind == "nest"]
            running = nested[-1] if nested else (self.waiting[0] if self.waiting else None)
            assert self.engine.running == running
            waits = self.stack[-1][1] if self.expected() is State.SUSPENDED else None
            assert self.engine.host_call == waits


TwoSides.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestTwoSides = TwoSides.TestCase
