"""The engine against workers that lie: whatever they send costs one call one error.

Each test forks a worker of its own, which greets properly and then misbehaves.  The call that it
was given must end in time with exactly one `SandboxError`, another sandbox must go on answering,
the sandbox itself must answer again with its next worker, and no descriptor, process or complaint
of an event loop may be left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import itertools
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest

from sandbox import AsyncEngine, Engine, LimitExceeded, Limits, PluginError, SandboxCrashed
from sandbox.engine.core import Core
from sandbox.engine.driver import step
from sandbox.engine.memory import Memory
from sandbox.engine.runtimes import RuntimeInfo, installed
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.worker import Worker
from sandbox.errors import PolicyDenied, SandboxError
from sandbox.policy import Policy
from sandbox.values import HostFunction
from sandbox.wire.codec import decode, encode
from sandbox.wire.frames import VERSION, Kind
from sandbox.wire.framing import MAX_FRAME, frame

WALL = 0.3
LIMITS = Limits(cpu=WALL, wall=WALL, output=20_000, host_calls=50)
LATEST = 2.5
"""Seconds in which every call must be over: the limit, and time for a busy machine."""
LIFETIME = 3.5
"""Seconds after which a worker of these tests ends by itself, so that a failure is no hang."""


class Peer:
    """A worker's end of its connection, in the worker."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.until = time.monotonic() + LIFETIME
        self._buffer = b""

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(data)

    def body(self, data: bytes) -> None:
        """Send a body with its true length."""
        self.raw(len(data).to_bytes(4, "big") + data)

    def send(self, *fields: Any) -> None:
        """Send a frame."""
        self.body(encode(list(fields)))

    def read(self) -> list[Any]:
        """The next frame from the engine; ends the worker when there is none."""
        while True:
            size = int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) >= 4 + size and len(self._buffer) > 4:
                body, self._buffer = self._buffer[4 : 4 + size], self._buffer[4 + size :]
                found = decode(body)
                assert isinstance(found, list)
                return found
            data = self.sock.recv(65_536)
            if not data:
                os._exit(0)
            self._buffer += data

    def call(self) -> int:
        """The id of the next call."""
        found = self.read()
        assert found[0] in (Kind.CALL, Kind.NEST)
        number: int = found[1]
        return number

    def ask(self, function: Any, arguments: Any, number: int = 7) -> list[Any]:
        """Make a host call; the frame that answers it."""
        self.send(Kind.HOST_CALL, number, function, arguments)
        return self.read()

    def answer(self, number: int, value: Any) -> None:
        """Return from a call."""
        self.send(Kind.RETURN, number, value)

    def hello(self) -> None:
        """Greet."""
        self.send(Kind.HELLO, VERSION, os.getpid())

    def stall(self) -> NoReturn:
        """Do nothing more, and keep the connection."""
        while time.monotonic() < self.until:
            time.sleep(0.05)
        os._exit(0)

    def flood(self, data: bytes) -> NoReturn:
        """Send the same for ever."""
        while time.monotonic() < self.until:
            self.raw(data)
        os._exit(0)

    def echo(self) -> NoReturn:
        """Behave: answer every call with the operation's name."""
        while True:
            found = self.read()
            if found[0] == Kind.CALL:
                self.answer(found[1], found[2])


Script = Callable[[Peer], None]


def good(peer: Peer) -> None:
    """A worker as it should be."""
    peer.hello()
    peer.echo()


class Forker:
    """Stands where a zygote would: forks workers that run a script, and reaps them."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.unreaped: set[int] = set()

    def fork(self, script: Script) -> socket.socket:
        """The engine's end of a new worker."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                faulthandler.disable()  # its dying is no failure to be shown
                signal.alarm(20)
                ours.close()
                script(Peer(theirs))
            finally:
                os._exit(0)
        theirs.close()
        self.pids.append(pid)
        self.unreaped.add(pid)
        return ours

    def gone(self) -> None:
        """See `Zygote.gone`."""

    def reap(self, pid: int) -> tuple[int, int]:
        """See `Zygote.reap`."""
        _, status, usage = os.wait4(pid, 0)
        self.unreaped.discard(pid)
        return status, usage.ru_maxrss * 1024


