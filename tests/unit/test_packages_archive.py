"""The two formats: what ordinary programs write is read, and everything else is refused.

The corpus of hostile archives is run by `tests.hostile`, which needs it; this does without.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import shutil
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from package_samples import (
    FILES,
    MANIFEST,
    SMALL,
    TGZ,
    ZIP,
    refused,
    tarred,
    tgz,
    zipped,
)

from sandbox import PackageRejected
from sandbox.packages.archive import parse_package, read_package
from sandbox.packages.caps import Caps

# ---------------------------------------------------------------------- ordinary archives


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plugin's folder as its author has it."""
    top = tmp_path / "radio"
    for name, content in FILES.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (top / "empty").mkdir()
    return top


@pytest.mark.parametrize("format", ["gnu", "oldgnu", "ustar", "pax"])
@pytest.mark.parametrize("what", [["."], ["manifest.json", "main.lua", "img", "empty.txt"]])
def test_what_tar_writes(folder: Path, tmp_path: Path, format: str, what: list[str]) -> None:
    path = tmp_path / TGZ
    subprocess.run(
        ["tar", f"--format={format}", "-czf", path, "-C", folder, *what], check=True, timeout=60
    )
    package = read_package(path)
    assert dict(package.files) == FILES
    assert (package.name, package.engine_version) == ("radio", 203)
    assert package.manifest.label == "Radio"
    assert package.manifest.capabilities == ("memory",)
    assert package.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_tars(folder: Path, tmp_path: Path, format: int) -> None:
    """Its pax headers hold times with fractions; its gzip header the file's name."""
    path = tmp_path / TGZ
    with tarfile.open(path, "w:gz", format=format) as archive:
        for name in ("manifest.json", "main.lua", "img", "empty.txt"):
            archive.add(folder / name, name)
    assert dict(read_package(path).files) == FILES


def test_global_and_harmless_extended_headers() -> None:
    buffer = io.BytesIO()
    said = {"comment": "made by hand", "LIBARCHIVE.creationtime": "1.5"}
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=said
    ) as archive:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(MANIFEST)
        info.pax_headers = {"mtime": "1.25", "SCHILY.xattr.user.x": "y", "uname": "\u00e9"}
        archive.addfile(info, io.BytesIO(MANIFEST))
    assert set(parse_package(gzip.compress(buffer.getvalue()), TGZ).files) == {"manifest.json"}


def test_long_names_fit_the_ustar_prefix() -> None:
    files = {**FILES, "/".join(["f" * 50] * 3) + "/x.txt": b"x"}
    data = tgz(files, tarfile.USTAR_FORMAT)
    assert dict(parse_package(data, TGZ).files) == files
    assert "GNU long name" in refused(tgz(files, tarfile.GNU_FORMAT), TGZ)


def test_names_in_other_scripts() -> None:
    files = {**FILES, "img/\u0440\u0430\u0434\u0438\u043e.png": b"x", "My logo (1).png": b"y"}
    assert dict(parse_package(tgz(files), TGZ).files) == files
    assert dict(parse_package(zipped(files), ZIP).files) == files


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_python_zips(folder: Path, tmp_path: Path, method: int) -> None:
    path = tmp_path / ZIP
    with zipfile.ZipFile(path, "w", method) as archive:
        for one in sorted(folder.rglob("*")):
            archive.write(one, one.relative_to(folder))
    assert dict(read_package(path).files) == FILES


def test_what_info_zip_writes(folder: Path, tmp_path: Path) -> None:
    """With folders, and with times and owners in extra fields that differ between its headers."""
    program = shutil.which("zip")
    if program is None:
        pytest.skip("zip is not installed")
    path = tmp_path / ZIP
    subprocess.run([program, "-qr", path, "."], cwd=folder, check=True, timeout=60)
    assert dict(read_package(path).files) == FILES


