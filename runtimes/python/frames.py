"""Errors of plugin code as plain data.

Owns the rule which frames of a traceback are the plugin's, and a description of an exception
that survives whatever the plugin made of it.  Opens no file and imports nothing at run time:
source lines are looked up by whoever receives the frames.
"""

from __future__ import annotations

from typing import Final

from runtimes.python.names import FENCE_KEY, strip_mark

MAX_FRAMES: Final = 64
"""Most frames kept: the outermost 16 and the innermost 48 of a longer traceback."""

MAX_TYPE_NAME: Final = 200
MAX_TEXT: Final = 8000
"""Longest type name and message of :func:`describe`."""

_OUTER: Final = 16
_type_name = type.__dict__["__name__"].__get__


def guest_frames(error: BaseException) -> list[tuple[str, int, str]]:
    """Return ``(file, line, function)`` of the plugin's own frames, innermost last."""
    frames: list[tuple[str, int, str]] = []
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if FENCE_KEY in frame.f_globals:
            code = frame.f_code
            frames.append((code.co_filename, traceback.tb_lineno, strip_mark(code.co_name)))
            if len(frames) > MAX_FRAMES:
                del frames[_OUTER]
        traceback = traceback.tb_next
    return frames


def describe(error: BaseException) -> tuple[str, str]:
    """Return ``(type name, message)`` with bounded lengths; never raises.

    The message may be made by the plugin's own ``__str__``.  It runs here, so a caller keeps
    the deadline of the execution running; an error in it gives a fixed text instead.
    """
    name = strip_mark(_type_name(type(error)))[:MAX_TYPE_NAME]
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - plugin code can raise anything, GeneratorExit too
        text = "(no message: its __str__ failed)"
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}... ({len(text)} characters)"
    return name, strip_mark(text).encode("utf-8", "backslashreplace").decode("utf-8")
