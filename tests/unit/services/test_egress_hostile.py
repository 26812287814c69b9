"""HTTP requests to servers that flood, lie and break off."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable

import pytest
from peers import Clients, Link, Peers, answer, ask, failure, moved, site

from sandbox.engine.services.egress import (
    Call,
    Caps,
    Grants,
    RequestFailed,
    Traffic,
)
from sandbox.errors import LimitExceeded

# ---------------------------------------------------------------------- sizes


SMALL = Caps(max_bytes=100_000, max_header=20_000, max_upload=1000, seconds=20)


def test_a_body_that_is_too_large_ends_early(peer: Peers, client: Clients) -> None:
    def flood(head: bytes, piece: bytes) -> Callable[[Link], None]:
        def serve(link: Link) -> None:
            link.request()
            link.send(head)
            while True:  # until the client hangs up
                link.send(piece)

        return serve

    one = client(caps=SMALL)
    kilobyte = b"x" * 1000
    for server in (
        peer(flood(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", kilobyte)),
        peer(flood(b"HTTP/1.1 200 OK\r\n\r\n", kilobyte)),
        peer(
            flood(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"3e8\r\n" + kilobyte + b"\r\n",
            )
        ),
        # Nothing but framing.
        peer(
            flood(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"1;" + b"e" * 5000 + b"\r\nx\r\n",
            )
        ),
        peer(
            flood(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                b"T: " + kilobyte + b"\r\n",
            )
        ),
    ):
        traffic = Traffic()
        with pytest.raises(RequestFailed, match="body is larger than 100000 bytes") as caught:
            one.request(Call(server.url), Grants([server.grant]), traffic=traffic)
        assert caught.value.reason == "too-large"
        assert 0 < traffic.received < 250_000


def test_a_body_of_just_the_size(peer: Peers, client: Clients) -> None:
    fits, over = b"x" * 100_000, b"x" * 100_001
    server = peer(site({"/fits": answer(fits), "/over": answer(over)}))
    one = client(caps=SMALL)
    assert ask(one, server, "/fits").body == fits
    assert failure(one, server, "/over").reason == "too-large"


def test_compressed_answers(peer: Peers, client: Clients) -> None:
    text = b"zipped " * 1000
    raw = zlib.compressobj(wbits=-15)
    pages = {
        "/gzip": answer(gzip.compress(text), "200 OK", "Content-Encoding: gzip"),
        "/two": answer(
            gzip.compress(text[:7]) + gzip.compress(text[7:]), "200 OK", "Content-Encoding: x-gzip"
        ),
        "/zlib": answer(zlib.compress(text), "200 OK", "Content-Encoding: deflate"),
        "/raw": answer(raw.compress(text) + raw.flush(), "200 OK", "Content-Encoding: Deflate"),
        "/br": answer(b"unknown", "200 OK", "Content-Encoding: br"),
        "/bad": answer(b"not gzip at all", "200 OK", "Content-Encoding: gzip"),
    }
    server = peer(site(pages))
    one = client()
    for path in ("/gzip", "/two", "/zlib", "/raw"):
        got = ask(one, server, path)
        assert (got.body, got.size) == (text, -1)
        assert "Content-Encoding" not in got.by_name()
    own = ask(one, server, "/gzip", headers=[("accept-encoding", "gzip")])
    assert gzip.decompress(own.body) == text
    assert own.size == len(own.body)
    assert ask(one, server, "/br").body == b"unknown"
    assert failure(one, server, "/bad").reason == "protocol"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_ends_early(peer: Peers, client: Clients, encoding: str) -> None:
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()
    assert len(bomb) < 90_000
    server = peer(site({"/": answer(bomb, "200 OK", f"Content-Encoding: {encoding}")}))
    assert failure(client(caps=SMALL), server).reason == "too-large"


def test_a_bomb_of_empty_parts_takes_no_time(peer: Peers, client: Clients) -> None:
    """Many empty members compress nothing into much work."""
    empty = gzip.compress(b"", mtime=0)
    bomb = empty * (2_000_000 // len(empty))
    server = peer(site({"/": answer(bomb, "200 OK", "Content-Encoding: gzip")}))
    began = time.thread_time()
    assert ask(client(), server).body == b""
    assert time.thread_time() - began < 5


def test_a_flood_of_header_ends_early(peer: Peers, client: Clients) -> None:
    def flood(start: bytes, piece: bytes) -> Callable[[Link], None]:
        def serve(link: Link) -> None:
            link.request()
            link.send(start)
            while True:
                link.send(piece)

        return serve

    one = client(caps=SMALL)
    for start, piece in (
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000),
        (b"HTTP/1.1 ", b"2" * 1000),
        (b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"),
    ):
        server = peer(flood(start, piece))
        traffic = Traffic()
        with pytest.raises(RequestFailed, match="header is larger than 20000 bytes"):
            one.request(Call(server.url), Grants([server.grant]), traffic=traffic)
        assert traffic.received < 60_000


def test_an_upload_has_a_cap(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer()}))
    error = failure(client(caps=SMALL), server, method="POST", body=b"x" * 1001)
    assert error.reason == "too-large"
    assert server.connections == 0


def test_traffic_is_counted_and_limited_over_calls(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer(b"x" * 1000), "/r": moved("/")}))
    one, grants = client(), Grants([server.grant])
    traffic = Traffic(allowed=5000)
    first = one.request(Call(f"{server.url}/r"), grants, traffic=traffic)
    assert (first.sent, first.received) == (traffic.sent, traffic.received)
    second = one.request(Call(server.url), grants, traffic=traffic)
    assert traffic.total == first.sent + first.received + second.sent + second.received
    with pytest.raises(LimitExceeded, match="egress") as caught:
        one.request(
            Call(server.url, method="POST", body=b"x" * 5000), grants, plugin="p", traffic=traffic
        )
    assert (caught.value.limit, caught.value.allowed, caught.value.plugin) == ("egress", 5000, "p")
    assert traffic.total < 5000
    traffic.allowed = traffic.total + 500
    with pytest.raises(LimitExceeded):
        one.request(Call(server.url), grants, traffic=traffic)
    assert traffic.total < 7000


# ---------------------------------------------------------------------- broken answers


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 99 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX",
        b"HTTP/1.1 200 OK\r\nno colon here\r\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n : y\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5_0\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 70_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
    ],
    ids=lambda data: repr(data[:60]),
)
def test_broken_answers(peer: Peers, client: Clients, data: bytes) -> None:
    def serve(link: Link) -> None:
        link.request()
        link.send(data)

    error = failure(client(), peer(serve))
    assert error.reason == "protocol"
    assert "127.0.0.1" in str(error)
    assert "\n" not in str(error)


def test_what_no_value_may_hold_becomes_a_space(peer: Peers, client: Clients) -> None:
    fields = b"X-A: a\0b\r\nX-B: c\r\n \td\r\nSet-Cookie: e=f\0g\r\nX-C: h\r\n"
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + fields + b"\r\nok"

    def serve(link: Link) -> None:
        link.request()
        link.send(data)

    got = ask(client(), peer(serve))
    assert (got.body, got.size) == (b"ok", 2)
    named = got.by_name()
    assert (named["X-A"], named["X-B"], named["X-C"]) == (["a b"], ["c d"], ["h"])
    assert named["Set-Cookie"] == ["e=f g"]
    assert [cookie.value for cookie in got.cookies] == ["f g"]


def test_too_large_says_whose_answer_it_was_and_how_much_may_be(
    peer: Peers, client: Clients
) -> None:
    server = peer(site({"/": answer(b"x" * (2**20 + 1)), "/r": moved("/")}))
    for most, shown in ((2**20, "1 MiB"), (1000, "1000 bytes")):
        error = failure(client(caps=Caps(max_bytes=most)), server, "/r")
        assert f"127.0.0.1:{server.port} sent an answer whose body is larger than {shown}" in str(
            error
        )


def test_nobody_listens(peer: Peers, client: Clients) -> None:
    server = peer(site({}))
    server.stop()
    error = failure(client(), server)
    assert error.reason == "connect"
    assert "refused the connection" in str(error)


def test_the_next_address_is_tried(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer(b"second")}))
    one = client({"two.example": ["127.0.0.2", "127.0.0.1"]})
    grants = Grants(["http:two.example", "http:127.0.0.0/8"])
    assert one.request(Call(f"http://two.example:{server.port}/"), grants).body == b"second"


def test_unknown_names(client: Clients) -> None:
    for resolver in (None, lambda host, port: []):
        one = client() if resolver is None else client(resolver=resolver)
        with pytest.raises(RequestFailed, match=r"gone\.example") as caught:
            one.request(Call("http://gone.example/"), Grants(["http"]))
        assert caught.value.reason == "dns"
