"""A strict reader of gzipped tars: everything else that calls itself one is refused.

The formats are RFC 1952 (one member, nothing after it) and POSIX ustar, also as GNU tar, bsdtar
and Python write it.  Extended headers (`x`, `g`) may say what is ignored anyway, such as times;
one that changes the path, the size or the target of a member is refused, and so are GNU's long
names: what the plain header says is all there is.  Inflates block by block under the caps.
"""

from __future__ import annotations

import re
import stat
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from sandbox.errors import PackageRejected
from sandbox.packages.caps import Counter
from sandbox.packages.names import Tree, shown

_BLOCK: Final = 512
_PIECE: Final = 65_536
_MAX_EXTENDED: Final = 16_384
_NOTHING: Final = bytes(_BLOCK)

_FNAME: Final = 8
_GZIP_HEADER: Final = 10
_GZIP_TRAILER: Final = 8
_MAX_GZIP_NAME: Final = 1024

_OCTAL: Final = re.compile(rb" *([0-7]{1,12})[ \0]*")
_RECORD: Final = re.compile(rb"([1-9][0-9]{0,4}) ([^=]+)=")
_IGNORED: Final = frozenset(
    {
        "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment",
        "LIBARCHIVE.creationtime", "SCHILY.dev", "SCHILY.ino", "SCHILY.nlink",
    }
)  # fmt: skip
_IGNORED_PREFIXES: Final = ("LIBARCHIVE.xattr.", "SCHILY.xattr.")
_REFUSED: Final = {
    b"1": "is a hard link",
    b"2": "is a symbolic link",
    b"3": "is a character device",
    b"4": "is a block device",
    b"6": "is a named pipe",
    b"7": "is a contiguous file",
    b"L": "has a GNU long name; names are at most 100 bytes long, or 255 with folders in ustar",
    b"K": "has a GNU long link name",
    b"S": "is a sparse file",
}


class _Header(NamedTuple):
    name: str
    mode: int
    size: int
    type: bytes
    link: bytes


class _Gzip:
    """The one gzip member in `data`, inflated as far as somebody reads."""

    def __init__(self, data: bytes, counter: Counter) -> None:
        self._data = data
        self._counter = counter
        self._place = _after_gzip_header(data)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._tail = b""
        self._crc = 0
        self._size = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or fewer at the end."""
        parts = []
        while size > 0 and not self._inflate.eof:
            if not self._tail:
                self._tail = self._data[self._place : self._place + _PIECE]
                self._place += len(self._tail)
            was = len(self._tail)
            try:
                part = self._inflate.decompress(self._tail, min(size, _PIECE))
            except zlib.error as error:
                raise PackageRejected(f"the package is not gzip data: {error}") from None
            self._tail = self._inflate.unconsumed_tail
            if not part and not self._inflate.eof and not was:
                raise PackageRejected("the package is cut off: its gzip data has no end")
            self._counter.inflated(len(part))
            self._crc = zlib.crc32(part, self._crc)
            self._size += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Checks the trailer, and that nothing is after it."""
        while True:
            rest = self.read(_PIECE)
            if rest.strip(b"\0"):
                raise PackageRejected("the tar archive has data after its end")
            if not rest:
                break
        start = self._place - len(self._inflate.unused_data)
        trailer = self._data[start : start + _GZIP_TRAILER]
        if len(trailer) < _GZIP_TRAILER:
            raise PackageRejected("the package is cut off: its gzip data has no checksum")
        if trailer != self._crc.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little"):
            raise PackageRejected("the gzip checksum is wrong")
        if start + _GZIP_TRAILER != len(self._data):
            raise PackageRejected("the package has data after its gzip data")


def _after_gzip_header(data: bytes) -> int:
    if data[:3] != b"\x1f\x8b\x08" or len(data) < _GZIP_HEADER:
        raise PackageRejected("the package is not gzip data")
    if data[3] & ~_FNAME:
        raise PackageRejected("the gzip header has extra fields, a comment or unknown flags")
    if not data[3]:
        return _GZIP_HEADER
    end = data.find(b"\0", _GZIP_HEADER, _GZIP_HEADER + _MAX_GZIP_NAME)
    if end < 0:
        raise PackageRejected("the gzip header has a name without an end")
    return end + 1


