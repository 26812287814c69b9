"""Install, list and remove the packages of a plugin folder.

A package becomes the folder `FOLDER/NAME`, with its record `.package.json` inside, so that both
change in the same step; the engine serves no name that begins with a dot.  What a plugin stores
is not in that folder and is never touched here: an upgrade finds it as it was.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final

from sandbox import manifest
from sandbox.errors import ConfigurationError, PackageRejected
from sandbox.packages.archive import Package
from sandbox.packages.names import Tree, check_plugin
from sandbox.packages.store import PRIVATE, Store, opened, told

RECORD: Final = ".package.json"
"""The file in an installed folder that says which package it came from."""

_MAX_RECORD: Final = 4096
_VERSION: Final = re.compile(r"[0-9]\.[0-9]{2}\.([0-9]{3})", re.ASCII)
_MODULE: Final = "mod_"


@dataclass(frozen=True, slots=True)
class Installed:
    """An installed package: `files` is how many it has, `size` their bytes altogether."""

    name: str
    engine_version: int
    sha256: str
    files: int
    size: int


def engine_version(version: str) -> int:
    """The plugin engine version PPP of a server's version M.VV.PPP (ServeMSX's documentation).

    Raises `ConfigurationError` for anything else.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ConfigurationError(f"version: {version!r} is not of the form M.VV.PPP")
    return int(match[1])


def install(
    package: Package,
    folder: str | os.PathLike[str],
    *,
    version: str,
    reserved: Collection[str] = (),
) -> Installed:
    """Put a package into the plugin folder `folder`, in place of an older one of its name.

    `version` is the running server's M.VV.PPP, `reserved` are more names that no plugin may have.
    The change is one step: interrupted at any point, the old version or the new one is there,
    whole, and the next call (or `recover`) clears away the rest.

    Raises `PackageRejected` when the package needs a newer engine, when its name is taken by
    something that no package installed, and when another installer is at work;
    `ConfigurationError` when `folder` cannot be written.
    """
    try:
        running = engine_version(version)
        _check(package, running, reserved)
        with told(folder), Store(folder) as store:
            _check_place(package.name, store.top)
            return _put(package, store)
    except PackageRejected as error:
        error.plugin = package.name
        raise


def _check(package: Package, running: int, reserved: Collection[str]) -> None:
    """The rules that `parse_package` cannot know, and again those of names: they become paths."""
    check_plugin(package.name)
    if package.name.lower() in {name.lower() for name in reserved}:
        raise PackageRejected(f"plugin name {package.name!r}: is reserved by this server")
    if package.engine_version > running:
        raise PackageRejected(
            f"the package needs the plugin engine version {package.engine_version:03}; "
            f"this one is {running:03}"
        )
    tree = Tree()
    for path in package.files:
        tree.add(path, "file")
    if manifest.NAME not in package.files:
        raise PackageRejected(f"the package has no {manifest.NAME}")


def _check_place(name: str, top: int) -> None:
    """Refuses to take the place, or to come before, what the operator put there."""
    folded = name.lower()
    modules = {_MODULE + folded} | ({folded} if folded.startswith(_MODULE) else set())
    for entry in os.listdir(top):
        if entry == name:
            if _record(entry, top) is None:
                raise PackageRejected(
                    f"{name!r} in the plugin folder was not installed from a package; "
                    "move it away first"
                )
        elif entry.lower() == folded:
            raise PackageRejected(f"the plugin {entry!r} differs only in upper and lower case")
        elif entry.lower().partition(".")[0] in modules:
            raise PackageRejected(f"it would be found in place of the module {entry!r}")


def _put(package: Package, store: Store) -> Installed:
    done = Installed(
        name=package.name,
        engine_version=package.engine_version,
        sha256=package.sha256,
        files=len(package.files),
        size=sum(map(len, package.files.values())),
    )
    record = json.dumps(asdict(done), indent=1).encode()
    store.put(package.name, {**package.files, RECORD: record})
    return done


def uninstall(name: str, folder: str | os.PathLike[str]) -> Installed:
    """Remove an installed package, but nothing that it stored; the answer says what it was.

    Raises `PackageRejected` when no package of that name is installed or another installer is at
    work, and `ConfigurationError` when `folder` cannot be written.
    """
    check_plugin(name)
    try:
        with told(folder), Store(folder) as store:
            found = _record(name, store.top)
            if found is None:
                raise PackageRejected(f"no package {name!r} is installed")
            store.take_away(name)
            return found
    except PackageRejected as error:
        error.plugin = name
        raise


def recover(folder: str | os.PathLike[str]) -> None:
    """Clear away what an interrupted installation left, as every installation does first.

    For a server's start.  Where names cannot be exchanged in one step, this also brings back a
    version that was being replaced.  Raises as `uninstall` does.
    """
    with told(folder):
        try:
            os.stat(os.path.join(folder, PRIVATE), follow_symlinks=False)
        except FileNotFoundError:
            return  # nothing was ever installed here, and the folder may be read-only
        with Store(folder):
            pass


def installed(folder: str | os.PathLike[str]) -> list[Installed]:
    """The installed packages of a plugin folder by name; plugins put there by hand are not.

    Reads only, and needs no lock.  Raises `ConfigurationError` when `folder` cannot be read.
    """
    with told(folder):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = (_record(name, top) for name in sorted(os.listdir(top)))
            return [one for one in found if one is not None]
        finally:
            os.close(top)


def _record(name: str, top: int) -> Installed | None:
    """The record of the folder `name`, or None where there is no valid one."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        with opened(name, top) as folder:
            number = os.open(RECORD, flags, dir_fd=folder)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return None
        found = Installed(**json.loads(os.read(number, _MAX_RECORD)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    finally:
        os.close(number)
    texts = (found.name, found.sha256)
    numbers = (found.engine_version, found.files, found.size)
    fine = all(type(one) is str for one in texts) and all(type(one) is int for one in numbers)
    return found if fine and found.name == name else None
