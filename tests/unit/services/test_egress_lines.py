"""Connections of HTTP requests: kept, hung up, refused, secured, and ended in time."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from peers import Clients, Link, Peers, answer, ask, certificate, failure, site

from sandbox.engine.services import lines, names
from sandbox.engine.services.egress import (
    Call,
    Caps,
    Egress,
    Grants,
    RequestFailed,
    Traffic,
)
from sandbox.engine.services.exchange import Exchange
from sandbox.errors import ConfigurationError

SOON = Caps(seconds=0.4)


# ---------------------------------------------------------------------- connections


def test_connections_are_kept_for_one_plugin(peer: Peers, client: Clients) -> None:
    same = answer(status="304 Not Modified", length=50_000)
    pages = {"/": answer(b"x" * 50_000), "/e": answer(status="204 No Content"), "/s": same}
    server = peer(site(pages))
    one = client()
    for path in ("/", "/", "/e", "/s", "/"):
        one.request(Call(server.url + path), Grants([server.grant]), plugin="a")
    assert server.connections == 1
    one.request(Call(server.url), Grants([server.grant]), plugin="b")
    assert server.connections == 2
    one.cancel("a")
    one.request(Call(server.url), Grants([server.grant]), plugin="b")
    assert server.connections == 2


def test_a_connection_that_was_hung_up_is_not_used(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer(b"x")}))
    one = client()
    ask(one, server)
    server.hang_up()
    assert ask(one, server).body == b"x"
    assert server.connections == 2


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("POST", False)])
def test_a_hang_up_in_the_middle_repeats_what_does_no_harm_twice(
    peer: Peers, client: Clients, method: str, *, repeated: bool
) -> None:
    def serve(link: Link) -> None:
        """One answer per connection; the next request is read and then dropped."""
        link.request()
        link.send(answer(b"x"))
        link.request()

    server = peer(serve)
    one = client()
    ask(one, server)
    if repeated:
        assert ask(one, server, method=method).body == b"x"
        assert server.connections == 2
    else:
        assert failure(one, server, method=method).reason == "protocol"
        assert server.connections == 1


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", b"1\r\nx\r\n0\r\n\r\n"),
        ("204 No Content\r\nContent-Length: 2", b""),
        ("204 No Content\r\nTransfer-Encoding: chunked", b""),
        ("304 Not Modified\r\nTransfer-Encoding: chunked", b""),
    ],
)
def test_a_connection_with_a_doubtful_end_is_not_kept(
    peer: Peers, client: Clients, head: str, body: bytes
) -> None:
    server = peer(site({"/": f"HTTP/1.1 {head}\r\n\r\n".encode() + body}))
    one = client()
    for _ in range(2):
        assert ask(one, server).body == body[3:4]
    assert server.connections == 2


def test_a_redirect_with_a_long_body_frees_no_connection(peer: Peers, client: Clients) -> None:
    """What is left of it would be taken for the answer of the next request."""

    def serve(link: Link) -> None:
        asked = link.request()
        if asked is not None and asked[1] == "/r":
            link.send(answer(b"x" * 4096, "302 Found", "Location: /to", length=100_000))
            if link.request() is not None:
                link.send(answer(b"evil"))
        elif asked is not None:
            link.send(answer(b"good"))

    assert ask(client(), peer(serve), "/r").body == b"good"


def test_interim_answers_are_passed_over(peer: Peers, client: Clients) -> None:
    """Else the answer itself would be taken for that of the next request."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    server = peer(site({"/1": hints + answer(b"one"), "/2": answer(b"two")}))
    one = client()
    assert ask(one, server, "/1").body == b"one"
    assert ask(one, server, "/2").body == b"two"


def test_a_server_may_answer_before_it_has_read_everything(peer: Peers, client: Clients) -> None:
    def serve(link: Link) -> None:
        link.sock.recv(1000)
        link.send(answer(b"enough", "413 Content Too Large"))
        link.sock.shutdown(1)  # and wait for the client to be done
        while link.sock.recv(65536):
            pass

    got = ask(client(), peer(serve), method="POST", body=b"x" * 4_000_000)
    assert (got.status, got.body) == (413, b"enough")


def test_many_threads_share_a_client(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer(b"ok")}))
    one = client()
    bodies: list[bytes] = []

    def work() -> None:
        for _ in range(20):
            bodies.append(ask(one, server).body)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [b"ok"] * 160
    assert server.connections <= 160 // 2


# ---------------------------------------------------------------------- time


def test_one_deadline_for_all_of_a_call(peer: Peers, client: Clients) -> None:
    """A byte now and then keeps no call alive: not in the header, nor in the body."""

    def drip(start: bytes) -> Callable[[Link], None]:
        def serve(link: Link) -> None:
            link.request()
            link.send(start)
            while not link.peer.stopping.wait(0.02):
                link.send(b"x")

        return serve

    one = client()
    for start in (
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ):
        began = time.monotonic()
        error = failure(one, peer(drip(start)), timeout=0.3)
        assert error.reason == "timeout"
        assert 0.25 < time.monotonic() - began < 5
        assert "0.3s" in str(error)


def test_silence_has_the_same_deadline(peer: Peers, client: Clients) -> None:
    def mute(link: Link) -> None:
        link.peer.stopping.wait()

    server = peer(mute)
    assert failure(client(caps=SOON), server).reason == "timeout"
    # Nobody reads: the upload fills the buffers and stops.
    assert failure(client(caps=SOON), server, method="POST", body=b"x" * 8_000_000)
    one = client(caps=SOON)
    with pytest.raises(RequestFailed) as caught:
        one.request(Call(f"https://127.0.0.1:{server.port}/"), Grants([server.grant]))
    assert caught.value.reason == "timeout"


