"""A runtime that answers calls with the byte streams of the corpus's `protocol` folder.

It is what a worker can do once its interpreter is taken over: it owns its end of the socket.  It
runs without the kernel's jail, so that even a broken jail would be of no help to it.  An operation
is the name of a stream; the corpus describes each, and here it is in our own wire format.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from sandbox.wire.codec import decode, encode
from sandbox.wire.frames import VERSION, Kind
from sandbox.wire.framing import MAX_FRAME, most_from_worker
from sandbox.worker.runtime import Host, Settings

_FD: Final = 3
_LIFETIME: Final = 15


class End:
    """The worker's end of its connection, in the middle of a call."""

    def __init__(self, host: Host, call: int) -> None:
        self._host = host
        self.call = call

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self._host.write(data)

    def body(self, data: bytes) -> None:
        """Send a body with its true length."""
        self.raw(framed(data))

    def frames(self, *frames: list[Any]) -> None:
        """Send frames in one write."""
        self.raw(b"".join(framed(encode(frame)) for frame in frames))

    def answer(self, value: Any, call: int | None = None) -> None:
        """Return from a call."""
        self.frames([Kind.RETURN, (self.call if call is None else call) % 2**32, value])

    def ask(self, function: Any, arguments: Any, number: int = 1) -> Any:
        """Make a host call and wait for its answer."""
        return decode(self._host.call(encode([Kind.HOST_CALL, number, function, arguments])))

    def value(self, body: bytes) -> None:
        """Return a value that is given as msgpack."""
        self.body(b"\x93\x03\xce" + struct.pack(">I", self.call) + body)

    def stall(self) -> NoReturn:
        """Do nothing more, and keep the connection."""
        while True:
            time.sleep(_LIFETIME)

    def behave(self) -> NoReturn:
        """Answer every further call properly."""
        while data := os.read(_FD, 65_536):
            frame = decode(data[4:])
            if isinstance(frame, list) and frame[0] == Kind.CALL:
                self.answer("again", frame[1])
        self.leave()

    def leave(self) -> NoReturn:
        """End: the kernel closes the connection."""
        os._exit(0)


def framed(body: bytes) -> bytes:
    """A body with its length before it, whatever that is."""
    return len(body).to_bytes(4, "big") + body


def _slow(end: End) -> None:
    data = framed(encode([Kind.RETURN, end.call, "x" * 500]))
    for position in range(len(data)):
        end.raw(data[position : position + 1])
        time.sleep(0.02)


def _split_header(end: End) -> None:
    data = framed(encode([Kind.RETURN, end.call, "fine"]))
    end.raw(data[:2])
    time.sleep(0.05)
    end.raw(data[2:])