@dataclass
class House:
    """An engine of either kind, with sandboxes whose workers run the scripts of a test."""

    core: Core
    memory: Memory
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    forker: Forker
    scripts: dict[str, Iterator[Script]] = field(default_factory=dict)

    def sandbox(self, name: str, *scripts: Script, kind: str = "module") -> Sandbox:
        """A sandbox whose workers run `scripts`, one after another, and then behave."""
        runtime = RuntimeInfo("none", "none:none", "none")
        made = Sandbox(name, kind, (name,), runtime, LIMITS)
        self.scripts[name] = itertools.chain(scripts, itertools.repeat(good))
        self.core.sandboxes.append(made)
        return made

    async def fork(self, sandbox: Sandbox, settings: tuple[Any, ...]) -> Worker:
        """Stands where `Core._fork` was."""
        connection = self.forker.fork(next(self.scripts[sandbox.name]))
        return Worker(connection, self.forker, sandbox.limits, sandbox.name)  # type: ignore[arg-type]

    async def call(self, sandbox: Sandbox, operation: str = "work", *arguments: Any) -> Any:
        """Call a sandbox as the engine's own methods do."""
        result = self.run(self.core.call(sandbox, operation, list(arguments)))
        return await result if isinstance(result, Awaitable) else result

    async def failed(self, sandbox: Sandbox, *arguments: Any) -> SandboxError:
        """The error of a call that must fail, in time."""
        start = time.monotonic()
        with pytest.raises(SandboxError) as caught:
            await self.call(sandbox, "work", *arguments)
        assert time.monotonic() - start < LATEST
        return caught.value


Scenario = Callable[[House], Coroutine[Any, Any, None]]


def open_files() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def in_blocking_engine(scenario: Scenario, forker: Forker) -> None:
    """Run a scenario in an `Engine`; it never suspends there."""
    with Engine(hosts=["a.example"], policy=Policy("memory"), isolation="process") as engine:
        house = House(engine._core, engine._storage.memory, engine._run, forker)
        engine._core._fork = house.fork  # type: ignore[method-assign]
        step(scenario(house))


def in_async_engine(scenario: Scenario, forker: Forker) -> None:
    """Run a scenario in an `AsyncEngine`; the loop must have nothing to complain about."""
    complaints: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        async with AsyncEngine(
            hosts=["a.example"], policy=Policy("memory"), isolation="process"
        ) as engine:
            house = House(engine._core, engine._storage.memory, engine._run, forker)
            engine._core._fork = house.fork  # type: ignore[method-assign]
            await scenario(house)
        # The loop reaps what died; how soon is not the matter here.
        until = time.monotonic() + LATEST
        while forker.unreaped and time.monotonic() < until:
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(main(), 6))
    assert complaints == []


ENGINES = {"blocking": in_blocking_engine, "asyncio": in_async_engine}


