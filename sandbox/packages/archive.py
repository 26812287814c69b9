"""A package: its bytes, read once and checked, as the files that would be installed.

What is hashed, what is checked and what `install` writes are the same bytes in memory, so there
is no moment at which somebody could put other ones in their place.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

from sandbox import manifest
from sandbox.errors import PackageRejected
from sandbox.limits import Limits
from sandbox.manifest import Manifest
from sandbox.packages.caps import Caps, Counter
from sandbox.packages.manifests import read_manifest
from sandbox.packages.names import PackageName, package_name, shown
from sandbox.packages.payload import check_files, source_extensions
from sandbox.packages.tars import read_tar
from sandbox.packages.zips import read_zip

_CAPS: Final = Caps()
_LIMITS: Final = Limits()
_READERS: Final = {"tgz": read_tar, "zip": read_zip}


@dataclass(frozen=True, slots=True)
class Package:
    """A package that keeps every rule.

    `name` is the plugin's, `engine_version` the lowest plugin engine version (the PPP of
    ServeMSX) that it runs on.  `files` are its files by relative name, with `/`; empty folders
    are left out.  `sha256` in hex is over all bytes of the archive.
    """

    name: str
    engine_version: int
    files: Mapping[str, bytes]
    manifest: Manifest
    sha256: str


def read_package(
    path: str | os.PathLike[str],
    *,
    allowed: Limits = _LIMITS,
    caps: Caps = _CAPS,
    sources: Collection[str] | None = None,
    sha256: str | None = None,
) -> Package:
    """The package in the file `path`, whose name is `{plugin}.{PPP}.tgz` or `.zip`.

    The file is opened once, links are not followed, and what is read, at most `caps.package`
    bytes, is all that counts.  Everything else is as in `parse_package`.
    """
    filename = PurePath(path).name
    package_name(filename)  # a badly named file is not even opened
    return parse_package(
        _bytes(path, caps), filename, allowed=allowed, caps=caps, sources=sources, sha256=sha256
    )


def parse_package(
    data: bytes,
    filename: str,
    *,
    allowed: Limits = _LIMITS,
    caps: Caps = _CAPS,
    sources: Collection[str] | None = None,
    sha256: str | None = None,
) -> Package:
    """The package in `data`, with the name that its author gave the file.

    `allowed` are the limits that its manifest may ask for at most, `caps` its sizes, `sources`
    the extensions of source files (default: those of the installed runtimes), and `sha256` the
    hex digest that all of `data` must have, if it is known from elsewhere.

    Raises `PackageRejected`: its message names the member and the rule, its `plugin` the plugin.
    """
    named = package_name(filename)
    try:
        digest = hashlib.sha256(data).hexdigest()
        if sha256 is not None and not hmac.compare_digest(
            digest.encode(), sha256.lower().encode("utf-8", "backslashreplace")
        ):
            raise PackageRejected(f"the package's SHA-256 is {digest}, not {shown(sha256)}")
        return _parsed(data, named, digest, allowed, caps, sources)
    except PackageRejected as error:
        error.plugin = named.plugin
        raise


def _parsed(
    data: bytes,
    named: PackageName,
    digest: str,
    allowed: Limits,
    caps: Caps,
    sources: Collection[str] | None,
) -> Package:
    files = _READERS[named.format](data, Counter(caps, len(data)))
    check_files(files, source_extensions() if sources is None else sources)
    if manifest.NAME not in files:
        raise PackageRejected(_no_manifest(files))
    return Package(
        name=named.plugin,
        engine_version=named.engine_version,
        files=MappingProxyType(files),
        manifest=read_manifest(files[manifest.NAME], plugin=named.plugin, allowed=allowed),
        sha256=digest,
    )


def _no_manifest(files: Mapping[str, bytes]) -> str:
    tops = {path.partition("/")[0] for path in files}
    if len(tops) == 1 and f"{min(tops)}/{manifest.NAME}" in files:
        return (
            f"{manifest.NAME} is in the folder {shown(min(tops))}; a package holds what is in the "
            "plugin's folder, not the folder"
        )
    return f"the package has no {manifest.NAME}"


def _bytes(path: str | os.PathLike[str], caps: Caps) -> bytes:
    name = shown(PurePath(path).name)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        number = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PackageRejected(f"package {name}: is a symbolic link") from None
        raise PackageRejected(f"package {name}: cannot be opened: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise PackageRejected(f"package {name}: is not a regular file")
        with open(number, "rb", closefd=False) as file:
            return file.read(caps.package + 1)
    except OSError as error:
        raise PackageRejected(f"package {name}: cannot be read: {error.strerror}") from None
    finally:
        os.close(number)