def test_every_read_and_write_gets_what_is_left() -> None:
    left = iter([5.0, 4.0, 3.0, 2.0])
    exchange = Exchange("p", 9, Traffic())
    exchange.remaining = lambda: next(left)  # type: ignore[method-assign]
    exchange.expect("body", 100, 0)
    ours, theirs = socket.socketpair()
    with lines._Metered(fileno=ours.detach()) as sock, theirs:
        sock.exchange = exchange
        theirs.sendall(b"abc")
        seen = []
        for act in (lambda: sock.recv_into(bytearray(1)), lambda: sock.sendall(b"x")) * 2:
            act()
            seen.append(sock.gettimeout())
    assert seen == [5.0, 4.0, 3.0, 2.0]
    assert (exchange.traffic.sent, exchange.traffic.received) == (2, 2)


def test_lookups_left_behind_are_few(client: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_LOOKUPS", 2)
    release = threading.Event()
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        release.wait()
        return []

    one = client(caps=Caps(seconds=0.1), resolver=resolver)
    for number in range(4):
        with pytest.raises(RequestFailed):
            one.request(Call(f"http://{number}.example/"), Grants(["http"]))
    release.set()
    assert asked == ["0.example", "1.example"]


def test_a_slow_resolver_has_the_same_deadline(client: Clients) -> None:
    release = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        release.wait()
        return ["8.8.8.8"]

    with pytest.raises(RequestFailed) as caught:
        client(caps=SOON, resolver=resolver).request(Call("http://a.example/"), Grants(["http"]))
    assert caught.value.reason == "timeout"
    release.set()


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_a_call_can_be_ended_from_outside(peer: Peers, client: Clients, how: str) -> None:
    arrived = threading.Event()

    def serve(link: Link) -> None:
        link.request()
        arrived.set()
        link.peer.stopping.wait()

    server = peer(serve)
    one = client()
    errors: list[RequestFailed] = []
    thread = threading.Thread(target=lambda: errors.append(failure(one, server)), name="caller")
    thread.start()
    assert arrived.wait(10)
    if how == "close":
        one.close()
    else:
        one.cancel("other")
        one.cancel("")
    thread.join(10)
    assert [error.reason for error in errors] == ["closed"]
    if how == "close":
        assert failure(one, server).reason == "closed"


def test_a_lookup_can_be_ended_from_outside(client: Clients) -> None:
    begun, release = threading.Event(), threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        begun.set()
        release.wait()
        return []

    one = client(resolver=resolver)
    errors: list[str] = []

    def work() -> None:
        with pytest.raises(RequestFailed) as caught:
            one.request(Call("http://a.example/"), Grants(["http"]))
        errors.append(caught.value.reason)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    one.close()
    thread.join(10)
    release.set()
    assert errors == ["closed"]


# ---------------------------------------------------------------------- TLS


def test_certificates_are_checked_against_the_name(
    peer: Peers, client: Clients, tmp_path: Path
) -> None:
    context, ca_file = certificate(tmp_path, "good.example")
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, context: names.append(name)
    server = peer(site({"/": answer(b"safe")}), context=context)
    hosts = {"good.example": ["127.0.0.1"], "bad.example": ["127.0.0.1"]}
    grants = Grants(["http", server.grant])
    one = client(hosts, ca_file=ca_file)
    for _ in range(2):
        got = one.request(Call(f"https://good.example:{server.port}/"), grants)
        assert got.body == b"safe"
        assert got.sent > 0
    assert server.connections == 1
    assert names == ["good.example"]
    for host in ("bad.example", "127.0.0.1"):
        with pytest.raises(RequestFailed, match="certificate") as caught:
            one.request(Call(f"https://{host}:{server.port}/"), grants)
        assert caught.value.reason == "tls"
    with pytest.raises(RequestFailed, match="certificate") as caught:
        client(hosts).request(Call(f"https://good.example:{server.port}/"), grants)
    assert caught.value.reason == "tls"
    assert len(server.requests) == 2


def test_a_deadline_and_an_end_over_tls(peer: Peers, client: Clients, tmp_path: Path) -> None:
    context, ca_file = certificate(tmp_path, "good.example")
    arrived = threading.Event()

    def serve(link: Link) -> None:
        link.request()
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        arrived.set()
        while not link.peer.stopping.wait(0.02):
            link.send(b"x")

    server = peer(serve, context=context)
    call = Call(f"https://good.example:{server.port}/", timeout=0.4)
    grants = Grants(["http", server.grant])
    one = client({"good.example": ["127.0.0.1"]}, ca_file=ca_file)
    with pytest.raises(RequestFailed) as caught:
        one.request(call, grants)
    assert caught.value.reason == "timeout"


def test_plain_http_where_tls_is_expected(peer: Peers, client: Clients) -> None:
    def serve(link: Link) -> None:
        link.sock.recv(1000)
        link.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = peer(serve)
    with pytest.raises(RequestFailed, match="TLS") as caught:
        client().request(Call(f"https://127.0.0.1:{server.port}/"), Grants([server.grant]))
    assert caught.value.reason == "tls"


def test_a_bad_ca_file_is_the_operators_error(client: Clients, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"nonsense")
    for name in ("bad", "missing"):
        with pytest.raises(ConfigurationError, match="ca_file"):
            client(ca_file=str(tmp_path / name))


def test_the_extra_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sandbox.engine.services.lines", raising=False)
    monkeypatch.delattr("sandbox.engine.services.lines", raising=False)
    monkeypatch.setitem(sys.modules, "urllib3", None)
    with pytest.raises(ConfigurationError, match=r"plugin-sandbox\[http\]"):
        Egress()