class Pipe(io.RawIOBase):
    """A file that cannot go back, so that sizes are only known after the data."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def test_a_zip_with_data_descriptors() -> None:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    assert pipe.data.count(b"PK\7\x08") == len(FILES)
    assert dict(parse_package(pipe.data, ZIP).files) == FILES
    at = pipe.data.index(b"PK\7\x08") + 4
    broken = pipe.data[:at] + bytes([pipe.data[at] ^ 1]) + pipe.data[at + 1 :]
    assert "data descriptor" in refused(broken)


# ---------------------------------------------------------------------- reading the file


def test_the_file_is_read_once_and_never_through_a_link(tmp_path: Path) -> None:
    good = tmp_path / ZIP
    good.write_bytes(zipped())
    link = tmp_path / "link.203.zip"
    link.symlink_to(good)
    with pytest.raises(PackageRejected, match="is a symbolic link"):
        read_package(link)
    os.mkfifo(tmp_path / "pipe.203.zip")
    (tmp_path / "folder.203.zip").mkdir()
    for name in ("pipe.203.zip", "folder.203.zip"):
        with pytest.raises(PackageRejected, match="is not a regular file"):
            read_package(tmp_path / name)
    with pytest.raises(PackageRejected, match="cannot be opened: No such file"):
        read_package(tmp_path / "none.203.zip")


def test_a_long_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / ZIP
    with path.open("wb") as file:
        file.truncate(2**33)
    tracemalloc.start()
    try:
        with pytest.raises(PackageRejected, match="longer than 1000 bytes"):
            read_package(path, caps=Caps(package=1000))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_digest_from_elsewhere() -> None:
    data = zipped()
    digest = hashlib.sha256(data).hexdigest()
    assert parse_package(data, ZIP, sha256=digest.upper()).sha256 == digest
    assert f"SHA-256 is {digest}" in refused(data, sha256="0" * 64)
    assert "\\u202e" in refused(data, sha256="\u202e")


# ---------------------------------------------------------------------- tar


def patched(offset: int, new: bytes, block: int = 0, data: bytes | None = None) -> bytes:
    """A tar with some bytes of a header changed, and its checksum mended."""
    tar = bytearray(tarred() if data is None else data)
    start = 512 * block
    tar[start + offset : start + offset + len(new)] = new
    tar[start + 148 : start + 156] = b" " * 8
    tar[start + 148 : start + 156] = b"%06o\0 " % sum(tar[start : start + 512])
    return gzip.compress(bytes(tar))


TAR_REFUSALS: dict[str, tuple[Callable[[], bytes], str]] = {
    "not gzip": (tarred, "is not gzip data"),
    "empty": (lambda: b"", "is not gzip data"),
    "cut off": (lambda: tgz()[:-20], "cut off"),
    "no trailer": (lambda: tgz()[:-3], "no checksum"),
    "second member": (lambda: tgz() + tgz(), "data after its gzip data"),
    "one byte after": (lambda: tgz() + b"\0", "data after its gzip data"),
    "wrong checksum": (lambda: tgz()[:-8] + b"\1\2\3\4" + tgz()[-4:], "gzip checksum"),
    "wrong size": (lambda: tgz()[:-4] + b"\1\2\3\4", "gzip checksum"),
    "gzip extra": (lambda: tgz()[:3] + b"\4" + tgz()[4:], "extra fields"),
    "endless gzip name": (
        lambda: tgz()[:3] + b"\x08" + tgz()[4:10] + b"n" * 5000, "without an end"
    ),
    "not deflated": (lambda: tgz()[:10] + b"\xff" * 50, "is not gzip data"),
    "no end": (lambda: gzip.compress(tarred()[:1024]), "is cut off"),
    "one empty block": (lambda: gzip.compress(tarred()[:1024] + bytes(512)), "two empty blocks"),
    "data after the end": (lambda: gzip.compress(tarred() + b"x" * 512), "data after its end"),
    "data in the padding": (
        lambda: gzip.compress(tarred()[:1020] + b"x" + tarred()[1021:]), "between its members"
    ),
    "header checksum": (
        lambda: gzip.compress(b"n" + tarred()[1:]), "header's checksum is wrong"
    ),
    "no magic": (lambda: patched(257, bytes(8)), "not in the ustar format"),
    "size in base 256": (lambda: patched(124, b"\x80" + bytes(10) + b"\1"), "not an octal"),
    "negative size": (lambda: patched(124, b"-0000000001\0"), "not an octal"),
    "huge size": (lambda: patched(124, b"77777777777\0"), "is longer than"),
    "NUL in the name": (lambda: patched(0, b"main\0.lua"), "a NUL is in a name"),
    "name is not UTF-8": (lambda: patched(0, b"\xff\xfe"), "not valid UTF-8"),
    "unknown type": (lambda: patched(156, b"Z"), "of the unknown type"),
    "sparse": (lambda: patched(156, b"S"), "is a sparse file"),
    "contiguous": (lambda: patched(156, b"7"), "contiguous"),
    "folder with content": (lambda: patched(156, b"5"), "a folder with content"),
    "file with a target": (lambda: patched(157, b"/etc/passwd"), "linked to another"),
    "setuid": (lambda: patched(100, b"0004755\0"), "setuid"),
    "mode of a link": (lambda: patched(100, b"0120777\0"), "mode and its type disagree"),
    "slash": (lambda: patched(0, b"manifest.json/"), "ends in a slash"),
    "prefix leaves": (lambda: patched(345, b"..", data=tarred(format=tarfile.USTAR_FORMAT)),
                      "dot segments"),
    "twice": (lambda: gzip.compress(tarred()[:1024] + tarred()), "is there twice"),
    "twice, with ./": (
        lambda: tgz({"./manifest.json": MANIFEST, "manifest.json": MANIFEST}), "is there twice"
    ),
    "long link name": (lambda: patched(156, b"K"), "GNU long link"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAR_REFUSALS)
def test_tars_that_are_refused(what: str) -> None:
    make, rule = TAR_REFUSALS[what]
    assert rule in refused(make(), TGZ)


@pytest.mark.parametrize(
    "said", ["path", "size", "linkpath", "hdrcharset", "GNU.sparse.name", "GNU.sparse.realsize"]
)
@pytest.mark.parametrize("scope", ["member", "global"])
def test_extended_headers_that_change_something(said: str, scope: str) -> None:
    buffer = io.BytesIO()
    headers = {said: "1"}
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT,
        pax_headers=headers if scope == "global" else None,
    ) as archive:  # fmt: skip
        info = tarfile.TarInfo("x")
        info.pax_headers = headers if scope == "member" else {}
        archive.addfile(info)
    assert f"sets '{said}'" in refused(gzip.compress(buffer.getvalue()), TGZ)


def extended(record: bytes) -> bytes:
    """A tar whose first member is an extended header of that content."""
    tar = bytearray(tarred({"x": record, **FILES}))
    return patched(156, b"x", data=bytes(tar))


@pytest.mark.parametrize(
    "record",
    [
        b"x",
        b"9 mtime=1",
        b"99 mtime=1\n",
        b"0 mtime=1\n",
        b"3 =\n",
        b"-1 a=b\n",
        b"10 mtime=1\n12 ",
    ],
)
def test_broken_extended_headers(record: bytes) -> None:
    assert "extended header is broken" in refused(extended(record), TGZ)


def test_an_extended_header_too_long() -> None:
    record = b"20000 comment=" + b"x" * (20000 - 15) + b"\n"
    assert "extended header is too long" in refused(extended(record), TGZ)


# ---------------------------------------------------------------------- zip


def edited(find: bytes, offset: int, new: bytes, data: bytes | None = None) -> bytes:
    """A zip with some bytes after the first `find` changed."""
    archive = bytearray(zipped() if data is None else data)
    start = archive.index(find) + offset
    archive[start : start + len(new)] = new
    return bytes(archive)


def both(local: int, central: int, new: bytes) -> bytes:
    """A zip whose first member says `new` in both its headers."""
    return edited(b"PK\1\2", central, new, edited(b"PK\3\4", local, new))


def overlapping() -> bytes:
    """Two records of the directory for one piece of data."""
    data = zipped({"a": b"x"}, zipfile.ZIP_STORED)
    start, end = data.index(b"PK\1\2"), len(data) - 22
    record = data[start:end]
    directory = record + record[:46] + b"b"
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2, 2, len(directory), start, 0)
    return data[:start] + directory + tail


def gapped() -> bytes:
    """Bytes between the last member and the directory."""
    data = zipped()
    start = data.index(b"PK\1\2")
    (place,) = struct.unpack_from("<I", data, len(data) - 6)
    return data[:start] + b"hidden" + data[start:-6] + struct.pack("<IH", place + 6, 0)


ZIP_REFUSALS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "end record"),
    "a tar": (tgz, "end record"),
    "comment": (lambda: zipped()[:-2] + b"\1\0x", "end record"),
    "comment length only": (lambda: zipped()[:-2] + b"\1\0", "has a comment"),
    "parts": (lambda: edited(b"PK\5\6", 4, b"\1\0"), "more than one part"),
    "count": (lambda: edited(b"PK\5\6", 8, b"\2\0\2\0"), "more than its members"),
    "count over": (lambda: edited(b"PK\5\6", 8, b"\x09\0\x09\0"), "directory is broken"),
    "gap": (gapped, "in front of its central directory"),
    "overlap": (overlapping, "overlaps another's"),
    "encrypted": (lambda: both(6, 8, b"\1\0"), "is encrypted"),
    "strong encryption": (lambda: both(6, 8, b"\x40\0"), "flags of an unknown feature"),
    "masked": (lambda: both(6, 8, b"\0\x20"), "flags of an unknown feature"),
    "version": (lambda: both(4, 6, b"\x2d\0"), "newer version"),
    "method": (lambda: both(8, 10, b"\x5d\0"), "neither stored nor deflated"),
    "deflated called stored": (lambda: both(8, 10, b"\0\0"), "two sizes"),
    "other method": (lambda: edited(b"PK\3\4", 8, b"\0\0"), "disagree"),
    "other name": (lambda: edited(b"PK\3\4", 30, b"X"), "disagree"),
    "other size": (lambda: edited(b"PK\3\4", 22, b"\1"), "disagree on its size"),
    "other time": (lambda: edited(b"PK\3\4", 10, b"\1\1"), "disagree"),
    "checksum": (lambda: both(14, 16, b"\1\2\3\4"), "checksum is wrong"),
    "longer than it says": (lambda: both(22, 24, b"\5\0\0\0"), "inflates to other than"),
    "shorter than it says": (lambda: both(22, 24, b"\0\1\0\0"), "inflates to other than"),
    "bad deflate": (lambda: edited(b"PK\3\4", 43, b"\xff\xff"), "is not deflated data"),
    "zip64": (lambda: both(22, 24, b"\xff" * 4), "zip64"),
    "member comment": (lambda: edited(b"PK\1\2", 32, b"\1\0"), "comment"),
    "name cut": (lambda: edited(b"PK\1\2", 28, b"\xff\xff"), "directory is broken"),
    "symbolic link": (lambda: edited(b"PK\1\2", 38, struct.pack("<I", 0o120777 << 16)),
                      "symbolic link"),
    "folder by mode": (lambda: edited(b"PK\1\2", 38, struct.pack("<I", 0o040755 << 16)),
                       "disagree on whether it is a folder"),
    "device": (lambda: edited(b"PK\1\2", 38, struct.pack("<I", 0o020644 << 16)),
               "neither a file nor a folder"),
    "setgid": (lambda: edited(b"PK\1\2", 38, struct.pack("<I", 0o102755 << 16)), "setgid"),
    "DOS folder": (lambda: edited(b"PK\1\2", 38, b"\x10"), "marked as a folder"),
    "folder with content": (lambda: zipped({**FILES, "d/": b"x"}), "folder with content"),
    "not UTF-8": (lambda: zipped({**FILES, "\u00e9": b""}).replace("\u00e9".encode(), b"\xff\xfe"),
                  "not marked as UTF-8"),
    "Latin-1": (lambda: edited(b"PK\1\2", 46, b"\xe9"), "not ASCII"),
}  # fmt: skip


@pytest.mark.parametrize("what", ZIP_REFUSALS)
def test_zips_that_are_refused(what: str) -> None:
    make, rule = ZIP_REFUSALS[what]
    assert rule in refused(make(), ZIP)


@pytest.mark.parametrize(
    ("extra", "fine"),
    [
        (struct.pack("<HHBI", 0x5455, 5, 1, 0), True),
        (struct.pack("<HHQQ", 1, 16, 2**60, 2**60), False),
        (struct.pack("<HHB", 0x7075, 1, 1), False),
        (struct.pack("<HHB", 0x5455, 9, 1), False),
        (b"\x55\x54\0", False),
    ],
)
def test_extra_fields(extra: bytes, fine: bool) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("manifest.json")
        if fine:
            info.extra = extra
        archive.writestr(info, MANIFEST)
    data = buffer.getvalue()
    if fine:
        assert parse_package(data, ZIP).files
        return
    start = data.index(b"PK\1\2")
    directory = data[start : start + 30] + struct.pack("<H", len(extra))
    directory += data[start + 32 : -22] + extra
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), start, 0)
    assert "extra field" in refused(data[:start] + directory + tail)


# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize(("archive", "name"), [(tgz, TGZ), (zipped, ZIP)])
def test_caps(archive: Callable[[dict[str, bytes]], bytes], name: str) -> None:
    noise = random.Random(1).randbytes(80_000)
    caps = Caps(package=100_000, total=100_000, member=95_000, entries=20)
    assert parse_package(archive({"manifest.json": MANIFEST, "n": noise}), name, caps=caps)
    many = {"manifest.json": MANIFEST} | {f"f/{number}": b"" for number in range(20)}
    assert "more than 20 entries" in refused(archive(many), name, caps=caps)
    long = {"manifest.json": MANIFEST, "n": bytes(95_001)}
    assert "'n': is longer than 95000 bytes" in refused(archive(long), name, caps=caps)
    total = {"manifest.json": MANIFEST, "n": bytes(60_000), "m": bytes(60_000)}
    assert "inflates to more than 100000 bytes" in refused(archive(total), name, caps=caps)
    bomb = {"manifest.json": MANIFEST} | {f"{number}": bytes(300_000) for number in range(3)}
    assert "more than 50 times its size" in refused(archive(bomb), name, caps=SMALL)


def test_a_bomb_is_not_inflated() -> None:
    """A thousand times its size, within the caps for an archive of that size."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join([*(squeezed.compress(bytes(2**20)) for _ in range(512)), squeezed.flush()])
    tracemalloc.start()
    try:
        assert "inflates to more than" in refused(data, TGZ)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
