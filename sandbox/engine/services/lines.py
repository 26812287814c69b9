"""Connections of the HTTP client: urllib3's, over sockets that obey an `Exchange`.

The only file that imports urllib3.  Differences to its own connections: the address is one that
was checked before, never a name; every single read and write is given what is left of the call's
time and is counted; answers with broken header fields are refused rather than logged.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import DecodeError, HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util.response import assert_header_parsing

from sandbox.engine.services.addresses import Address
from sandbox.engine.services.exchange import Exchange

Response: TypeAlias = BaseHTTPResponse

FAILURES: Final = (HTTPError, http.client.HTTPException, OSError, ValueError)
"""What the libraries below raise when a connection or an answer is not as it should be; urllib3
and http.client let `ValueError` through for some malformed numbers."""

_LENGTH: Final = re.compile(r"[ \t]*[0-9]{1,18}[ \t]*", re.ASCII)
_LEAST_TRY: Final = 2.0  # seconds an address gets before the next one is tried


class _Metered(socket.socket):
    """A TCP socket that works for one `Exchange` at a time."""

    exchange: Exchange | None = None

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        exchange = _begin(self)
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except TimeoutError:
            raise exchange.late() from None
        exchange.took(count)
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        exchange = _begin(self)
        exchange.gives(memoryview(data).nbytes)
        try:
            super().sendall(data, flags)
        except TimeoutError:
            raise exchange.late() from None


class _MeteredTLS(ssl.SSLSocket):
    """The same over TLS; bytes are counted inside of it."""

    exchange: Exchange | None = None

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        exchange = _begin(self)
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except TimeoutError:
            raise exchange.late() from None
        exchange.took(count)
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        _begin(self).gives(memoryview(data).nbytes)
        super().sendall(data, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        # `sendall` is a loop over this.
        exchange = _begin(self)
        try:
            return super().send(data, flags)
        except TimeoutError:
            raise exchange.late() from None


def _begin(sock: _Metered | _MeteredTLS) -> Exchange:
    exchange = sock.exchange
    if exchange is None:
        raise OSError("this connection belongs to no call")
    sock.settimeout(exchange.remaining())
    return exchange


class _Reply(http.client.HTTPResponse):
    """An answer, read strictly."""

    def _read_status(self) -> tuple[str, int, str]:
        # Interim answers may come unasked (RFC 9110 section 15.2); http.client knows 100 alone
        # and would take any other for the answer itself, and the answer for that of the next call.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == 101:
                raise http.client.HTTPException("switches protocols unasked")
            if not 101 < status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def begin(self) -> None:
        super().begin()
        assert_header_parsing(self.msg)
        # http.client takes one that makes no sense for none at all, and reads on until the end.
        for length in self.msg.get_all("content-length", ()):
            if not _LENGTH.fullmatch(length):
                raise http.client.HTTPException("announces a length that is no number")


class _Dialled:
    """Connects to addresses that were checked, and hands the socket to the call."""

    addresses: Sequence[Address] = ()
    exchange: Exchange
    port: int
    response_class: Any = _Reply
    auto_open = 0  # never again by itself, to an address that was checked for another call

    def _new_conn(self) -> socket.socket:
        return dial(self.addresses, self.port, self.exchange)


class PlainLine(_Dialled, HTTPConnection):
    """A connection for `http`."""


class TLSLine(_Dialled, HTTPSConnection):
    """A connection for `https`: the certificate is checked against the host's name."""

    def connect(self) -> None:
        """Connect and shake hands; urllib3 does both."""
        super().connect()
        if isinstance(self.sock, _MeteredTLS):
            self.sock.exchange = self.exchange


Line: TypeAlias = PlainLine | TLSLine


def trust(ca_file: str | None) -> ssl.SSLContext:
    """TLS as the standard library thinks best: the system's authorities, or those of a file."""
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _MeteredTLS
    return context


def dial(addresses: Sequence[Address], port: int, exchange: Exchange) -> socket.socket:
    """A connection to the first address that answers.  Raises the last one's `OSError`."""
    failure: OSError = OSError("no address")
    for index, address in enumerate(addresses):
        left = exchange.remaining()
        # The time is shared among those that were not tried yet, as Go's dialer does.
        share = min(left, max(left / (len(addresses) - index), _LEAST_TRY))
        sock = _Metered(socket.AF_INET if address.version == 4 else socket.AF_INET6)
        try:
            sock.settimeout(share)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            exchange.hold(sock)
            sock.connect((str(address), port))
            if ip_address(sock.getpeername()[0].partition("%")[0]) != address:
                raise OSError("connected to another address")
            # A handshake that may follow has all the time that is left.
            sock.settimeout(exchange.remaining())
            sock.exchange = exchange
            return sock
        except OSError as error:
            failure = error
            sock.close()
        except BaseException:
            sock.close()
            raise
    raise failure


def use(line: Line, exchange: Exchange) -> None:
    """Have a connection work for a call, from now on."""
    line.exchange = exchange
    sock = line.sock
    if isinstance(sock, (_Metered, _MeteredTLS)):
        sock.exchange = exchange
        exchange.hold(sock)


def peer(line: Line) -> Address | None:
    """The address a connection leads to; None when it is down."""
    try:
        return None if line.sock is None else ip_address(line.sock.getpeername()[0])
    except (OSError, ValueError):
        return None


def send(
    line: Line, method: str, resource: str, fields: Sequence[tuple[str, str]], body: bytes
) -> Response:
    """Send a request and read the answer's header.  Raises one of `FAILURES`."""
    header = HTTPHeaderDict()
    for name, value in fields:
        header.add(name, value)
    try:
        line.request(
            method,
            resource,
            body=body or None,
            headers=header,
            preload_content=False,
            decode_content=False,
        )
    except (BrokenPipeError, ConnectionResetError):
        # A server may answer and hang up before it has read everything, as with 413.
        if not body or line.sock is None:
            raise
    return line.getresponse()


def explain(error: Exception, place: str) -> tuple[str, str]:
    """The reason and text of `RequestFailed` for one of `FAILURES` that happened with `place`.

    Nothing that the peer sent is repeated.
    """
    cause: BaseException = error
    seen = list(_chain(error))
    for cause in seen:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "tls", f"the certificate of {place} was refused: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            why = (cause.reason or "handshake failure").replace("_", " ").lower()
            return "tls", f"TLS with {place} failed: {why}"
        if isinstance(cause, ConnectionRefusedError):
            return "connect", f"{place} refused the connection"
        if isinstance(cause, TimeoutError):
            return "timeout", f"{place} did not answer in time"
        if isinstance(cause, DecodeError):
            return "protocol", f"{place} sent a body that cannot be decompressed"
        if isinstance(cause, (http.client.IncompleteRead, http.client.RemoteDisconnected)):
            return "protocol", f"unexpected EOF: the answer of {place} ended early"
        if isinstance(cause, (ConnectionError, BrokenPipeError)):
            return "connect", f"{place} closed the connection"
    for cause in seen:
        if isinstance(cause, OSError) and cause.strerror:
            return "connect", f"{place} cannot be reached: {cause.strerror}"
    return "protocol", f"the answer of {place} is not proper HTTP"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those inside it: urllib3 wraps some as arguments."""
    yield error
    for inner in error.args:
        if isinstance(inner, BaseException):
            yield from _chain(inner)
