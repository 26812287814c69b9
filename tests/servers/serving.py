"""A real `sandbox serve` process on a free loopback port, and a client that knows what is fixed.

`Served` reads the address from the process's output line; every wait is bounded.
"""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

BOUND = 60.0
"""Seconds after which a wait counts as failed."""


@dataclass
class Answer:
    """One answer, its header names in lower case."""

    status: int
    body: bytes
    headers: dict[str, list[str]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8")

    def header(self, name: str) -> str:
        """A field's only value, or an empty text."""
        (value,) = self.headers.get(name, [""])
        return value


class Served:
    """A running `sandbox serve`."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        interpreter = [sys.executable, "-W", "error"]
        command = [*interpreter, "-m", "sandbox.cli", "serve", "--http", "127.0.0.1:0"]
        self.log = log
        with open(log, "wb") as stderr:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=subprocess.PIPE, stderr=stderr
            )
        assert self.process.stdout is not None
        give_up = threading.Timer(BOUND, self.process.kill)
        give_up.start()
        self.url = self.process.stdout.readline().decode().strip()
        give_up.cancel()
        give_up.join()
        assert self.url, log.read_text()
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        self.host, self.port = parts.hostname, parts.port

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own; the target is sent as it stands."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=BOUND)
        with contextlib.closing(connection):
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            fields: dict[str, list[str]] = {}
            for name, value in response.getheaders():
                fields.setdefault(name.lower(), []).append(value)
            answer = Answer(response.status, response.read(), fields)
        assert answer.header("access-control-allow-origin") == "*"
        assert b"Traceback" not in answer.body
        assert b"/tmp/" not in answer.body
        return answer

    def end(self) -> tuple[int, bytes]:
        """Terminate; the exit status, and what was printed after the address."""
        self.process.terminate()
        printed, _ = self.process.communicate(timeout=BOUND)
        return self.process.returncode, printed


Serve = Callable[..., Served]
