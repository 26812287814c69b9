"""Fixtures for HTTP requests: peers and clients that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers import Peer, Serve

from sandbox.engine.services.egress import Egress


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """Starts peers."""
    started: list[Peer] = []

    def start(serve: Serve, **options: Any) -> Peer:
        started.append(Peer(serve, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def client() -> Iterator[Callable[..., Egress]]:
    """Makes clients; names that the test does not list are not found."""
    made: list[Egress] = []

    def make(names: dict[str, list[str]] | None = None, **options: Any) -> Egress:
        def resolver(host: str, port: int) -> list[str]:
            if host not in (names or {}):
                raise OSError(-2, "Name or service not known")
            return (names or {})[host]

        options.setdefault("resolver", resolver)
        made.append(Egress(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()
