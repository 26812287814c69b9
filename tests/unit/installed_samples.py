"""Packages to install, and what is found of them, for the tests of `sandbox.packages.install`."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

from sandbox.manifest import Manifest
from sandbox.packages import store
from sandbox.packages.archive import Package
from sandbox.packages.install import RECORD

VERSION = "0.05.204"
OLD = {"manifest.json": b"{}", "main.lua": b"return 'old'\n", "a/gone.txt": b"old"}
NEW = {"manifest.json": b"{}", "main.lua": b"return 'new'\n", "a/b/c.txt": b"new", "a/d.txt": b""}


def package(files: dict[str, bytes], name: str = "radio", version: int = 203) -> Package:
    """A package with these files."""
    digest = f"{len(files):064x}"
    return Package(name, version, MappingProxyType(files), Manifest(), digest)


def content(folder: Path, name: str = "radio") -> dict[str, bytes] | None:
    """The files of an installed plugin without its record; None if it is not there."""
    top = folder / name
    if not top.is_dir():
        return None
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and path.name != RECORD
    }


def left(folder: Path) -> list[str]:
    """What is in the private folder but the lock."""
    return sorted(set(os.listdir(folder / store.PRIVATE)) - {"lock"})
