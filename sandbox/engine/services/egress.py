"""HTTP requests on behalf of plugins: who may reach what, within which time and sizes.

`Egress` blocks and is safe to use from many threads.  Every hop of every call is checked against
the plugin's `Grants`: the host before anything is looked up, then every address of it, and only a
checked address is connected to, so that a name that changes its address between the check and the
use (DNS rebinding) gains nothing.  No proxy settings of the environment are obeyed: a proxy would
look names up by itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.engine.services import fields as headers
from sandbox.engine.services import urls
from sandbox.engine.services.addresses import Address, numeric
from sandbox.engine.services.exchange import Caps, Exchange, RequestFailed, Traffic
from sandbox.engine.services.fields import BadField, Cookie, Fields
from sandbox.engine.services.grants import Grants
from sandbox.engine.services.idle import Idle
from sandbox.engine.services.names import Lookups, Resolver, system_resolver
from sandbox.engine.services.redirects import Hop, location, next_hop
from sandbox.engine.services.urls import BadUrl, Target
from sandbox.errors import ConfigurationError, PolicyDenied

if TYPE_CHECKING:
    from sandbox.engine.services.lines import Line, Response

__all__ = ["Answer", "Call", "Caps", "Egress", "Grants", "RequestFailed", "Traffic"]

_ENCODINGS: Final = ("gzip", "x-gzip", "deflate")
_PIECE: Final = 16 * 1024  # bytes of body looked at in one go
_READ_AHEAD: Final = 16 * 1024  # what buffers may have read beyond the header
_DRAINED: Final = 2048  # bytes of a redirect's own body worth reading to keep the connection
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Call:
    """What a plugin asks for.

    `query`, a text or pairs, takes the place of the URL's own.  `user` and `password` count when
    both are given, and before those in the URL.  `timeout` is in seconds, for the whole call.
    """

    url: str
    method: str = "GET"
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    query: str | Sequence[tuple[str, str]] | None = None
    user: str | None = None
    password: str | None = None
    cookies: Sequence[tuple[str, str]] = ()
    follow: bool = True
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    `size` is the answer's Content-Length, or -1 when it had none or was decompressed, as Go has
    it; `url` the final one; `user` and `password` what was sent with the last request, else
    empty; `sent` and `received` count all bytes of the call, redirects included.
    """

    status: int
    headers: Fields
    cookies: list[Cookie]
    body: bytes
    size: int
    url: str
    user: str
    password: str
    sent: int
    received: int

    def by_name(self) -> dict[str, list[str]]:
        """The header fields by canonical name (`Content-Type`), each with its values in order."""
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(headers.canonical(name), []).append(value)
        return found


