"""HTTP requests of plugins against real servers: what is sent, allowed and followed."""

from __future__ import annotations

import pytest
from peers import Clients, Link, Peers, answer, ask, failure, moved, site

from sandbox.engine.services.egress import (
    Call,
    Grants,
    Traffic,
)
from sandbox.errors import PolicyDenied

# ---------------------------------------------------------------------- ordinary requests


def test_a_request_and_its_answer(peer: Peers, client: Clients) -> None:
    server = peer(
        site(
            {
                "/a%20b": answer(
                    b"hello", "201 Created", "x-lower: v", "X-A: 1", "x-a: 2",
                    "Set-Cookie: a=1; Path=/; HttpOnly", 'Set-Cookie: b="two"; Max-Age=9',
                )
            }
        )
    )  # fmt: skip
    traffic = Traffic()
    got = client().request(
        Call(
            f"{server.url}/a b?old=1#f",
            method="POST",
            headers=[("X-Many", "1"), ("X-Many", "ю"), ("Content-Type", "text/plain")],
            body=b"body",
            query=[("q", "1 2")],
            cookies=[("a", "1"), ("b", "x y")],
            user="u",
            password="p",
        ),
        Grants([server.grant]),
        plugin="radio",
        traffic=traffic,
    )
    assert (got.status, got.body, got.size) == (201, b"hello", 5)
    assert got.url == f"{server.url}/a b?q=1+2#f"
    assert (got.user, got.password) == ("u", "p")
    assert got.by_name()["X-A"] == ["1", "2"]
    assert got.by_name()["X-Lower"] == ["v"]
    assert [(c.name, c.value, c.max_age, c.http_only) for c in got.cookies] == [
        ("a", "1", None, True),
        ("b", "two", 9, False),
    ]
    ((method, path, fields, body),) = server.requests
    assert (method, path, body) == ("POST", "/a%20b?q=1+2", b"body")
    assert fields["host"] == f"127.0.0.1:{server.port}"
    assert fields["cookie"] == 'a=1; b="x y"'
    assert fields["authorization"] == "Basic dTpw"
    assert fields["accept-encoding"] == "gzip"
    assert fields["x-many"] == "ю".encode().decode("latin-1")
    assert (got.sent, got.received) == (traffic.sent, traffic.received)
    assert got.sent > len(b"POST /a%20b HTTP/1.1\r\n") + 4
    assert got.received > len("HTTP/1.1 201 Created") + 5


@pytest.mark.parametrize("method", ["GET", "put", "DELETE", "FOO"])
def test_methods_are_sent_as_they_are(peer: Peers, client: Clients, method: str) -> None:
    server = peer(site({"/": answer()}))
    assert ask(client(), server, method=method).status == 200
    assert server.requests[0][0] == method


def test_head_has_a_size_and_no_body(peer: Peers, client: Clients) -> None:
    got = ask(client(), peer(site({"/": answer(b"hello")})), method="HEAD")
    assert (got.body, got.size) == (b"", 5)


def test_an_answer_without_length_ends_with_the_connection(peer: Peers, client: Clients) -> None:
    def serve(link: Link) -> None:
        link.request()
        link.send(b"HTTP/1.0 200 OK\r\n\r\nto the end")

    got = ask(client(), peer(serve))
    assert (got.body, got.size) == (b"to the end", -1)


def test_chunks(peer: Peers, client: Clients) -> None:
    body = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nT: v\r\n\r\n"
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    server = peer(site({"/": body}))
    one = client()
    for _ in range(2):
        got = ask(one, server)
        assert (got.body, got.size) == (b"hello!", -1)
    assert server.connections == 1


def test_bytes_that_are_no_text_arrive(peer: Peers, client: Clients) -> None:
    """Languages whose texts are bytes hand them over escaped (PEP 383)."""
    server = peer(site({}))
    odd = b"\xff\xd1\x8e".decode("utf-8", "surrogateescape")
    ask(client(), server, "/" + odd, query=[("q", odd)], headers=[("X", odd + "\udc80")])
    ask(client(), server, "/\ud800", headers=[("X", "\ud800")])
    assert server.requests[0][1] == "/%FF%D1%8E?q=%FF%D1%8E"
    assert server.requests[0][2]["x"] == "\xff\xd1\x8e\x80"
    assert server.requests[1][1] == "/%ED%A0%80"


