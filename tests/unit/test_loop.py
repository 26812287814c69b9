"""The worker's loop over a runtime made for the test: what is read, in which order it is run.

The loop must not care how the bytes were cut, must run calls one at a time and in order, nested
calls while a host call waits, and must end without a word when the connection ends, at any byte.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from typing import NoReturn

import msgpack
import pytest

from sandbox.wire.codec import decode, encode
from sandbox.wire.frames import VERSION, Frame, Kind
from sandbox.wire.framing import MAX_FRAME, MAX_FROM_ENGINE, frame, most_from_worker
from sandbox.worker.loop import READ_SIZE, Loop
from sandbox.worker.runtime import Host, Settings


class Left(BaseException):
    """Raised where a worker would exit."""


def leave(status: int) -> NoReturn:
    """The end of a worker, for tests."""
    raise Left(status)


def framed(*fields: object) -> bytes:
    """A frame's bytes."""
    return frame(encode(list(fields)))


def call(number: int, operation: str = "echo", *arguments: object) -> bytes:
    """A CALL."""
    return framed(Kind.CALL, number, operation, list(arguments))


class FakeRuntime:
    """Answers `echo` with its arguments, and `ask` with what a host call gave."""

    def __init__(self) -> None:
        self.handled: list[Frame] = []
        self.depth = 0

    def start(self, settings: Settings) -> None:
        """See `Runtime`."""

    def settle(self) -> None:
        """See `Runtime`."""

    def handle(self, body: bytes, host: Host) -> bytes:
        """See `Runtime`."""
        incoming = decode(body)
        assert isinstance(incoming, list)
        self.handled.append(incoming[:3])
        if incoming[0] == Kind.NOTE:
            return b""
        _, number, operation, arguments = incoming
        self.depth += 1
        try:
            value = self.run(operation, arguments, host)
        finally:
            self.depth -= 1
        return encode([int(Kind.RETURN), number, value])

    def run(self, operation: str, arguments: list[object], host: Host) -> object:
        """One operation."""
        if operation == "ask":
            answer = decode(host.call(encode([int(Kind.HOST_CALL), arguments[0], "a.b", []])))
            return [self.depth, answer]
        if operation == "note":
            host.write(framed(Kind.NOTE, "log", arguments) * 2)
        if operation == "exceed":
            host.exceeded("output", 7)
        return arguments


class Script:
    """Input that is given as ready-made reads, and output that is collected.

    `shortest` makes writes take that many bytes at most.
    """

    def __init__(self, reads: list[bytes], shortest: int | None = None) -> None:
        self.reads = reads
        self.shortest = shortest
        self.written = b""
        self.runtime = FakeRuntime()
        self.loop = Loop(self.runtime, self.read, self.write, leave)

    def read(self, size: int) -> bytes:
        """Never more than was asked for; nothing at the end."""
        if not self.reads:
            return b""
        data = self.reads.pop(0)
        if len(data) > size:
            self.reads.insert(0, data[size:])
        return data[:size]

    def write(self, data: bytes) -> int:
        """As `os.write`: perhaps only a part."""
        taken = bytes(data)[: self.shortest]
        self.written += taken
        return len(taken)

    def run(self) -> list[Frame]:
        """Run the loop to its end; the frames that it wrote."""
        self.loop.run()
        return self.frames()

    def frames(self) -> list[Frame]:
        """The frames that were written; the last must be whole."""
        found: list[Frame] = []
        data = self.written
        while data:
            end = 4 + int.from_bytes(data[:4], "big")
            assert len(data) >= end
            value = decode(data[4:end])
            assert isinstance(value, list)
            found.append(value)
            data = data[end:]
        return found


def cut(data: bytes, rng: random.Random, largest: int) -> list[bytes]:
    """`data` in pieces."""
    pieces = []
    while data:
        size = rng.randrange(1, largest + 1)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def test_it_greets_with_version_and_process() -> None:
    script = Script([])
    script.loop.greet(4711)
    assert script.frames() == [[Kind.HELLO, VERSION, 4711]]


