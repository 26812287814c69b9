"""URLs and queries as Go's net/url reads and writes them (RFC 3986, with Go's additions).

Pure functions over bytes; `runtimes/lua/prelude/urls.lua` is the same for Lua.  What fails raises
`BadUrl` in Go's words: scripts show them to people who know them from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

Part = Literal["query", "segment", "path", "userinfo", "fragment", "host"]

_MAX_PAIRS: Final = 10_000

# What each part of a URL shows as it is, besides letters, digits and "-_.~".
_SHOWN: Final[dict[str, str]] = {
    "query": " ",  # becomes a plus
    "segment": "$&+=:@",
    "path": "$&+,/:;=@",
    "userinfo": "$&+,;=",
    "fragment": "$&+,/:;=?@!()*",
    "host": "!$&'()*+,;=:[]<>\"",
}
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_PAIR: Final = re.compile(rb"[^&]+")
_SCHEME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+\-.]*):")
_PORT: Final = re.compile(rb"(?::[0-9]*)?")
_USERINFO: Final = re.compile(rb"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_NOT_HOST: Final = re.compile(rb"[^A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"\x80-\xff]")
_RAW_PATH: Final = re.compile(rb"[A-Za-z0-9\-_.~!$&'()*+,;=:@\[\]%/]*")
_RAW_FRAGMENT: Final = re.compile(rb"[A-Za-z0-9\-_.~!$&'()*+,;=:@\[\]%/?]*")


class BadUrl(ValueError):
    """A text is no URL, or holds a broken escape; the message says what is wrong."""


def escape(text: bytes, part: Part) -> bytes:
    """Escape `text` for a part of a URL; a "segment" is one of a path."""
    escaped = quote_from_bytes(text, safe=_SHOWN[part])
    return (escaped.replace(" ", "+") if part == "query" else escaped).encode("ascii")


def unescape(text: bytes, part: Part = "path") -> bytes:
    """Undo `escape`.  Only in the part "query" a plus is a space.  Raises `BadUrl`."""
    bad = _BAD_ESCAPE.search(text)
    if bad:
        raise BadUrl(f"invalid URL escape {_quoted(bad.group())}")
    return unquote_to_bytes(text.replace(b"+", b" ") if part == "query" else text)


def _quoted(text: bytes) -> str:
    """The text as Go quotes it in its error messages."""
    shown = re.sub(rb'[\\"]', rb"\\\g<0>", text)
    shown = _CONTROL.sub(lambda found: b"\\x%02x" % found.group()[0], shown)
    return f'"{shown.decode("utf-8", "replace")}"'


# ---------------------------------------------------------------------- queries


def parse_query(text: bytes, fields: dict[bytes, list[bytes]]) -> dict[bytes, list[bytes]]:
    """Add the pairs of a query to `fields`, and return it.

    As Go, leaves out pairs with a semicolon or a broken escape.  A query of too many pairs adds
    nothing.
    """
    pairs = [found.group() for found in islice(_PAIR.finditer(text), _MAX_PAIRS + 1)]
    if len(pairs) > _MAX_PAIRS:
        return fields
    for pair in pairs:
        if b";" not in pair:
            name, _, value = pair.partition(b"=")
            try:
                name, value = unescape(name, "query"), unescape(value, "query")
            except BadUrl:
                continue
            fields.setdefault(name, []).append(value)
    return fields


def encode_query(fields: Mapping[bytes, Sequence[bytes]]) -> bytes:
    """A map of lists as a query, sorted by name."""
    return b"&".join(
        b"%s=%s" % (escape(name, "query"), escape(value, "query"))
        for name in sorted(fields)
        for value in fields[name]
    )


# ---------------------------------------------------------------------- parsing


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a URL or a relative reference.

    `raw_path` and `raw_fragment` are kept only where escaping what they mean would not give them
    back.  `user` is the name and, where one was given, the password.
    """

    scheme: bytes = b""
    opaque: bytes = b""
    user: tuple[bytes, bytes | None] | None = None
    host: bytes = b""
    path: bytes = b""
    raw_path: bytes = b""
    query: bytes = b""
    force_query: bool = False
    fragment: bytes = b""
    raw_fragment: bytes = b""
    no_authority: bool = False

    def escaped_path(self) -> bytes:
        """The path as it is sent."""
        # What was sent counts, unless it holds what a path must not show.
        if self.raw_path and _RAW_PATH.fullmatch(self.raw_path):
            return self.raw_path
        return b"*" if self.path == b"*" else escape(self.path, "path")

    def escaped_fragment(self) -> bytes:
        """The fragment as it is sent."""
        if self.raw_fragment and _RAW_FRAGMENT.fullmatch(self.raw_fragment):
            return self.raw_fragment
        return escape(self.fragment, "fragment")

    def with_path(self, escaped: bytes) -> Url:
        """The URL with another path.  Raises `BadUrl`."""
        path = unescape(escaped)
        raw = b"" if escape(path, "path") == escaped else escaped
        return replace(self, path=path, raw_path=raw)

    def text(self) -> bytes:
        """The URL as text."""
        out = self.scheme + b":" if self.scheme else b""
        path = self.escaped_path()
        if self.opaque:
            out += self.opaque
        else:
            rooted = bool(self.scheme and path) and not self.no_authority
            if self.host or self.user or rooted:
                out += b"//" + _userinfo(self.user) + escape(self.host, "host")
            if self.host and path and not path.startswith(b"/"):
                out += b"/"
            # "a:b" as a relative path would be taken for a scheme (RFC 3986 section 4.2).
            if not out and b":" in path.partition(b"/")[0]:
                out = b"./"
            out += path
        if self.query or self.force_query:
            out += b"?" + self.query
        return out + b"#" + self.escaped_fragment() if self.fragment else out