def test_userinfo_of_the_url_becomes_credentials(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer()}))
    url = f"http://uu:p%40p@127.0.0.1:{server.port}/"
    got = client().request(Call(url), Grants([server.grant]))
    assert (got.user, got.password, got.url) == ("uu", "p@p", url)
    assert server.requests[0][2]["authorization"] == "Basic dXU6cEBw"


def test_what_a_plugin_cannot_set(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer()}))
    forbidden = ["Host", "Connection", "Transfer-Encoding", "content-LENGTH", "Upgrade", "TE"]
    ask(client(), server, headers=[(name, "evil") for name in forbidden])
    fields = server.requests[0][2]
    assert "evil" not in fields.values()
    assert fields["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    "call",
    [
        {"headers": [("X", "a\r\nY: b")]},
        {"headers": [("X\r\nY", "b")]},
        {"headers": [("X Y", "b")]},
        {"headers": [("", "b")]},
        {"headers": [("X", "a\x00")]},
        {"headers": [("X", "a\n b")]},
        {"headers": [("X", "y" * 70_000)]},
        {"headers": [("X", "y")] * 101},
        {"method": "GET / HTTP/1.1\r\nX:"},
        {"method": ""},
        {"method": "CONNECT"},
        {"cookies": [("a", "b\r\nX: y")]},
        {"cookies": [("a=b;", "c")]},
        {"query": "a\r\nb"},
        {"body": "text"},
        {"user": 5, "password": "p"},
        {"headers": [("X", 5)]},
        {"cookies": [("a", None)]},
        {"timeout": -1},
        {"timeout": float("nan")},
    ],
)
def test_injections_are_refused(peer: Peers, client: Clients, call: dict[str, object]) -> None:
    server = peer(site({}))
    assert failure(client(), server, **call).reason == "call"
    assert server.connections == 0


# ---------------------------------------------------------------------- policy


def test_without_a_grant_nothing_is_even_looked_up(client: Clients) -> None:
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8"]

    for grants in ([], ["http:b.example"], ["file:rw"]):
        with pytest.raises(PolicyDenied) as caught:
            client(resolver=resolver).request(
                Call("http://a.example/"), Grants(grants), plugin="radio"
            )
        assert caught.value.capability == "http:a.example"
        assert caught.value.plugin == "radio"
    assert asked == []


def test_private_addresses_are_refused_by_name_and_by_number(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer(b"secret")}))
    one = client({"in.example": ["127.0.0.1"]})
    for host in ("in.example", "127.0.0.1"):
        with pytest.raises(PolicyDenied) as caught:
            one.request(Call(f"http://{host}:{server.port}/"), Grants(["http"]))
        assert caught.value.capability == server.grant
        assert "a loopback address" in str(caught.value)
    assert server.connections == 0
    both = Grants(["http:in.example", server.grant])
    assert one.request(Call(f"http://in.example:{server.port}/"), both).body == b"secret"
    assert server.requests[0][2]["host"] == f"in.example:{server.port}"


def test_only_granted_addresses_of_a_name_are_connected_to(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer(b"here")}))
    # The first would be tried first, were it allowed.
    one = client({"two.example": ["127.0.0.2", "127.0.0.1"]})
    got = one.request(Call(f"http://two.example:{server.port}/"), Grants(["http", server.grant]))
    assert got.body == b"here"


def test_a_name_that_changes_its_address_gains_nothing(peer: Peers, client: Clients) -> None:
    """DNS rebinding: the address that was checked is the one that is used."""
    good = peer(site({"/": answer(b"good")}))
    evil = peer(site({"/": answer(b"secret")}), host="127.0.0.2")
    answers = iter(["127.0.0.1", "127.0.0.2", "127.0.0.2"])
    one = client(resolver=lambda host, port: [next(answers)])
    grants = Grants(["http:re.example", "http:127.0.0.1"])
    assert one.request(Call(f"http://re.example:{good.port}/"), grants).body == b"good"
    with pytest.raises(PolicyDenied, match=r"127\.0\.0\.2"):
        one.request(Call(f"http://re.example:{evil.port}/"), grants)
    assert evil.connections == 0


