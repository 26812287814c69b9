"""What the commands write: results to standard output, problems to standard error, JSON.

Text of plugins is hostile: on a terminal its control characters are made visible.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from sandbox.engine.faults import clean
from sandbox.errors import PluginError, SandboxError
from sandbox.values import GuestError, GuestFunction, Stanza


def _write(stream: TextIO, text: str) -> None:
    if stream.isatty():
        text = clean(text, len(text))
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def result(text: str, end: str = "\n") -> None:
    """Write a result."""
    _write(sys.stdout, text + end)


def problem(text: str) -> None:
    """Write what went wrong, for a person."""
    _write(sys.stderr, f"sandbox: {text}\n")


def complaint(error: SandboxError) -> None:
    """Write a plugin's error: `file:line: message`, the line if it is known, with a mark below the
    column, then the plugin's own frames."""
    lines = [place_and_message(error)]
    if error.excerpt:
        lines.append(f"    {error.excerpt}")
        # Columns count bytes; a mark beyond the end of a line that was cut would point nowhere.
        before = error.excerpt.encode()[: max(error.column - 1, 0)].decode("utf-8", "replace")
        lines.append("    " + "".join("\t" if c == "\t" else " " for c in before) + "^")
    lines += [f"  {frame}" for frame in reversed(error.frames)]
    _write(sys.stderr, "\n".join(lines) + "\n")


def place_and_message(error: SandboxError) -> str:
    """`file:line:column: message`, or less when less is known."""
    if error.file and error.line:
        column = f":{error.column}" if error.column else ""
        return f"{error.file}:{error.line}{column}: {error.message}"
    return error.message


def as_json(value: Any) -> str:
    """One JSON text on one line."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """`value` as JSON can hold it.  What JSON does not have becomes a map with one `$` key."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, datetime.datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, GuestError):
        return {"$error": plain(value.value)}
    if isinstance(value, GuestFunction):
        return {"$function": value.handle}
    if isinstance(value, Stanza):
        return {"$stanza": [value.name, plain(value.attr), plain(value.children)]}
    return value


def error_map(error: SandboxError | None) -> dict[str, Any] | None:
    """An error for JSON: type, message, file, line, column where there is one, and frames."""
    if error is None:
        return None
    column = {"column": error.column} if error.column else {}
    return {
        "type": error.type if type(error) is PluginError else type(error).__name__,
        "message": error.message,
        "file": error.file,
        "line": error.line,
        **column,
        "frames": [list(frame if frame.column else frame[:3]) for frame in error.frames],
    }
