"""Where plugins are on disk: modules by name, a plugin's own libraries, scripts by path.

Names and paths come from requests and from plugins, so every one is checked: plain names only,
and nothing outside its folder, symbolic links included.  Files are read as bytes and never
interpreted here.  What scripts are made of is kept while it is unchanged (`unchanged.py`), unless
a symbolic link is on the way to it: where that leads is asked each time.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox import manifest
from sandbox.below import READ, open_below
from sandbox.engine import runtimes
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.unchanged import Look, Unchanged, look
from sandbox.errors import ConfigurationError, PluginError, UnknownPlugin
from sandbox.manifest import Manifest

MAX_SOURCE: Final = 256 * 1024
"""Longest source file in bytes: compilers need a multiple of it in memory."""

_MAX_PLUGINS: Final = 1024
_MAX_FILES: Final = 1024
_MAX_KEPT: Final = 16 * 2**20  # bytes of source that are kept; more is read again
_ENTRY_COST: Final = 100  # bytes that a name or a small object takes, roughly

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}", re.ASCII)
_FOLDER: Final = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,254}")


@dataclass(frozen=True, slots=True)
class Source:
    """A source file: its name relative to the plugin, its bytes, its language, its folder, and
    the folder's manifest where that was read along with it."""

    file: str
    content: bytes
    runtime: RuntimeInfo
    folder: Path
    asked: Manifest | None = None


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of a plugin that is served as it is, and the folder that it is to be below."""

    path: Path
    folder: Path


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A plugin's folder as it was found.

    `names` are those in it, `mains` those of its main scripts, the first one first.  `asked` is
    its manifest, or None where that could not be read: asking again says why.  `linked` says
    whether a symbolic link leads here, so that nothing of it can be kept.
    """

    folder: Path
    names: frozenset[str]
    mains: tuple[str, ...]
    asked: Manifest | None
    linked: bool


def read_source(path: Path, shown: str, plugin: str, within: Path | None = None) -> bytes:
    """The bytes of a source file, at most `MAX_SOURCE` of them, valid UTF-8 or not.

    With `within`, what is read is below that folder, even if somebody changes a symbolic link
    at this very moment.  Raises `PluginError` naming the file when it is not a file, too long or
    unreadable.
    """
    try:
        number = open_below(path, within) if within else os.open(path, READ)
        try:
            content, size = _all_of(number)
        finally:
            os.close(number)
    except IsADirectoryError:
        raise PluginError(f"{shown} is a folder, not a script", plugin=plugin, file=shown) from None
    except OSError as error:
        raise PluginError(
            f"{shown} cannot be read: {error.strerror}", plugin=plugin, file=shown
        ) from None
    if len(content) > MAX_SOURCE:
        raise PluginError(
            f"{shown} is {max(size, len(content))} bytes long, more than {MAX_SOURCE}",
            plugin=plugin,
            file=shown,
        )
    return content


def _all_of(number: int) -> tuple[bytes, int]:
    """What is in an open file, at most a byte more than there may be, and its size."""
    if stat.S_ISFIFO(os.fstat(number).st_mode):
        raise OSError(errno.EINVAL, "it is a pipe")
    with open(number, "rb", closefd=False) as file:
        return file.read(MAX_SOURCE + 1), os.fstat(number).st_size


def _mains() -> list[str]:
    """What a main script may be called."""
    return [f"main.{extension}" for extension in runtimes.by_extension()]


def _fits(*parts: str) -> bool:
    """Whether the kernel takes a relative path of these names; a longer one is not there."""
    sizes = [len(os.fsencode(part)) for part in parts]
    return max(sizes, default=0) <= 255 and sum(sizes) + len(sizes) <= 2048


