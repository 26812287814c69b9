"""The compile-time half of the language fence: source text in, code object out.

Owns decoding, parsing and the promise that a source which is not accepted raises
:class:`GuestSyntaxError` and nothing else.  The rules themselves are in ``transform``.  It runs
nothing, reads no file and knows nothing of environments or modules.
"""

from __future__ import annotations

import ast
import re
import sys
import types
import warnings
from typing import Final

from runtimes.python.errors import GuestSyntaxError
from runtimes.python.guards import GuestType
from runtimes.python.names import VALUE_NAME, strip_mark
from runtimes.python.transform import FencePolicy, copy_locations
from runtimes.python.trees import GUEST_TYPE, TYPE

__all__ = ["VALUE_NAME", "compile_source"]

MAX_SOURCE: Final = 256 * 1024
"""Longest source in characters; a longer one only feeds the parser's memory."""

_MAX_REFUSALS = 20
# Deep but legal trees (long operator chains) take about four Python frames per level here, and
# the tree itself is bounded by the parser.  Python frames of our visitor use no C stack.
_VISITOR_DEPTH = 30_000
# To show the line of a syntax error the interpreter opens the file of that name, which a confined
# worker does not survive.  A name that no file system encoding can express is never opened.
_NO_FILE = "\ud800"
_EMBEDDED: Final[dict[str, object]] = {TYPE: type, GUEST_TYPE: GuestType}
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def compile_source(source: bytes | str, filename: str, *, value: bool = False) -> types.CodeType:
    """Compile plugin source for an environment of :func:`environment.new_globals`.

    `source` as bytes must be UTF-8.  With `value`, the value of the last statement, if that is
    an expression, is left in the global :data:`VALUE_NAME`.  Raises :class:`GuestSyntaxError`
    for every source that is not accepted, and nothing else.
    """
    text = _decode(source, filename) if isinstance(source, bytes) else source
    if len(text) > MAX_SOURCE:
        raise GuestSyntaxError(f"source is longer than {MAX_SOURCE} characters", filename, 1, 0, "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _compile(text, filename, value)
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 0
        message = f"line {line}: {strip_mark(error.msg or 'invalid syntax')}"
        refusal = GuestSyntaxError(message, filename, line, column, _line(text, line))
    except RecursionError:
        refusal = GuestSyntaxError("source is nested too deeply", filename, 1, 0, "")
    except MemoryError:
        refusal = GuestSyntaxError("source is too complex or too deep", filename, 1, 0, "")
    except GuestSyntaxError:
        raise
    except Exception as error:  # noqa: BLE001
        # Null bytes, lone surrogates, integers beyond the digit limit, and whatever else the
        # compiler does not report as a syntax error.  A source must not choose the exception.
        refusal = GuestSyntaxError(f"invalid source: {error}"[:300], filename, 1, 0, "")
    raise refusal from None


def _compile(text: str, filename: str, value: bool) -> types.CodeType:
    tree = ast.parse(text, _NO_FILE)
    policy = FencePolicy(errors=[])
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(max(limit, _VISITOR_DEPTH))
        policy.visit(tree)
    finally:
        sys.setrecursionlimit(limit)
    if policy.refusals:
        refusals = sorted(policy.refusals)[:_MAX_REFUSALS]
        line, column, _message = refusals[0]
        message = "\n".join(f"line {at}: {what}" for at, _column, what in refusals)
        raise GuestSyntaxError(message, filename, line, column, _line(text, line))
    if value and tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        keep = ast.Assign(targets=[ast.Name(VALUE_NAME, ast.Store())], value=last.value)
        copy_locations(keep, last)
        tree.body[-1] = keep
    return _finished(compile(tree, _NO_FILE, "exec", dont_inherit=True), filename)


def _finished(code: types.CodeType, filename: str) -> types.CodeType:
    """Give `code` and the code inside it the plugin's file name and what guards test against."""
    constants: list[object] = []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            constants.append(_finished(constant, filename))
        elif type(constant) is str:
            constants.append(_EMBEDDED.get(constant, constant))
        else:
            constants.append(constant)
    return code.replace(co_filename=filename, co_consts=tuple(constants))


def _decode(source: bytes, filename: str) -> str:
    if source.startswith(b"\xef\xbb\xbf"):
        source = source[3:]
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        message = f"line {line}: source is not valid UTF-8 at byte offset {error.start}"
        raise GuestSyntaxError(message, filename, line, 0, "") from None
    for number, line_text in enumerate(text.split("\n", 2)[:2], 1):
        cookie = _COOKIE.match(line_text)
        if cookie is not None:
            if cookie[1].lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
                message = f"line {number}: source encoding {cookie[1]!r} is refused, use UTF-8"
                raise GuestSyntaxError(message, filename, number, 0, line_text)
            break
        if line_text.strip() and not line_text.lstrip().startswith("#"):
            break
    return text


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1] if 0 < number <= len(lines) else ""
