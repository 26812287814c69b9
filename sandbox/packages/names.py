"""The grammar of names: of packages, of plugins, and of the members of an archive.

A member's name becomes a path, a part of a URL and a line in somebody's log, on this system and
on the next one that the folder is copied to; so what any of them would read differently is
refused, not repaired.  Owns no files: text in, text or `PackageRejected` out.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from sandbox.errors import PackageRejected

MAX_PATH: Final = 240
"""Longest member name in UTF-8 bytes: every system takes it below a folder of its own."""

MAX_SEGMENT: Final = 120
"""Longest file or folder name in UTF-8 bytes."""

MAX_DEPTH: Final = 8
"""Most folders below each other, the file itself included."""

RESERVED: Final = frozenset(
    {
        "msx", "settings", "restart", "install", "uninstall",
        "host", "engine", "sandbox", "global", "plugins", "metrics",
    }
)  # fmt: skip
"""Plugin names that a server or an engine uses itself; `msx` is ServeMSX's documented one."""

_PLUGIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-]{0,63}", re.ASCII)
_PACKAGE: Final = re.compile(r"([^.]+)\.([0-9]{3})\.(tgz|zip)", re.ASCII | re.DOTALL)
_UNSAFE: Final = frozenset('\\:*?"<>|')
_UNSAFE_FIRST: Final = frozenset("-~$. ")
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}
)
_GENERATED: Final = frozenset({"__pycache__"})


class PackageName(NamedTuple):
    """What a package's file name says: plugin, lowest engine version it needs, format."""

    plugin: str
    engine_version: int
    format: str


def shown(text: str | bytes, most: int = 80) -> str:
    """A stranger's text for a message: quoted, ASCII only, nothing that a terminal obeys."""
    cut = ascii(text[: most + 1])
    return cut if len(cut) <= most else f"{cut[:most]}...{cut[-1]}"


def package_name(filename: str) -> PackageName:
    """What the file name `{plugin}.{PPP}.tgz` says (ServeMSX's documentation; zip is ours).

    Raises `PackageRejected` for anything else, a folder in front of it included.
    """
    match = _PACKAGE.fullmatch(filename)
    if match is None:
        raise PackageRejected(
            f"package {shown(filename)}: a package is called PLUGIN.PPP.tgz or PLUGIN.PPP.zip, "
            "where PPP are the three digits of the engine version it needs"
        )
    check_plugin(match[1])
    return PackageName(match[1], int(match[2]), match[3])


def check_plugin(name: str) -> None:
    """Raises `PackageRejected` unless `name` may be the name of an installed plugin.

    ASCII only: the name is what an operator grants capabilities to, and two that look alike must
    be the same.
    """
    if not _PLUGIN.fullmatch(name):
        raise PackageRejected(
            f"plugin name {shown(name)}: only letters A to Z, digits, _ and -, at most 64 of them, "
            "no - in front"
        )
    if name.lower() in RESERVED:
        raise PackageRejected(f"plugin name {shown(name)}: is reserved for the server itself")
    if name.lower() in _DEVICES:
        raise PackageRejected(f"plugin name {shown(name)}: is a device on some systems")


def fold(path: str) -> str:
    """One text for all names that some file system or reader takes for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def check_member(path: str) -> None:
    """Raises `PackageRejected`, naming member and rule, unless `path` is a plain relative name.

    `path` has no slash at its end; whoever reads a format takes off what its folders have.
    """
    rule = _broken_rule(path)
    if rule:
        name = shown(path)
        raise PackageRejected(f"member {name}: {rule}")


def _broken_rule(path: str) -> str:
    try:
        length = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return "the name is not valid UTF-8"
    if length > MAX_PATH:
        return f"the name is longer than {MAX_PATH} bytes"
    if path.startswith("/"):
        return "the name is an absolute path"
    segments = path.split("/")
    if len(segments) > MAX_DEPTH:
        return f"the name is more than {MAX_DEPTH} folders deep"
    if not unicodedata.is_normalized("NFC", path):
        return "the name is not in Unicode's normal form C"
    for segment in segments:
        rule = _broken_in(segment)
        if rule:
            return rule
    # A reader that folds compatibility forms would see another name: that one must be fine too.
    folded = unicodedata.normalize("NFKC", path).split("/")
    if len(folded) != len(segments):
        return "in its compatibility form the name has other folders"
    for segment in folded:
        rule = _broken_in(segment)
        if rule:
            return f"in its compatibility form, {rule}"
    return ""


def _broken_in(segment: str) -> str:
    if not segment:
        return "a part of the name is empty"
    if segment in (".", ".."):
        return "dot segments are not allowed"
    if len(segment.encode("utf-8")) > MAX_SEGMENT:
        return f"a part of the name is longer than {MAX_SEGMENT} bytes"
    for char in segment:
        if unicodedata.category(char) in _UNSAFE_CATEGORIES:
            return f"the name has the invisible character U+{ord(char):04X}"
        if char in _UNSAFE:
            return f"the name has the character {char}"
    if segment[0] in _UNSAFE_FIRST:
        return f"a part of the name begins with {shown(segment[0])}"
    if segment[-1] in ". ":
        return "a part of the name ends in a dot or a space"
    if segment.partition(".")[0].rstrip(" ").lower() in _DEVICES:
        return "a part of the name is a device on some systems"
    if segment.lower() in _GENERATED:
        return "compiled code does not belong into a package"
    return ""


class Tree:
    """The names of one archive: files and folders, none twice and none in the other's place."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        # Folded path -> (path, "file", "folder" with an entry of its own, or "above" another).
        self._nodes: dict[str, tuple[str, str]] = {}

    def add(self, path: str, kind: str) -> None:
        """A `file` or a `folder`; raises `PackageRejected` for a bad name or one that is taken."""
        check_member(path)
        for end in (place for place, char in enumerate(path) if char == "/"):
            above = path[:end]
            there, what = self._nodes.setdefault(fold(above), (above, "above"))
            if what == "file":
                raise _taken(path, "is below a file")
            if there != above:
                raise _taken(path, f"its folder and {shown(there)} would be the same to some")
        there, what = self._nodes.get(fold(path), (path, ""))
        if there != path:
            raise _taken(path, f"the names of it and {shown(there)} would be the same to some")
        if what == kind:
            raise _taken(path, "is there twice")
        if what and (what, kind) != ("above", "folder"):
            raise _taken(path, "is a file and a folder")
        self._nodes[fold(path)] = (path, kind)


def _taken(path: str, rule: str) -> PackageRejected:
    name = shown(path)
    return PackageRejected(f"member {name}: {rule}")
