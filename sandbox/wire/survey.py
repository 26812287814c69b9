"""What a long body holds, counted before anything is made of it.

The decoder of `codec.py` counts a list or a map when it is complete.  In a body of 1 MiB that is
early enough: what has been made by then is some 80 MiB.  A longer one could open lists inside each
other, nearly full, and have the decoder make many times as much before the first is complete.  So
the headers in a long body are walked first.  The walk makes nothing, steps over texts, bytes and
extensions in one go, and ends where more than may be there was announced.
"""

from __future__ import annotations

from typing import Final

from sandbox.errors import ProtocolError
from sandbox.values import MAX_CONTAINERS, MAX_ENTRIES

LONG: Final = 2**20
"""Bodies, and extensions, of more bytes than this are walked."""


def _steps() -> list[int]:
    """By first byte: how many bytes an item takes; 0 where its header says more."""
    steps = [1] * 256  # small numbers, nothing, true, false
    for first in range(0xA0, 0xC0):  # short texts
        steps[first] = 1 + (first & 0x1F)
    for first, size in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):
        steps[first] = 1 + size  # floats and integers
    for power, first in enumerate(range(0xD4, 0xD9)):  # extensions of a fixed length
        steps[first] = 2 + 2**power
    for first in (*range(0x80, 0xA0), *range(0xC4, 0xCA), *range(0xD9, 0xE0)):
        steps[first] = 0
    return steps


_STEPS: Final = _steps()
# By first byte: how many bytes of length follow, and how many bytes are neither length nor content.
_LENGTHS: Final = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
    0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
}  # fmt: skip
_COUNTS: Final = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}


def survey(body: bytes) -> None:
    """Refuse a long body with too many lists, maps or entries.

    Raises `ProtocolError`.  A body that is malformed passes: the decoder finds that out, and in
    what comes before the damage there is not too much.
    """
    if len(body) <= LONG:
        return
    at, items, entries, containers = 0, 1, MAX_ENTRIES, MAX_CONTAINERS
    end = len(body)
    while items and at < end:
        items -= 1
        first = body[at]
        step = _STEPS[first]
        if step:
            at += step
            continue
        found = _LENGTHS.get(first)
        if found is not None:
            width, more = found
            size = int.from_bytes(body[at + 1 : at + 1 + width], "big")
            at += 1 + width + more + size
            continue
        width = _COUNTS.get(first, 0)
        count = int.from_bytes(body[at + 1 : at + 1 + width], "big") if width else first & 0x0F
        at += 1 + width
        containers -= 1
        entries -= count
        if containers < 0:
            raise ProtocolError(f"body holds more than {MAX_CONTAINERS} lists and maps")
        if entries < 0:
            raise ProtocolError(f"body holds more than {MAX_ENTRIES} entries")
        is_map = first < 0x90 or first >= 0xDE
        items += 2 * count if is_map else count
