"""What the files of a package may hold: text to be compiled in a worker, and data to be served.

Compiled code is refused by its first bytes and by its name, whatever language it is of: no
verifier stands between bytecode and an interpreter.  Which files are source is told by their
extensions, so that this file knows no language.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Final

from sandbox.errors import PackageRejected
from sandbox.packages.names import shown

_FILE_TYPES: Final = "sandbox.file_types"
"""The group of entry points whose names are the extensions of the installed runtimes."""

_COMPILED: Final = frozenset(
    {"pyc", "pyo", "pyd", "so", "dll", "dylib", "exe", "com", "o", "a", "ko", "node", "class"}
)
_MAGIC: Final = {
    b"\x1b": "is bytecode (it begins with ESC)",
    b"\x7fELF": "is a native program or library (ELF)",
    b"\xfe\xed\xfa\xce": "is a native program or library (Mach-O)",
    b"\xfe\xed\xfa\xcf": "is a native program or library (Mach-O)",
    b"\xce\xfa\xed\xfe": "is a native program or library (Mach-O)",
    b"\xcf\xfa\xed\xfe": "is a native program or library (Mach-O)",
    b"\xca\xfe\xba\xbe": "is a native library or class file",
    b"\x00asm": "is compiled code (WebAssembly)",
    b"!<arch>\n": "is a library of native objects",
    b"PK\3\4": "is an archive in the archive",
    b"PK\5\6": "is an archive in the archive",
    b"\x1f\x8b": "is an archive in the archive",
    b"\xfd7zXZ\0": "is an archive in the archive",
    b"7z\xbc\xaf\x27\x1c": "is an archive in the archive",
    b"\x28\xb5\x2f\xfd": "is an archive in the archive",
    b"Rar!\x1a\x07": "is an archive in the archive",
}
_PROGRAM_HEADER: Final = 64


@lru_cache(maxsize=1)
def source_extensions() -> frozenset[str]:
    """The extensions, without dot and in lower case, of the languages that are installed."""
    return frozenset(point.name.lower() for point in entry_points(group=_FILE_TYPES))


def check_files(files: Mapping[str, bytes], sources: Collection[str]) -> None:
    """Raises `PackageRejected`, naming member and rule, for a file that no package may hold.

    `sources` are the extensions of source files, without dot and in lower case: those must be
    UTF-8 text without NUL.
    """
    for path, content in files.items():
        rule = _broken_rule(path, content, sources)
        if rule:
            name = shown(path)
            raise PackageRejected(f"member {name}: {rule}")


def _broken_rule(path: str, content: bytes, sources: Collection[str]) -> str:
    endings = path.rpartition("/")[2].lower().split(".")[1:]
    named = endings.copy()
    while len(named) > 1 and named[-1].isdigit():  # libx.so.1
        named.pop()
    if named and named[-1] in _COMPILED:
        return f"files that end in .{named[-1]} are compiled code"
    for magic, rule in _MAGIC.items():
        if content.startswith(magic):
            return rule
    if content.startswith(b"MZ") and b"\0" in content[:_PROGRAM_HEADER]:
        return "is a native program or library (PE)"
    if content[2:4] == b"\r\n" and content[5:8] == bytes(3):
        return "is bytecode (a version, CR LF and flags)"
    if content[257:262] == b"ustar":
        return "is an archive in the archive"
    if endings and endings[-1] in sources:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return "is a source file, and not UTF-8 text"
        if b"\0" in content:
            return "is a source file, and has a NUL in it"
    return ""
