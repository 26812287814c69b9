"""One address for each page: `/a//b/../c` is answered by where it is, `/a/c`.

The rule is Go's (`net/http.ServeMux`), in front of ServeMSX, too: the client is sent to the
cleaned path, so that nothing behind this sees a `..` that it could follow.
"""

from __future__ import annotations

from html import escape
from urllib.parse import quote, unquote

from starlette.responses import Response


def unescaped(target: str) -> str:
    """The path that a request target (without its query) stands for, as `Request.path`."""
    return unquote(target, errors="surrogateescape") if "%" in target else target


def cleaned(path: str) -> str:
    """An unescaped path without empty parts, `.` and `..`; a slash at its end stays."""
    if "//" not in path and "/." not in path and path[:1] == "/":
        return path  # nearly every path is
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    end = "/" if parts and path.endswith("/") else ""
    return "/" + "/".join(parts) + end


def moved(path: str, query: str, method: str) -> Response:
    """The answer that sends a client to the unescaped `path`."""
    target = quote(path.encode("utf-8", "surrogateescape"), safe="/$&+,:;=@!'()*~")
    if query:
        target += f"?{query}"
    answer = Response(status_code=301, headers={"Location": target})
    if method in ("GET", "HEAD"):
        answer = Response(
            f'<a href="{escape(target)}">Moved Permanently</a>.\n\n',
            301,
            {"Location": target, "Content-Type": "text/html; charset=utf-8"},
        )
    return answer
