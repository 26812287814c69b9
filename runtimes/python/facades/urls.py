"""Façade of ``urllib.parse`` (and of ``urllib``, which holds nothing else).

Let through: quoting, query strings, splitting and joining.  The splitting functions keep a
cache, so their arguments must be exactly str or bytes, and their results are rebuilt as named
tuples of our own: the module's are Python classes whose base classes carry module functions.
Left out: ``urllib.request`` and ``urllib.error`` (the network is reached through the host API)
and the deprecated ``split*`` helpers.
"""

from __future__ import annotations

import urllib.parse
from typing import Any, Final, NamedTuple

from runtimes.python.facade import Facade
from runtimes.python.facades.text import exact_text


class _Location:
    """The parts of a network location; shared by both result types."""

    __slots__ = ()
    netloc: Any

    def _real(self) -> Any:
        return urllib.parse.SplitResult("", self.netloc, "", "", "")

    @property
    def username(self) -> Any:
        return _bytes_or(self, "username")

    @property
    def password(self) -> Any:
        return _bytes_or(self, "password")

    @property
    def hostname(self) -> Any:
        return _bytes_or(self, "hostname")

    @property
    def port(self) -> int | None:
        port: int | None = _bytes_or(self, "port")
        return port


def _bytes_or(result: _Location, name: str) -> Any:
    netloc = exact_text(result.netloc, "netloc")
    if isinstance(netloc, bytes):
        return getattr(urllib.parse.SplitResultBytes(b"", netloc, b"", b"", b""), name)
    return getattr(urllib.parse.SplitResult("", netloc, "", "", ""), name)


class _SplitParts(NamedTuple):
    scheme: Any
    netloc: Any
    path: Any
    query: Any
    fragment: Any


class _ParseParts(NamedTuple):
    scheme: Any
    netloc: Any
    path: Any
    params: Any
    query: Any
    fragment: Any


class SplitResult(_Location, _SplitParts):
    """What ``urlsplit`` returns."""

    __slots__ = ()

    def geturl(self) -> Any:
        """The URL put together again."""
        return _urlunsplit(self)


class ParseResult(_Location, _ParseParts):
    """What ``urlparse`` returns."""

    __slots__ = ()

    def geturl(self) -> Any:
        """The URL put together again."""
        return _urlunparse(self)


def _urlsplit(url: Any, scheme: Any = "", allow_fragments: bool = True) -> SplitResult:
    url = exact_text(url, "url")
    scheme = exact_text(scheme, "scheme")
    return SplitResult(*urllib.parse.urlsplit(url, scheme, bool(allow_fragments)))


def _urlparse(url: Any, scheme: Any = "", allow_fragments: bool = True) -> ParseResult:
    url = exact_text(url, "url")
    scheme = exact_text(scheme, "scheme")
    return ParseResult(*urllib.parse.urlparse(url, scheme, bool(allow_fragments)))


def _parts(components: Any, count: int) -> list[Any]:
    parts = [exact_text(part, "component") for part in components]
    if len(parts) != count:
        raise ValueError(f"expected {count} components, got {len(parts)}")
    return parts


def _urlunsplit(components: Any) -> Any:
    return urllib.parse.urlunsplit(_parts(components, 5))


def _urlunparse(components: Any) -> Any:
    return urllib.parse.urlunparse(_parts(components, 6))


def _urljoin(base: Any, url: Any, allow_fragments: bool = True) -> Any:
    return urllib.parse.urljoin(
        exact_text(base, "base"), exact_text(url, "url"), bool(allow_fragments)
    )


def _urldefrag(url: Any) -> tuple[Any, Any]:
    defragmented, fragment = urllib.parse.urldefrag(exact_text(url, "url"))
    return (defragmented, fragment)


def _quote(string: Any, safe: Any = "/", encoding: Any = None, errors: Any = None) -> str:
    string, safe = exact_text(string, "string"), exact_text(safe, "safe")
    return urllib.parse.quote(string, safe, encoding, errors)


def _quote_plus(string: Any, safe: Any = "", encoding: Any = None, errors: Any = None) -> str:
    string, safe = exact_text(string, "string"), exact_text(safe, "safe")
    return urllib.parse.quote_plus(string, safe, encoding, errors)


def _urlencode(
    query: Any,
    doseq: bool = False,
    safe: Any = "",
    encoding: Any = None,
    errors: Any = None,
) -> str:
    return urllib.parse.urlencode(query, bool(doseq), exact_text(safe, "safe"), encoding, errors)


PARSE: Final = Facade(
    "urllib.parse",
    {
        "quote": _quote,
        "quote_plus": _quote_plus,
        "quote_from_bytes": lambda bs, safe="/": urllib.parse.quote_from_bytes(
            bs, exact_text(safe, "safe")
        ),
        "unquote": urllib.parse.unquote,
        "unquote_plus": urllib.parse.unquote_plus,
        "unquote_to_bytes": urllib.parse.unquote_to_bytes,
        "urlencode": _urlencode,
        "parse_qs": urllib.parse.parse_qs,
        "parse_qsl": urllib.parse.parse_qsl,
        "urlsplit": _urlsplit,
        "urlparse": _urlparse,
        "urlunsplit": _urlunsplit,
        "urlunparse": _urlunparse,
        "urljoin": _urljoin,
        "urldefrag": _urldefrag,
        "SplitResult": SplitResult,
        "ParseResult": ParseResult,
    },
)

URLLIB: Final = Facade("urllib", {"parse": PARSE})
