"""Where a plugin may send HTTP requests, made from its `http` capabilities.

    http                        every public address, every ordinary port
    http:api.example.org        this host name             http:api.example.org:8443
    http:*.example.org          every name below it        http:*.example.org:443
    http:*:443                  every public host, this port alone
    http:10.1.2.3:8080          this address               http:[::1]:80
    http:10.0.0.0/8             every address of a network http:[fd00::]/8:8080

Two questions are asked.  Before anything is looked up: may the plugin ask for this *host*?  Then,
for every address the name stands for: may it reach this *address*?  Public addresses follow from
the first; any other must be named by an address grant, whatever the name in the URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from sandbox.engine.services.addresses import Address, Network, is_own, numeric, special
from sandbox.engine.services.urls import BadUrl, Target, clean_host
from sandbox.errors import ConfigurationError, PolicyDenied, denial

_SUBJECT: Final = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]/]+)(?:/(?P<bits>[0-9]{1,3}))?(?::(?P<port>[0-9]{1,5}))?"
)

BAD_PORTS: Final = frozenset(
    {
        1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
        102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389,
        427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
        989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665,
        6666, 6667, 6668, 6669, 6679, 6697, 10080,
    }
)  # fmt: skip
"""Ports of other protocols ("bad port", WHATWG Fetch section 2.9): a request body could pass for
mail or chat there, so a grant must name the port."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One capability: a host pattern or a network, and a port (None: every ordinary one)."""

    pattern: str
    network: Network | None
    port: int | None

    def at(self, port: int) -> bool:
        """Whether it opens that port."""
        return self.port == port or (self.port is None and port not in BAD_PORTS)

    def names(self, host: str) -> bool:
        """Whether it names that host, whatever the port."""
        if self.network is not None:
            return False
        if self.pattern.startswith("*."):
            return host.endswith(self.pattern[1:]) and host != self.pattern[1:]
        return self.pattern in ("*", host)

    def holds(self, address: Address) -> bool:
        """Whether it names that address, whatever the port."""
        return self.network is not None and address in self.network


def parse_grant(capability: str) -> Grant:
    """The grant of an `http` capability.  Raises `ConfigurationError` when it cannot be read."""
    word, colon, subject = capability.partition(":")
    if word == "http" and not colon:
        return Grant("*", None, None)
    match = _SUBJECT.fullmatch(subject)
    try:
        if word != "http" or match is None:
            raise ValueError("write it like 'http:api.example.org:8443' or 'http:[::1]:80'")
        host, bits, port = match["host"], match["bits"], int(match["port"] or 0) or None
        if match["port"] and not 0 < int(match["port"]) < 65536:
            raise ValueError(f"{match['port']} is not a port")
        wild = host if host == "*" else host[:2] if host.startswith("*.") else ""
        pattern = "*" if host == "*" else wild + clean_host(host[len(wild) :])
        address = None if wild else numeric(pattern)
        if address is None:
            if bits or (wild and numeric(pattern[2:])):
                raise ValueError("only addresses can be networks, and only names have names below")
            return Grant(pattern, None, port)
        return Grant("", ip_network(f"{address}/{bits}" if bits else address), port)
    except (BadUrl, ValueError) as error:
        raise ConfigurationError(f"capability: {capability!r}: {error}") from None


class Grants:
    """The `http` capabilities of one plugin; others among `capabilities` are passed over.

    Immutable.  Raises `ConfigurationError` for one that cannot be read.
    """

    __slots__ = ("_grants",)

    def __init__(self, capabilities: Iterable[str]) -> None:
        self._grants = tuple(
            parse_grant(capability)
            for capability in sorted(capabilities)
            if capability.partition(":")[0] == "http"
        )

    def __bool__(self) -> bool:
        return bool(self._grants)

    def check_host(self, target: Target, plugin: str) -> None:
        """May the plugin ask for this host at all?  Raises `PolicyDenied`; looks nothing up."""
        address = numeric(target.host)
        if address is not None:
            self.check_address(target, address, plugin)
            return
        naming = [grant for grant in self._grants if grant.names(target.host)]
        if any(grant.at(target.port) for grant in naming):
            return
        narrow = naming or target.port in BAD_PORTS
        capability = f"http:{target.host}" + (f":{target.port}" if narrow else "")
        raise PolicyDenied(capability, plugin=plugin)

    def check_address(self, target: Target, address: Address, plugin: str) -> None:
        """May the plugin reach this address, for that target?  Raises `PolicyDenied`.

        The host was granted before, or is the address itself.
        """
        named = [grant for grant in self._grants if grant.holds(address)]
        if any(grant.at(target.port) for grant in named):
            return
        written = f"http:[{address}]" if address.version == 6 else f"http:{address}"
        literal = target.host == str(address)
        kind = special(address) or ("this machine's own" if is_own(address) else "")
        if not kind:
            wide = any(grant.names("*") and grant.at(target.port) for grant in self._grants)
            if not literal or wide:
                return
            narrow = bool(named) or target.port in BAD_PORTS
            capability = written + (f":{target.port}" if narrow else "")
            raise PolicyDenied(capability, plugin=plugin)
        capability = f"{written}:{target.port}"
        who = "" if literal else f"{target.host} is "
        raise PolicyDenied(
            capability,
            plugin=plugin,
            message=f"{who}{address}, {kind} address: {denial(capability, plugin)}",
        )
