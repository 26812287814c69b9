"""The type of a body that has none: the rules of the WHATWG, in Go's choice of them."""

from __future__ import annotations

import pytest

from sandbox.servers.sniffing import guessed

PLAIN = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
BINARY = "application/octet-stream"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", PLAIN),
        (b'{"a": 1}', PLAIN),
        ("Привет".encode(), PLAIN),
        (b"\xff\xfe", PLAIN),  # too short for a byte order mark
        (b"\xff\xfea\0", "text/plain; charset=utf-16le"),
        (b"\xef\xbb\xbf\0", PLAIN),
        (b"a\x1bb\x0cc", PLAIN),
        (b"a\0", BINARY),
        (b"x" * 511 + b"\0", BINARY),
        (b"x" * 512 + b"\0", PLAIN),
        (b" \r\n<!doctype html>", HTML),
        (b"<HTML >", HTML),
        (b"<html", PLAIN),
        (b"<htmlx>", PLAIN),
        (b"<a href=x>", HTML),
        (b"<!-- x", HTML),
        (b"\n<?xml version=", "text/xml; charset=utf-8"),
        (b"%PDF-1.4", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\1\2\3\nWEBPVP8 ", "image/webp"),
        (b"RIFF\1\2\3\4WAVE", "audio/wave"),
        (b"PK\3\4", "application/zip"),
        (b"\x1f\x8b\x08", "application/x-gzip"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"x" * 34 + b"LP", "application/vnd.ms-fontobject"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp41avc1", "video/mp4"),
        (b"\0\0\0\x10ftypisommp41", BINARY),  # a version where the brand would be
        (b"\0\0\0\x17ftypmp42\0\0\0\0mp41avc1", BINARY),  # a box of no whole words
    ],
)
def test_guessed(body: bytes, kind: str) -> None:
    assert guessed(body) == kind