SESSION = (
    call(1, "echo", "a") + call(2, "ask", 70) + framed(Kind.NOTE, "listeners", [])
    + framed(Kind.NEST, 3, "ask", [71]) + call(5, "echo", "waits")
    + framed(Kind.NEST, 4, "echo", ["n"])
    + call(6, "note", "x") + framed(Kind.HOST_RETURN, 71, "inner") + framed(Kind.HOST_RAISE, 70, {})
    + framed(Kind.NOTE, "listeners", []) + call(7, "echo", "b" * 100_000) + framed(Kind.BYE)
    + call(8, "echo", "too late")
)  # fmt: skip
"""Calls, calls sent ahead, host calls, nested calls within them, notes, and a farewell."""

ANSWERS: list[Frame] = [
    [Kind.RETURN, 1, ["a"]],
    [Kind.HOST_CALL, 70, "a.b", []],
    [Kind.HOST_CALL, 71, "a.b", []],
    [Kind.RETURN, 4, ["n"]],
    [Kind.RETURN, 3, [2, [Kind.HOST_RETURN, 71, "inner"]]],
    [Kind.RETURN, 2, [1, [Kind.HOST_RAISE, 70, {}]]],
    [Kind.RETURN, 5, ["waits"]],
    [Kind.NOTE, "log", ["x"]],
    [Kind.NOTE, "log", ["x"]],
    [Kind.RETURN, 6, ["x"]],
    [Kind.RETURN, 7, ["b" * 100_000]],
]


def test_a_session_in_one_read() -> None:
    assert Script([SESSION]).run() == ANSWERS


@pytest.mark.parametrize("seed", range(40))
def test_a_session_however_it_is_cut(seed: int) -> None:
    rng = random.Random(seed)
    largest = rng.choice([1, 2, 5, 30, 300, READ_SIZE])
    script = Script(cut(SESSION, rng, largest), shortest=rng.choice([None, 1, 3, 1000]))
    assert script.run() == ANSWERS
    assert script.runtime.depth == 0


def test_one_frame_per_read() -> None:
    reads = [call(number, "echo", number) for number in range(100)]
    assert Script(reads).run() == [[Kind.RETURN, number, [number]] for number in range(100)]


def test_many_frames_in_one_read() -> None:
    data = b"".join(call(number, "echo", number) for number in range(100))
    assert Script([data]).run() == [[Kind.RETURN, number, [number]] for number in range(100)]


def test_calls_sent_ahead_wait_their_turn() -> None:
    """Also those that came during a host call: in the order in which they were sent."""
    reads = [
        call(1, "ask", 70), call(2, "ask", 71), call(3), call(4),
        framed(Kind.HOST_RETURN, 70, None), framed(Kind.HOST_RETURN, 71, None), call(5),
    ]  # fmt: skip
    answers = Script(reads).run()
    assert [one[1] for one in answers if one[0] == Kind.RETURN] == [1, 2, 3, 4, 5]


def test_calls_that_were_withdrawn_are_not_run() -> None:
    reads = [
        call(1, "ask", 70) + call(2) + call(3), framed(Kind.WITHDRAW) + call(4),
        framed(Kind.HOST_RETURN, 70, None), call(5),
    ]  # fmt: skip
    answers = Script(reads).run()
    assert [one[1] for one in answers if one[0] == Kind.RETURN] == [1, 4, 5]


@pytest.mark.parametrize("size", [READ_SIZE - 20, READ_SIZE - 12, READ_SIZE, 300_000, 1_000_000])
def test_large_frames(size: int) -> None:
    data = "x" * size
    script = Script([call(1, "echo", data) + call(2, "echo", data) + call(3)], shortest=10_000)
    answers = script.run()
    assert answers == [[Kind.RETURN, 1, [data]], [Kind.RETURN, 2, [data]], [Kind.RETURN, 3, []]]


