"""URLs of requests: taken apart once, and only the parts are used from then on.

What is checked against the policy, resolved, connected to, named in TLS and in `Host` is the same
`Target.host`, so no two parsers can disagree about it.  Syntax: RFC 3986; host names as WHATWG
URL reads them (lower case, IDNA, a last label that is a number makes it an IPv4 address), but
only in the ordinary form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, unquote, urlencode, urljoin

from sandbox.engine.services.addresses import numeric

PORTS: Final = {"http": 80, "https": 443}
MAX_URL: Final = 8192
"""Longest URL in characters."""

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?")
_PLACE: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{0,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# What may stand in a path or query as it is; "%" because what is escaped stays so.
_KEPT: Final = "%/:@!$&'()*+,;=~-._?[]|"


class BadUrl(ValueError):
    """The text is not a URL that can be requested; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.  `host` is normal and without brackets, `resource` is what stands in
    the request line; `user` and `password` are None when the URL names none.
    """

    scheme: str
    host: str
    port: int
    resource: str
    user: str | None
    password: str | None
    url: str

    @property
    def place(self) -> str:
        """`host` or `host:port` for people, with the port when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """What RFC 6454 calls the origin."""
        return self.scheme, self.host, self.port


def clean_host(text: str) -> str:
    """A host name or address in normal form, without brackets.  Raises `BadUrl`."""
    if text.startswith("["):
        address = numeric(text[1:-1])
        if not text.endswith("]") or address is None or address.version != 6:
            raise BadUrl(f"{text!r} is not an IPv6 address")
        return str(address)
    name = text
    if len(name) > 253:  # before the codec, which takes its time over long ones
        raise BadUrl("the host name is too long")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise BadUrl(f"{text!r} is not a host name") from None
    name = name.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadUrl(f"{text!r} is not a host name")
    if _NUMBER.fullmatch(labels[-1]) and numeric(name) is None:
        # 127.1, 2130706433 and 0x7f.1 mean 127.0.0.1 to some and nothing to others.
        raise BadUrl(f"{text!r} is neither a host name nor an ordinary IPv4 address")
    return name


def parse(text: str) -> Target:
    """The target of an absolute http or https URL.  Raises `BadUrl` saying what is wrong."""
    if len(text) > MAX_URL:
        raise BadUrl(f"the URL is longer than {MAX_URL} characters")
    if _CONTROL.search(text):
        raise BadUrl("the URL holds control characters")
    text = text.strip(" ")
    match = _URL.fullmatch(text)
    if match is None:
        raise BadUrl(f"unsupported protocol scheme in {text[:100]!r}; write http:// or https://")
    scheme, authority, path, query, _ = match.groups()
    scheme = scheme.lower()
    if scheme not in PORTS:
        raise BadUrl(f"unsupported protocol scheme {scheme[:20]!r}")
    userinfo, at, place = authority.rpartition("@")
    parts = _PLACE.fullmatch(place)
    if parts is None:
        raise BadUrl(f"{place[:100]!r} is not a host")
    port = int(parts[2] or PORTS[scheme])
    if not 0 < port < 65536:
        raise BadUrl(f"{port} is not a port")
    user, _, password = userinfo.partition(":")
    resource = escaped(path) or "/"
    if query is not None:
        resource += "?" + escaped(query)
    return Target(
        scheme,
        clean_host(parts[1]),
        port,
        resource,
        unquote(user) if at else None,
        unquote(password) if at else None,
        text,
    )


def to_bytes(text: str) -> bytes:
    """The UTF-8 form; bytes that were not UTF-8 and came as `surrogateescape` are themselves."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def escaped(text: str) -> str:
    """`text` fit for a request line: everything beyond ASCII, and spaces, in percent form."""
    return quote(to_bytes(text), safe=_KEPT)


def with_query(target: Target, query: str | Sequence[tuple[str, str]]) -> Target:
    """The target with another query, which takes the place of its own as in Go's `RawQuery`."""
    pairs = () if isinstance(query, str) else [(to_bytes(k), to_bytes(v)) for k, v in query]
    text = query if isinstance(query, str) else urlencode(pairs)
    if _CONTROL.search(text):
        raise BadUrl("the query holds control characters")
    text = escaped(text).replace("#", "%23")
    bare, mark, fragment = target.url.partition("#")
    asked = "?" + text if text else ""
    resource = target.resource.partition("?")[0] + asked
    return replace(target, resource=resource, url=bare.partition("?")[0] + asked + mark + fragment)


def resolve(base: Target, reference: str) -> Target:
    """The target of a `Location`, against the URL it answers (RFC 9110 section 10.2.2).

    A fragment is inherited when the reference has none.  Raises `BadUrl`.
    """
    if _CONTROL.search(reference):
        raise BadUrl("the redirect holds control characters")
    bare, _, fragment = base.url.partition("#")
    try:
        joined = urljoin(bare, reference.strip(" "))
    except ValueError:
        raise BadUrl("the redirect is not a URL") from None
    if fragment and "#" not in joined:
        joined += "#" + fragment
    return parse(joined)
