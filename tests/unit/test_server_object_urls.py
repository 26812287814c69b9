"""URLs and forms of scripts: both languages parse the same, in bounded time, whatever they get.

The functions are pure, so they are compared directly: Python's, and Lua's in a state of its own.
"""

from __future__ import annotations

import time
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa import lua54

from runtimes.python import forms, urls

STATE = lua54.LuaRuntime(encoding=None)


def _lua(name: str) -> Any:
    folder = resources.files("runtimes.lua") / "prelude"
    return STATE.execute((folder / f"{name}.lua").read_bytes())


URLS, FORMS = _lua("urls"), _lua("forms")
PARTS = ("query", "segment", "path", "userinfo", "fragment", "host")
LARGEST = 640 * 1024


def _said(function: Any, *arguments: Any) -> Any:
    """What a function gave, or the words of its failure."""
    try:
        found = function(*arguments)
    except urls.BadUrl as error:
        return str(error)
    if isinstance(found, tuple) and found[0] is None:
        return found[1].decode("utf-8", "replace")
    return found


def _same(name: str, *arguments: bytes) -> Any:
    """What both languages say."""
    python, lua = _said(getattr(urls, name), *arguments), _said(URLS[name.encode()], *arguments)
    assert python == lua, (name, arguments)
    return python


def _same_form(kind: bytes, body: bytes, method: str = "POST") -> tuple[forms.Fields, forms.Files]:
    python = forms.form(method, kind, body)
    fields, files = FORMS[b"form"](method.encode(), kind, body, URLS[b"parse_query"])
    lua = ({name: list(values.values()) for name, values in fields.items()}, dict(files.items()))
    assert python == lua, (kind, body)
    return python


PIECES = (
    b"/", b".", b"..", b"%", b"%2", b"%2f", b"%41", b"%25", b"?", b"#", b":", b"@", b"[", b"]",
    b"a", b"B", b"http", b"//", b"+", b";", b"=", b"&", b" ", b"\xff", b"\xc3\xa9", b"'", b"*",
    b"1", b'"', b"<", b"\\", b"\x00", b"\x7f", b"\n",
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join)
anything = st.one_of(texts, st.binary(max_size=40))


@settings(max_examples=400, deadline=None)
@given(anything, anything)
def test_both_languages_say_the_same_of_urls(one: bytes, other: bytes) -> None:
    _same("resolve", one, other)
    _same("redirected", b"/" + one, other)
    for part in ("query", "segment"):
        python = _said(urls.unescape, one, part)
        assert python == _said(URLS[b"unescape"], one, part.encode())
    fields = urls.parse_query(one + b"&" + other, {})
    table = URLS[b"parse_query"](one + b"&" + other, STATE.table())
    assert fields == {name: list(values.values()) for name, values in table.items()}
    assert urls.encode_query(fields) == URLS[b"encode_query"](table)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_escaping_and_back(text: bytes) -> None:
    for part in PARTS:
        escaped = urls.escape(text, part)  # type: ignore[arg-type]
        assert escaped == URLS[b"escape"](text, part.encode())
        assert urls.unescape(escaped, "query" if part == "query" else "path") == text
        assert escaped.isascii() and unquote_to_bytes(escaped.replace(b"+", b" ")) == (
            text if part == "query" else text.replace(b"+", b" ")
        )


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.binary(max_size=9), st.lists(st.binary(max_size=9), min_size=1)))
def test_a_query_and_back(fields: dict[bytes, list[bytes]]) -> None:
    text = urls.encode_query(fields)
    assert urls.parse_query(text, {}) == fields
    pairs = parse_qsl(text.decode(), keep_blank_values=True, encoding="latin-1")
    latin = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    assert [(name, value) for name in sorted(fields) for value in fields[name]] == latin


@settings(max_examples=300, deadline=None)
@given(anything)
def test_a_url_and_back(text: bytes) -> None:
    """What is written is read as the same parts, and written the same."""
    try:
        url = urls.parse(text)
    except urls.BadUrl:
        return
    written = url.text()
    again = urls.parse(written)
    assert again.text() == written
    assert (again.host, again.query, again.fragment) == (url.host, url.query, url.fragment)


@pytest.mark.parametrize("text", ["http://u:p@h:80/a/b?c#d", "//h/x", "/x?y", "a/b#c", "s:o?q"])
def test_the_parts_are_those_of_another_parser(text: str) -> None:
    ours, theirs = urls.parse(text.encode()), urlsplit(text)
    user = theirs.username.encode() if theirs.username else None
    assert (ours.user[0] if ours.user else None) == user
    assert ours.scheme.decode() == theirs.scheme
    assert ours.host.decode() == theirs.netloc.rpartition("@")[2]
    assert (ours.opaque or ours.path).decode() == theirs.path
    assert (ours.query.decode(), ours.fragment.decode()) == (theirs.query, theirs.fragment)


# ---------------------------------------------------------------------- forms

names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=9)