def _userinfo(user: tuple[bytes, bytes | None] | None) -> bytes:
    if user is None:
        return b""
    name, password = user
    shown = b"" if password is None else b":" + escape(password, "userinfo")
    return escape(name, "userinfo") + shown + b"@"


def parse(text: bytes) -> Url:
    """The parts of a URL or a relative reference.  Raises `BadUrl`."""
    before, _, fragment = text.partition(b"#")
    whole = before
    try:
        url = _before_fragment(before)
        whole = text
        decoded = unescape(fragment)
    except BadUrl as error:
        raise BadUrl(f"parse {_quoted(whole)}: {error}") from None
    raw = b"" if escape(decoded, "fragment") == fragment else fragment
    return replace(url, fragment=decoded, raw_fragment=raw)


def _before_fragment(text: bytes) -> Url:
    if _CONTROL.search(text):
        raise BadUrl("net/url: invalid control character in URL")
    if text == b"*":
        return Url(path=text)
    if text.startswith(b":"):
        raise BadUrl("missing protocol scheme")
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else b""
    rest, mark, query = text[found.end() if found else 0 :].partition(b"?")
    url = Url(scheme, query=query, force_query=bool(mark) and not query)
    if not rest.startswith(b"/"):
        if scheme:
            return replace(url, opaque=rest)
        # "127.0.0.1:80/x" must not pass for a path.
        if b":" in rest.partition(b"/")[0]:
            raise BadUrl("first path segment in URL cannot contain colon")
    if rest.startswith(b"//") and (scheme or not rest.startswith(b"///")):
        authority, slash, path = rest[2:].partition(b"/")
        user, host = _authority(authority)
        url, rest = replace(url, user=user, host=host), slash + path
    else:
        url = replace(url, no_authority=bool(scheme))
    return url.with_path(rest)


def _authority(authority: bytes) -> tuple[tuple[bytes, bytes | None] | None, bytes]:
    userinfo, at, host = authority.rpartition(b"@")
    host = _host(host)
    if not at:
        return None, host
    if not _USERINFO.fullmatch(userinfo):
        raise BadUrl("net/url: invalid userinfo")
    name, colon, password = userinfo.partition(b":")
    return (unescape(name), unescape(password) if colon else None), host