def test_a_large_frame_in_tiny_reads_costs_no_square() -> None:
    """Reads of a byte each are collected and joined once: the bytes that are copied stay few."""

    class Counted(bytes):
        """Bytes that count what is added to them."""

        copied = 0

        def __add__(self, other: bytes) -> Counted:  # type: ignore[override]
            Counted.copied += len(self) + len(other)
            return Counted(bytes.__add__(self, other))

        def __radd__(self, other: bytes) -> Counted:
            Counted.copied += len(self) + len(other)
            return Counted(other.__add__(bytes(self)))

    data = call(1, "echo", "x" * 200_000)
    script = Script([Counted(data[n : n + 7]) for n in range(0, len(data), 7)])
    assert len(script.run()) == 1
    assert Counted.copied < 3 * len(data)


@pytest.mark.parametrize("end", [*range(60), 200, 1000, len(SESSION) - 60, len(SESSION) - 40])
def test_the_connection_ends_at_any_byte(end: int) -> None:
    """The loop returns; what it wrote is whole frames, and a beginning of what it would have."""
    answers = Script([SESSION[:end]]).run()
    assert answers == ANSWERS[: len(answers)]


@pytest.mark.parametrize(
    "kind", [Kind.HELLO, Kind.RETURN, Kind.HOST_RETURN, Kind.HOST_RAISE, Kind.NEST, Kind.BYE]
)
def test_anything_else_ends_the_loop(kind: Kind) -> None:
    script = Script([framed(kind, 1, "x", []) + call(2)])
    assert script.run() == []
    assert script.runtime.handled == []


def test_a_farewell_during_a_host_call_ends_the_loop() -> None:
    script = Script([call(1, "ask", 70) + framed(Kind.BYE) + framed(Kind.HOST_RETURN, 70, None)])
    assert script.run() == [[Kind.HOST_CALL, 70, "a.b", []]]


def test_a_limit_is_told_and_the_worker_leaves() -> None:
    script = Script([call(1, "exceed") + call(2)], shortest=3)
    with pytest.raises(Left) as caught:
        script.loop.run()
    assert caught.value.args == (0,)
    assert script.frames() == [[Kind.NOTE, "exceeded", ["output", 7]]]


def test_a_runtime_that_fails_ends_the_worker() -> None:
    """An exception of the runtime is not swallowed: the engine shall see a crash."""
    script = Script([framed(Kind.CALL, 1, "echo") + call(2)])
    with pytest.raises(ValueError, match="unpack"):
        script.loop.run()
    assert script.written == b""


def over_sockets(play: Callable[[socket.socket], None]) -> FakeRuntime:
    """Run a loop in a thread on one end of a socket pair, and `play` on the other."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    runtime = FakeRuntime()
    loop = Loop(runtime, theirs.recv, theirs.send, leave)

    def serve() -> None:
        with theirs:
            loop.run()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with ours:
        play(ours)
    thread.join(10)
    assert not thread.is_alive()
    return runtime


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """That many bytes."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        assert more
        data += more
    return data


def next_frame(sock: socket.socket) -> Frame:
    """The next frame on a socket."""
    value = decode(read_exactly(sock, int.from_bytes(read_exactly(sock, 4), "big")))
    assert isinstance(value, list)
    return value


def test_over_real_sockets() -> None:
    """Larger than the sockets' buffers in both directions, a host call, and a nested call in it."""

    def play(sock: socket.socket) -> None:
        text = "y" * 900_000
        sock.sendall(call(1, "echo", text))
        assert next_frame(sock) == [Kind.RETURN, 1, [text]]
        sock.sendall(call(2, "ask", 70) + call(3))
        assert next_frame(sock) == [Kind.HOST_CALL, 70, "a.b", []]
        sock.sendall(framed(Kind.NEST, 4, "echo", [text]))
        assert next_frame(sock) == [Kind.RETURN, 4, [text]]
        sock.sendall(framed(Kind.HOST_RETURN, 70, text))
        assert next_frame(sock) == [Kind.RETURN, 2, [1, [Kind.HOST_RETURN, 70, text]]]
        assert next_frame(sock) == [Kind.RETURN, 3, []]

    runtime = over_sockets(play)
    assert [one[1] for one in runtime.handled] == [1, 2, 4, 3]


def test_the_engine_hangs_up_during_a_host_call() -> None:
    def play(sock: socket.socket) -> None:
        sock.sendall(call(1, "ask", 70) + call(2))
        assert next_frame(sock)[0] == Kind.HOST_CALL

    assert [one[1] for one in over_sockets(play).handled] == [1]


