"""HTTP requests and answers as scripts see them: plain data, no server and no sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from sandbox.errors import ConfigurationError
from sandbox.values import Value


@lru_cache(maxsize=256)
def _canonical(name: str) -> str:
    """A field's name as scripts see it; browsers send the same few with every request."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


class Headers(Mapping[str, str]):
    """Header fields: a mapping by name, whatever its case, that keeps repeated fields.

    `headers["Accept"]` is the first value; `getlist` gives all of them.  Values are text; bytes
    that are not UTF-8 are lone surrogates in it, as `os.fsdecode` has them.
    """

    __slots__ = ("_items",)

    def __init__(self, fields: Mapping[str, str | list[str]] | Iterable[tuple[str, str]] = ()):
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        self._items: list[tuple[str, str]] = []
        for name, value in pairs:
            for one in value if isinstance(value, list) else [value]:
                self._items.append((name, one))

    def __getitem__(self, name: str) -> str:
        for known, value in self._items:
            if known.lower() == name.lower():
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        first = {name.lower(): name for name, _ in reversed(self._items)}
        return (name for name in dict.fromkeys(first[name.lower()] for name, _ in self._items))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._items})

    def getlist(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        return [value for known, value in self._items if known.lower() == name.lower()]

    def items_all(self) -> list[tuple[str, str]]:
        """Every field as it stands, repeated ones included."""
        return list(self._items)

    def as_lists(self) -> dict[str, list[str]]:
        """Canonical names (`Content-Type`) to lists of values, as scripts see them."""
        lists: dict[str, list[str]] = {}
        for name, value in self._items:
            lists.setdefault(_canonical(name), []).append(value)
        return lists

    def __repr__(self) -> str:
        return f"Headers({self._items})"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request (RFC 9110) for a script.

    `uri` is the request target as the client sent it, with its query.  `host` and `remote_addr`
    are texts such as `127.0.0.1:8080`.  `settings` is what the operator set for scripts to see:
    plain data by name.
    """

    method: str
    uri: str
    headers: Headers | Mapping[str, str | list[str]] = field(default_factory=Headers)
    body: bytes = b""
    host: str = "localhost"
    remote_addr: str = ""
    proto: str = "HTTP/1.1"
    settings: Mapping[str, Value] = field(default_factory=dict)
    path: str = field(init=False, repr=False, compare=False)
    """The unescaped path without the query."""

    def __post_init__(self) -> None:
        if not self.uri.startswith("/"):
            raise ConfigurationError(f"uri: {self.uri!r} does not begin with a slash")
        if not isinstance(self.headers, Headers):
            object.__setattr__(self, "headers", Headers(self.headers))
        path = self.uri.partition("?")[0]
        if "%" in path:
            path = unquote(path, errors="surrogateescape")
        object.__setattr__(self, "path", path)

    @property
    def query(self) -> str:
        """What follows the question mark, as sent."""
        return self.uri.partition("?")[2].partition("#")[0]


@dataclass(frozen=True, slots=True)
class Response:
    """What a script answered.  `panicked` is the text of a panic, else empty."""

    status: int = 200
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    panicked: str = ""

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 show as replacement characters."""
        return self.body.decode("utf-8", "replace")


# Where they differ between versions of Python, and from those of Go, which ServeMSX has.
_PHRASES: Final = {
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
    416: "Requested Range Not Satisfiable",
    418: "I'm a teapot",
    422: "Unprocessable Entity",
}


def reason_phrase(status: int) -> str:
    """The standard phrase of a status, or an empty text for one that has none."""
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def plain(status: int, text: str, panicked: str = "") -> Response:
    """A short answer in plain text, as an HTTP server's own error pages are."""
    headers = Headers(
        {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    )
    return Response(status, headers, (text + "\n").encode("utf-8", "replace"), panicked)
