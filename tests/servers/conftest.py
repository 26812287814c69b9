"""The fixture `serve`: real servers for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import Serve, Served


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts servers, and ends them after the module's tests."""
    running: list[Served] = []

    def start(*arguments: str) -> Served:
        log = tmp_path_factory.mktemp("serve") / "log"
        running.append(Served(arguments, log))
        return running[-1]

    yield start
    for served in running:
        if served.process.poll() is None:
            served.end()
