"""Real peers on the loopback interface for the tests of HTTP requests.

`Peer` answers each connection with a function of the test, byte by byte as the test likes;
`site` makes such a function out of answers by path, with HTTP/1.1 and open connections.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.engine.services.egress import Answer, Call, Egress, Grants, RequestFailed


class Link:
    """One connection, seen from the server."""

    def __init__(self, sock: socket.socket, peer: Peer) -> None:
        self.sock = sock
        self.peer = peer
        self._file = sock.makefile("rb")

    def request(self) -> tuple[str, str, dict[str, str], bytes] | None:
        """The next request: method, path, header fields in lower case, body; None at the end."""
        line = self._file.readline().decode("latin-1")
        if not line.strip():
            return None
        method, path, _ = line.split(" ", 2)
        fields: dict[str, str] = {}
        while (field := self._file.readline().decode("latin-1").strip()) != "":
            name, _, value = field.partition(":")
            fields[name.lower()] = value.strip()
        body = self._file.read(int(fields.get("content-length", 0)))
        self.peer.requests.append((method, path, fields, body))
        return method, path, fields, body

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        self._file.close()
        self.sock.close()


Serve = Callable[[Link], None]
Peers = Callable[..., "Peer"]
Clients = Callable[..., Egress]


class Peer:
    """A server; `requests` holds what it was asked, `connections` how often it was dialled."""

    def __init__(
        self, serve: Serve, *, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._serve = serve
        self._context = context
        self._links: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self.host = host
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        scheme = "https" if self._context else "http"
        return f"{scheme}://{self.host}:{self.port}"

    @property
    def grant(self) -> str:
        return f"http:{self.host}:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._links.add(sock)
                thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _run(self, raw: socket.socket) -> None:
        sock = raw
        with contextlib.suppress(OSError, ValueError):
            if self._context is not None:
                sock = self._context.wrap_socket(raw, server_side=True)
            with contextlib.closing(Link(sock, self)) as link:
                self._serve(link)
        with self._lock:
            self._links.discard(raw)
        sock.close()
        raw.close()

    def hang_up(self) -> None:
        """End the connections there are."""
        with self._lock:
            for sock in self._links:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._accepting.join()
        for thread in self._threads:
            thread.join()


def answer(
    body: bytes = b"", status: str = "200 OK", *fields: str, length: int | None = None
) -> bytes:
    """The bytes of an ordinary answer."""
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *fields]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def site(pages: dict[str, bytes | Callable[[Link], bytes]]) -> Serve:
    """Answers by path, as long as the client asks."""

    def serve(link: Link) -> None:
        while (asked := link.request()) is not None:
            page = pages.get(asked[1].partition("?")[0], answer(b"not here", "404 Not Found"))
            data = page if isinstance(page, bytes) else page(link)
            if asked[0] == "HEAD":
                data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            link.send(data)

    return serve


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """A server's TLS context for `name`, and the file that makes a client trust it."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes this test's certificate; it is not installed")
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName=DNS:{name}",
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, str(cert)


def moved(where: str, status: str = "302 Found") -> bytes:
    """The bytes of a redirect."""
    return answer(b"moved", status, f"Location: {where}")


def ask(client: Egress, peer: Peer, path: str = "/", **call: object) -> Answer:
    """A call that is granted."""
    return client.request(Call(peer.url + path, **call), Grants([peer.grant]))  # type: ignore[arg-type]


def failure(client: Egress, peer: Peer, path: str = "/", **call: object) -> RequestFailed:
    """The error of a call that is granted; it leaves no connection behind."""
    with pytest.raises(RequestFailed) as caught:
        ask(client, peer, path, **call)
    return caught.value