class Egress:
    """An HTTP client for plugins.

    `resolver` looks names up, `ca_file` holds the authorities to trust instead of the system's.
    Raises `ConfigurationError` when urllib3 is not installed or `ca_file` cannot be read.
    """

    def __init__(
        self,
        caps: Caps | None = None,
        *,
        resolver: Resolver = system_resolver,
        ca_file: str | None = None,
        user_agent: str = "plugin-sandbox",
    ) -> None:
        try:
            from sandbox.engine.services import lines
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "urllib3":
                raise
            raise ConfigurationError(
                "HTTP requests of plugins need urllib3; "
                "install it with: pip install 'plugin-sandbox[http]'"
            ) from None
        try:
            self._context = lines.trust(ca_file)
        except OSError as error:  # an SSLError, too
            raise ConfigurationError(f"ca_file: {ca_file!r} cannot be used: {error}") from None
        self._lines = lines
        self.caps = caps or Caps()
        self._user_agent = user_agent
        self._lookups = Lookups(resolver)
        self._idle: Idle[Line] = Idle()
        self._lock = threading.Lock()
        self._running: set[Exchange] = set()
        self._closed = False

    # ------------------------------------------------------------------ the face

    def request(
        self,
        call: Call,
        grants: Grants,
        *,
        plugin: str = "",
        traffic: Traffic | None = None,
        caps: Caps | None = None,
    ) -> Answer:
        """Make a request and read the whole answer; a status of 400 and more is an answer too.

        `traffic` counts the call's bytes, also of a call that fails.  Raises `PolicyDenied`,
        `RequestFailed`, or `LimitExceeded` when `traffic` allows no more.
        """
        caps = caps or self.caps
        traffic = traffic or Traffic()
        asked = call.timeout or caps.seconds  # 0 means none of its own, as in Go
        if not asked > 0:
            raise RequestFailed("call", f"request: {asked} is not a timeout", plugin=plugin)
        exchange = Exchange(plugin, min(asked, caps.seconds), traffic)
        before = traffic.sent, traffic.received
        with self._registered(exchange):
            try:
                hop = self._first(call, caps, exchange)
                for left in range(caps.redirects, -1, -1):
                    following = call.follow
                    with self._answered(hop, grants, caps, exchange) as response:
                        fields = _fields_of(response)
                        where = location(response.status, fields) if following else None
                        if where is None:
                            body, decoded = self._body(response, fields, call, caps, exchange)
                            break
                        self._drain(response, exchange)
                    if not left:
                        text = f"stopped after {caps.redirects} redirects"
                        raise exchange.failed("redirects", text)
                    hop = next_hop(hop, response.status, where)
            except (BadUrl, BadField) as error:
                raise exchange.failed("call", str(error)) from None
        sent, received = traffic.sent - before[0], traffic.received - before[1]
        return _answer(hop, call, response.status, fields, body, decoded, (sent, received))

    def cancel(self, plugin: str, traffic: Traffic | None = None) -> None:
        """End the calls of one plugin, from any thread, and close what was kept open for it.

        With `traffic`, end only the call that counts there.
        """
        own = [exchange for exchange in self._snapshot() if exchange.plugin == plugin]
        if traffic is not None:
            self._end([exchange for exchange in own if exchange.traffic is traffic])
            return
        self._end(own)
        self._idle.forget(plugin)

    def close(self) -> None:
        """End every call, from any thread; later ones fail.  Idempotent."""
        with self._lock:
            self._closed = True
        self._end(self._snapshot())
        self._idle.close()

    # ------------------------------------------------------------------ calls under way

    def _snapshot(self) -> list[Exchange]:
        with self._lock:
            return list(self._running)

    @staticmethod
    def _end(exchanges: Sequence[Exchange]) -> None:
        for exchange in exchanges:
            exchange.end()

    @contextlib.contextmanager
    def _registered(self, exchange: Exchange) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise exchange.failed("closed", "the HTTP client was closed")
            self._running.add(exchange)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(exchange)
            exchange.release()

    # ------------------------------------------------------------------ one hop

    def _first(self, call: Call, caps: Caps, exchange: Exchange) -> Hop:
        """The first request of a call."""
        texts = (call.url, call.method, call.user or "", call.password or "")
        if not all(isinstance(text, str) for text in texts) or not isinstance(call.body, bytes):
            raise BadField("the URL, method, user and password must be text, the body bytes")
        if not headers.TOKEN.fullmatch(call.method) or call.method.upper() == "CONNECT":
            raise BadField(f"invalid method {call.method[:100]!r}")
        if len(call.body) > caps.max_upload:
            text = f"{len(call.body)} bytes of body are more than {caps.max_upload}"
            raise exchange.failed("too-large", text)
        target = urls.parse(call.url)
        if call.query is not None:
            target = urls.with_query(target, call.query)
        fields = headers.checked(call.headers)
        own_referer = headers.find(fields, "referer") is not None
        if call.cookies:
            lines = [value for name, value in fields if name.lower() == "cookie"]
            line = "; ".join([*lines, headers.cookie_line(call.cookies)])
            fields = [*headers.without(fields, "cookie"), ("Cookie", line)]
        credentials = _credentials(call, target)
        if credentials and headers.find(fields, "authorization") is None:
            fields.append(("Authorization", headers.basic(*credentials)))
        if headers.find(fields, "accept-encoding") is None:
            fields.append(("Accept-Encoding", "gzip"))
        if headers.find(fields, "user-agent") is None:
            fields.append(("User-Agent", self._user_agent))
        return Hop(target, call.method, fields, call.body, own_referer)

    @contextlib.contextmanager
    def _answered(
        self, hop: Hop, grants: Grants, caps: Caps, exchange: Exchange
    ) -> Iterator[Response]:
        """Send a hop; inside, its answer can be read.  Then the connection is kept or closed."""
        key = (exchange.plugin, *hop.target.origin)
        exchange.place = hop.target.place
        grants.check_host(hop.target, exchange.plugin)
        line = self._kept(key, hop.target, grants, exchange)
        response: Response | None = None
        keep = False
        try:
            with self._explained(hop.target, exchange):
                if line is not None:
                    response = self._try_kept(line, hop, caps, exchange)
                if response is None:
                    line = self._connect(hop.target, grants, exchange)
                    response = self._send(line, hop, caps, exchange)
                yield response
            keep = exchange.whole and _is_reusable(response)
        finally:
            exchange.release()
            if response is not None:
                response.close()
            if line is not None:
                if keep and line.sock is not None:
                    self._idle.put(key, line)
                else:
                    line.close()

    def _kept(
        self, key: tuple[str, str, str, int], target: Target, grants: Grants, exchange: Exchange
    ) -> Line | None:
        """A kept connection to an address that the plugin may still reach."""
        while (line := self._idle.take(key)) is not None:
            address = self._lines.peer(line)
            try:
                if address is not None and line.is_connected:
                    grants.check_address(target, address, exchange.plugin)
                    self._lines.use(line, exchange)
                    return line
            except (PolicyDenied, OSError):
                pass  # looked up anew, it may have an address that is granted
            except RequestFailed:
                line.close()
                raise
            line.close()
        return None

    def _try_kept(self, line: Line, hop: Hop, caps: Caps, exchange: Exchange) -> Response | None:
        """The answer over a kept connection; None when the server had hung up meanwhile.

        Then the request may be repeated if it does no harm twice (RFC 9110 section 9.2.2).
        """
        try:
            return self._send(line, hop, caps, exchange)
        except self._lines.FAILURES:
            exchange.check()
            if exchange.heard or hop.method not in _REPEATABLE:
                raise
            line.close()
            return None

    def _connect(self, target: Target, grants: Grants, exchange: Exchange) -> Line:
        """A new connection to a checked address of the target."""
        addresses = self._addresses(target, grants, exchange)
        host = target.host
        line: Line
        if target.scheme == "https":
            line = self._lines.TLSLine(host, target.port, ssl_context=self._context)
        else:
            line = self._lines.PlainLine(host, target.port)
        line.addresses, line.exchange = addresses, exchange
        try:
            line.connect()
        except BaseException:
            line.close()
            raise
        return line

    def _addresses(self, target: Target, grants: Grants, exchange: Exchange) -> list[Address]:
        """The addresses of the target that the plugin may reach, at least one."""
        address = numeric(target.host)
        if address is not None:
            return [address]
        refused: PolicyDenied | None = None
        allowed = []
        for address in self._lookups.find(target.host, target.port, exchange):
            try:
                grants.check_address(target, address, exchange.plugin)
                allowed.append(address)
            except PolicyDenied as error:
                refused = refused or error
        if not allowed and refused is not None:
            raise refused
        return allowed

    def _send(self, line: Line, hop: Hop, caps: Caps, exchange: Exchange) -> Response:
        exchange.heard = exchange.whole = False
        exchange.expect("header", caps.max_header, _READ_AHEAD)
        line.timeout = exchange.remaining()
        fields = [(name, headers.to_wire(value)) for name, value in hop.fields]
        return self._lines.send(line, hop.method, hop.target.resource, fields, hop.body)

    # ------------------------------------------------------------------ answers

    def _body(
        self, response: Response, fields: Fields, call: Call, caps: Caps, exchange: Exchange
    ) -> tuple[bytes, bool]:
        """The answer's body, and whether it was decompressed.

        A plugin that asked for an encoding itself gets what it asked for, as with Go.
        """
        encoding = (headers.find(fields, "content-encoding") or "").strip().lower()
        own = any(name.lower() == "accept-encoding" for name, _ in call.headers)
        decode = encoding in _ENCODINGS and not own
        # Chunks need room for their sizes; bytes read with the header were counted there.
        exchange.expect("body", caps.max_bytes, caps.max_bytes // 8 + 64 * 1024)
        body = bytearray()
        # Whatever these two say of a body, there is none (RFC 9112 section 6.3).
        bare = response.status in (204, 304)
        for piece in () if bare else response.stream(_PIECE, decode_content=decode):
            body += piece
            if len(body) > caps.max_bytes:
                raise exchange.too_large()
            exchange.remaining()
        exchange.whole = True
        return bytes(body), decode and bool(body)

    def _drain(self, response: Response, exchange: Exchange) -> None:
        """Read a redirect's own body if that is quickly done, so that the connection is free."""
        size = 0
        for piece in response.stream(_DRAINED, decode_content=False):
            size += len(piece)
            if size > _DRAINED:
                return
        exchange.whole = True

    @contextlib.contextmanager
    def _explained(self, target: Target, exchange: Exchange) -> Iterator[None]:
        """Turns what goes wrong on a connection into a `RequestFailed` that says what."""
        try:
            yield
        except (BadUrl, BadField):
            raise
        except self._lines.FAILURES as error:
            exchange.check()
            exchange.remaining()
            reason, text = self._lines.explain(error, target.place)
            raise exchange.failed(reason, text) from None


def _credentials(call: Call, target: Target) -> tuple[str, str] | None:
    if call.user is not None and call.password is not None:
        return call.user, call.password
    return None if target.user is None else (target.user, target.password or "")


def _fields_of(response: Response) -> Fields:
    return [(name, headers.from_wire(value)) for name, value in response.headers.items()]


def _is_reusable(response: Response) -> bool:
    """Whether it is beyond doubt where an answer ends.

    Both a length and chunks are an attempt to have two readers disagree (RFC 9112 section 6.3);
    204 has no body, and a server that announces one may send it all the same.
    """
    length, chunks = (response.headers.get(n) for n in ("content-length", "transfer-encoding"))
    if response.status == 204 and length not in (None, "0"):
        return False
    return chunks is None or (length is None and response.status not in (204, 304))


def _answer(
    hop: Hop,
    call: Call,
    status: int,
    fields: Fields,
    body: bytes,
    decoded: bool,
    counts: tuple[int, int],
) -> Answer:
    length = headers.find(fields, "content-length") or ""
    if decoded:
        fields, length = headers.without(fields, "content-encoding", "content-length"), ""
    elif status == 204:
        length = "0"
    credentials = _credentials(call, hop.target)
    sent_them = headers.find(hop.fields, "authorization") is not None
    user, password = credentials if credentials and sent_them else ("", "")
    cookies = [headers.read_cookie(v) for name, v in fields if name.lower() == "set-cookie"]
    return Answer(
        status,
        fields,
        [cookie for cookie in cookies if cookie is not None],
        body,
        int(length) if length.isascii() and length.isdigit() and len(length) < 19 else -1,
        hop.target.url,
        user,
        password,
        *counts,
    )
