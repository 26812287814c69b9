"""Whether what a plugin asks for in its manifest is among what it was granted.

Asked before anything of the plugin runs.  Each call is checked again when it is made, against the
host and the address that it is for (`grants.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.engine.services.addresses import special
from sandbox.engine.services.grants import BAD_PORTS, Grant, parse_grant
from sandbox.errors import ConfigurationError
from sandbox.policy import covers


def opened(asked: str, granted: Iterable[str]) -> bool:
    """Whether what was granted opens what a plugin asks for, as far as can be told beforehand.

    Stricter than the policy's words alone: `http` opens public addresses only, so that a private
    address that is asked for is missing until it is granted by name.
    """
    granted = list(granted)
    if asked in granted:
        return True
    if asked.partition(":")[0] != "http":
        return any(covers(one, asked) for one in granted)
    try:
        wanted = parse_grant(asked)
        given = [parse_grant(one) for one in granted if one.partition(":")[0] == "http"]
    except ConfigurationError:
        return False
    if wanted.network is None:
        return any(_names(one, wanted) and _ports(one, wanted) for one in given)
    if any(_holds(one, wanted) and _ports(one, wanted) for one in given):
        return True
    ends = (wanted.network.network_address, wanted.network.broadcast_address)
    public = not any(map(special, ends))
    return public and any(one.pattern == "*" and _ports(one, wanted) for one in given)


def _names(given: Grant, wanted: Grant) -> bool:
    """Whether the host names that are wanted are among those that were granted."""
    if given.network is not None:
        return False
    below = given.pattern.startswith("*.") and wanted.pattern.endswith(given.pattern[1:])
    return given.pattern in ("*", wanted.pattern) or below


def _holds(given: Grant, wanted: Grant) -> bool:
    mine, other = given.network, wanted.network
    if mine is None or other is None or mine.version != other.version:
        return False
    inside = (other.network_address in mine, other.broadcast_address in mine)
    return all(inside)


def _ports(given: Grant, wanted: Grant) -> bool:
    if given.port is None:
        return wanted.port not in BAD_PORTS
    return given.port == wanted.port