def _half(end: End) -> bytes:
    data = framed(encode([Kind.RETURN, end.call, "x" * 1000]))
    return data[: len(data) // 2]


def _half_then_close(end: End) -> None:
    end.raw(_half(end))
    end.leave()


def _error_then_good(end: End) -> None:
    end.body(b"\x84\xa1a\x94\x81\x01\xc1")
    time.sleep(0.05)
    end.answer("ESCAPED: connection survived a decode error")


def _duplicate(end: End) -> None:
    end.answer(1)
    time.sleep(0.2)
    end.answer("ESCAPED: stale duplicate reply accepted")


def _after_the_end(end: End) -> None:
    text = "ESCAPED: host call after the end"
    end.frames(
        [Kind.RETURN, end.call, 1],
        [Kind.HOST_CALL, 1, "memory.set", ["other", text]],
        [Kind.NOTE, "log", ["other", "*", "info", text]],
    )


def _pre_answers(end: End) -> None:
    for number in range(1, 1001):
        end.answer("ESCAPED: pre-answered future call", end.call + number)
    end.answer(1)


def _refusals(end: End, asked: list[tuple[Any, Any]]) -> None:
    """Host calls, each waited for; then their answers, as the value of the call."""
    answers = [end.ask(name, arguments, 1 + at) for at, (name, arguments) in enumerate(asked)]
    refused = all(answer[0] == Kind.HOST_RAISE for answer in answers)
    text = "refused" if refused else f"ESCAPED: a host call was served: {answers!r}"[:1000]
    end.answer(text)


def _flood(end: End, data: bytes, times: int) -> None:
    for _ in range(times):
        end.raw(data)


def _with_descriptor(end: End) -> None:
    connection = socket.socket(fileno=os.dup(_FD))
    data = framed(encode([Kind.RETURN, end.call, 1]))
    socket.send_fds(connection, [data], [_FD])


def _forged_error(end: End) -> None:
    kind = ("SystemExit", "builtins.KeyboardInterrupt", "os.system")[end.call % 3]
    frames = [["f", 1, "g"]] * 10_000
    end.frames(
        [Kind.RAISE, end.call, {"type": kind, "message": "m", "traceback": [], "frames": frames}]
    )


def _forged_greeting(end: End) -> None:
    text = "\x1b[2J" + "x" * 900_000
    end.frames([Kind.NOTE, "log", ["CRITICAL\n", "\x1b[2J", "CRITICAL\n", text]])
    end.frames([Kind.NOTE, "status", [-1, 2**62]])
    end.frames([Kind.HELLO, VERSION, 1])


def _trickle(end: End) -> None:
    end.raw((most_from_worker(2**20) + 1).to_bytes(4, "big"))
    _flood(end, b"\0" * 65_536, 17)


def _deep_value(end: End) -> None:
    end.value(b"\x91" * 1000 + b"\xc0")


def _wrong_ids(end: End) -> None:
    for body in (b"\xa11", b"\xcb" + b"\0" * 8, b"\xc3", b"\xff", b"\xcf" + b"\xff" * 8, b"\x91\1"):
        end.body(b"\x93\x03" + body + b"\x01")


def _kv(*pairs: tuple[bytes, bytes]) -> bytes:
    return bytes([0x80 + len(pairs)]) + b"".join(key + value for key, value in pairs)


_NAN: Final = b"\xcb\x7f\xf8" + b"\0" * 6
_AMPLIFIED: Final = MAX_FRAME - 64
_NAMES: Final = (
    "__class__", "memory.__init__.__globals__", "memory.get.__func__", "../memory", "",
    "x" * 10_000,
)  # fmt: skip

_HOST_CALLS: Final = b"".join(
    framed(encode([Kind.HOST_CALL, number, "option.get", ["*", "x"]])) for number in range(1000)
)

STREAMS: Final[dict[str, Callable[[End], object]]] = {
    "oversized_length_header": lambda end: end.raw(b"\xff\xff\xff\xff"),
    "length_just_over_limit": _trickle,
    "zero_length_frame": lambda end: end.raw(b"\0" * 400_000),
    "half_frame_then_stall": lambda end: end.raw(_half(end)),
    "one_byte_at_a_time": _slow,
    "half_frame_then_close": _half_then_close,
    "two_replies_one_write": lambda end: end.frames(
        [Kind.RETURN, end.call, 1], [Kind.RETURN, end.call, "ESCAPED: second reply accepted"]
    ),
    "frame_split_in_header": _split_header,
    "trailing_bytes_in_frame": lambda end: end.body(
        encode([Kind.RETURN, end.call, 1]) + b"\xc0\xc0"
    ),
    "garbage_bytes": lambda end: end.body(bytes((i * 37 + 11) % 256 for i in range(5000))),
    "reserved_byte_c1": lambda end: end.body(b"\x93\x01\xc1\x02"),
    "error_then_reuse": _error_then_good,
    "deep_nesting_arrays": lambda end: end.body(b"\x91" * 200_000 + b"\xc0"),
    "deep_nesting_under_limit": _deep_value,
    "array_length_lies": lambda end: end.value(b"\xdd\xff\xff\xff\xff" + b"\xc0" * 5),
    "map_length_lies": lambda end: end.value(b"\xdf\xff\xff\xff\xff" + b"\xc0" * 5),
    "str_length_lies": lambda end: end.value(b"\xdb\xff\xff\xff\xffabc"),
    "memory_amplification": lambda end: end.value(
        b"\xdd" + struct.pack(">I", _AMPLIFIED) + b"\x80" * _AMPLIFIED
    ),
    "ext_type": lambda end: end.value(b"\xc7\x07\x2apayload"),
    "ext_timestamp": lambda end: end.value(b"\xc7\x0c\xff" + b"\xff" * 12),
    "nan_key_and_values": lambda end: end.value(_kv((_NAN, b"\x01"), (_NAN, b"\x02"))),
    "non_string_keys": lambda end: end.value(_kv((b"\x91\x01", b"\x02"), (b"\xc0", b"\x01"))),
    "duplicate_keys": lambda end: end.value(_kv((b"\xa2id", b"\x01"), (b"\xa2id", b"\x02"))),
    "invalid_utf8_string": lambda end: end.value(b"\xa6\xff\xfe\xed\xa0\x80\xc0"),
    "wrong_top_level_type": lambda end: end.body(b"\x2a"),
    "wrong_field_types": _wrong_ids,
    "missing_fields": lambda end: end.frames([Kind.RETURN, end.call], [Kind.RETURN], []),
    "extra_fields_prototype": lambda end: end.frames(
        [Kind.RETURN, end.call, 1, {"__class__": "x", "permissions": ["*"]}]
    ),
    "reply_to_other_call": lambda end: end.answer(
        "ESCAPED: reply routed to a foreign call", end.call + 1
    ),
    "duplicate_reply": _duplicate,
    "unsolicited_reply_idle": lambda end: end.frames(
        [Kind.RETURN, end.call, 1], [Kind.RETURN, 999_999, "ESCAPED: unsolicited reply accepted"]
    ),
    "predicted_future_id": _pre_answers,
    "hostcall_without_permission": lambda end: _refusals(
        end,
        [
            ("fs.read", ["/tmp/canary"]),
            ("memory.get", ["other"]),
            ("timer.add", [1, 0.0, "steady"]),
        ],
    ),
    "hostcall_spoofed_plugin_id": lambda end: _refusals(
        end, [("memory.get", ["steady"]), ("module.library", ["steady", "steady"])]
    ),
    "hostcall_dunder_name": lambda end: _refusals(end, [(name, []) for name in _NAMES]),
    "hostcall_flood": lambda end: _flood(end, _HOST_CALLS, 100),
    "hostcall_after_final_reply": _after_the_end,
    "hostcall_args_wrong_shape": lambda end: _refusals(
        end,
        [
            ("option.get", shape)
            for shape in ([], [1], [None] * 20, [{"self": 1}], [[[0] * 1000]], ["*", 5], [5, "*"])
        ],
    ),
    "reply_flood": lambda end: _flood(
        end, framed(encode([Kind.RETURN, end.call, "x"])) * 5000, 1024
    ),
    "stop_reading": lambda end: end.stall(),
    "close_without_reply": lambda end: end.leave(),
    "forged_ready_or_log": _forged_greeting,
    "scm_rights_fd": _with_descriptor,
    "exception_object_forgery": _forged_error,
}
"""name in the corpus -> what the worker does when it is called; then it behaves."""

ALSO: Final[dict[str, frozenset[str]]] = {
    # The corpus thinks of a protocol where any odd host call is an offence.  Here a refusal is an
    # error that the plugin can catch, like every other denial; what matters is that all of them
    # were refused, and the liar says ESCAPED when one was not.
    "hostcall_without_permission": frozenset({"ok"}),
    "hostcall_spoofed_plugin_id": frozenset({"ok"}),
    "hostcall_dunder_name": frozenset({"ok"}),
    "hostcall_args_wrong_shape": frozenset({"ok"}),
    # Fields have places and not names on our wire: a map with a key twice is a value like others.
    "duplicate_keys": frozenset({"ok"}),
    # The name of a class is data: the error is a PluginError, whatever it says.
    "exception_object_forgery": frozenset({"policy_error"}),
    # An end of file has one outcome, wherever in a frame it comes.
    "half_frame_then_close": frozenset({"worker_death"}),
}
"""Outcomes that fit our protocol besides the corpus's own."""


class Liar:
    """See `sandbox.worker.runtime.Runtime`."""

    def settle(self) -> None:
        """Nothing is done late."""

    def start(self, settings: Settings) -> None:
        """A forgotten liar ends by itself."""
        signal.alarm(_LIFETIME)

    def handle(self, body: bytes, host: Host) -> bytes:
        """Lie."""
        frame = decode(body)
        assert isinstance(frame, list)
        if frame[0] not in (Kind.CALL, Kind.NEST):
            return b""
        end = End(host, frame[1])
        STREAMS[frame[2]](end)
        end.behave()


def create() -> Liar:
    """The factory that the harness names."""
    return Liar()
