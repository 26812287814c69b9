"""Host names into addresses, within a deadline.

`getaddrinfo` cannot be interrupted and may take half a minute, so it runs in a thread of its own
that is left behind when the time is up.  How many there may be is capped.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, TypeAlias

from sandbox.engine.services.addresses import Address
from sandbox.engine.services.exchange import Exchange

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""The addresses, as text, of a host name and port; raises `OSError` when there are none."""

MAX_LOOKUPS: Final = 32
"""Lookups under way at once, those left behind included."""

MAX_ADDRESSES: Final = 16
"""Addresses of one name that are looked at."""

_TICK: Final = 0.05  # seconds after which a waiting call sees that it was cancelled


def system_resolver(host: str, port: int) -> Sequence[str]:
    """What the system's own resolver says, in its order (RFC 6724)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


class Lookups:
    """Runs a resolver in threads."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._room = threading.BoundedSemaphore(MAX_LOOKUPS)

    def find(self, host: str, port: int, exchange: Exchange) -> list[Address]:
        """The addresses of `host`, at least one.  Raises `RequestFailed`."""
        while not self._room.acquire(timeout=min(exchange.remaining(), _TICK)):
            pass
        found: list[Sequence[str] | Exception] = []
        done = threading.Event()
        thread = threading.Thread(
            target=self._look_up, args=(host, port, found, done), name="lookup", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            self._room.release()
            raise exchange.failed("dns", f"{host} was not looked up: no thread to spare") from None
        while not done.wait(min(exchange.remaining(), _TICK)):
            pass
        return self._read(host, found[0], exchange)

    def _look_up(
        self, host: str, port: int, found: list[Sequence[str] | Exception], done: threading.Event
    ) -> None:
        try:
            found.append(self._resolver(host, port))
        except (OSError, UnicodeError) as error:
            found.append(error)
        finally:
            if not found:
                found.append(OSError("the resolver failed"))
            self._room.release()
            done.set()

    def _read(
        self, host: str, found: Sequence[str] | Exception, exchange: Exchange
    ) -> list[Address]:
        if isinstance(found, Exception):
            reason = found.strerror if isinstance(found, OSError) and found.strerror else ""
            text = f"{host} was not found" + (f": {reason}" if reason else "")
            raise exchange.failed("dns", text)
        # Without the interface of a link-local address: it names a card of this machine.
        addresses = [ip_address(text.partition("%")[0]) for text in found[:MAX_ADDRESSES]]
        if not addresses:
            raise exchange.failed("dns", f"{host} has no address")
        return list(dict.fromkeys(addresses))