class Large(FakeRuntime):
    """Answers with more than may cross; asks for the engine's help with more than may cross."""

    def handle(self, body: bytes, host: Host) -> bytes:
        """See `Runtime`."""
        incoming = decode(body)
        number, operation = incoming[1], incoming[2]
        value: object = {"text": "x" * 2_000_000, "list": [0] * 140_000, "lists": [[]] * 40_000}[
            incoming[3][0]
        ]
        if operation == "give":
            return raw(Kind.RETURN, number, value)
        answer = decode(host.call(raw(Kind.HOST_CALL, 7, "keep", [value])))
        assert answer[:2] == [Kind.HOST_RAISE, 7]
        return raw(Kind.RETURN, number, answer[2]["message"])


def raw(*fields: object) -> bytes:
    """A body without any cap, as a runtime's own codec may make one."""
    packed: bytes = msgpack.packb(list(fields))
    return packed


@pytest.mark.parametrize("operation", ["give", "ask"])
@pytest.mark.parametrize("number", [0, 127, 200, 70_000, 2**32 - 1])
@pytest.mark.parametrize(
    ("what", "why"),
    [("text", "more than 1048576"), ("list", "131072 entries"), ("lists", "32768 lists")],
)
def test_what_is_too_large_to_cross_is_an_error_not_a_death(
    operation: str, number: int, what: str, why: str
) -> None:
    script = Script([call(number, operation, what)])
    script.loop = Loop(Large(), script.read, script.write, leave)
    kind, answered, *rest = script.run()[-1]
    assert answered == number
    text = rest[0]["message"] if operation == "give" else rest[0]
    assert kind == (Kind.RAISE if operation == "give" else Kind.RETURN)
    assert "too large" in text
    assert why in text


@pytest.mark.parametrize("output", [1, 2**20, 15 * 2**20])
@pytest.mark.parametrize("operation", ["give", "ask"])
def test_what_has_room_in_the_limit_of_output_crosses(output: int, operation: str) -> None:
    """To the byte: the engine takes as much and not more."""
    most = most_from_worker(output)
    assert most == max(MAX_FRAME, output + 65_536)
    sent: list[bytes] = []

    class Sized(FakeRuntime):
        def handle(self, body: bytes, host: Host) -> bytes:
            size = most + decode(body)[3][0]
            number = 1 if operation == "give" else 7
            kind = Kind.RETURN if operation == "give" else Kind.HOST_CALL
            around = len(raw(kind, number, b"x" * 2**16)) - 2**16
            sent.append(raw(kind, number, b"x" * (size - around)))
            assert len(sent[-1]) == size
            return sent[-1] if operation == "give" else host.call(sent[-1])

    for more, crosses in ((0, True), (1, False)):
        script = Script([call(1, operation, more), framed(Kind.HOST_RETURN, 7, None)])
        script.loop = Loop(Sized(), script.read, script.write, leave, output)
        script.loop.run()
        assert script.written.startswith(len(sent[-1]).to_bytes(4, "big") + sent[-1]) is crosses
        assert (b"too large" in script.written) is not crosses


def test_the_largest_frame_of_an_engine_is_read() -> None:
    around = len(call(1, "echo", "x" * 2**16)) - 2**16 - 4
    text = "x" * (MAX_FROM_ENGINE - around)
    data = len(encode([int(Kind.CALL), 1, "echo", [text]])).to_bytes(4, "big")
    data += encode([int(Kind.CALL), 1, "echo", [text]])
    assert data[0] == 0
    sizes: list[int] = []
    script = Script(
        [data[:100], *(data[at : at + 200_000] for at in range(100, len(data), 200_000))]
    )
    read = script.read

    def counted(size: int) -> bytes:
        sizes.append(size)
        return read(size)

    script.loop = Loop(script.runtime, counted, script.write, leave, 15 * 2**20)
    kind, number, error = script.run()[0]
    assert (kind, number) == (Kind.RAISE, 1)  # it was read whole, and is too much to send back
    assert "too large" in error["message"]
    assert max(sizes) <= 2**20
