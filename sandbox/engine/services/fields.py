"""Header fields and cookies: what a plugin may set, and what an answer's are called.

Syntax: RFC 9110 section 5 and RFC 6265.  Cookie values and canonical names are written as Go's
`net/http` does, whose answers the scripts that use this API were written against.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.engine.services.urls import to_bytes

TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
MAX_FIELDS: Final = 100
MAX_SIZE: Final = 64 * 1024
"""Bytes of the header fields of a request, together."""

_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BREAKS: Final = re.compile(r"[\x00\r\n]+[ \t]*")
_COOKIE_VALUE: Final = re.compile(r"[^\x20-\x7e]|[\";\\]")

OURS: Final = frozenset(
    {
        "connection", "content-length", "expect", "host", "http2-settings", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Fields of the connection and of framing (RFC 9110 section 7.6.1), and `Host`, which must be the
host that was checked.  A plugin's own are left out without a word, as ServeMSX does with `Host`:
scripts copy them from browsers."""

Fields = list[tuple[str, str]]


class BadField(ValueError):
    """A header field or cookie cannot be sent; the message says which and why."""


def checked(pairs: Iterable[tuple[str, str]]) -> Fields:
    """The fields that a plugin may send.  Raises `BadField`."""
    fields: Fields = []
    size = 0
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            raise BadField("header fields must be text")
        if not TOKEN.fullmatch(name):
            raise BadField(f"{name[:100]!r} is not a header field's name")
        if _FORBIDDEN.search(value):
            raise BadField(f"the header field {name} holds control characters")
        if name.lower() not in OURS:
            fields.append((name, value.strip(" \t")))
            size += len(name) + len(to_bytes(value)) + 4
    if len(fields) > MAX_FIELDS or size > MAX_SIZE:
        raise BadField(f"more than {MAX_FIELDS} header fields or {MAX_SIZE} bytes of them")
    return fields


def find(fields: Iterable[tuple[str, str]], name: str) -> str | None:
    """The value of the first field of that name, in any case; None when there is none."""
    wanted = name.lower()
    return next((value for key, value in fields if key.lower() == wanted), None)


def without(fields: Iterable[tuple[str, str]], *names: str) -> Fields:
    """The fields but those of the names, which are in lower case."""
    return [(key, value) for key, value in fields if key.lower() not in names]


def cookie_line(cookies: Sequence[tuple[str, str]]) -> str:
    """The `Cookie` field of name-value pairs, cleaned as Go's `AddCookie` does."""
    parts = []
    for name, value in cookies:
        if not isinstance(name, str) or not isinstance(value, str):
            raise BadField("cookies must be text")
        if not TOKEN.fullmatch(name):
            raise BadField(f"{name[:100]!r} is not a cookie's name")
        if _FORBIDDEN.search(value):
            raise BadField(f"the cookie {name} holds control characters")
        clean = _COOKIE_VALUE.sub("", value)
        parts.append(f'{name}="{clean}"' if " " in clean or "," in clean else f"{name}={clean}")
    return "; ".join(parts)


def basic(user: str, password: str) -> str:
    """The `Authorization` field of RFC 7617."""
    pair = to_bytes(f"{user}:{password}")
    return "Basic " + base64.b64encode(pair).decode("ascii")


def canonical(name: str) -> str:
    """A field's name as Go spells it (`Content-Type`); as it is when it is not a token."""
    if not TOKEN.fullmatch(name):
        return name
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def to_wire(value: str) -> str:
    """Text as the client library wants it: each character one byte of its UTF-8 form."""
    return to_bytes(value).decode("latin-1")


def from_wire(value: str) -> str:
    """The text of a received value: UTF-8 when it is that, else Latin-1.

    What must not be in a value, NUL and the breaks of one that was folded, becomes a space
    (RFC 9110 section 5.5).
    """
    value = _BREAKS.sub(" ", value)
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie that an answer set.  `expires` is the text as sent; `max_age` in seconds."""

    name: str
    value: str
    path: str = ""
    domain: str = ""
    expires: str = ""
    max_age: int | None = None
    secure: bool = False
    http_only: bool = False
    same_site: str = ""


def read_cookie(line: str) -> Cookie | None:
    """The cookie of a `Set-Cookie` value (RFC 6265 section 5.2); None when it is none."""
    first, *rest = line.split(";")
    name, equals, value = (part.strip() for part in first.partition("="))
    if not equals or not TOKEN.fullmatch(name):
        return None
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    said: dict[str, str] = {}
    for attribute in rest:
        key, _, text = attribute.partition("=")
        said[key.strip().lower()] = text.strip()
    age = said.get("max-age", "")
    return Cookie(
        name,
        value,
        path=said.get("path", ""),
        domain=said.get("domain", ""),
        expires=said.get("expires", ""),
        max_age=int(age) if re.fullmatch(r"-?[0-9]{1,15}", age, re.ASCII) else None,
        secure="secure" in said,
        http_only="httponly" in said,
        same_site=said.get("samesite", ""),
    )
