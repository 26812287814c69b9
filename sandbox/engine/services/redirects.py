"""What a redirect makes of a request: the next address, method, body and header fields.

RFC 9110 section 15.4, with the method rules that browsers and Go agree on; what may not travel to
another origin follows WHATWG Fetch.  Whether the next address may be reached is not asked here:
every hop is checked like a first request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sandbox.engine.services import urls
from sandbox.engine.services.fields import Fields, find, without
from sandbox.engine.services.urls import Target

_REWRITES: Final = frozenset({301, 302, 303})
_KEEPS: Final = frozenset({307, 308})
_SECRETS: Final = ("authorization", "cookie", "cookie2", "www-authenticate")
_OF_BODY: Final = ("content-type", "content-encoding", "content-language", "content-location")


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a call: what is sent, and where."""

    target: Target
    method: str
    fields: Fields
    body: bytes
    own_referer: bool
    """Whether the plugin set `Referer` itself; then it stays."""


def location(status: int, fields: Fields) -> str | None:
    """Where an answer redirects to; None when it does not, or does not say where."""
    if status not in _REWRITES and status not in _KEEPS:
        return None
    return find(fields, "location") or None


def next_hop(hop: Hop, status: int, where: str) -> Hop:
    """The request that follows an answer of `status` with that `Location`.

    Raises `urls.BadUrl` when it leads nowhere.
    """
    target = urls.resolve(hop.target, where)
    method, body, fields = hop.method, hop.body, hop.fields
    if status in _REWRITES and method not in ("GET", "HEAD"):
        method, body, fields = "GET", b"", without(fields, *_OF_BODY)
    if not _same_party(hop.target, target):
        # Once dropped they are dropped for good: the next hop starts from these fields.
        fields = without(fields, *_SECRETS)
    if not hop.own_referer:
        fields = without(fields, "referer")
        referer = _referer(hop.target, target)
        if referer:
            fields = [*fields, ("Referer", referer)]
    return Hop(target, method, fields, body, hop.own_referer)


def _same_party(old: Target, new: Target) -> bool:
    """Whether secrets may travel: the same origin, or its usual upgrade to https."""
    upgrade = (old.scheme, old.port, new.scheme, new.port) == ("http", 80, "https", 443)
    return old.origin == new.origin or (upgrade and old.host == new.host)


def _referer(old: Target, new: Target) -> str:
    """As browsers do by default (`strict-origin-when-cross-origin`, W3C Referrer Policy)."""
    if old.origin == new.origin:
        return f"{old.scheme}://{old.place}{old.resource}"
    if old.scheme == "https" and new.scheme == "http":
        return ""
    return f"{old.scheme}://{old.place}/"
