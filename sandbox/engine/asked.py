"""What a plugin asks for in `request(url, options)`, as a call for the HTTP client.

The options are those of ServeMSX's document (`body`, `method`, `query`, `header`, `cookies`,
`user`, `pass`, `follow`, `timeout`); they come from a worker, so every one is checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

from sandbox.engine.services.egress import Call
from sandbox.errors import PluginError
from sandbox.values import Value, text_map

_FORM: Final = "application/x-www-form-urlencoded"
_TEXT: Final = "text/plain"
_SCALARS: Final = (str, bytes, int, float)


def asked(url: str, options: Mapping[str, Value]) -> Call:
    """The call; raises `PluginError` naming the option that makes no sense."""
    body, kind = _body(options.get("body"))
    headers = list(_headers(options.get("header")))
    if kind and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", kind))
    query = options.get("query")
    if isinstance(query, dict):
        query = list(_pairs("query", query))
    elif query is not None:
        query = _text("query", query)
    method = options.get("method")
    user, password = options.get("user"), options.get("pass")
    return Call(
        url,
        _text("method", method) if method is not None else "POST" if kind else "GET",
        headers,
        body,
        query,
        None if user is None else _text("user", user),
        None if password is None else _text("pass", password),
        list(_cookies(options.get("cookies"))),
        bool(options["follow"]) if "follow" in options else True,
        _timeout(options.get("timeout")),
    )


def _wrong(option: str, value: object, wanted: str) -> PluginError:
    kind = type(value).__name__
    return PluginError(f"request: {option} must be {wanted}, not {kind}", type="TypeError")


def _text(option: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, _SCALARS):
        raise _wrong(option, value, "a text")
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(value)


def _pairs(option: str, value: dict[str, Value]) -> Iterator[tuple[str, str]]:
    """A map of texts or lists of texts as pairs, by name, as Go's url.Values encodes them."""
    for name in sorted(text_map(value)):
        items = value[name]
        for item in items if isinstance(items, list) else [items]:
            yield name, _text(f"{option}.{name}", item)


def _body(value: Value) -> tuple[bytes, str]:
    """The body's bytes and type; no type where there is no body."""
    if value is None:
        return b"", ""
    if isinstance(value, bytes):
        return value, _TEXT
    if isinstance(value, dict):
        pairs = [
            (name.encode("utf-8", "surrogateescape"), text.encode("utf-8", "surrogateescape"))
            for name, text in _pairs("body", value)
        ]
        return urlencode(pairs).encode("ascii"), _FORM
    return _text("body", value).encode("utf-8", "surrogateescape"), _TEXT


def _headers(value: Value) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if not isinstance(value, dict):
        raise _wrong("header", value, "a map of texts")
    yield from _pairs("header", value)


def _cookies(value: Value) -> Iterator[tuple[str, str]]:
    """What is no map is passed over, as ServeMSX does."""
    if value is None:
        return
    if not isinstance(value, list):
        raise _wrong("cookies", value, "a list of maps")
    for cookie in value:
        if isinstance(cookie, dict):
            name, text = cookie.get("name"), cookie.get("value")
            if name is None or text is None:
                raise PluginError("request: a cookie has a name and a value", type="ValueError")
            yield _text("cookies.name", name), _text("cookies.value", text)


def _timeout(value: Value) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float):
        raise _wrong("timeout", value, "a number of seconds")
    if not math.isfinite(value) or value < 0:
        raise PluginError(
            f"request: timeout must be a number of seconds, 0 or more, not {value}",
            type="ValueError",
        )
    return float(value)
