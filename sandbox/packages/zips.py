"""A strict reader of zip archives: one way to read each, or it is refused.

The format is PKWARE's APPNOTE 6.3, as far as an ordinary archive needs it: stored and deflated
members, one after the other from the first byte to the central directory, whose records agree
with the headers in front of the data; the directory ends where the end record begins, and that
ends the file.  So no two readers can see different archives, and nothing hides in between.
"""

from __future__ import annotations

import stat
import struct
import zlib
from typing import Final, NamedTuple

from sandbox.errors import PackageRejected
from sandbox.packages.caps import Counter
from sandbox.packages.names import Tree, shown

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_DESCRIPTOR: Final = struct.Struct("<4s3I")

_ENCRYPTED: Final = 0x0001
_DESCRIBED: Final = 0x0008
_UTF8: Final = 0x0800
_KNOWN_FLAGS: Final = 0x0006 | _DESCRIBED | _UTF8
_STORED: Final = 0
_DEFLATED: Final = 8
_NEWEST: Final = 20
_DOS_FOLDER: Final = 0x10
_EXTRAS: Final = frozenset({0x000A, 0x5455, 0x5855, 0x7855, 0x7875})
"""Extra fields that hold times and owners, which are ignored (NTFS, Info-ZIP)."""


class _Member(NamedTuple):
    """A record of the central directory.  Sizes in bytes; `place` is where its header begins."""

    raw_name: bytes
    name: str
    version: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    attributes: int
    place: int

    def refused(self, rule: str) -> PackageRejected:
        """The error that says which rule this member breaks."""
        name = shown(self.name)
        return PackageRejected(f"member {name}: {rule}")


def read_zip(data: bytes, counter: Counter) -> dict[str, bytes]:
    """The files of a zip archive, by name.  Raises `PackageRejected` naming member and rule."""
    count, directory = _end(data)
    counter.entry(count)
    members = _directory(data, count, directory)
    tree = Tree()
    for member in members:
        _check(member)
        counter.member(member.size, shown(member.name))
        counter.inflated(member.size)
        folder = member.name.endswith("/")
        tree.add(member.name.removesuffix("/"), "folder" if folder else "file")
    files = {}
    place = 0
    for member in members:
        if member.place != place:
            raise member.refused("its data overlaps another's, or a gap is before it")
        content, place = _read(data, member, directory)
        if not member.name.endswith("/"):
            files[member.name] = content
    if place != directory:
        raise PackageRejected("the zip archive has data in front of its central directory")
    return files


def _end(data: bytes) -> tuple[int, int]:
    """The number of members and where the central directory begins."""
    start = len(data) - _END.size
    if start < 0 or data[start : start + 4] != b"PK\5\6":
        raise PackageRejected("the zip archive does not end with its end record, without comment")
    _, disk, first_disk, here, count, size, place, comment = _END.unpack_from(data, start)
    if disk or first_disk or here != count:
        raise PackageRejected("the zip archive has more than one part")
    if comment:
        raise PackageRejected("the zip archive has a comment")
    if count == 0xFFFF or 0xFFFFFFFF in (size, place):
        raise PackageRejected("the zip archive is in the zip64 format")
    if place + size != start:
        raise PackageRejected(
            "the zip archive's central directory does not end at its end record: "
            "data in front of the archive, or two archives"
        )
    return count, place


def _directory(data: bytes, count: int, place: int) -> list[_Member]:
    members = []
    end = len(data) - _END.size
    for _ in range(count):
        if place + _CENTRAL.size > end or data[place : place + 4] != b"PK\1\2":
            raise PackageRejected("the zip archive's central directory is broken")
        (
            _, _, version, flags, method, time, date, crc, packed, size,
            name_size, extra_size, comment_size, disk, _, attributes, header,
        ) = _CENTRAL.unpack_from(data, place)  # fmt: skip
        place += _CENTRAL.size
        raw_name = data[place : place + name_size]
        extra = data[place + name_size : place + name_size + extra_size]
        place += name_size + extra_size + comment_size
        if place > end:
            raise PackageRejected("the zip archive's central directory is broken")
        member = _Member(
            raw_name, _decoded(raw_name, flags), version, flags, method, time, date, crc,
            packed, size, attributes, header,
        )  # fmt: skip
        if disk or comment_size:
            raise member.refused("has a comment, or is in another part of the archive")
        _check_extra(member, extra)
        members.append(member)
    if place != end:
        raise PackageRejected("the zip archive's central directory has more than its members")
    return members


