"""Which IP addresses belong to the public internet, and what the others are for.

The tables are the IANA special-purpose address registries (RFC 6890 and its updates), written
out because `ipaddress.is_global` changed its answers between releases of Python.  What is listed
is refused; of IPv6 only the allocated global unicast space 2000::/3 (RFC 4291) can pass at all.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_SPECIAL_4: Final = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an unspecified"),
        ("10.0.0.0/8", "a private"),
        ("100.64.0.0/10", "a carrier's shared"),
        ("127.0.0.0/8", "a loopback"),
        ("169.254.0.0/16", "a link-local"),
        ("172.16.0.0/12", "a private"),
        ("192.0.0.0/24", "a protocol's own"),
        ("192.0.2.0/24", "a documentation"),
        ("192.88.99.0/24", "a relay's"),
        ("192.168.0.0/16", "a private"),
        ("198.18.0.0/15", "a benchmarking"),
        ("198.51.100.0/24", "a documentation"),
        ("203.0.113.0/24", "a documentation"),
        ("224.0.0.0/4", "a multicast"),
        ("240.0.0.0/4", "a reserved"),
    )
)

_SPECIAL_6: Final = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "an unspecified"),
        ("::1/128", "a loopback"),
        ("::ffff:0:0/96", "an IPv4-mapped"),
        ("64:ff9b:1::/48", "a local translator's"),
        ("100::/64", "a discard"),
        # Teredo, benchmarking, ORCHID and other protocols' own; Teredo holds an IPv4 address.
        ("2001::/23", "a protocol's own"),
        ("2001:db8::/32", "a documentation"),
        # 6to4 holds an IPv4 address, which a local router may well deliver to.
        ("2002::/16", "a 6to4"),
        ("3fff::/20", "a documentation"),
        ("fc00::/7", "a private"),
        ("fe80::/10", "a link-local"),
        ("fec0::/10", "a site-local"),
        ("ff00::/8", "a multicast"),
    )
)

_GLOBAL_6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def special(address: Address) -> str:
    """What kind of address it is, with an article (`"a private"`), or `""` when it is public."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _SPECIAL_4 if address in network), "")
    if address in _NAT64:
        # Networks with IPv6 alone reach public IPv4 this way, so the address inside decides.
        return special(IPv4Address(address.packed[12:]))
    for network, kind in _SPECIAL_6:
        if address in network:
            return kind
    return "" if address in _GLOBAL_6 else "a reserved"


def is_own(address: Address) -> bool:
    """Whether the address is one of this machine's own, public ones included.

    The kernel is asked which source it would use: for its own address, that very one.  Nothing is
    sent: connecting a datagram socket only looks up the route.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(probe.getsockname()[0].partition("%")[0]) == address
    except OSError:
        return False


def numeric(text: str) -> Address | None:
    """The address that `text` writes in the ordinary form, without brackets; else None."""
    try:
        return ip_address(text)
    except ValueError:
        return None
