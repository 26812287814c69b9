"""The type of a body that has none, guessed from its first bytes.

The rules are those of the WHATWG's MIME Sniffing Standard as Go's `http.DetectContentType` has
them, because that is what ServeMSX answers with.
"""

from __future__ import annotations

import re
from typing import Final

LENGTH: Final = 512
"""How many bytes count."""

_PLAIN: Final = "text/plain; charset=utf-8"
_HTML: Final = re.compile(
    rb"[\t\n\x0c\r ]*<(?:!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|"
    rb"BODY|BR|P|!--)[ >]",
    re.IGNORECASE,
)
_XML: Final = re.compile(rb"[\t\n\x0c\r ]*<\?xml")
_BYTES: Final = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"%PDF-", "application/pdf"),
        (rb"%!PS-Adobe-", "application/postscript"),
        (rb"\xfe\xff..", "text/plain; charset=utf-16be"),
        (rb"\xff\xfe..", "text/plain; charset=utf-16le"),
        (rb"\xef\xbb\xbf.", _PLAIN),
        (rb"\0\0[\x01\x02]\0", "image/x-icon"),
        (rb"BM", "image/bmp"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF....WEBPVP", "image/webp"),
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"FORM....AIFF", "audio/aiff"),
        (rb"ID3", "audio/mpeg"),
        (rb"OggS\0", "application/ogg"),
        (rb"MThd\0\0\0\x06", "audio/midi"),
        (rb"RIFF....AVI ", "video/avi"),
        (rb"RIFF....WAVE", "audio/wave"),
        (rb"\x1a\x45\xdf\xa3", "video/webm"),
        (rb".{34}LP", "application/vnd.ms-fontobject"),
        (rb"\0\x01\0\0", "font/ttf"),
        (rb"OTTO", "font/otf"),
        (rb"ttcf", "font/collection"),
        (rb"wOFF", "font/woff"),
        (rb"wOF2", "font/woff2"),
        (rb"\x1f\x8b\x08", "application/x-gzip"),
        (rb"PK\x03\x04", "application/zip"),
        (rb"Rar!\x1a\x07(?:\0|\x01\0)", "application/x-rar-compressed"),
        (rb"\0asm", "application/wasm"),
    )
)
_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def guessed(body: bytes) -> str:
    """The type of a body, as a Content-Type; every body has one."""
    start = body[:LENGTH]
    if _HTML.match(start):
        return "text/html; charset=utf-8"
    if _XML.match(start):
        return "text/xml; charset=utf-8"
    for pattern, kind in _BYTES:
        if pattern.match(start):
            return kind
    if _is_mp4(start):
        return "video/mp4"
    return "application/octet-stream" if _BINARY.search(start) else _PLAIN


def _is_mp4(start: bytes) -> bool:
    """Whether a body begins with a box of brands (ISO/IEC 14496-12) of which one is an mp4's."""
    size = int.from_bytes(start[:4], "big")
    if len(start) < 12 or size % 4 or len(start) < size or start[4:8] != b"ftyp":
        return False
    # What is at 12 is the version of the first brand, no brand.
    return any(start[at : at + 3] == b"mp4" for at in range(8, size, 4) if at != 12)