def _decoded(raw_name: bytes, flags: int) -> str:
    try:
        return raw_name.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        name = shown(raw_name)
        raise PackageRejected(
            f"member {name}: the name is not ASCII and not marked as UTF-8, or not valid UTF-8",
        ) from None


def _check(member: _Member) -> None:
    """The rules for one member that its record alone can break."""
    if member.flags & _ENCRYPTED:
        raise member.refused("is encrypted")
    if member.flags & ~_KNOWN_FLAGS:
        raise member.refused("has flags of an unknown feature")
    if 0xFFFFFFFF in (member.packed, member.size, member.place):
        raise member.refused("has sizes in the zip64 format")
    if member.method not in (_STORED, _DEFLATED):
        raise member.refused("is neither stored nor deflated")
    if member.version & 0xFF > _NEWEST:
        raise member.refused("needs a newer version of the zip format")
    if member.method == _STORED and member.packed != member.size:
        raise member.refused("is stored, yet has two sizes")
    folder = member.name.endswith("/")
    mode = member.attributes >> 16
    kinds = (0, stat.S_IFDIR) if folder else (0, stat.S_IFREG)
    if stat.S_IFMT(mode) not in kinds:
        raise member.refused(_what(mode))
    if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        raise member.refused("has a setuid, setgid or sticky bit")
    if folder and (member.size or member.packed or member.crc):
        raise member.refused("is a folder with content")
    if not folder and member.attributes & _DOS_FOLDER:
        raise member.refused("is marked as a folder but not named as one")


def _what(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "is a symbolic link"
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
        return "its name and its mode disagree on whether it is a folder"
    return "is neither a file nor a folder"


def _check_extra(member: _Member, extra: bytes) -> None:
    place = 0
    while place < len(extra):
        if place + 4 > len(extra):
            raise member.refused("its extra fields are broken")
        kind, size = struct.unpack_from("<2H", extra, place)
        if kind not in _EXTRAS:
            raise member.refused(f"has an extra field of the kind 0x{kind:04x}")
        place += 4 + size
    if place != len(extra):
        raise member.refused("its extra fields are broken")


def _read(data: bytes, member: _Member, directory: int) -> tuple[bytes, int]:
    """The member's content, and where the next one begins."""
    place = member.place
    if place + _LOCAL.size > directory or data[place : place + 4] != b"PK\3\4":
        raise member.refused("there is no header where the central directory says")
    (
        _, version, flags, method, time, date, crc, packed, size, name_size, extra_size,
    ) = _LOCAL.unpack_from(data, place)  # fmt: skip
    start = place + _LOCAL.size + name_size + extra_size
    end = start + member.packed
    described = bool(member.flags & _DESCRIBED)
    after = end + (_DESCRIPTOR.size if described else 0)
    if after > directory:
        raise member.refused("its data goes on into the central directory")
    name = data[start - name_size - extra_size : start - extra_size]
    sums = (crc, packed, size)
    wanted = (member.crc, member.packed, member.size)
    if (name, version, flags, method, time, date) != (
        member.raw_name, member.version, member.flags, member.method, member.time, member.date,
    ):  # fmt: skip
        raise member.refused("its header and the central directory disagree")
    if sums != wanted and not (described and sums == (0, 0, 0)):
        raise member.refused("its header and the central directory disagree on its size")
    _check_extra(member, data[start - extra_size : start])
    if described and data[end:after] != _DESCRIPTOR.pack(b"PK\7\x08", *wanted):
        raise member.refused("its data descriptor and the central directory disagree")
    content = data[start:end] if method == _STORED else _inflated(member, data[start:end])
    if zlib.crc32(content) != member.crc:
        raise member.refused("its checksum is wrong")
    return content, after


def _inflated(member: _Member, packed: bytes) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflate.decompress(packed, member.size + 1)
        if not inflate.eof:  # an empty last block may be all that is left
            content += inflate.decompress(inflate.unconsumed_tail, 1)
    except zlib.error as error:
        raise member.refused(f"is not deflated data: {error}") from None
    if len(content) != member.size or not inflate.eof:
        raise member.refused(f"inflates to other than the {member.size} bytes it says")
    if inflate.unused_data:
        raise member.refused("has data after its deflated data")
    return content