def read_tar(data: bytes, counter: Counter) -> dict[str, bytes]:
    """The files of a gzipped tar, by name.  Raises `PackageRejected` naming member and rule."""
    stream = _Gzip(data, counter)
    tree = Tree()
    files = {}
    for header in _members(stream, counter):
        content = _content(stream, header.size)
        folder = header.type == b"5"
        if folder and header.name in (".", "./"):
            continue  # `tar c .` writes this, and "./" in front of everything in it
        path = header.name.removeprefix("./")
        if folder:
            tree.add(path.removesuffix("/"), "folder")
        else:
            tree.add(path, "file")
            files[path] = content
    stream.finish()
    return files


def _members(stream: _Gzip, counter: Counter) -> Iterator[_Header]:
    """The headers of files and folders; the content of each is left to the caller to read."""
    while True:
        block = stream.read(_BLOCK)
        if block == _NOTHING:
            if stream.read(_BLOCK) != _NOTHING:
                raise PackageRejected("the tar archive does not end in two empty blocks")
            return
        if len(block) < _BLOCK:
            raise PackageRejected("the tar archive is cut off")
        counter.entry()
        header = _header(block)
        name = shown(header.name)
        counter.member(header.size, name)
        if header.type in (b"x", b"g"):
            if header.size > _MAX_EXTENDED:
                raise PackageRejected(f"member {name}: its extended header is too long")
            _check_extended(_content(stream, header.size), name)
            continue
        rule = _broken_rule(header)
        if rule:
            raise PackageRejected(f"member {name}: {rule}")
        yield header


def _broken_rule(header: _Header) -> str:
    if header.type not in (b"0", b"\0", b"5"):
        return _REFUSED.get(header.type, f"is of the unknown type {shown(header.type)}")
    if header.link:
        return "is linked to another name"
    if header.mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        return "has a setuid, setgid or sticky bit"
    folder = header.type == b"5"
    if header.mode & ~0o7777 not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        return "its mode and its type disagree on what it is"
    if folder and header.size:
        return "is a folder with content"
    if header.name.endswith("/") and not folder:
        return "is a file whose name ends in a slash"
    return ""


def _content(stream: _Gzip, size: int) -> bytes:
    content = stream.read(size)
    padding = stream.read(-size % _BLOCK)
    if len(content) < size or len(padding) < -size % _BLOCK:
        raise PackageRejected("the tar archive is cut off")
    if padding.strip(b"\0"):
        raise PackageRejected("the tar archive has data between its members")
    return content


# ---------------------------------------------------------------------- headers


def _header(block: bytes) -> _Header:
    summed = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if _octal(block[148:156], "checksum") != summed:
        raise PackageRejected("a tar header's checksum is wrong")
    magic = block[257:265]
    if magic not in (b"ustar\x0000", b"ustar  \0"):
        raise PackageRejected("a tar header is not in the ustar format")
    name = _text(block[:100])
    prefix = _text(block[345:500]) if magic == b"ustar\x0000" else b""
    whole = b"/".join(part for part in (prefix, name) if part)
    try:
        text = whole.decode("utf-8")
    except UnicodeDecodeError:
        shown_name = shown(whole)
        raise PackageRejected(f"member {shown_name}: the name is not valid UTF-8") from None
    return _Header(
        name=text,
        mode=_octal(block[100:108], "mode"),
        size=_octal(block[124:136], "size"),
        type=block[156:157],
        link=_text(block[157:257]),
    )


def _text(field: bytes) -> bytes:
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise PackageRejected(f"member {shown(text)}: a NUL is in a name of its header")
    return text


def _octal(field: bytes, what: str) -> int:
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise PackageRejected(f"a tar header's {what} is not an octal number")
    return int(match[1], 8)


def _check_extended(content: bytes, name: str) -> None:
    """Refuses an extended header (pax, POSIX.1-2001) that says anything but what is ignored."""
    place = 0
    while place < len(content):
        match = _RECORD.match(content, place)
        end = place + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(content) or content[end - 1] != 0x0A:
            raise PackageRejected(f"member {name}: its extended header is broken")
        key = match[2].decode("latin-1")
        if key not in _IGNORED and not key.startswith(_IGNORED_PREFIXES):
            raise PackageRejected(
                f"member {name}: its extended header sets {shown(key)}; "
                "write the archive with --format=ustar",
            )
        place = end
