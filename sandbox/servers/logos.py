"""`/logo.png` and `/logotype.png`: our pictures, drawn here so that no binary file is needed.

The emblem is a box with a play sign in it; the wide one has the name beside it, in letters of five
by seven dots.  Written as PNG (RFC 2083), with one bit for each pixel.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_EMBLEM: Final = (
    "################",
    "################",
    "##............##",
    "##...##.......##",
    "##...####.....##",
    "##...######...##",
    "##...########.##",
    "##...########.##",
    "##...######...##",
    "##...####.....##",
    "##...##.......##",
    "##............##",
    "##............##",
    "################",
    "################",
    "................",
)
_LETTERS: Final = {
    "a": "..... ..... .###. ....# .#### #...# .####",
    "b": "#.... #.... ####. #...# #...# #...# ####.",
    "d": "....# ....# .#### #...# #...# #...# .####",
    "g": "..... .#### #...# #...# .#### ....# .###.",
    "i": "..#.. ..... .##.. ..#.. ..#.. ..#.. .###.",
    "l": ".##.. ..#.. ..#.. ..#.. ..#.. ..#.. .###.",
    "n": "..... ..... ####. #...# #...# #...# #...#",
    "o": "..... ..... .###. #...# #...# #...# .###.",
    "p": "..... ####. #...# #...# ####. #.... #....",
    "s": "..... ..... .#### #.... .###. ....# ####.",
    "u": "..... ..... #...# #...# #...# #...# .####",
    "x": "..... ..... #...# .#.#. ..#.. .#.#. #...#",
    " ": "..... ..... ..... ..... ..... ..... .....",
}
_NAME: Final = "plugin sandbox"
_COLOR: Final = (0x2F, 0x9E, 0xD8)


def png(rows: list[str], scale: int) -> bytes:
    """A picture of `#` (colored) and `.` (clear), each `scale` by `scale` pixels large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    width = len(rows[0]) * scale
    pixels = bytearray()
    for row in rows:
        bits = "".join(("1" if dot == "#" else "0") * scale for dot in row)
        bits += "0" * (-width % 8)
        pixels += (b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")) * scale
    head = struct.pack(">IIBBBBB", width, len(rows) * scale, 1, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            chunk(b"IHDR", head),
            chunk(b"PLTE", bytes((0, 0, 0, *_COLOR))),
            chunk(b"tRNS", b"\0\xff"),  # the first color is clear
            chunk(b"IDAT", zlib.compress(bytes(pixels), 9)),
            chunk(b"IEND", b""),
        )
    )


@cache
def _small() -> bytes:
    return png(list(_EMBLEM), 12)


@cache
def _wide() -> bytes:
    blank = "." * 6 * len(_NAME)
    letters = ["".join(_LETTERS[letter].split()[row] + "." for letter in _NAME) for row in range(7)]
    text = [blank] * 4 + letters + [blank] * 5
    return png([f"{left}...{right}" for left, right in zip(_EMBLEM, text, strict=True)], 8)


async def logo(request: Request) -> Response:
    """The small one."""
    return _sent(_small())


async def logotype(request: Request) -> Response:
    """The wide one."""
    return _sent(_wide())


def _sent(picture: bytes) -> Response:
    return Response(picture, media_type="image/png", headers={"Cache-Control": "max-age=3600"})