def _host(host: bytes) -> bytes:
    port = b":" + host.rpartition(b":")[2] if b":" in host else b""
    zone = -1
    if host.startswith(b"["):
        close = host.rfind(b"]")
        if close < 0:
            raise BadUrl("missing ']' in host")
        port = host[close + 1 :]
        zone = host.find(b"%25", 0, close)
    if not _PORT.fullmatch(port):
        raise BadUrl(f"invalid port {_quoted(port)} after host")
    if zone < 0:
        return _unescape_host(host)
    return _unescape_host(host[:zone]) + _unescape_host(host[zone:close], True) + host[close:]


def _unescape_host(text: bytes, in_zone: bool = False) -> bytes:
    """In a host only bytes beyond ASCII are escaped, and the percent sign before a zone (RFC
    6874)."""
    bad = _BAD_ESCAPE.search(text)
    if bad:
        raise BadUrl(f"invalid URL escape {_quoted(bad.group())}")
    for found in _ESCAPE.finditer(text):
        byte = bytes([int(found[1], 16)])
        shown = byte == b" " or escape(byte, "host") == byte if in_zone else byte > b"\x7f"
        if not shown and byte != b"%":
            raise BadUrl(f"invalid URL escape {_quoted(found.group())}")
    stray = _NOT_HOST.search(_ESCAPE.sub(b"", text))
    if stray:
        raise BadUrl(f"invalid character {_quoted(stray.group())} in host name")
    return unquote_to_bytes(text)


# ---------------------------------------------------------------------- resolving


def resolve(base: bytes, reference: bytes) -> bytes:
    """The text of `reference` as seen from `base`.  Raises `BadUrl`."""
    start, to = parse(base), parse(reference)
    # The document has the base first, ServeMSX itself the reference.  Where only the second is
    # absolute nothing else can be meant.
    if not start.scheme and to.scheme and to.host:
        start, to = to, start
    return _resolved(start, to).text()


def _resolved(base: Url, reference: Url) -> Url:
    url = reference
    if not reference.scheme:
        url = replace(url, scheme=base.scheme, no_authority=base.no_authority)
    if reference.scheme or reference.host or reference.user:
        if reference.opaque:
            return url
        return url.with_path(_resolved_path(reference.escaped_path(), b""))
    if not (reference.path or reference.query or reference.force_query):
        url = replace(url, query=base.query, force_query=base.force_query)
        if not reference.fragment:
            url = replace(url, fragment=base.fragment, raw_fragment=base.raw_fragment)
    if not reference.path and base.opaque:
        return replace(url, opaque=base.opaque)
    url = replace(url, host=base.host, user=base.user)
    return url.with_path(_resolved_path(base.escaped_path(), reference.escaped_path()))


def _resolved_path(base: bytes, reference: bytes) -> bytes:
    """The path of a reference seen from a base's, without "." and ".." (RFC 3986 section 5.2)."""
    full = reference or base
    if reference and not reference.startswith(b"/"):
        directory, slash, _ = base.rpartition(b"/")
        full = directory + slash + reference
    if not full:
        return b""
    kept: list[bytes] = []
    parts = full.split(b"/")
    for part in parts:
        if part == b".":
            # As the first segment it leaves the slash that follows it.
            kept = kept or [b""]
        elif part == b"..":
            del kept[-1:]
        else:
            kept.append(part)
    path = b"/" + b"/".join(kept)
    if parts[-1] in (b".", b".."):
        path += b"/"
    return path[1:] if path.startswith(b"//") else path


# ---------------------------------------------------------------------- redirects


def redirected(uri: bytes, target: bytes) -> bytes:
    """Where a redirect to `target` leads, seen from the request target `uri`: relative ones
    become absolute paths, as Go's http.Redirect has it."""
    try:
        url = parse(target)
    except BadUrl:
        return target
    if url.scheme or url.host:
        return target
    if not target.startswith(b"/"):
        directory = re.split(rb"[?#]", uri, maxsplit=1)[0].rpartition(b"/")[0]
        target = directory + b"/" + target
    path, mark, query = target.partition(b"?")
    kept: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del kept[-1:]
        elif part not in (b"", b"."):
            kept.append(part)
    clean = b"/" + b"/".join(kept)
    return clean + (b"/" if kept and path.endswith(b"/") else b"") + mark + query
