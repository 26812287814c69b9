"""Packages for the tests of `sandbox.packages`, made by the standard library."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile

import pytest

from sandbox import PackageRejected
from sandbox.packages.archive import parse_package
from sandbox.packages.caps import Caps

MANIFEST = json.dumps({"Label": "Radio", "Capabilities": ["memory"]}).encode()
FILES = {
    "manifest.json": MANIFEST,
    "main.lua": b"return 1\n",
    "img/logo.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "empty.txt": b"",
}
TGZ, ZIP = "radio.203.tgz", "radio.203.zip"


def tarred(files: dict[str, bytes] = FILES, format: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar, not compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tgz(files: dict[str, bytes] = FILES, format: int = tarfile.GNU_FORMAT) -> bytes:
    """A gzipped tar."""
    return gzip.compress(tarred(files, format), mtime=0)


def zipped(files: dict[str, bytes] = FILES, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def refused(data: bytes, filename: str = ZIP, **options: object) -> str:
    """The message with which a package is refused."""
    with pytest.raises(PackageRejected) as caught:
        parse_package(data, filename, **options)  # type: ignore[arg-type]
    assert caught.value.plugin == "radio"
    return caught.value.message


SMALL = Caps(package=100_000, total=1_000_000, member=400_000, entries=20, ratio=50, ratio_from=0)
"""Caps that small packages can be over."""


def with_manifest(content: bytes) -> bytes:
    """A package with that manifest."""
    return zipped({**FILES, "manifest.json": content})


def readable(message: str) -> bool:
    """Whether a message may be put before people and terminals."""
    return message.isascii() and message.isprintable() and len(message) < 600
