"""Files as answers: opened once, beneath their folder, and sent as conditions and ranges ask."""

from __future__ import annotations

import logging
import os
import re
import stat
from email.utils import parsedate
from io import FileIO
from mimetypes import guess_type
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.responses import Response as HttpResponse
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Receive, Scope, Send

from sandbox.below import GONE, open_file
from sandbox.engine.faults import one_line
from sandbox.engine.plugins import StaticFile
from sandbox.messages import plain, reason_phrase
from sandbox.servers.answers import isolate, sent
from sandbox.servers.sniffing import LENGTH, guessed

log: Final = logging.getLogger("sandbox.servers.msx")

_UNKNOWN: Final = "application/octet-stream"


def static_file(found: StaticFile, scope: Scope) -> HttpResponse:
    """A plugin's file; one whose name tells no type has that which it looks like.

    Its fields are those that ServeMSX sends: the time of the last change stands for an ETag, and
    what is no page needs no `nosniff` (no browser makes a page of it).
    """
    answer = media_file(found.path, found.folder, scope)
    if isinstance(answer, _OpenFile) and answer.headers["content-type"] == _UNKNOWN:
        answer.headers["content-type"] = guessed(answer.beginning())
    isolate(answer.raw_headers, b"")
    if "content-security-policy" not in answer.headers and "etag" in answer.headers:
        del answer.headers["x-content-type-options"]
        del answer.headers["etag"]
    return answer


class _OpenFile(FileResponse):
    """A regular file that is open already: what was looked at is what is sent, whatever has the
    file's name by then, a pipe that nobody writes to perhaps.

    Starlette opens what it sends by its path, once the head is sent; this one leads to the open
    file (proc(5)).  To be sent once, or closed.
    """

    def __init__(self, path: Path, number: int) -> None:
        self._file = FileIO(number)
        self.status = os.fstat(number)
        kind, state = guess_type(path)[0] or _UNKNOWN, _dated(self.status)
        super().__init__(f"/proc/self/fd/{number}", media_type=kind, stat_result=state)

    def beginning(self) -> bytes:
        """Enough of it to tell what it is."""
        return os.pread(self._file.fileno(), LENGTH, 0)

    def close(self) -> None:
        """Send nothing."""
        self._file.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Response`."""
        with self._file:
            # A server that offers to send files by their path would do so when this is closed.
            await super().__call__({**scope, "extensions": {}}, receive, send)


def media_file(path: Path, folder: Path, scope: Scope) -> HttpResponse:
    """A file below a folder as it is: Starlette knows how ranges are sent.

    Conditions and ranges are as in Go (`net/http.ServeContent`), but for units of ranges that
    are not bytes, which RFC 9110 (section 14.2) has ignored.
    """
    try:
        file = _OpenFile(path, open_file(path, folder))
    except GONE:
        return sent(plain(404, reason_phrase(404)))
    except PermissionError:
        log.error("%s: this server may not read it", one_line(str(path)))
        return sent(plain(403, reason_phrase(403)))
    answer: HttpResponse | None = None
    try:
        answer = _conditional(file, scope)
    finally:
        if answer is not file:
            file.close()
    return answer


def _conditional(file: _OpenFile, scope: Scope) -> HttpResponse:
    """What answers the conditions and ranges of a request: the file itself, or why it does not."""
    answer: HttpResponse = file
    if not is_writable(file.status.st_mtime):
        del answer.headers["last-modified"]
    asked = Headers(scope=scope)
    if not _is_wanted(asked, answer.headers):
        return sent(plain(412, reason_phrase(412)))
    if scope["method"] in ("GET", "HEAD"):
        if StaticFiles(check_dir=False).is_not_modified(answer.headers, asked):
            answer = NotModifiedResponse(answer.headers)
        else:
            answer = _ranged(answer, asked, file.status.st_size, scope)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


# ---------------------------------------------------------------------- conditions and ranges

_YEAR_1: Final = -62135596800
_YEAR_10000: Final = 253402300800
_TAG: Final = re.compile(r'(W/)?("[^"]*")')
_RANGE: Final = re.compile(r"([0-9]{0,18})[ \t]*-[ \t]*([0-9]{0,18})", re.ASCII)


def is_writable(time: float) -> bool:
    """Whether HTTP can write a time: a year has four digits.  Files may have any."""
    return _YEAR_1 <= time < _YEAR_10000


def _dated(status: os.stat_result) -> os.stat_result:
    """A file's state, with the time of another change where HTTP could not write its own."""
    if is_writable(status.st_mtime):
        return status
    time = status[stat.ST_CTIME] if is_writable(status.st_ctime) else 0
    return os.stat_result((*status[: stat.ST_MTIME], time, time))


def _is_wanted(asked: Headers, given: Headers) -> bool:
    """Whether the file is as a client wants it to be (RFC 9110, sections 13.1.1 and 13.1.4)."""
    tags = ", ".join(asked.getlist("if-match"))
    if tags:
        strong = [tag for weak, tag in _TAG.findall(tags) if not weak]
        return tags.strip() == "*" or given.get("etag") in strong
    since = parsedate(asked.get("if-unmodified-since", ""))
    changed = parsedate(given.get("last-modified", ""))
    return since is None or changed is None or changed <= since


def _ranged(answer: HttpResponse, asked: Headers, size: int, scope: Scope) -> HttpResponse:
    """`answer`, for which `scope` is left with the ranges alone that the file has; or 416."""
    wanted, validator = asked.get("range"), asked.get("if-range")
    if wanted is None:
        return answer
    ranges = ""
    # Of a file that has changed, a range is of no use (RFC 9110, section 13.1.5).
    if validator in (None, answer.headers.get("last-modified"), answer.headers.get("etag")):
        try:
            ranges = _ranges(wanted, size)
        except ValueError as error:
            refused = sent(plain(416, str(error)))
            refused.headers["Content-Range"] = f"bytes */{size}"
            return refused
    fields = [field for field in scope["headers"] if field[0] not in (b"range", b"if-range")]
    scope["headers"] = [*fields, (b"range", ranges.encode())] if ranges else fields
    return answer


def _ranges(wanted: str, size: int) -> str:
    """The field `Range` without what a file of `size` bytes does not have; empty when all of the
    file is to be sent.  Raises `ValueError` for one that makes no sense, or that has nothing."""
    unit, _, listed = wanted.partition("=")
    parts = [part.strip() for part in listed.split(",") if part.strip()]
    if unit.strip().lower() != "bytes" or not parts:
        return ""
    found: list[tuple[int, int]] = []
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None or not any(match.groups()):
            raise ValueError("invalid range")
        first, last = match.groups()
        start = int(first) if first else max(size - int(last), 0)
        end = int(last) if first and last else size - 1
        if first and last and start > end:
            raise ValueError("invalid range")
        if start < size:
            found.append((start, min(end, size - 1)))
    if not found:
        raise ValueError("invalid range: failed to overlap")
    # More than the whole file is a mistake, or an attack.
    if sum(end - start + 1 for start, end in found) > size:
        return ""
    return "bytes=" + ",".join(f"{start}-{end}" for start, end in found)
