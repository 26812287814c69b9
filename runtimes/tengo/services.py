"""What the Lua side of a worker asks of the Python side: to compile, to match regular expressions.

A question is a msgpack list of the service's name and its arguments, an answer a list of true and
the result, or false and the text of a runtime error.  Strings arrive as bytes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any, Final

import msgpack

from runtimes.tengo import casing, numbers, regexp
from runtimes.tengo.compiler import Program, compile_program
from runtimes.tengo.faults import TengoSyntaxError


class _Needed(Exception):
    """A module that the compiler must see before it can go on."""


def answer(question: bytes) -> bytes:
    """The answer to one question."""
    name, *arguments = msgpack.unpackb(question, raw=True)
    try:
        reply = [True, SERVICES[name](*arguments)]
    except regexp.RegexpError as error:
        reply = [False, str(error)]
    packed: bytes = msgpack.packb(reply)
    return packed


def _compile(
    file: bytes,
    source: bytes,
    libraries: list[bytes],
    predefined: list[bytes],
    modules: list[list[Any]],
    relative: bool,
) -> list[Any]:
    """["program", lua, places, files, globals], ["need", key] or ["fault", ...].

    `modules` holds what was needed before: [key, file, text], with nil for what is not there.
    With `relative`, names are paths from the importing file on.
    """
    known = {key: (shown, text) for key, shown, text in modules}
    absent: dict[str, str] = {}

    def find(importer: str, name: str) -> tuple[str, str, bytes] | None:
        key = _joined(importer, name) if relative else name
        packed = None if key is None else key.encode("utf-8", "surrogateescape")
        if packed is not None and packed not in known:
            raise _Needed(key)
        shown, text = (b"", None) if packed is None else known[packed]
        if key is None or text is None:
            absent[f"module '{name}' not found"] = f"{key or name}.tengo"
            return None
        return key, _text(shown), text

    try:
        program = compile_program(
            source,
            _text(file),
            find,
            frozenset(map(_text, libraries)),
            tuple(map(_text, predefined)),
        )
    except _Needed as needed:
        return ["need", needed.args[0].encode("utf-8", "surrogateescape")]
    except TengoSyntaxError as error:
        if relative and error.message in absent:
            error.message = f"module file path error: {error.message} at: {absent[error.message]}"
        return _fault(error)
    except RecursionError:  # nesting that the parser allows and the emitter takes more room for
        return ["fault", "Compile Error: nesting too deep", _text(file), 1, 1, ""]
    return _packed(program)


def _packed(program: Program) -> list[Any]:
    places, files = program.packed_places()
    return ["program", program.lua, places, files, list(program.globals)]


def _fault(error: TengoSyntaxError) -> list[Any]:
    more = f" (and {error.more} more errors)" if error.more else ""
    message = f"{error.phase}: {error.message}{more}"
    return ["fault", message, error.file, error.pos.line, error.pos.column, error.line_text]


def _joined(importer: str, name: str) -> str | None:
    """The path of a module below the plugin's folder, without its extension."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(importer), name))
    if path.startswith(("/", "../")) or path in ("..", "."):
        return None
    return path.removesuffix(".tengo")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


SERVICES: Final[dict[bytes, Callable[..., Any]]] = {
    b"compile": _compile,
    **{
        name.encode(): service
        for part in (casing, numbers, regexp)
        for name, service in part.SERVICES.items()
    },
}
"""The services by name."""