def test_a_kept_connection_is_checked_again(peer: Peers, client: Clients) -> None:
    server = peer(site({"/": answer(b"x")}))
    one = client({"in.example": ["127.0.0.1"]})
    call = Call(f"http://in.example:{server.port}/")
    one.request(call, Grants(["http:in.example", server.grant]), plugin="p")
    with pytest.raises(PolicyDenied):
        one.request(call, Grants(["http:in.example"]), plugin="p")
    assert len(server.requests) == 1


# ---------------------------------------------------------------------- redirects


def test_redirects_are_followed_or_not(peer: Peers, client: Clients) -> None:
    server = peer(site({"/r": moved("/hello"), "/hello": answer(b"hello"), "/no": moved("")}))
    one = client()
    got = ask(one, server, "/r")
    assert (got.status, got.body, got.url) == (200, b"hello", f"{server.url}/hello")
    assert server.requests[1][2]["referer"] == f"{server.url}/r"
    got = ask(one, server, "/r", follow=False)
    assert (got.status, got.body, got.url) == (302, b"moved", f"{server.url}/r")
    assert ask(one, server, "/no").status == 302
    assert server.connections == 1


def test_an_endless_redirect_ends(peer: Peers, client: Clients) -> None:
    server = peer(site({"/loop": moved("/loop")}))
    error = failure(client(), server, "/loop")
    assert error.reason == "redirects"
    assert "stopped after 10 redirects" in str(error)
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        ("301 Moved Permanently", "GET", b""),
        ("302 Found", "GET", b""),
        ("303 See Other", "GET", b""),
        ("307 Temporary Redirect", "POST", b"keep"),
        ("308 Permanent Redirect", "POST", b"keep"),
    ],
)
def test_what_a_redirect_makes_of_a_post(
    peer: Peers, client: Clients, status: str, method: str, body: bytes
) -> None:
    server = peer(site({"/r": moved("/to", status), "/to": answer()}))
    ask(client(), server, "/r", method="POST", body=b"keep", headers=[("Content-Type", "text/x")])
    got = server.requests[1]
    assert (got[0], got[3]) == (method, body)
    assert ("content-type" in got[2]) is (method == "POST")


def test_a_redirect_to_a_private_address_is_refused(peer: Peers, client: Clients) -> None:
    inside = peer(site({"/": answer(b"secret")}), host="127.0.0.2")
    places = [inside.url, f"http://in.example:{inside.port}/", "http://[::ffff:127.0.0.2]/"]
    one = client({"in.example": ["127.0.0.2"]})
    for place in places:
        server = peer(site({"/": moved(place)}))
        with pytest.raises(PolicyDenied):
            one.request(Call(server.url), Grants(["http", server.grant]))
    assert inside.connections == 0


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "gopher://a/", "http://[x", "http://\x01/"]
)
def test_a_redirect_to_nowhere(peer: Peers, client: Clients, place: str) -> None:
    error = failure(client(), peer(site({"/": moved(place)})))
    assert error.reason in ("call", "protocol")


def test_secrets_do_not_travel_to_another_host(peer: Peers, client: Clients) -> None:
    other = peer(site({"/to": moved("/again"), "/again": answer()}))
    server = peer(site({"/r": moved("/s"), "/s": moved(f"{other.url}/to")}))
    client().request(
        Call(
            f"{server.url}/r",
            user="u",
            password="p",
            cookies=[("c", "1")],
            headers=[("X-Kept", "yes")],
        ),
        Grants([server.grant, other.grant]),
    )
    for _, _, fields, _ in server.requests:
        assert fields["authorization"]
        assert fields["cookie"] == "c=1"
    for _, _, fields, _ in other.requests:
        assert "authorization" not in fields
        assert "cookie" not in fields
        assert fields["x-kept"] == "yes"
    assert other.requests[0][2]["referer"] == f"{server.url}/"
    assert other.requests[1][2]["referer"] == f"{other.url}/to"