@pytest.fixture(params=ENGINES)
def play(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Runs a scenario in one kind of engine, and looks for what is left of it."""

    def run(scenario: Scenario) -> None:
        forker = Forker()
        before = open_files()
        ENGINES[request.param](scenario, forker)
        left = [pid for pid in forker.pids if _still_there(pid)]
        assert left == []
        assert open_files() == before

    return run


def _still_there(pid: int) -> bool:
    """Whether a child was never reaped; ends it, so that other tests do not suffer."""
    try:
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    except ChildProcessError:
        return False
    return True


# ---------------------------------------------------------------------- lies in answer to a call


def answering(make: Callable[[Peer, int], None]) -> Script:
    """A worker that greets, takes a call, and does `make`."""

    def script(peer: Peer) -> None:
        peer.hello()
        make(peer, peer.call())

    return script


def body(data: bytes) -> Script:
    """A worker that answers with a body, and then waits."""

    def make(peer: Peer, call: int) -> None:
        peer.body(data)
        peer.stall()

    return answering(make)


def fields(*given: Any) -> Script:
    """A worker that answers with a frame, and then waits."""
    return body(encode(list(given)))


def raw(data: bytes, then: str = "stall") -> Script:
    """A worker that answers with bytes and then stalls, or sends them for ever."""

    def make(peer: Peer, call: int) -> None:
        if then == "flood":
            peer.flood(data)
        peer.raw(data)
        peer.stall()

    return answering(make)


def note(*payload: Any, topic: Any = "log") -> Script:
    """A worker that sends a note within a call, and then a proper answer."""

    def make(peer: Peer, call: int) -> None:
        peer.raw(frame(encode([Kind.NOTE, topic, list(payload)])))
        peer.answer(call, "answered")
        peer.stall()

    return answering(make)


def returning(delta: int) -> Script:
    """A worker that answers another call than it was given."""

    def make(peer: Peer, call: int) -> None:
        peer.answer((call + delta) % 2**32, "accepted")
        peer.stall()

    return answering(make)


def both_answers(peer: Peer, call: int) -> None:
    """Two answers to one call, in one write."""
    data = frame(encode([Kind.RETURN, call, 1]))
    peer.raw(data + data)
    peer.stall()


def answers_ahead(peer: Peer, call: int) -> None:
    """Answers to calls that were never made, then the right one."""
    for number in range(1, 1000):
        peer.answer((call + number) % 2**32, "accepted")
    peer.answer(call, 1)
    peer.stall()


def host_call_after_the_end(peer: Peer, call: int) -> None:
    """A host call of a call that is over."""
    peer.raw(
        frame(encode([Kind.RETURN, call, 1]))
        + frame(encode([Kind.HOST_CALL, 7, "memory.get", [""]]))
    )
    peer.stall()


def host_calls_without_waiting(peer: Peer, call: int) -> None:
    """Host calls, one behind the other."""
    peer.flood(frame(encode([Kind.HOST_CALL, 7, "option.get", ["*", "a"]])))


def host_calls_for_ever(peer: Peer, call: int) -> None:
    """Proper host calls, without end."""
    for number in itertools.count(1):
        peer.ask("option.get", ["*", "a"], number)


def answer_in_a_host_call(peer: Peer, call: int) -> None:
    """The answer to the call while a host call is open."""
    peer.raw(
        frame(encode([Kind.HOST_CALL, 7, "event.fire", ["a.example", "e", None, 1, 0]]))
        + frame(encode([Kind.RETURN, call, "accepted"]))
    )
    peer.stall()


def names_a_function(peer: Peer, call: int) -> None:
    """The right answer, but for a function in it that the worker never got."""
    peer.answer(call, [HostFunction(99)])
    peer.stall()


def drip(peer: Peer, call: int) -> None:
    """A large frame that comes byte by byte."""
    peer.raw((MAX_FRAME - 1).to_bytes(4, "big"))
    while time.monotonic() < peer.until:
        peer.raw(b"\x90")
        time.sleep(0.002)


def closes(peer: Peer, call: int) -> None:
    """Hangs up, and stays as a process."""
    peer.sock.close()
    peer.stall()


def stops_writing(peer: Peer, call: int) -> None:
    """Hangs up one way."""
    peer.sock.shutdown(socket.SHUT_WR)
    peer.stall()


def crashes(peer: Peer, call: int) -> None:
    """Dies as an exploited interpreter does."""
    os.kill(os.getpid(), signal.SIGILL)


def notes_then_bad_note(peer: Peer, call: int) -> None:
    """A note that ends the worker and the answer to its call in one write."""
    peer.raw(
        frame(encode([Kind.NOTE, "log", [1]])) + frame(encode([Kind.RETURN, call, "accepted"]))
    )
    peer.stall()


def exceeded_then_host_call(peer: Peer, call: int) -> None:
    """A note that ends the worker and a host call in one write."""
    peer.raw(
        frame(encode([Kind.NOTE, "exceeded", ["output", 1]]))
        + frame(encode([Kind.HOST_CALL, 7, "option.get", ["*", "a"]]))
    )
    peer.stall()


def deep(levels: int, opener: bytes) -> bytes:
    """A body that nests."""
    return opener * levels + b"\xc0"


CRASHES: dict[str, Script] = {
    "huge length": raw(b"\xff\xff\xff\xff"),
    "length just over the limit": raw((MAX_FRAME + 1).to_bytes(4, "big")),
    "empty frame": raw(b"\0\0\0\0"),
    "flood of empty frames": raw(b"\0" * 65_536, "flood"),
    "flood of bytes": raw(b"\xff" * 65_536, "flood"),
    "flood of small frames": raw(frame(encode([Kind.RETURN, 1, None])) * 1000, "flood"),
    "flood of large frames": raw(frame(b"\x80" * MAX_FRAME), "flood"),
    "garbage": body(bytes((i * 37 + 11) % 256 for i in range(5000))),
    "reserved byte": body(b"\x93\x01\xc1\x02"),
    "trailing bytes": body(encode([Kind.RETURN, 1, None]) + b"\xc0"),
    "deep lists": body(b"\x93\x03\x01" + deep(1000, b"\x91")),
    "deeper lists": body(b"\x93\x03\x01" + deep(200_000, b"\x91")),
    "deep maps": body(b"\x93\x03\x01" + deep(70, b"\x81\xa1a")),
    "long list by its header": body(b"\xdd\xff\xff\xff\xff\xc0"),
    "unknown extension": body(b"\x93\x03\x01\xd4\x2a\x00"),
    "number as a key": body(b"\x93\x03\x01\x81\x01\x02"),
    "text that is not UTF-8": body(b"\x93\x03\x01\xa1\xff"),
    "wide integer": body(b"\x93\x03\x01\xcf" + b"\xff" * 8),
    "a number": body(b"\x2a"),
    "a map": body(encode({"id": 1})),
    "an empty list": fields(),
    "no such kind": fields(77, 1),
    "kind that is a text": fields("RETURN", 1, None),
    "too few fields": fields(Kind.RETURN, 1),
    "too many fields": fields(Kind.RETURN, 1, None, None),
    "id that is a text": fields(Kind.RETURN, "1", None),
    "id that is negative": fields(Kind.RETURN, -1, None),
    "id that is huge": fields(Kind.RETURN, 2**63 - 1, None),
    "error that is a text": fields(Kind.RAISE, 1, "x"),
    "answer to the next call": returning(1),
    "answer to the call before": returning(-1),
    "two answers": answering(both_answers),
    "answers ahead": answering(answers_ahead),
    "second greeting": fields(Kind.HELLO, VERSION, 1),
    "a call from the worker": fields(Kind.CALL, 1, "fire", []),
    "a nested call from the worker": fields(Kind.NEST, 1, "fire", []),
    "an answer to its own host call": fields(Kind.HOST_RETURN, 7, "yes"),
    "a farewell from the worker": fields(Kind.BYE),
    "host call after the end": answering(host_call_after_the_end),
    "host calls without waiting": answering(host_calls_without_waiting),
    "answer in a host call": answering(answer_in_a_host_call),
    "host call with a map as arguments": fields(Kind.HOST_CALL, 7, "option.get", {"self": 1}),
    "host call with a text as arguments": fields(Kind.HOST_CALL, 7, "option.get", "ab"),
    "host call with a list as name": fields(Kind.HOST_CALL, 7, ["option.get"], []),
    "function it was not given": answering(names_a_function),
    "half a frame, then the end": answering(lambda peer, call: peer.raw(b"\0\0\0\x09\x93\x03")),
    "hangs up": answering(closes),
    "hangs up one way": answering(stops_writing),
    "exits": answering(lambda peer, call: os._exit(3)),
    "dies of a signal": answering(crashes),
    "note that is unknown": note(topic="metrics"),
    "note with a topic of control characters": note(topic="\x1b[2J\n" * 1000),
    "log note without arguments": note(),
    "log note with too many arguments": note("p", "*", "info", "x", "y"),
    "log note with a number as text": note("p", "*", "info", 5),
    "log note with a list as level": note("p", "*", [], "x"),
    "hooks note of nothing": note(topic="hooks"),
    "hooks note with numbers": note(1, 2, [], topic="hooks"),
    "hooks note with a text as priorities": note("a.example", "e", "x", topic="hooks"),
    "hooks note with NaN": note("a.example", "e", [float("nan")], topic="hooks"),
    "hooks note with infinity": note("a.example", "e", [float("inf")], topic="hooks"),
    "hooks note with true": note("a.example", "e", [True], topic="hooks"),
    "hooks note with a long event": note("a.example", "e" * 5000, [0], topic="hooks"),
    "hooks note with a long host": note("h" * 5000, "e", [0], topic="hooks"),
    "items note of nothing": note(topic="items"),
    "items note with a list": note([], "a.example", "k", 1, topic="items"),
    "items note with a long key": note("m", "a.example", "k" * 500_000, 1, topic="items"),
    "limit note of nothing": note(topic="exceeded"),
    "limit note on another limit": note("cpu", 1, topic="exceeded"),
    "limit note on no limit": note("__class__", 1, topic="exceeded"),
    "limit note with a text": note("output", "x", topic="exceeded"),
    "limit note with a list": note(["output"], 1, topic="exceeded"),
    "bad note and answer at once": answering(notes_then_bad_note),
}
"""What costs the worker its life and the call a `SandboxCrashed`."""

EXCEEDS: dict[str, tuple[str, Script]] = {
    "silence": ("wall", answering(lambda peer, call: peer.stall())),
    "half a header, then silence": ("wall", raw(b"\0\0")),
    "half a frame, then silence": ("wall", raw(b"\0\0\0\x09\x93\x03")),
    "a frame that drips": ("wall", answering(drip)),
    "endless status notes": (
        "wall",
        raw(frame(encode([Kind.NOTE, "status", ["liar", "*", "info", ""]])) * 50, "flood"),
    ),
    "endless empty log notes": (
        "output",
        raw(frame(encode([Kind.NOTE, "log", ["p", "*", "debug", ""]])) * 20, "flood"),
    ),
    "endless hooks notes": (
        "wall",
        raw(frame(encode([Kind.NOTE, "hooks", ["a.example", "e", [0]]])) * 50, "flood"),
    ),
    "endless items notes": (
        "wall",
        raw(frame(encode([Kind.NOTE, "items", ["m", "a.example", "k", 1]])) * 50, "flood"),
    ),
    "log flood": (
        "output",
        raw(frame(encode([Kind.NOTE, "log", ["p", "*", "info", "x" * 1000]])) * 10, "flood"),
    ),
    "huge log note": ("output", note("p", "*", "info", "x" * 900_000)),
    "limit note": ("output", note("output", 5, topic="exceeded")),
    "limit note, then a host call": ("output", answering(exceeded_then_host_call)),
    "host calls for ever": ("host_calls", answering(host_calls_for_ever)),
    "memory error": ("memory", answering(
        lambda peer, call: peer.send(Kind.RAISE, call, {"type": "MemoryError"}))),
}  # fmt: skip
"""What costs the worker its life and the call a `LimitExceeded`."""


async def survive(house: House, script: Script, *arguments: Any) -> SandboxError:
    """The call fails; the same sandbox and another go on."""
    other, liar = house.sandbox("other"), house.sandbox("liar", script)
    assert await house.call(other, "before") == "before"
    error = await house.failed(liar, *arguments)
    assert error.plugin == "liar"
    assert len(str(error)) < 6000
    assert "\x1b" not in str(error)
    assert await house.call(other, "after") == "after"
    assert await house.call(liar, "again") == "again"
    assert len(house.forker.pids) == 3
    return error


@pytest.mark.parametrize("name", CRASHES)
def test_a_lie_costs_one_call(name: str, play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        assert type(await survive(house, CRASHES[name])) is SandboxCrashed

    play(scenario)


@pytest.mark.parametrize("name", EXCEEDS)
def test_a_limit_ends_the_call(name: str, play: Callable[[Scenario], None]) -> None:
    limit, script = EXCEEDS[name]

    async def scenario(house: House) -> None:
        error = await survive(house, script)
        assert isinstance(error, LimitExceeded)
        assert error.limit == limit

    play(scenario)


def test_a_worker_that_never_reads(play: Callable[[Scenario], None]) -> None:
    def deaf(peer: Peer) -> None:
        peer.hello()
        peer.stall()

    async def scenario(house: House) -> None:
        error = await survive(house, deaf, "x" * 900_000)
        assert isinstance(error, LimitExceeded)
        assert error.limit == "wall"

    play(scenario)


def test_a_worker_that_does_not_read_what_it_asked_for(play: Callable[[Scenario], None]) -> None:
    """The answer to a host call is large, and the worker leaves it where it is."""

    def deaf(peer: Peer) -> None:
        peer.hello()
        peer.call()
        peer.ask("memory.set", ["", "x" * 400_000], 1)
        peer.raw(frame(encode([Kind.HOST_CALL, 2, "memory.get", [""]])))
        peer.stall()

    async def scenario(house: House) -> None:
        assert isinstance(await survive(house, deaf), LimitExceeded)

    play(scenario)


ANSWER = frame(encode([Kind.RETURN, 2**32 - 1, ["some", "value"]]))


@pytest.mark.parametrize("end", range(len(ANSWER)))
def test_the_connection_ends_at_any_byte(end: int, play: Callable[[Scenario], None]) -> None:
    def make(peer: Peer, call: int) -> None:
        data = frame(encode([Kind.RETURN, call, ["some", "value"]]))
        peer.raw(data[: min(end, len(data) - 1)])

    async def scenario(house: House) -> None:
        liar = house.sandbox("liar", answering(make))
        assert type(await house.failed(liar)) is SandboxCrashed
        assert await house.call(liar, "again") == "again"

    play(scenario)


def test_an_answer_byte_by_byte_is_an_answer(play: Callable[[Scenario], None]) -> None:
    def make(peer: Peer, call: int) -> None:
        for byte in frame(encode([Kind.RETURN, call, ["some", "value"]])):
            peer.raw(bytes([byte]))
        peer.echo()

    async def scenario(house: House) -> None:
        slow = house.sandbox("slow", answering(make))
        assert await house.call(slow) == ["some", "value"]
        assert await house.call(slow, "again") == "again"

    play(scenario)


def test_an_answer_that_comes_twice_is_not_the_next_one(play: Callable[[Scenario], None]) -> None:
    """The second copy arrives when the next call was sent already."""

    def make(peer: Peer, call: int) -> None:
        peer.answer(call, "first")
        peer.call()
        peer.answer(call, "accepted")
        peer.stall()

    async def scenario(house: House) -> None:
        liar = house.sandbox("liar", answering(make))
        assert await house.call(liar) == "first"
        assert type(await house.failed(liar)) is SandboxCrashed

    play(scenario)


@pytest.mark.parametrize(
    "lie",
    [
        [Kind.RETURN, 1, "accepted"],
        [Kind.RAISE, 1, {}],
        [Kind.HOST_CALL, 7, "option.get", ["*", "a"]],
    ],
    ids=["return", "raise", "host call"],
)
def test_an_answer_to_nothing(lie: list[Any], play: Callable[[Scenario], None]) -> None:
    """Sent while nothing runs; at the latest the next call finds out."""

    def make(peer: Peer, call: int) -> None:
        peer.answer(call, "first")
        peer.raw(frame(encode(lie)))
        peer.stall()

    async def scenario(house: House) -> None:
        liar, other = house.sandbox("liar", answering(make)), house.sandbox("other")
        try:
            assert await house.call(liar) == "first"
        except SandboxCrashed:
            pass  # both came in one read
        else:
            # A host call that was sent too early looks as if it came in time.
            assert type(await house.failed(liar)) in (SandboxCrashed, LimitExceeded)
        assert await house.call(liar, "again") == "again"
        assert await house.call(other, "other") == "other"

    play(scenario)


# ---------------------------------------------------------------------- greetings


def greeting(*given: Any) -> Script:
    """A worker that says something else at the start."""

    def script(peer: Peer) -> None:
        peer.send(*given)
        peer.stall()

    return script


GREETINGS: dict[str, Script] = {
    "ends at once": lambda peer: None,
    "half a greeting": lambda peer: peer.raw(b"\0\0\0\x09\x93"),
    "garbage": lambda peer: peer.raw(b"\0\0\0\x02\xc1\xc1"),
    "huge length": lambda peer: peer.raw(b"\xff\xff\xff\xff"),
    "another version": greeting(Kind.HELLO, VERSION + 1, 1),
    "another kind": greeting(Kind.RETURN, 1, None),
    "a note before it": greeting(Kind.NOTE, "log", ["p", "*", "info", "x"]),
}


@pytest.mark.parametrize("name", GREETINGS)
def test_a_bad_greeting(name: str, play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        liar, other = house.sandbox("liar", GREETINGS[name]), house.sandbox("other")
        error = await house.failed(liar)
        assert type(error) is SandboxCrashed
        assert await house.call(liar, "again") == "again"
        assert await house.call(other, "other") == "other"

    forker_children_do_not_greet(play, scenario)


def forker_children_do_not_greet(play: Callable[[Scenario], None], scenario: Scenario) -> None:
    """A worker that never told its process cannot be reaped by the engine; we do it."""

    async def reaping(house: House) -> None:
        await scenario(house)
        pid = house.forker.pids[0]
        os.kill(pid, signal.SIGKILL)
        house.forker.reap(pid)

    play(reaping)


# ---------------------------------------------------------------------- errors and host calls

RAISED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "exit": {"type": "SystemExit", "message": "bye"},
    "interrupt": {"type": "KeyboardInterrupt", "message": ""},
    "a path to a class": {"type": "builtins.eval", "message": "1"},
    "a number as type": {"type": 7, "message": 7},
    "lists everywhere": {"type": [], "message": [], "file": [], "line": [], "frames": {}},
    "maps everywhere": {"type": {}, "message": {}, "file": {}, "line": {}, "frames": {"a": 1}},
    "control characters": {"type": "\x1b[2J", "message": "\x1b]0;x\x07\0\x9b", "file": "\x1b"},
    "long texts": {"type": "t" * 100_000, "message": "m" * 500_000, "file": "f" * 100_000},
    "many frames": {"message": "m", "frames": [["f", 1, "g"]] * 2_000},
    "broken frames": {"message": "m", "frames": [None, 1, [], ["a"], ["a", "b", "c"], [1, 2, 3]]},
    "bytes": {"type": b"\xff", "message": b"\xff\x1b", "file": b"\xff"},
    "a line beyond all files": {"message": "m", "file": "f", "line": -(2**63)},
    "a denial without a capability": {"type": "PolicyDenied", "message": "m"},
    "a denial of a list": {"type": "PolicyDenied", "capability": [], "message": "m"},
    "private attributes": {"message": "m", "__class__": "x", "args": [1], "plugin": "other"},
}


@pytest.mark.parametrize("name", RAISED)
def test_whatever_is_raised_is_the_plugins_error(
    name: str, play: Callable[[Scenario], None]
) -> None:
    """And its worker lives on."""

    def make(peer: Peer, call: int) -> None:
        peer.send(Kind.RAISE, call, RAISED[name])
        peer.echo()

    async def scenario(house: House) -> None:
        liar = house.sandbox("liar", answering(make))
        error = await house.failed(liar)
        assert type(error) is PluginError
        assert error.plugin == "liar"
        assert len(str(error)) < 6000
        assert len(error.traceback()) < 60_000
        assert not set(error.traceback()) & set("\x1b\x07\0\x9b")
        assert await house.call(liar, "again") == "again"
        assert len(house.forker.pids) == 1

    play(scenario)


NAMES = [
    "", "__class__", "memory.__class__", "option.get.__func__", "../option.get", "option.get\0",
    "x" * 10_000, "OPTION.GET", "option", "fs.read", "serve", "_option_get", "\x1b[2J",
]  # fmt: skip
SHAPES: list[list[Any]] = [
    [], [1], [None] * 20, [{"a": 1}], [[[0] * 1000]], ["a", "b", "c", "d", "e", "f"],
    [float("nan")], [b"\xff"], [HostFunction(0).handle], ["*", 5], [5, "*"],
]  # fmt: skip


def test_host_calls_that_make_no_sense_are_refused_and_nothing_else(
    play: Callable[[Scenario], None],
) -> None:
    """Unknown names and arguments of every wrong shape: an error that the plugin can catch."""

    def make(peer: Peer, call: int) -> None:
        kinds = [peer.ask(name, ["*", "a"])[0] for name in NAMES]
        kinds += [peer.ask("option.get", shape)[0] for shape in SHAPES]
        peer.answer(call, kinds)
        peer.echo()

    async def scenario(house: House) -> None:
        liar = house.sandbox("liar", answering(make))
        assert set(await house.call(liar)) == {int(Kind.HOST_RAISE)}
        assert await house.call(liar, "again") == "again"

    play(scenario)


def test_a_host_call_without_the_capability(play: Callable[[Scenario], None]) -> None:
    """The check is the engine's: timers are not among the grants of bare code."""

    def make(peer: Peer, call: int) -> None:
        answer = peer.ask("timer.add", [1, 0.0, "liar"])
        peer.send(Kind.RAISE, call, answer[2])
        peer.echo()

    async def scenario(house: House) -> None:
        error = await house.failed(house.sandbox("liar", answering(make), kind="code"))
        assert isinstance(error, PolicyDenied)
        assert error.capability == "timer"

    play(scenario)


@pytest.mark.parametrize("kind", ["script", "code"])
def test_what_is_for_modules_is_refused_to_others(
    play: Callable[[Scenario], None], kind: str
) -> None:
    """The runtimes give it to modules alone; a worker that was taken over asks all the same."""
    asked = {
        "option.get": ["*", "a"], "event.listeners": ["*", "e"],
        "event.fire": ["*", "e", None, 1, -1], "items.elsewhere": ["*", "k"],
        "module.depends": ["liar", "other"],
    }  # fmt: skip

    def make(peer: Peer, call: int) -> None:
        answers = [peer.ask(name, given) for name, given in asked.items()]
        peer.answer(call, [answer[2]["message"] for answer in answers])
        peer.echo()

    async def scenario(house: House) -> None:
        liar = house.sandbox("liar", answering(make), kind=kind)
        assert await house.call(liar) == [f"{name} is for modules" for name in asked]

    play(scenario)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("hooks", ["a.example", "e", [0]]), ("items", ["liar", "a.example", "k", 1]),
        ("status", ["liar", "*", "info", "x"]),
    ],
)  # fmt: skip
def test_a_script_that_says_it_is_a_module(
    play: Callable[[Scenario], None], topic: str, payload: list[Any]
) -> None:
    """Else it would hear the events of hosts that it was never loaded on."""

    def make(peer: Peer, call: int) -> None:
        peer.send(Kind.NOTE, topic, payload)
        peer.answer(call, "said")
        peer.echo()

    async def scenario(house: House) -> None:
        error = await house.failed(house.sandbox("liar", answering(make), kind="script"))
        assert isinstance(error, SandboxCrashed)
        assert "for modules" in error.message

    play(scenario)