class Plugins:
    """The plugin folders of one engine, searched in the order given."""

    def __init__(self, roots: list[str | os.PathLike[str]]) -> None:
        self.roots = [Path(root).absolute() for root in roots]
        for root in self.roots:
            if not root.is_dir():
                raise ConfigurationError(f"plugins: {root} is not a folder")
        self._places: Unchanged[str, Place] = Unchanged(_MAX_PLUGINS, _MAX_KEPT)
        # A file is kept along with the place it was found in: another place, another file.
        self._files: Unchanged[str, tuple[Place, Source | StaticFile]] = Unchanged(
            _MAX_FILES, _MAX_KEPT
        )

    # ------------------------------------------------------------------ modules

    def find_module(self, name: str) -> Source:
        """The file of module `name`, in Prosody's search order, for each language.

        Raises `UnknownPlugin` with the last path tried.
        """
        tried = f"mod_{name}"
        if _NAME.fullmatch(name):
            for root in self.roots:
                for info in runtimes.installed().values():
                    if not info.modules:
                        continue
                    file = f"mod_{name}.{info.extension}"
                    for place in (f"mod_{name}/{name}", f"mod_{name}", name, "."):
                        path = root / place / file
                        tried = os.path.normpath(os.path.join(place, file))
                        if path.is_file() and self._inside(path, root):
                            content = read_source(path, file, name, root)
                            return Source(file, content, info, path.parent)
        raise UnknownPlugin(f"{tried}: No such file or directory", plugin=name)

    def find_library(self, module: str, name: str) -> tuple[bytes, str] | str:
        """A library for `module:require`: (source, file name), or the reason why not."""
        source = self.find_module(module)
        file = f"{name}.lib.{source.runtime.extension}"
        if not _NAME.fullmatch(name):
            return f"{name!r} is not a library name"
        for file in (
            f"{name}.lib.{source.runtime.extension}",
            f"{name}.{source.runtime.extension}",
        ):
            for folder in (source.folder, source.folder / f"mod_{name}"):
                path = folder / file
                if path.is_file() and self._inside(path, source.folder):
                    return read_source(path, file, module, source.folder), file
        return f"{file}: No such file or directory"

    # ------------------------------------------------------------------ scripts

    def names(self) -> list[str]:
        """The plugin folders that hold scripts or a manifest, sorted."""
        found = {
            entry.name
            for root in self.roots
            for entry in os.scandir(root)
            if entry.is_dir()
            and _FOLDER.fullmatch(entry.name)
            and self._serves(Path(entry.path))
            and self._inside(Path(entry.path), root)
        }
        return sorted(found)

    def _serves(self, folder: Path) -> bool:
        path = folder / manifest.NAME
        if path.exists() and self._inside(path, folder):
            return True
        return any((folder / name).exists() for name in _mains())

    def folder(self, plugin: str) -> Path:
        """The folder of a plugin with scripts.  Raises `UnknownPlugin`."""
        return self.place(plugin).folder

    def manifest(self, plugin: str) -> Manifest:
        """What a plugin says of itself.  Raises `UnknownPlugin`, and as `manifest.parse` does."""
        place = self.place(plugin)
        return manifest.read(place.folder) if place.asked is None else place.asked

    def place(self, plugin: str) -> Place:
        """The folder of a plugin with scripts, and what is in it.  Raises `UnknownPlugin`."""
        kept = self._places.get(plugin)
        if kept is not None:
            return kept
        looks: list[Look] = []
        if _fits(plugin) and _FOLDER.fullmatch(plugin):
            for root in self.roots:
                path = root / plugin
                looks.append(look(path))
                if path.is_dir() and self._serves(path) and self._inside(path, root):
                    return self._looked(plugin, path, looks)
        raise UnknownPlugin(f"there is no plugin {plugin!r}", plugin=plugin)

    def _looked(self, plugin: str, folder: Path, looks: list[Look]) -> Place:
        names = frozenset(os.listdir(folder))
        mains = tuple(name for name in _mains() if name in names)
        path = folder / manifest.NAME
        if manifest.NAME in names:
            looks.append(look(path))
        linked = folder.is_symlink()
        try:
            place = Place(folder, names, mains, manifest.read(folder), linked)
        except PluginError:
            return Place(folder, names, mains, None, linked)
        if not linked and not path.is_symlink():
            self._places.put(plugin, place, looks, _ENTRY_COST * (len(names) + 1))
        return place

    def resolve(self, plugin: str, path: str) -> Source | StaticFile | None:
        """What answers the path below a plugin's folder: a script, a file, or nothing.

        The main script answers what is not there; a folder is answered by the main script in it.
        The manifest and names that begin with a dot are not there.  Raises `UnknownPlugin`, or
        `PluginError` for a script that cannot be read.
        """
        place = self.place(plugin)
        parts = [part for part in path.split("/") if part]
        if (
            parts
            and parts[0] in place.names
            and _fits(*parts)
            and all(map(_FOLDER.fullmatch, parts))
            and parts != [manifest.NAME]
        ):
            found = self._file(place, parts, plugin)
            if found is not None:
                return found
            target = place.folder.joinpath(*parts)
            if target.is_dir() and self._inside(target, place.folder):
                return self._main(place, parts, plugin)
        return self._main(place, [], plugin)

    def _main(self, place: Place, parts: list[str], plugin: str) -> Source | None:
        for name in _mains() if parts else place.mains:
            found = self._file(place, [*parts, name], plugin, folders=True)
            if isinstance(found, Source):
                return found
        return None

    def _file(
        self, place: Place, parts: list[str], plugin: str, *, folders: bool = False
    ) -> Source | StaticFile | None:
        """The file of that path in a plugin's folder, if there is one.

        With `folders`, a folder counts as well: one called main.lua is an error that its author
        should see, not a 404.
        """
        key = "/".join((os.fspath(place.folder), *parts))
        kept = self._files.get(key)
        if kept is not None and kept[0] is place:
            return kept[1]
        path = Path(key)
        looks = self._way(place, parts)
        there = path.exists() if folders else path.is_file()
        if not there or not self._inside(path, place.folder):
            return None
        shown = "/".join(parts)
        info = runtimes.by_extension().get(path.suffix[1:].lower())
        found: Source | StaticFile = StaticFile(path, place.folder)
        size = _ENTRY_COST
        if info is not None:
            content = read_source(path, shown, plugin, place.folder)
            found = Source(shown, content, info, place.folder, place.asked)
            size += len(content)
        if looks is not None:
            self._files.put(key, (place, found), looks, size)
        return found

    @staticmethod
    def _way(place: Place, parts: Sequence[str]) -> list[Look] | None:
        """What is on the way to a file of a plugin; None when a symbolic link is."""
        looks, path = [], place.folder
        for part in parts:
            path = path / part
            looks.append(look(path))
            if path.is_symlink():
                return None
        return None if place.linked else looks

    def find_import(self, plugin: str, name: str, runtime: RuntimeInfo) -> tuple[str, bytes] | None:
        """A file of a plugin's folder that a script of it imports: (file name, source).

        `name` is a module's name, or a path from the folder on, which ends with the extension.
        """
        place = self.place(plugin)
        ending, plain = f".{runtime.extension}", _NAME
        if name.endswith(ending):
            name, plain = name.removesuffix(ending), _FOLDER
            parts = name.split("/")
        else:
            parts = name.split(".") if "/" not in name else name.split("/")
        if not _fits(*parts) or not all(map(plain.fullmatch, parts)):
            return None
        parts[-1] += ending
        if parts[0] not in place.names:
            return None
        found = self._file(place, parts, plugin)
        return (found.file, found.content) if isinstance(found, Source) else None

    @staticmethod
    def _inside(path: Path, folder: Path) -> bool:
        """Whether `path`, links followed, is still below `folder`."""
        return path.resolve().is_relative_to(folder.resolve())
