"""HTML forms in a request's body: multipart/form-data (RFC 7578) and urlencoded ones.

Pure functions over bytes; `runtimes/lua/prelude/forms.lua` is the same for Lua.  The body comes
from strangers: every part is looked at once, and a form that breaks a rule or a limit has no
fields, as with Go.
"""

from __future__ import annotations

import re
from typing import Final

from runtimes.python.urls import parse_query

_MAX_PARTS: Final = 1000
_MAX_HEAD: Final = 4096
_MAX_BOUNDARY: Final = 70
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
_LINE_END: Final = re.compile(rb"[ \t]*\r?\n")
_FORM_END: Final = re.compile(rb"--[ \t]*(?:\r?\n|\Z)")
_EQUALS_OR_NEXT: Final = re.compile(rb"[=;]")
_QUOTE: Final = re.compile(rb'[ \t]*"')
_QUOTE_OR_ESCAPE: Final = re.compile(rb'["\\]')
_BLANK: Final = b" \t"

Fields = dict[bytes, list[bytes]]
Files = dict[bytes, bytes]


# ---------------------------------------------------------------------- header values


def kind_of(text: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The kind and the parameters of `form-data; name="x"`, kind and names in lower case."""
    parameters: dict[bytes, bytes] = {}
    end = _next(text, 0)
    kind = text[:end].strip(_BLANK).lower()
    while found := _EQUALS_OR_NEXT.search(text, end + 1):
        if found.group() == b";":
            end = found.start()
            continue
        name = text[end + 1 : found.start()].strip(_BLANK).lower()
        quoted = _QUOTE.match(text, found.end())
        if quoted:
            value, closed = _quoted_value(text, quoted.end())
            if closed < 0:
                break
            end = _next(text, closed)
        else:
            end = _next(text, found.end())
            value = text[found.end() : end].strip(_BLANK)
        parameters.setdefault(name, value)
    return kind, parameters


def _next(text: bytes, at: int) -> int:
    """Where the next parameter's semicolon is, or the end."""
    found = text.find(b";", at)
    return len(text) if found < 0 else found


def _quoted_value(text: bytes, at: int) -> tuple[bytes, int]:
    """The quoted text that begins at `at`, and where it ends: -1 when it does not."""
    parts: list[bytes] = []
    while found := _QUOTE_OR_ESCAPE.search(text, at):
        parts.append(text[at : found.start()])
        at = found.end()
        if found.group() == b'"':
            return b"".join(parts), at
        # Any other backslash is one: there are browsers that send whole Windows paths.
        if text[at : at + 1] in (b'"', b"\\"):
            parts.append(text[at : at + 1])
            at += 1
        else:
            parts.append(b"\\")
    return b"", -1


# ---------------------------------------------------------------------- multipart


def _after_boundary(body: bytes, at: int) -> int | None:
    """What follows a boundary: where the next part begins, -1 for the end of the form."""
    found = _LINE_END.match(body, at)
    if found:
        return found.end()
    return -1 if _FORM_END.match(body, at) else None


def _first_part(body: bytes, line: bytes) -> int | None:
    """Where the form's first part begins."""
    found = 0 if body.startswith(line) else body.find(b"\n" + line) + 1
    while found or body.startswith(line):
        start = _after_boundary(body, found + len(line))
        if start is not None:
            return None if start < 0 else start
        found = body.find(b"\n" + line, found + len(line)) + 1
        if not found:
            break
    return None


def _field_of(head: bytes) -> tuple[bytes, bool]:
    """The field's name and whether it is a file, from the head of a part."""
    for line in head.replace(b"\r", b"\n").split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and name.strip(_BLANK).lower() == b"content-disposition":
            kind, parameters = kind_of(value)
            if kind != b"form-data":
                break
            is_file = b"filename" in parameters or b"filename*" in parameters
            return parameters.get(b"name", b""), is_file
    return b"", False


def multipart(body: bytes, boundary: bytes) -> list[tuple[bytes, bytes, bool]] | None:
    """The parts of a form: name, content, and whether it is a file.  None when it is not
    well-formed."""
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        return None
    line = b"--" + boundary
    parts: list[tuple[bytes, bytes, bool]] = []
    start = _first_part(body, line)
    if start is None:
        return None
    newline = b"\r\n" if body[start - 2 : start] == b"\r\n" else b"\n"
    for _ in range(_MAX_PARTS):
        head, content = b"", start + len(newline)
        if body[start:content] != newline:
            blank = body.find(newline * 2, start)
            if blank < 0 or blank - start > _MAX_HEAD:
                return None
            head, content = body[start:blank], blank + 2 * len(newline)
        # An empty part's boundary may share the line break that ends its head.
        following, stop = None, content - len(newline) - 1
        while following is None:
            stop = body.find(newline + line, stop + 1)
            if stop < 0:
                return None
            following = _after_boundary(body, stop + len(newline) + len(line))
        name, is_file = _field_of(head)
        if name:
            parts.append((name, body[content:stop], is_file))
        if following < 0:
            return parts
        start = following
    return None


# ---------------------------------------------------------------------- the form


def form(method: str, content_type: bytes, body: bytes) -> tuple[Fields, Files]:
    """The fields of a request's form, and the bytes of its files."""
    fields: Fields = {}
    files: Files = {}
    if method not in _BODY_METHODS:
        return fields, files
    kind, parameters = kind_of(content_type)
    if kind == b"application/x-www-form-urlencoded":
        parse_query(body, fields)
    elif kind == b"multipart/form-data":
        for name, content, is_file in multipart(body, parameters.get(b"boundary", b"")) or ():
            if is_file:
                files.setdefault(name, content)
            else:
                fields.setdefault(name, []).append(content)
    return fields, files
