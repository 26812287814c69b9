"""`/msx/photo/PATH?thumb`: a photo as small as a list shows it, where Pillow is installed.

Pillow comes with the extra `photos`, and decodes an operator's own files in a thread of this
process; so it is given five formats alone, and no more bytes and pixels than the limits here.
Whatever it makes nothing of has no thumbnail: `media` then sends the photo itself.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import warnings
from collections import OrderedDict
from email.utils import formatdate
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from sandbox.below import read_file
from sandbox.engine.faults import one_line
from sandbox.servers.files import is_writable
from sandbox.servers.house import House

if TYPE_CHECKING:
    from PIL import Image

log: Final = logging.getLogger("sandbox.servers.thumbnails")

QUERY: Final = "thumb"
"""The parameter that asks for a thumbnail; its value is of no matter."""

SIDE: Final = 320
"""Most pixels of a thumbnail in either direction."""

MAX_FILE: Final = 64 * 2**20
"""Longest photo that is read, in bytes."""

MAX_PIXELS: Final = 120_000_000
"""Most pixels of a photo: those of the cameras in telephones."""

MAX_DECODED: Final = 25_000_000
"""Most pixels, of four bytes each, that are decoded; most JPEGs are decoded in a smaller size."""

MAX_KEPT: Final = 16 * 2**20
"""Most bytes of thumbnails that one server keeps in memory."""

_FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
_EXTENSIONS: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp"})
# Those with more than eight bits for a color would be cut off, not scaled.
_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
_AT_ONCE: Final = 2
_MAX_SCANS: Final = 100
_OVERHEAD: Final = 512  # what a kept thumbnail costs besides its bytes, roughly

_Key: TypeAlias = tuple[str, int, int, int]


def installed() -> bool:
    """Whether there is a Pillow to make thumbnails with."""
    return find_spec("PIL") is not None


def possible(name: str, size: int) -> bool:
    """Whether a file of that name and size can have a thumbnail."""
    return size <= MAX_FILE and os.path.splitext(name)[1].lower() in _EXTENSIONS


async def thumbnail(house: House, path: Path, top: Path, request: Request) -> Response | None:
    """The answer with the thumbnail of a photo below the folder `top` that the client may have;
    None without one."""
    # Of each house, because a semaphore belongs to one event loop, as a house does.
    return await _THUMBNAILS.setdefault(house, Thumbnails()).answer(path, top, request)


class Thumbnails:
    """The thumbnails of one server: made as they are asked for, the last ones kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()
        """By file and state of the file; nothing stands for one that cannot be made."""
        self._size = 0
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, path: Path, top: Path, request: Request) -> Response | None:
        """See `thumbnail`."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        if status.st_size > MAX_FILE or not installed():
            return None
        fields = {
            "ETag": f'"{status.st_ctime_ns:x}-{status.st_size:x}"',
            "X-Content-Type-Options": "nosniff",
        }
        if is_writable(status.st_mtime):
            fields["Last-Modified"] = formatdate(status.st_mtime, usegmt=True)
        answer = Response(headers=fields, media_type="image/jpeg")
        # Before it is made: the client has what was made of the file as it still is.
        if StaticFiles(check_dir=False).is_not_modified(answer.headers, request.headers):
            return NotModifiedResponse(answer.headers)
        key = (str(path), status.st_ctime_ns, status.st_ino, status.st_size)
        made = await self._made(key, path, top)
        return Response(made, headers=fields, media_type="image/jpeg") if made else None

    async def _made(self, key: _Key, path: Path, top: Path) -> bytes | None:
        made = self._kept.get(key)
        if made is not None:
            self._kept.move_to_end(key)
            return made
        async with self._turn:
            made = self._kept.get(key)  # somebody may have made it meanwhile
            if made is None:
                made = await asyncio.to_thread(_made, path, top)
                if made is not None:
                    self._keep(key, made)
        return made

    def _keep(self, key: _Key, made: bytes) -> None:
        if key in self._kept:
            return
        self._kept[key] = made
        self._size += len(made) + _OVERHEAD
        while self._size > MAX_KEPT:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest) + _OVERHEAD


_THUMBNAILS: Final[WeakKeyDictionary[House, Thumbnails]] = WeakKeyDictionary()


# ---------------------------------------------------------------------- in a thread


def _made(path: Path, top: Path) -> bytes | None:
    """The thumbnail of a file below the folder `top`, empty when it cannot have one; None when
    trying again may help."""
    try:
        data = read_file(path, MAX_FILE, top)
    except OSError:
        return None
    try:
        _pillow()
        return _small(data)
    except Exception as error:  # noqa: BLE001 - decoders raise anything at what is no picture
        log.debug("no thumbnail of %s: %s", one_line(path.name), one_line(str(error)))
        return None if isinstance(error, (ImportError, MemoryError)) else b""


@cache
def _pillow() -> None:
    """Import Pillow, which takes a while.  Raises `ImportError`."""
    import PIL.Image
    import PIL.ImageOps  # noqa: F401

    # An operator can do nothing about its warnings.  As the last filter, this one takes them from
    # nobody who asked for them; and it stays, since `catch_warnings` is not safe among threads.
    warnings.filterwarnings("ignore", module=r"PIL\.", append=True)


def _small(data: bytes) -> bytes:
    """The thumbnail of a picture.  Raises whatever decoders raise."""
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=_FORMATS) as photo:
        pixels = photo.width * photo.height
        if pixels > MAX_PIXELS or photo.mode not in _MODES:
            raise ValueError("too many pixels, or colors of too many bits")
        photo.draft(None, (2 * SIDE, 2 * SIDE))  # a JPEG can be decoded in a smaller size
        if not photo.info.get("progressive"):
            pixels = photo.width * photo.height
        # A progressive one is held in memory whole at any size, and gone through for each scan.
        elif data.count(b"\xff\xda") > _MAX_SCANS:
            raise ValueError("too many scans")
        if pixels > MAX_DECODED:
            raise ValueError("too many pixels to decode")
        photo.load()
        return _jpeg(photo)


def _jpeg(photo: Image.Image) -> bytes:
    """A picture as a small JPEG: upright, on black where it is clear, and nothing besides."""
    from PIL import Image, ImageOps

    clear = photo.has_transparency_data
    if clear or photo.mode in ("1", "P"):  # shrinking needs colors, not their numbers
        photo = photo.convert("RGBA" if clear else "RGB")
    photo.thumbnail((SIDE, SIDE))
    photo = ImageOps.exif_transpose(photo)
    # A new picture, because Pillow would save the comment of the old one.
    new = Image.new("RGB", photo.size)
    new.paste(photo.convert("RGB"), mask=photo if clear else None)
    file = io.BytesIO()
    new.save(file, "JPEG", quality=80)
    return file.getvalue()