def _multipart(fields: list[tuple[str, bytes, bool]], boundary: bytes, newline: bytes) -> bytes:
    body = b""
    for name, content, is_file in fields:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode()
        more = b'; filename="a"' if is_file else b""
        head = b'Content-Disposition: form-data; name="' + quoted + b'"' + more
        body += newline.join([b"--" + boundary, head, b"", content, b""])
    return body + b"--" + boundary + b"--" + newline


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(names, st.binary(max_size=30), st.booleans()), min_size=1, max_size=5),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_a_form_and_back(sent: list[tuple[str, bytes, bool]], newline: bytes) -> None:
    body = _multipart(sent, b"no-content-has-this-in-it", newline)
    fields, files = _same_form(b'multipart/form-data; boundary="no-content-has-this-in-it"', body)
    for name, content, is_file in reversed(sent):
        if is_file:
            wanted = next(c for n, c, f in sent if f and n == name)
            assert files[name.encode()] == wanted
        else:
            assert content in fields[name.encode()]
    assert sum(map(len, fields.values())) == sum(not is_file for _, _, is_file in sent)


FORM_PIECES = (
    b"--XX", b"--XX\r\n", b"\r\n", b"\n", b"\r\n\r\n", b"--XX--", b"\r\n--XX", b" ", b"--", b"x",
    b'Content-Disposition: form-data; name="a"', b"content-disposition:form-data;name=b;filename=c",
    b"\r", b'"', b"\\", b";", b"name=", b":", b"\t", b"boundary=XX", b"&", b"%4",
)  # fmt: skip
KINDS = (
    b"multipart/form-data; boundary=XX", b'multipart/form-data;boundary="X\\X"',
    b"multipart/form-data", b"application/x-www-form-urlencoded", b"text/plain", b"",
)  # fmt: skip
bodies = st.lists(st.sampled_from(FORM_PIECES), max_size=14).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(st.one_of(bodies, bodies.map(b"--XX\r\n".__add__)), st.sampled_from(KINDS), bodies)
def test_both_languages_say_the_same_of_forms(body: bytes, kind: bytes, head: bytes) -> None:
    _same_form(kind, body)
    of_lua, parameters = FORMS[b"kind_of"](head)
    assert (of_lua, dict(parameters.items())) == forms.kind_of(head)


def test_a_form_of_too_many_parts_has_no_fields() -> None:
    part = ("a", b"1", False)
    for count, found in ((1000, 1000), (1001, 0)):
        fields, _ = _same_form(KINDS[0], _multipart([part] * count, b"XX", b"\r\n"))
        assert len(fields.get(b"a", [])) == found
    for count, found in ((10_000, 10_000), (10_001, 0)):
        fields, _ = _same_form(KINDS[3], b"&".join([b"a"] * count))
        assert len(fields.get(b"a", [])) == found


def test_only_bodies_of_post_put_and_patch_are_forms() -> None:
    for method, found in (("POST", 1), ("PUT", 1), ("PATCH", 1), ("GET", 0), ("DELETE", 0)):
        assert len(_same_form(KINDS[3], b"a=1", method)[0]) == found


DISPOSITION = b"Content-Disposition: form-data; "
HOSTILE = {
    "almost boundaries": b"--XX\r\n\r\n" + b"\r\n--X" * (LARGEST // 5),
    "boundaries alone": b"--XX\r\n" * (LARGEST // 6),
    "longer boundaries": b"--XX\r\n\r\n" + b"\r\n--XXY" * (LARGEST // 7),
    "blanks": b"--XX" + b" " * LARGEST,
    "blank lines": b"--XX\r\n" + b"\r\n" * (LARGEST // 2),
    "heads": (b"--XX\r\n" + DISPOSITION + b"; " * 2000 + b"\r\n\r\n\r\n") * 150 + b"--XX--",
    "quotes": (b"--XX\r\n" + DISPOSITION + b'a="\\' * 1000 + b"\r\n\r\n\r\n") * 150 + b"--XX--",
    "ampersands": b"&" * LARGEST,
    "pairs": b"a&" * 9999 + b"=" * (LARGEST - 20_000),
    "percent signs": b"%" * LARGEST,
    "escapes": b"%41" * (LARGEST // 3),
    "pluses": b"+" * LARGEST,
    "dots": b"/.." * (LARGEST // 3),
    "slashes": b"/" * LARGEST,
    "colons": b"http://" + b":" * LARGEST,
    "at signs": b"http://" + b"@" * LARGEST,
    "brackets": b"http://[" + b"]" * LARGEST,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_take_bounded_time(name: str) -> None:
    """Well below a call's limit of processor time, where anything quadratic takes minutes."""
    text = HOSTILE[name]
    begun = time.process_time()
    for kind in (KINDS[0], KINDS[3]):
        _same_form(kind, text)
    _same_form(b"multipart/form-data; boundary=" + text, b"x")
    _same("resolve", b"http://h/", text)
    _same("resolve", text, b"../x")
    _same("redirected", b"/x", text)
    assert time.process_time() - begun < 10
