"""What the engine is told when guest code fails."""

from __future__ import annotations

from typing import Any, Final

from runtimes.python.errors import GuestSyntaxError
from runtimes.python.frames import describe, guest_frames
from runtimes.python.host import Denied, HostError
from sandbox.wire.extensions import EncodeError

_SHOWN_AS: Final[dict[type, str]] = {
    Denied: "PolicyDenied",
    HostError: "HostError",
    EncodeError: "ValueError",
}


def fault(error: BaseException) -> dict[str, Any]:
    """The error map of a RAISE."""
    if isinstance(error, GuestSyntaxError):
        return {
            "type": "SyntaxError",
            "message": error.message.removeprefix(f"line {error.line}: "),
            "file": error.filename,
            "line": error.line,
            "column": error.column,
            "text": error.text,
            "frames": [],
        }
    kind, message = describe(error)
    shown: dict[str, Any] = {
        "type": _SHOWN_AS.get(type(error), kind),
        "message": message,
        "frames": [list(frame) for frame in guest_frames(error)],
    }
    if isinstance(error, Denied):
        shown["capability"] = error._capability
    return shown


def one_line(error: BaseException) -> str:
    """An error with its place, as one line of a log."""
    frames = guest_frames(error)
    place = f"{frames[-1][0]}:{frames[-1][1]}: " if frames else ""
    kind, message = describe(error)
    return f"{place}{kind}: {message}"
