"""The table of frame kinds: who sends them, and what they carry.

A frame is a msgpack list whose first element is its kind.  Because a small list and a small
integer are one byte each in msgpack, the kind is always the second byte of a body, and a
runtime that decodes bodies in its own language can be dispatched to without decoding twice.

    kind         sent by   fields
    HELLO        worker    version: int, pid: int
    CALL         engine    id: int, operation: text, arguments: list
    NEST         engine    id: int, operation: text, arguments: list   (inside a host call)
    RETURN       worker    id: int, value
    RAISE        worker    id: int, error: map
    HOST_CALL    worker    id: int, function: text, arguments: list
    HOST_RETURN  engine    id: int, value
    HOST_RAISE   engine    id: int, error: map
    WITHDRAW     engine    -                                           (CALLs that wait are void)
    NOTE         both      topic: text, payload: list                  (no answer)
    BYE          engine    -                                           (the worker exits)
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, TypeAlias

from sandbox.errors import ProtocolError

VERSION: Final = 2
MAX_ID: Final = 2**32 - 1


class Kind(IntEnum):
    """The kinds of frames, as the first element of each."""

    HELLO = 0
    CALL = 1
    NEST = 2
    RETURN = 3
    RAISE = 4
    HOST_CALL = 5
    HOST_RETURN = 6
    HOST_RAISE = 7
    NOTE = 8
    BYE = 9
    WITHDRAW = 10


Frame: TypeAlias = list[Any]
"""A decoded frame: its kind, then its fields."""

_ANY: Final = object
FIELDS: Final[dict[int, tuple[type, ...]]] = {
    Kind.HELLO: (int, int),
    Kind.CALL: (int, str, list),
    Kind.NEST: (int, str, list),
    Kind.RETURN: (int, _ANY),
    Kind.RAISE: (int, dict),
    Kind.HOST_CALL: (int, str, list),
    Kind.HOST_RETURN: (int, _ANY),
    Kind.HOST_RAISE: (int, dict),
    Kind.NOTE: (str, list),
    Kind.BYE: (),
    Kind.WITHDRAW: (),
}
"""The type of each field; `object` stands for any value."""


def check(frame: Any) -> Frame:
    """`frame` itself when it has the shape of its kind; else `ProtocolError` saying what is off."""
    if (
        type(frame) is list
        and len(frame) == 3
        and type(frame[0]) is int
        and frame[0] == 3
        and type(frame[1]) is int
        and 0 <= frame[1] <= MAX_ID
    ):
        return frame  # a RETURN, the everyday frame, whose value may be anything
    if type(frame) is not list or not frame:
        raise ProtocolError(f"a frame is a list with a kind, not {type(frame).__name__}")
    kind = frame[0]
    if type(kind) is not int:
        raise ProtocolError(f"a frame's kind is a number, not {type(kind).__name__}")
    fields = FIELDS.get(kind)
    if fields is None:
        raise ProtocolError(f"there is no frame of kind {kind}")
    if len(frame) != len(fields) + 1:
        raise ProtocolError(f"{Kind(kind).name} has {len(fields)} fields, not {len(frame) - 1}")
    for position, wanted in enumerate(fields, 1):
        if wanted is not _ANY and type(frame[position]) is not wanted:
            raise ProtocolError(
                f"field {position} of {Kind(kind).name} is a {type(frame[position]).__name__}, "
                f"not a {wanted.__name__}"
            )
    if fields and fields[0] is int and not 0 <= frame[1] <= MAX_ID:
        raise ProtocolError(f"the first number of {Kind(kind).name} is out of range")
    return frame
