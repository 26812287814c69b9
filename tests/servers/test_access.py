"""Who is an operator: the ways in, and every way in which a page of a stranger could try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import ConfigurationError
from sandbox.servers.access import COOKIE, Access, is_loopback, kept_token

TOKEN = "a-token-of-an-operator-1234"
HOST = "127.0.0.1:8080"
OWN = f"http://{HOST}"


def scope(*fields: tuple[str, str], query: str = "", method: str = "POST") -> dict[str, Any]:
    """A request's scope (ASGI)."""
    headers = [(name.lower().encode(), value.encode()) for name, value in fields]
    return {"type": "http", "method": method, "headers": headers, "query_string": query.encode()}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("fields", "operator"),
    [
        ([("Host", HOST)], True),
        ([("Host", "localhost")], True),
        ([("Host", "localhost:8080")], True),
        ([("Host", "[::1]:8080")], True),
        ([("Host", HOST), ("Origin", OWN)], True),
        ([("Host", HOST), ("Origin", OWN), ("Sec-Fetch-Site", "same-origin")], True),
        ([("Host", HOST), ("Sec-Fetch-Site", "none")], True),
        # another page
        ([("Host", HOST), ("Origin", "http://evil.example")], False),
        ([("Host", HOST), ("Origin", "null")], False),
        ([("Host", HOST), ("Origin", "http://127.0.0.1:9090")], False),
        ([("Host", HOST), ("Origin", "http://localhost:8080")], False),
        ([("Host", HOST), ("Origin", "")], False),
        ([("Host", HOST), ("Origin", OWN), ("Origin", "http://evil.example")], False),
        ([("Host", HOST), ("Sec-Fetch-Site", "cross-site")], False),
        ([("Host", HOST), ("Sec-Fetch-Site", "same-site")], False),
        # another name for this address
        ([("Host", "evil.example:8080")], False),
        ([("Host", "evil.example"), ("Origin", "http://evil.example")], False),
        ([("Host", "127.0.0.1.evil.example")], False),
        ([("Host", "localhost.evil.example")], False),
        ([("Host", "127.0.0.1@evil.example")], False),
        ([("Host", "0.0.0.0:8080")], False),
        ([("Host", "")], False),
        ([], False),
        # somebody else's request, passed on
        ([("Host", HOST), ("X-Forwarded-For", "203.0.113.5")], False),
        ([("Host", HOST), ("Forwarded", "for=203.0.113.5")], False),
        ([("Host", HOST), ("Via", "1.1 proxy")], False),
    ],
)
def test_without_a_token(fields: list[tuple[str, str]], operator: bool, method: str) -> None:
    asked = scope(*fields, method=method)
    assert Access(TOKEN, loopback=True).is_operator(asked) is operator
    assert not Access(TOKEN, loopback=False).is_operator(asked)


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize(
    ("fields", "query", "operator"),
    [
        ([("Authorization", f"Bearer {TOKEN}")], "", True),
        ([("Authorization", f"bearer {TOKEN}"), ("Origin", "http://evil.example")], "", True),
        ([], f"x=1&token={TOKEN}", True),
        ([("Cookie", f"a=b; {COOKIE}={TOKEN}")], "", True),
        ([("Cookie", f"{COOKIE}={TOKEN}"), ("Origin", "http://radio.lan")], "", True),
        ([("Cookie", f"{COOKIE}={TOKEN}"), ("Origin", "https://radio.lan")], "", True),
        # a browser adds the cookie by itself, so these may be a stranger's
        ([("Cookie", f"{COOKIE}={TOKEN}"), ("Origin", "http://evil.example")], "", False),
        ([("Cookie", f"{COOKIE}={TOKEN}"), ("Sec-Fetch-Site", "cross-site")], "", False),
        ([("Authorization", "Bearer ")], "", False),
        ([("Authorization", f"Basic {TOKEN}")], "", False),
        ([("Authorization", f"Bearer {TOKEN}x")], "", False),
        ([("Authorization", "Bearer \u20ac")], "", False),
        ([("Cookie", f"other={TOKEN}")], "", False),
        ([("Cookie", f"{COOKIE}=")], "", False),
        ([("Cookie", ";;=;,\u00e9=\u00e9")], "", False),
        ([], "token=", False),
        ([], "token=%ff%fe", False),
        ([], "&".join(["token=x"] * 1000), False),
    ],
)
def test_with_a_token(
    fields: list[tuple[str, str]], query: str, operator: bool, loopback: bool
) -> None:
    asked = scope(("Host", "radio.lan"), *fields, query=query)
    assert Access(TOKEN, loopback=loopback).is_operator(asked) is operator


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("127.9.9.9:1", True), ("::1", True), ("[::1]", True),
        ("LOCALHOST:80", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
        ("example.org", False), ("", False), ("[", False), ("::ffff:10.0.0.1", False),
    ],
)  # fmt: skip
def test_loopback_names(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    token, made = kept_token(path)
    assert made
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept_token(path) == (token, False)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read it"):
        kept_token(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigurationError, match="holds no token"):
        kept_token(path)


def test_a_link_in_the_place_of_a_token_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "admin-token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError):
        kept_token(tmp_path / "admin-token")
    assert not (tmp_path / "elsewhere").exists()


def test_plugins_do_not_see_the_token() -> None:
    access = Access(TOKEN, loopback=True)
    assert access.withheld(f"a=b; {COOKIE}={TOKEN}") == f"a=b; {COOKIE}="
    assert access.withheld("nothing") == "nothing"


def spelled(how: str, every: int) -> str:
    """The token, with each letter (or each second one) spelled in another way."""
    letters = enumerate(TOKEN)
    return "".join(one if at % every else how.format(ord(one)) for at, one in letters)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("how", ["%{:02x}", "%{:02X}"])
@pytest.mark.parametrize("before", ["token=", "a=1&token=", "x=%20&%74oken="])
def test_plugins_do_not_see_an_escaped_token(before: str, how: str, every: int) -> None:
    access = Access(TOKEN, loopback=False)
    query = f"{before}{spelled(how, every)}&b=%20"
    assert access.is_operator(scope(("Host", "radio.lan"), query=query))
    assert access.withheld(query) == f"{before}&b=%20"
    page = "http://radio.lan/radio/?"  # as a Referer has it
    assert access.withheld(page + query) == f"{page}{before}&b=%20"


@pytest.mark.parametrize("every", [1, 2])
def test_plugins_do_not_see_a_quoted_token(every: int) -> None:
    access = Access(TOKEN, loopback=False)
    quoted = spelled("\\{:03o}", every)
    cookie = f'a=b; {COOKIE}="{quoted}"'
    assert access.is_operator(scope(("Host", "radio.lan"), ("Cookie", cookie)))
    assert access.withheld(cookie) == f'a=b; {COOKIE}=""'
    assert access.withheld("".join(f"\\{one}" for one in TOKEN)) == ""


def test_what_only_looks_like_a_token_stays() -> None:
    access = Access(TOKEN, loopback=False)
    for text in (
        "q=%D0%BF%2F&token=other",
        "100%",
        "%zz%",
        "C:\\a\\b",
        TOKEN[1:] + "%20",
        "%" * 50,
    ):
        assert access.withheld(text) == text
