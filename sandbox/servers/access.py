"""Who is an operator: someone at this machine, or whoever shows the token.

Everyone who can reach the server may use plugins; only an operator may change anything.  Three
ways by which a web page of a stranger could act in an operator's name are closed here:

- it sends requests to `http://127.0.0.1:8080/` (CSRF): a browser adds `Origin` or
  `Sec-Fetch-Site`, which must be those of our own pages.  That goes for reading, too, because
  every answer of ours may be read by any page (`Access-Control-Allow-Origin: *`).
- it lets its own name point to 127.0.0.1 (DNS rebinding): then the `Host` is that name.
- it is a page of a plugin, of the same origin: such pages are sent with a policy that gives
  them an origin of their own (`answers.isolate`).
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Scope

from sandbox.errors import ConfigurationError
from sandbox.servers.kept import read_bytes

COOKIE: Final = "sandbox-token"
"""The cookie that holds the token; set it `HttpOnly; SameSite=Strict; Path=/`."""

PARAMETER: Final = "token"
"""The query parameter that holds the token."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_PORT: Final = re.compile(r":[0-9]{0,5}$", re.ASCII)
# A proxy that passes requests on to this machine makes all of them look local.
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def is_loopback(host: str) -> bool:
    """Whether a host, with a port or without, is a name or an address of this machine alone."""
    if not host.startswith("[") and host.count(":") > 1:
        bare = host  # an IPv6 address without brackets has no port
    else:
        bare = _PORT.sub("", host).removeprefix("[").removesuffix("]")
    if bare.lower() == "localhost":
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


class Access:
    """`loopback` tells that the server listens where only this machine reaches it.

    `token` is the secret, and `made` whether it is new and nobody was told it yet.
    """

    def __init__(self, token: str, *, loopback: bool, made: bool = False) -> None:
        self.token, self.loopback, self.made = token, loopback, made
        # As an address may spell each character, and a cookie's value in quotes.
        self._spelled: Final = re.compile(
            "".join(
                rf"(?:{re.escape(one)}|%{ord(one):02x}|%{ord(one):02X}|\\(?:{re.escape(one)}|{ord(one):03o}))"
                for one in token
            )
        )

    def is_operator(self, scope: Scope) -> bool:
        """Whether a request (ASGI) may change what is here, or see what only an operator may."""
        headers = Headers(scope=scope)
        if self.is_shown(scope):
            return True
        if not self._from_our_pages(headers):
            return False
        return self._holds(_cookies(headers)) or (
            self.loopback
            and is_loopback(headers.get("host", ""))
            and not any(name in headers for name in _FORWARDED)
        )

    def withheld(self, text: str) -> str:
        """`text` from a request's head as plugins may see it: without the token, in each of the
        ways in which one can show it."""
        if "%" in text or "\\" in text:
            return self._spelled.sub("", text)
        return text.replace(self.token, "")

    def is_shown(self, scope: Scope) -> bool:
        """Whether the token came in a way that no browser adds by itself."""
        headers = Headers(scope=scope)
        shown = [
            value[7:].strip()
            for value in headers.getlist("authorization")
            if value[:7].lower() == "bearer "
        ]
        query = scope.get("query_string", b"").decode("latin-1")
        try:
            pairs = parse_qsl(query, max_num_fields=100)
        except ValueError:
            pairs = []
        shown += [value for name, value in pairs if name == PARAMETER]
        return self._holds(shown)

    def _holds(self, shown: Iterable[str]) -> bool:
        secret = self.token.encode()
        return any(hmac.compare_digest(one.encode("utf-8", "replace"), secret) for one in shown)

    @staticmethod
    def _from_our_pages(headers: Headers) -> bool:
        host = headers.get("host", "").lower()
        ours = (f"http://{host}", f"https://{host}")
        origins = [origin.lower() for origin in headers.getlist("origin")]
        sites = headers.getlist("sec-fetch-site")
        return all(origin in ours for origin in origins) and all(
            site in ("same-origin", "none") for site in sites
        )


def _cookies(headers: Headers) -> list[str]:
    found = []
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            try:
                cookie = SimpleCookie(part.strip()).get(COOKIE)
            except CookieError:
                continue
            if cookie is not None:
                found.append(cookie.value)
    return found


def kept_token(path: Path) -> tuple[str, bool]:
    """The token in the file `path`, and whether it was made now because there was no file.

    Raises `ConfigurationError` when the file holds no token or others may read it.
    """
    data = read_bytes(path)
    if data is None:
        token = secrets.token_urlsafe(24)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(path, flags, 0o600), "wb") as file:
                file.write(token.encode() + b"\n")
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None
        return token, True
    if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        raise ConfigurationError(f"{path}: others may read it; say: chmod 600 {path}")
    token = data.decode("latin-1").strip()
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError(f"{path}: holds no token; remove it to have a new one made")
    return token, False