def test_a_plugin_cannot_speak_for_another(play: Callable[[Scenario], None]) -> None:
    """Who asks is known from the connection, whatever the arguments say."""

    def make(peer: Peer, call: int) -> None:
        peer.ask("memory.set", ["other", "forged"], 1)
        peer.answer(call, peer.ask("memory.get", ["other"], 2)[2])
        peer.echo()

    async def scenario(house: House) -> None:
        house.memory.set("other", "secret", 1000)
        liar = house.sandbox("liar", answering(make))
        assert await house.call(liar) == "forged"
        assert house.memory.get("other") == "secret"
        assert house.memory.get("liar") == "forged"

    play(scenario)


FORGED = "x\n2024-01-01 ERROR sandbox.engine: all is lost\r\x1b[2J\x9b\u2028"


def test_log_notes_forge_no_lines(
    play: Callable[[Scenario], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A note is one line of the log, of the plugin that sent it, without control characters."""

    def make(peer: Peer, call: int) -> None:
        peer.send(Kind.NOTE, "log", ["liar", FORGED, "error", FORGED])
        peer.send(Kind.NOTE, "log", [FORGED, "*", FORGED, FORGED])
        peer.send(Kind.NOTE, "log", ["other", "a.example", "info", "spoofed"])
        peer.answer(call, None)
        peer.echo()

    async def scenario(house: House) -> None:
        await house.call(house.sandbox("liar", answering(make)))

    with caplog.at_level(logging.DEBUG, "sandbox"):
        play(scenario)
    records = [record for record in caplog.records if record.name.startswith("sandbox.plugin")]
    assert len(records) == 3
    for record in records:
        text = record.getMessage() + record.name
        assert not set(text) & {"\n", "\r", "\x1b", "\x9b", "\0"}, text
    assert [record for record in records if record.name == "sandbox.plugin.other"] == []


def test_log_notes_leave_no_loggers_behind(play: Callable[[Scenario], None]) -> None:
    """Python keeps a logger for ever: a plugin may not choose their names."""

    def make(peer: Peer, call: int) -> None:
        for number in range(300):
            peer.send(Kind.NOTE, "log", [f"made.up.{number}." + "a." * 40, "*", "debug", ""])
        peer.answer(call, None)
        peer.echo()

    async def scenario(house: House) -> None:
        before = len(logging.Logger.manager.loggerDict)
        await house.call(house.sandbox("liar", answering(make)))
        assert len(logging.Logger.manager.loggerDict) - before < 10

    play(scenario)


# ---------------------------------------------------------------------- many at once


def test_closing_leaves_nothing_behind(play: Callable[[Scenario], None]) -> None:
    """When `close` has come back, every worker is reaped and every descriptor closed."""

    async def scenario(house: House) -> None:
        before = open_files()
        await house.call(house.sandbox("one"))
        await house.failed(house.sandbox("two", CRASHES["garbage"]))
        house.core.close()
        assert house.forker.unreaped == set()
        assert open_files() == before

    play(scenario)


def test_calls_that_wait_fail_together_and_once() -> None:
    """Calls sent ahead to a worker that then lies: each gets its error, none hangs."""

    async def scenario(house: House) -> None:
        def script(peer: Peer) -> None:
            peer.hello()
            first = peer.call()
            peer.call()
            peer.answer(first, "first")
            peer.raw(b"\xff\xff\xff\xff")
            peer.stall()

        liar, other = house.sandbox("liar", script), house.sandbox("other")
        await house.call(other)
        calls = [asyncio.ensure_future(house.call(liar)) for _ in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} <= {str, SandboxCrashed}
        assert sum(isinstance(result, SandboxCrashed) for result in results) >= 1
        assert await house.call(other, "other") == "other"
        assert await house.call(liar, "again") == "again"

    forker = Forker()
    before = open_files()
    in_async_engine(scenario, forker)
    assert [pid for pid in forker.pids if _still_there(pid)] == []
    assert open_files() == before


def test_a_worker_that_stops_reading_does_not_fill_the_engine() -> None:
    """Many large calls at once: what waits for a stuck worker is bounded."""

    async def scenario(house: House) -> None:
        def deaf(peer: Peer) -> None:
            peer.hello()
            peer.stall()

        liar = house.sandbox("liar", deaf)
        calls = [asyncio.ensure_future(house.call(liar, "work", "x" * 900_000)) for _ in range(12)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        failed = [result for result in results if isinstance(result, SandboxError)]
        assert failed
        assert {type(result) for result in results} <= {str, SandboxCrashed, LimitExceeded}
        assert await house.call(liar, "again") == "again"

    in_async_engine(scenario, Forker())


def test_a_deaf_worker_holds_up_nobody_else() -> None:
    """While one thread sends to a worker that does not read, another thread gets its answers."""

    def deaf(peer: Peer) -> None:
        peer.hello()
        peer.stall()

    forker = Forker()
    with Engine(isolation="process") as engine:
        house = House(engine._core, engine._storage.memory, engine._run, forker)
        engine._core._fork = house.fork  # type: ignore[method-assign]
        liar, other = house.sandbox("liar", deaf), house.sandbox("other")
        liar.limits = Limits(cpu=1.5, wall=1.5)
        step(house.call(other))
        errors: list[SandboxError] = []

        def call() -> None:
            try:
                step(house.call(liar, "work", "x" * 900_000))
            except SandboxError as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        slowest, answers = 0.0, 0
        while thread.is_alive():
            start = time.monotonic()
            step(house.call(other))
            slowest, answers = max(slowest, time.monotonic() - start), answers + 1
        thread.join()
    assert [type(error) for error in errors] == [LimitExceeded]
    assert slowest < 0.75
    assert answers > 10


@pytest.mark.parametrize("name", GREETINGS)
@pytest.mark.parametrize("kind", ENGINES)
def test_a_bad_greeting_takes_no_place_in_the_pool(name: str, kind: str) -> None:
    """Bare code with one worker at most: after a worker that did not start comes another."""
    language = min(installed())
    forker = Forker()
    scripts = iter([GREETINGS[name], GREETINGS[name]])

    async def fork(sandbox: Sandbox, settings: tuple[Any, ...]) -> Worker:
        connection = forker.fork(next(scripts, good))
        return Worker(connection, forker, sandbox.limits, sandbox.name)  # type: ignore[arg-type]

    ended: list[object] = []

    def blocking() -> None:
        with Engine(isolation="process", workers=1, limits=LIMITS) as engine:
            engine._core._fork = fork  # type: ignore[method-assign]
            for _ in range(3):
                try:
                    ended.append(engine.execute("", language).ok)
                except SandboxError as error:
                    ended.append(type(error))

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with AsyncEngine(isolation="process", workers=1, limits=LIMITS) as engine:
            engine._core._fork = fork  # type: ignore[method-assign]
            for _ in range(3):
                try:
                    ended.append((await engine.execute("", language)).ok)
                except SandboxError as error:
                    ended.append(type(error))

    if kind == "blocking":
        thread = threading.Thread(target=blocking, daemon=True)
        thread.start()
        thread.join(LATEST)
    else:
        with contextlib.suppress(TimeoutError):
            asyncio.run(asyncio.wait_for(main(), LATEST))
    for pid in forker.pids:
        _still_there(pid)
    assert len(ended) == 3
    assert ended[-1] is True
