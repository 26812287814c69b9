"""What a plugin raised, made into an error of ours.  Everything in it is hostile data."""

from __future__ import annotations

import logging
from typing import Any, Final

from sandbox.errors import Frame, LimitExceeded, PluginError, PolicyDenied, SandboxError
from sandbox.limits import Limits

log: Final = logging.getLogger("sandbox.engine")

_MAX_TEXT: Final = 4096
_MAX_FRAMES: Final = 50
# 0x2028 and 0x2029 end lines and paragraphs in Unicode.
_CONTROL: Final = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), "�")
_KEPT: Final = {ord("\n"): "\n", ord("\t"): "\t"}


def clean(text: object, limit: int = _MAX_TEXT) -> str:
    """Text for logs and errors: cut to `limit` characters, control characters made visible, so
    that a plugin can neither forge a terminal's state nor flood a log with one line."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        text = f"({type(text).__name__})"
    if len(text) > limit:
        text = text[:limit] + "…"
    return text.translate({**_CONTROL, **_KEPT})


def one_line(text: object) -> str:
    """As `clean`, with line ends made visible too: one event is one line of a log."""
    return clean(text).replace("\n", "\\n")


def frames_of(value: object) -> list[Frame]:
    """The well-formed ones among the frames that a worker sent."""
    frames = []
    for item in value[:_MAX_FRAMES] if isinstance(value, list) else []:
        if isinstance(item, list) and len(item) in (3, 4) and isinstance(item[1], int):
            column = item[3] if len(item) == 4 and isinstance(item[3], int) else 0
            frames.append(Frame(clean(item[0], 255), item[1], clean(item[2], 255), column))
    return frames


def out_of_memory(raised: dict[str, Any]) -> bool:
    """Whether a RAISE says that memory ran out: its worker is ended, whoever says so."""
    return clean(raised.get("type", "error"), 100) == "MemoryError"


def error_from(raised: dict[str, Any], plugin: str, limits: Limits) -> SandboxError:
    """The error for a RAISE's map.  One that says memory ran out is a limit, whoever says so:
    the worker is discarded either way."""
    kind = clean(raised.get("type", "error"), 100)
    if out_of_memory(raised):
        return LimitExceeded("memory", allowed=limits.memory, used=limits.memory, plugin=plugin)
    capability = raised.get("capability")
    if kind == "PolicyDenied" and isinstance(capability, str):
        return PolicyDenied(
            clean(capability, 300), plugin=plugin, message=clean(raised.get("message", ""))
        )
    line = raised.get("line")
    column = raised.get("column")
    file = raised.get("file")
    error = PluginError(
        clean(raised.get("message", "")),
        type=kind,
        plugin=plugin,
        file=clean(file, 255) if isinstance(file, str) else "",
        line=line if isinstance(line, int) else 0,
        column=column if isinstance(column, int) else 0,
        frames=frames_of(raised.get("frames")),
    )
    error.excerpt = one_line(raised.get("excerpt", ""))
    return error
