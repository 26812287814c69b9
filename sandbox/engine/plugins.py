"""Where plugins are on disk: modules by name, a plugin's own libraries, scripts by path.

Names and paths come from requests and from plugins, so every one is checked: plain names only,
and nothing outside its folder, symbolic links included.  Files are read as bytes and never
interpreted here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox import manifest
from sandbox.engine import runtimes
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.errors import ConfigurationError, PluginError, UnknownPlugin

MAX_SOURCE: Final = 256 * 1024
"""Longest source file in bytes: compilers need a multiple of it in memory."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}", re.ASCII)
_FOLDER: Final = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,254}")


@dataclass(frozen=True, slots=True)
class Source:
    """A source file: its name relative to the plugin, its bytes, its language, its folder."""

    file: str
    content: bytes
    runtime: RuntimeInfo
    folder: Path


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of a plugin that is served as it is."""

    path: Path


def read_source(path: Path, shown: str, plugin: str) -> bytes:
    """The bytes of a source file, at most `MAX_SOURCE` of them, valid UTF-8 or not.

    Raises `PluginError` naming the file when it is a folder, too long or unreadable.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_SOURCE + 1)
            size = os.fstat(file.fileno()).st_size
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

    # ------------------------------------------------------------------ modules

    def find_module(self, name: str) -> Source:
        """The file of module `name`, in Prosody's search order, for each language.

        Raises `UnknownPlugin` with the last path tried.
        """
        tried = f"mod_{name}"
        if _NAME.fullmatch(name):
            for root in self.roots:
                for info in runtimes.installed().values():
                    file = f"mod_{name}.{info.extension}"
                    for place in (f"mod_{name}/{name}", f"mod_{name}", name, "."):
                        path = root / place / file
                        tried = os.path.normpath(os.path.join(place, file))
                        if path.is_file() and self._inside(path, root):
                            return Source(file, read_source(path, file, name), info, path.parent)
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
                    return read_source(path, file, module), file
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

    @staticmethod
    def _serves(folder: Path) -> bool:
        names = {f"main.{extension}" for extension in runtimes.by_extension()}
        return any((folder / name).exists() for name in {manifest.NAME, *names})

    def folder(self, plugin: str) -> Path:
        """The folder of a plugin with scripts.  Raises `UnknownPlugin`."""
        if _fits(plugin) and _FOLDER.fullmatch(plugin):
            for root in self.roots:
                path = root / plugin
                if path.is_dir() and self._serves(path) and self._inside(path, root):
                    return path
        raise UnknownPlugin(f"there is no plugin {plugin!r}", plugin=plugin)

    def resolve(self, plugin: str, path: str) -> Source | StaticFile | None:
        """What answers the path below a plugin's folder: a script, a file, or nothing.

        The main script answers what is not there; a folder is answered by the main script in it.
        The manifest and names that begin with a dot are not there.  Raises `UnknownPlugin`, or
        `PluginError` for a script that cannot be read.
        """
        folder = self.folder(plugin)
        parts = [part for part in path.split("/") if part]
        if _fits(*parts) and all(map(_FOLDER.fullmatch, parts)) and parts != [manifest.NAME]:
            target = folder.joinpath(*parts)
            if target.is_dir() and parts and self._inside(target, folder):
                return self._main(target, folder, plugin)
            if target.is_file() and self._inside(target, folder):
                shown = "/".join(parts)
                info = runtimes.by_extension().get(target.suffix[1:].lower())
                if info is None:
                    return StaticFile(target)
                return Source(shown, read_source(target, shown, plugin), info, folder)
        return self._main(folder, folder, plugin)

    def _main(self, place: Path, folder: Path, plugin: str) -> Source | None:
        for extension, info in runtimes.by_extension().items():
            path = place / f"main.{extension}"
            # A folder called main.lua is an error that its author should see, not a 404.
            if path.exists() and self._inside(path, folder):
                shown = str(path.relative_to(folder))
                return Source(shown, read_source(path, shown, plugin), info, folder)
        return None

    def find_import(self, plugin: str, name: str, runtime: RuntimeInfo) -> tuple[str, bytes] | None:
        """A file of a plugin's folder that a script of it imports: (file name, source)."""
        folder = self.folder(plugin)
        parts = name.split(".") if "/" not in name else name.split("/")
        if not _fits(*parts) or not all(map(_NAME.fullmatch, parts)):
            return None
        path = folder.joinpath(*parts[:-1], f"{parts[-1]}.{runtime.extension}")
        if not path.is_file() or not self._inside(path, folder):
            return None
        shown = str(path.relative_to(folder))
        return shown, read_source(path, shown, plugin)

    @staticmethod
    def _inside(path: Path, folder: Path) -> bool:
        """Whether `path`, links followed, is still below `folder`."""
        return path.resolve().is_relative_to(folder.resolve())
