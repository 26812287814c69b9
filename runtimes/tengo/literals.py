"""The values of literals, by the rules of Go's strconv.

Numbers follow upstream's master (the scanner of v2.10.0 read `0x10` as 0): a value that does not
fit is an error.
"""

from __future__ import annotations

import re
from typing import Final

_MAX_INT: Final = 2**63 - 1
_MOST_DIGITS: Final = 63  # in base 2
_LONGEST: Final = 100_000  # a literal of more bytes counts as malformed, to bound the work
_BASES: Final = {b"0b": 2, b"0o": 8, b"0x": 16}

# Underscores stand between digits, or between a base prefix and a digit.
_INT: Final = re.compile(
    rb"0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*"
)
_DECIMALS: Final = rb"[0-9](?:_?[0-9])*"
_FLOAT: Final = re.compile(
    rb"(?:%(d)b\.?|%(d)b\.%(d)b|\.%(d)b)(?:[eE][+-]?%(d)b)?" % {b"d": _DECIMALS}
)
_HEX_FLOAT: Final = re.compile(
    rb"0[xX](?:(?:_?%(h)b)\.?|(?:_?%(h)b)\.%(h)b|\.%(h)b)[pP][+-]?%(d)b"
    % {b"h": rb"[0-9a-fA-F](?:_?[0-9a-fA-F])*", b"d": _DECIMALS}
)

_ESCAPE: Final = re.compile(
    rb"\\(?:([abfnrtv\\'\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))"
)
_NAMED: Final = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))


def int_value(text: bytes) -> int | None:
    """The value of an integer literal; None when it is malformed or does not fit in 64 bits."""
    if len(text) > _LONGEST or not _INT.fullmatch(text):
        return None
    prefix = text[:2].lower()
    base = _BASES.get(prefix)
    if base is None:
        base = 8 if text[:1] == b"0" else 10
    else:
        text = text[2:]
    digits = text.replace(b"_", b"").lstrip(b"0")
    if len(digits) > _MOST_DIGITS:
        return None
    value = int(digits or b"0", base)
    return value if value <= _MAX_INT else None


def float_value(text: bytes) -> float | None:
    """The value of a float literal; None when it is malformed or too large."""
    if len(text) > _LONGEST:
        return None
    digits = text.replace(b"_", b"").decode()
    if _FLOAT.fullmatch(text):
        value = float(digits)
        return value if value != float("inf") else None
    if _HEX_FLOAT.fullmatch(text):
        try:
            return float.fromhex(digits)
        except OverflowError:
            return None
    return None


def _escaped(match: re.Match[bytes]) -> bytes:
    named, octal, byte, short, long = match.groups()
    if named:
        return bytes((_NAMED[named[0]],))
    if octal:
        return bytes((int(octal, 8) & 0xFF,))
    if byte:
        return bytes((int(byte, 16),))
    return chr(int(short or long, 16)).encode()


def string_value(text: bytes) -> bytes:
    """The bytes of a string literal that the scanner found no fault with."""
    if text[:1] == b"`":
        return text[1:-1].replace(b"\r", b"")
    if b"\\" not in text:
        return text[1:-1]
    return _ESCAPE.sub(_escaped, text[1:-1])


def char_value(text: bytes) -> int:
    """The code of a character literal that the scanner found no fault with."""
    escape = _ESCAPE.fullmatch(text, 1, len(text) - 1)
    if escape is None:
        return ord(text[1:-1].decode())
    named, octal, byte, short, long = escape.groups()
    if named:
        return _NAMED[named[0]]
    return int(octal, 8) if octal else int(byte or short or long, 16)
