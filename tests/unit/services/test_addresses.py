"""Which addresses are public, and what grants open."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address

import pytest

from sandbox.engine.services import addresses
from sandbox.engine.services.addresses import special
from sandbox.engine.services.grants import Grants, parse_grant
from sandbox.engine.services.urls import BadUrl, parse, resolve, with_query
from sandbox.errors import ConfigurationError, PolicyDenied


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1", "8.8.8.8", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255",
        "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::200e", "64:ff9b::808:808",
    ],
)  # fmt: skip
def test_public(address: str) -> None:
    assert special(ip_address(address)) == ""


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "an unspecified"), ("0.1.2.3", "an unspecified"), ("10.0.0.1", "a private"),
        ("100.64.0.1", "a carrier's shared"), ("100.127.255.255", "a carrier's shared"),
        ("127.0.0.1", "a loopback"), ("127.255.255.254", "a loopback"),
        ("169.254.169.254", "a link-local"), ("172.16.0.1", "a private"),
        ("172.31.255.255", "a private"), ("192.168.1.1", "a private"),
        ("192.0.2.1", "a documentation"), ("198.51.100.7", "a documentation"),
        ("203.0.113.9", "a documentation"), ("198.18.0.1", "a benchmarking"),
        ("224.0.0.1", "a multicast"), ("240.0.0.1", "a reserved"),
        ("255.255.255.255", "a reserved"), ("::", "an unspecified"), ("::1", "a loopback"),
        ("::ffff:127.0.0.1", "an IPv4-mapped"), ("::ffff:8.8.8.8", "an IPv4-mapped"),
        ("::7f00:1", "a reserved"), ("64:ff9b::7f00:1", "a loopback"),
        ("64:ff9b::a00:1", "a private"), ("64:ff9b::a9fe:a9fe", "a link-local"),
        ("64:ff9b:1::a00:1", "a local translator's"), ("2002:7f00:1::", "a 6to4"),
        ("2002:808:808::", "a 6to4"), ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "a protocol's own"),
        ("2001:db8::1", "a documentation"), ("3fff::1", "a documentation"),
        ("fd00::1", "a private"), ("fe80::1", "a link-local"), ("fec0::1", "a site-local"),
        ("ff02::1", "a multicast"), ("100::1", "a discard"), ("5f00::1", "a reserved"),
        ("4000::1", "a reserved"),
    ],
)  # fmt: skip
def test_special(address: str, kind: str) -> None:
    assert special(ip_address(address)) == kind


def test_an_address_of_this_machine_is_its_own() -> None:
    assert addresses.is_own(ip_address("127.0.0.1"))
    assert not addresses.is_own(ip_address("224.0.0.1"))


def allowed(grants: list[str], url: str, *resolved: str) -> bool:
    target = parse(url)
    given = Grants(grants)
    try:
        given.check_host(target, "p")
        for address in resolved:
            given.check_address(target, ip_address(address), "p")
    except PolicyDenied:
        return False
    return True


@pytest.mark.parametrize(
    ("grants", "url", "resolved", "expected"),
    [
        ([], "http://a.example/", [], False),
        (["timer", "file:rw"], "http://a.example/", [], False),
        (["http"], "http://a.example/", ["8.8.8.8"], True),
        (["http"], "http://a.example/", ["10.0.0.1"], False),
        (["http"], "http://8.8.8.8/", [], True),
        (["http"], "http://127.0.0.1/", [], False),
        (["http"], "http://[::1]/", [], False),
        (["http"], "http://[::ffff:127.0.0.1]/", [], False),
        (["http"], "http://a.example:25/", [], False),
        (["http"], "http://8.8.8.8:25/", [], False),
        (["http:a.example:25"], "http://a.example:25/", ["8.8.8.8"], True),
        (["http:a.example"], "http://A.Example./", ["8.8.8.8"], True),
        (["http:A.example."], "https://a.example:8443/", ["8.8.8.8"], True),
        (["http:a.example"], "http://b.a.example/", [], False),
        (["http:a.example"], "http://xa.example/", [], False),
        (["http:a.example"], "http://8.8.8.8/", [], False),
        (["http:a.example:443"], "https://a.example/", ["8.8.8.8"], True),
        (["http:a.example:443"], "http://a.example/", [], False),
        (["http:*.a.example"], "http://b.a.example/", ["8.8.8.8"], True),
        (["http:*.a.example"], "http://c.b.a.example/", ["8.8.8.8"], True),
        (["http:*.a.example"], "http://a.example/", [], False),
        (["http:*.a.example"], "http://ba.example/", [], False),
        (["http:*:443"], "https://b.example/", ["8.8.8.8"], True),
        (["http:*:443"], "https://8.8.8.8/", [], True),
        (["http:*:443"], "http://b.example/", [], False),
        (["http:127.0.0.1:18900"], "http://127.0.0.1:18900/", [], True),
        (["http:127.0.0.1:18900"], "http://127.0.0.1/", [], False),
        (["http:127.0.0.1:18900"], "http://localhost:18900/", [], False),
        (["http:localhost"], "http://localhost/", ["127.0.0.1"], False),
        (["http:localhost", "http:127.0.0.1"], "http://localhost/", ["127.0.0.1"], True),
        (["http:localhost", "http:127.0.0.1:81"], "http://localhost/", ["127.0.0.1"], False),
        (["http", "http:10.1.2.3"], "http://a.example/", ["10.1.2.3"], True),
        (["http", "http:10.1.2.3"], "http://a.example/", ["10.1.2.4"], False),
        (["http:[::1]:80"], "http://[::1]/", [], True),
        (["http:[::1]:80"], "http://[0:0::1]/", [], True),
        (["http:[::1]:80"], "http://[::1]:81/", [], False),
        (["http:10.0.0.0/8"], "http://10.255.0.1/", [], True),
        (["http:10.0.0.0/8"], "http://11.0.0.1/", [], False),
        (["http:10.0.0.0/8:8080"], "http://10.0.0.1/", [], False),
        (["http:10.0.0.0/8"], "http://10.0.0.1:22/", [], False),
        (["http:[fd00::]/8"], "http://[fd12::1]/", [], True),
        (["http:127.0.0.1"], "http://[::ffff:127.0.0.1]/", [], False),
        (["http:8.8.8.8"], "http://8.8.8.8/", [], True),
        (["http:8.8.8.8"], "http://dns.example/", [], False),
    ],
)
def test_grants(grants: list[str], url: str, resolved: list[str], *, expected: bool) -> None:
    assert allowed(grants, url, *resolved) is expected


@pytest.mark.parametrize(
    ("grants", "url", "resolved", "capability"),
    [
        ([], "https://api.example/x", None, "http:api.example"),
        ([], "http://api.example:8080/x", None, "http:api.example"),
        (["http:api.example:80"], "http://api.example:8080/", None, "http:api.example:8080"),
        (["http"], "http://api.example:25/", None, "http:api.example:25"),
        (["http"], "http://in.example/", "10.0.0.5", "http:10.0.0.5:80"),
        (["http"], "https://in.example/", "fd00::5", "http:[fd00::5]:443"),
        ([], "http://8.8.8.8/", None, "http:8.8.8.8"),
        (["http"], "http://127.0.0.1:18900/", None, "http:127.0.0.1:18900"),
    ],
)
def test_a_refusal_names_a_grant_that_helps(
    grants: list[str], url: str, resolved: str | None, capability: str
) -> None:
    target = parse(url)
    given = Grants(grants)
    if resolved is not None:
        given.check_host(target, "radio")
    check = partial(given.check_host, target)
    if resolved is not None:
        check = partial(given.check_address, target, ip_address(resolved))
    with pytest.raises(PolicyDenied) as caught:
        check("radio")
    assert caught.value.capability == capability
    assert capability in str(caught.value)
    assert "'radio'" in str(caught.value)
    assert allowed([*grants, capability], url, *([resolved] if resolved else []))


@pytest.mark.parametrize(
    "capability",
    [
        "http:", "http::80", "http:a b", "http:[::1", "http:::1", "http:a.example:0",
        "http:a.example:65536", "http:10.0.0.1/8", "http:10.0.0.0/33", "http:a.example/8",
        "http:**", "http:*.", "http:*.10.0.0.1", "http:a.*.example", "http:1.2.3", "http:0x7f.1",
        "http:[1.2.3.4]", "http:a.example/path", "http:user@a.example", "https:a.example",
    ],
)  # fmt: skip
def test_a_grant_that_cannot_be_read_is_the_operators_error(capability: str) -> None:
    with pytest.raises(ConfigurationError, match="capability"):
        parse_grant(capability)


# ---------------------------------------------------------------------- URLs


@pytest.mark.parametrize(
    ("url", "host", "port", "resource"),
    [
        ("http://a.example", "a.example", 80, "/"),
        ("HTTPS://A.EXAMPLE:444/x y?q=a b#f", "a.example", 444, "/x%20y?q=a%20b"),
        ("http://b\u00fccher.example/\u044e%2F", "xn--bcher-kva.example", 80, "/%D1%8E%2F"),
        ("http://u:p%40@a.example/", "a.example", 80, "/"),
        ("http://a@b@c.example/", "c.example", 80, "/"),
        ("http://[::0:1]:8080?x", "::1", 8080, "/?x"),
        ("http://\uff11\uff12\uff17.0.0.1/", "127.0.0.1", 80, "/"),
        ("http://a.example:/", "a.example", 80, "/"),
        ("http://a.example\\@b.example/", "b.example", 80, "/"),
    ],
)
def test_urls(url: str, host: str, port: int, resource: str) -> None:
    target = parse(url)
    assert (target.host, target.port, target.resource) == (host, port, resource)


@pytest.mark.parametrize(
    "url",
    [
        "", "a.example", "/x", "ftp://a.example/", "file:///etc/passwd", "http:///x", "http://",
        "http://a.example:99999/", "http://a.example:0/", "http://a.example:x/", "http://[::1",
        "http://[fe80::1%25eth0]/", "http://0x7f.1/", "http://127.1/", "http://2130706433/",
        "http://0177.0.0.1/", "http://127.0.0.01/", "http://a b/", "http://a.example/\r\nX: y",
        "http://a.example/\x00", "http://a\tb.example/", "http://a%2eexample/", "http://-a.example/",
        "http://a..example/", "http://" + "a." * 200 + "example/", "http://\u2100.example/",
        "http://a.example/" + "x" * 9000, "javascript:alert(1)", "http:a.example",
        "http://a.example\\b/",
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        parse(url)


def test_a_query_takes_the_place_of_the_urls_own() -> None:
    target = with_query(
        parse("http://a.example/echo?old=1#f"), [("a", "1 2"), ("b", "x"), ("b", "#")]
    )
    assert target.resource == "/echo?a=1+2&b=x&b=%23"
    assert target.url == "http://a.example/echo?a=1+2&b=x&b=%23#f"
    assert with_query(target, "").resource == "/echo"
    assert with_query(target, "q=\u044e x#y").resource == "/echo?q=%D1%8E%20x%23y"
    with pytest.raises(BadUrl):
        with_query(target, "a\r\nb")


def test_relative_redirects() -> None:
    base = parse("http://u@a.example/x/y?q#f")
    assert resolve(base, "z").url == "http://u@a.example/x/z#f"
    assert resolve(base, "//b.example/k#g").url == "http://b.example/k#g"
    assert resolve(base, "?n").resource == "/x/y?n"
    for bad in ("ftp://b.example/", "http://[::1", "x\ny"):
        with pytest.raises(BadUrl):
            resolve(base, bad)
