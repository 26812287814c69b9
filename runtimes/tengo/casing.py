"""Unicode case as Go's `strings` has it, for text that is not ASCII, which Lua does by itself.

Go maps rune by rune and one to one ("simple" case mapping), where Python's methods may give several
letters for one and look at the neighbours; bytes that are not UTF-8 become U+FFFD.

Sources: https://pkg.go.dev/strings, https://pkg.go.dev/unicode, UnicodeData.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_DOTTED_I: Final = "\u0130"
_DOTLESS_I: Final = "\u0131"


def _upper(rune: str) -> str:
    # Where the full mapping has several letters, the simple one is the title case, if that is one.
    for mapped in (rune.upper(), rune.title()):
        if len(mapped) == 1:
            return mapped
    return rune


def _lower(rune: str) -> str:
    if rune == _DOTTED_I:
        return "i"
    mapped = rune.lower()
    return mapped if len(mapped) == 1 else rune


def _title(rune: str) -> str:
    mapped = rune.title()
    return mapped if len(mapped) == 1 else _upper(rune)


def _folded(rune: str) -> str:
    if rune in (_DOTTED_I, _DOTLESS_I):  # they fold in Turkic languages only
        return rune
    return _lower(_upper(rune))


def _decoded(text: bytes) -> str:
    if text.isascii():
        return text.decode()
    runes = text.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if "\udc80" <= rune <= "\udcff" else rune for rune in runes)


def _mapping(mapped: Callable[[str], str]) -> Callable[[bytes], bytes]:
    def convert(text: bytes) -> bytes:
        runes = _decoded(text)
        return runes.translate({ord(rune): mapped(rune) for rune in set(runes)}).encode()

    return convert


to_upper: Final = _mapping(_upper)
to_lower: Final = _mapping(_lower)
to_title: Final = _mapping(_title)


def title(text: bytes) -> bytes:
    """Go's strings.Title: the first rune of every word in title case."""
    out, inside = [], False
    for rune in _decoded(text):
        out.append(rune if inside else _title(rune))
        if rune.isascii():
            inside = rune.isalnum() or rune == "_"
        else:
            inside = rune.isalpha() or rune.isdecimal() or not rune.isspace()
    return "".join(out).encode()


def equal_fold(first: bytes, second: bytes) -> bool:
    """Go's strings.EqualFold."""
    one, two = _decoded(first), _decoded(second)
    if len(one) != len(two):
        return False
    return all(a == b or _folded(a) == _folded(b) for a, b in zip(one, two, strict=True))


def format_float(number: float, verb: bytes, precision: int) -> bytes:
    """A float with more digits than Lua's string.format is willing to write."""
    return f"{number:.{precision}{verb.decode()}}".encode()


SERVICES: Final[dict[str, Callable[..., Any]]] = {
    "to_upper": to_upper,
    "to_lower": to_lower,
    "to_title": to_title,
    "title": title,
    "equal_fold": equal_fold,
    "format_float": format_float,
}
