"""The state of a connection between an engine and one worker: a table, then little code.

Theory.  A worker runs one thing at a time.  The engine may send it CALLs ahead; they wait in
the worker, first come first served.  While the worker runs a call it may ask the engine for
something (HOST_CALL) and then stands still until the answer.  While it stands still the engine
may make it run something else first (NEST), which may again ask: host calls and nested calls
form a stack, and the answers come back in the order of that stack.  And while it stands still the
engine may take back the CALLs that wait (WITHDRAW), since both sides know that none has begun.  So
there are five states, which both sides can tell from the frames that passed:

    OPENING    the worker has not said HELLO
    IDLE       nothing to do
    RUNNING    the worker runs a call or a nested call
    SUSPENDED  the worker waits for the answer to its host call
    CLOSED     BYE was sent, a frame was against the rules, or the transport ended

The table says, for each state, which frames may pass and which state follows.  What may pass
also depends on ids: a RETURN must answer the call that is running, and a HOST_RETURN the host
call that is open.  Two RETURNs look alike but lead to different states, so the triggers below
tell apart the return of a nested call, of the last waiting call, and of one with more waiting.

Rule: everything that decides whether a frame is legal lives in this file.  It does not know
which role it plays for: both sides keep the same machine, and `frames.py` says who sends what.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Final

from sandbox.errors import ProtocolError
from sandbox.wire.frames import Frame, Kind


class State(IntEnum):
    """The states of a connection.  Integers, because the table is asked for every frame."""

    OPENING = 0
    IDLE = 1
    RUNNING = 2
    SUSPENDED = 3
    CLOSED = 4


class Trigger(IntEnum):
    """What moves the machine: a frame kind, or one of the three ways in which a call ends."""

    HELLO = 0
    CALL = 1
    NEST = 2
    END_LAST = 3  # no calls are waiting
    END_MORE = 4  # calls are waiting
    END_NESTED = 5  # the end of a nested call
    HOST_CALL = 6
    HOST_ANSWER = 7
    NOTE = 8
    BYE = 9
    WITHDRAW = 10


_S, _T = State, Trigger

TRANSITIONS: Final[dict[State, dict[Trigger, State]]] = {
    _S.OPENING: {
        _T.HELLO: _S.IDLE,
        _T.BYE: _S.CLOSED,
    },
    _S.IDLE: {
        _T.CALL: _S.RUNNING,
        _T.NOTE: _S.IDLE,
        _T.BYE: _S.CLOSED,
    },
    _S.RUNNING: {
        _T.CALL: _S.RUNNING,
        _T.HOST_CALL: _S.SUSPENDED,
        _T.END_LAST: _S.IDLE,
        _T.END_MORE: _S.RUNNING,
        _T.END_NESTED: _S.SUSPENDED,
        _T.NOTE: _S.RUNNING,
        _T.BYE: _S.CLOSED,
    },
    _S.SUSPENDED: {
        _T.CALL: _S.SUSPENDED,
        _T.NEST: _S.RUNNING,
        _T.WITHDRAW: _S.SUSPENDED,
        _T.HOST_ANSWER: _S.RUNNING,
        _T.NOTE: _S.SUSPENDED,
        _T.BYE: _S.CLOSED,
    },
    _S.CLOSED: {},
}
"""state -> trigger -> next state.  A trigger that is absent is against the rules."""

_CALL: Final = int(Kind.CALL)
_RETURN: Final = int(Kind.RETURN)
_ENDS: Final = frozenset({int(Kind.RETURN), int(Kind.RAISE)})
_ANSWERS: Final = frozenset({int(Kind.HOST_RETURN), int(Kind.HOST_RAISE)})
_SIMPLE: Final = {
    int(Kind.HELLO): Trigger.HELLO,
    int(Kind.NOTE): Trigger.NOTE,
    int(Kind.BYE): Trigger.BYE,
    int(Kind.WITHDRAW): Trigger.WITHDRAW,
}


class ConnectionState:
    """Where one connection is, and which ids are open.  Both roles keep one."""

    __slots__ = ("_stack", "_waiting", "state")

    def __init__(self) -> None:
        self.state = State.OPENING
        # Calls sent and not ended, the running one first; the worker takes them in this order.
        self._waiting: deque[int] = deque()
        # Host calls and nested calls that are open, innermost last: (kind, id).
        self._stack: list[tuple[int, int]] = []

    def apply(self, frame: Frame) -> State:
        """Move as `frame` passes, in either direction; returns the new state.

        Raises `ProtocolError`, and is CLOSED from then on, when the frame is not legal now.
        """
        kind = frame[0]
        if kind == _CALL and self.state is State.IDLE:
            # The everyday move out of IDLE, as the table has it, without the way through it.
            self._waiting.append(frame[1])
            self.state = State.RUNNING
            return self.state
        if kind == _RETURN and self.state is State.RUNNING and not self._stack:
            # And the everyday move back.
            waiting = self._waiting
            if waiting[0] == frame[1]:
                waiting.popleft()
                self.state = State.RUNNING if waiting else State.IDLE
                return self.state
        following = TRANSITIONS[self.state].get(self._trigger(frame))
        if following is None:
            raise self._refuse(f"{Kind(kind).name} is not legal while {self.state.name.lower()}")
        self._remember(frame)
        self.state = following
        return following

    def close(self) -> None:
        """The transport ended: nothing is legal any more."""
        self.state = State.CLOSED
        self._waiting.clear()
        self._stack.clear()

    @property
    def host_call(self) -> int | None:
        """The id of the host call whose answer is legal now, if the worker waits for one."""
        if self.state is State.SUSPENDED and self._stack:
            return self._stack[-1][1]
        return None

    @property
    def running(self) -> int | None:
        """The id of the call or nested call that runs, or that waits for its host call."""
        for kind, number in reversed(self._stack):
            if kind == Kind.NEST:
                return number
        return self._waiting[0] if self._waiting else None

    def _trigger(self, frame: Frame) -> Trigger:
        kind = frame[0]
        if kind in _ENDS:
            return self._end_trigger(frame[1])
        if kind == Kind.CALL:
            return Trigger.CALL
        if kind == Kind.HOST_CALL:
            return Trigger.HOST_CALL
        if kind in _ANSWERS:
            if not self._stack or self._stack[-1] != (Kind.HOST_CALL, frame[1]):
                raise self._refuse(f"{Kind(kind).name} answers no open host call")
            return Trigger.HOST_ANSWER
        if kind == Kind.NEST:
            return Trigger.NEST
        return _SIMPLE[kind]

    def _end_trigger(self, call_id: int) -> Trigger:
        if self._stack:
            # Running with a stack means running a nested call: only that one may end now.
            if self._stack[-1] != (Kind.NEST, call_id):
                raise self._refuse("RETURN or RAISE does not end the running nested call")
            return Trigger.END_NESTED
        if not self._waiting or self._waiting[0] != call_id:
            raise self._refuse("RETURN or RAISE does not end the running call")
        return Trigger.END_LAST if len(self._waiting) == 1 else Trigger.END_MORE

    def _remember(self, frame: Frame) -> None:
        kind = frame[0]
        if kind == Kind.CALL:
            self._waiting.append(frame[1])
        elif kind in (Kind.NEST, Kind.HOST_CALL):
            self._stack.append((kind, frame[1]))
        elif kind in _ANSWERS:
            self._stack.pop()
        elif kind in _ENDS:
            if self._stack:
                self._stack.pop()
            else:
                self._waiting.popleft()
        elif kind == Kind.WITHDRAW:
            while len(self._waiting) > 1:
                self._waiting.pop()
        elif kind == Kind.BYE:
            self.close()

    def _refuse(self, why: str) -> ProtocolError:
        self.close()
        return ProtocolError(why)
