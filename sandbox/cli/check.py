"""`sandbox check DIR|FILE`: what would run, does it compile, and what does it ask for.

Nothing is run: sources are compiled in a confined worker, which also says which names they use.
The names of host functions among those are the capabilities that a plugin will need.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox import manifest
from sandbox.api.functions import FUNCTIONS
from sandbox.cli.options import add_isolation, command
from sandbox.cli.output import as_json, place_and_message, result
from sandbox.engine.engine import Engine
from sandbox.engine.runtimes import by_extension
from sandbox.errors import ConfigurationError, PluginError, SandboxError

NEEDS: Final = {
    name: function.capability
    for function in FUNCTIONS
    if function.capability
    for name in function.seen_as
}
"""What plugin authors write -> the capability it needs."""

_MAX_FOUND: Final = 10_000


@dataclass(slots=True)
class Finding:
    """One plugin: a folder of scripts, a module, or a file of bare code."""

    path: str
    kind: str
    languages: list[str]
    capabilities: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "check",
        check,
        "Tell for every plugin folder and module below a folder whether it compiles and which "
        "capabilities it asks for. Nothing is run.",
        "sandbox check --json plugins",
    )
    parser.add_argument("path", metavar="DIR|FILE", help="a folder of plugins, or one file")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    add_isolation(parser)


def check(options: argparse.Namespace) -> int:
    """Check everything below a path; 1 when anything is broken or nothing is there."""
    top = Path(options.path)
    if not top.exists():
        raise ConfigurationError(f"{top}: No such file or directory")
    with Engine(isolation=options.isolation) as engine:
        found = [_examine(engine, top, *one) for one in _plugins_below(top)]
    if not found:
        raise PluginError(f"{top}: there are no plugins here")
    ok = not any(one.errors for one in found)
    if options.json:
        result(as_json({"ok": ok, "plugins": [asdict(one) for one in found]}))
    else:
        for one in found:
            result(_line(one))
    return 0 if ok else 1


def _line(one: Finding) -> str:
    state = "broken" if one.errors else "ok"
    asks = f"asks for {', '.join(one.capabilities)}" if one.capabilities else "asks for nothing"
    parts = [f"{state} {one.path}: {one.kind}", ", ".join(one.languages) or "no script", asks]
    return "; ".join(parts) + "".join(f"; {error}" for error in one.errors).replace("\n", "\\n")


# ---------------------------------------------------------------------- finding


def _plugins_below(top: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Kind, place and source files of every plugin at or below `top`; links are not followed."""
    if top.is_file():
        kind = "module" if top.name.startswith("mod_") else "code"
        yield kind, top, [top]
        return
    count = 0
    for place, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        folder = Path(place)
        sources = [folder / name for name in sorted(files) if _language(name)]
        if manifest.NAME in files or any(path.stem == "main" for path in sources):
            yield "script", folder, list(_sources_below(folder))
            folders.clear()
            continue
        own = folder.name.startswith("mod_")
        for path in sources:
            if path.name.startswith("mod_") and ".lib." not in path.name:
                libraries = [one for one in sources if own and not one.name.startswith("mod_")]
                yield "module", path, [path, *libraries]
                count += 1
        if count > _MAX_FOUND:
            raise ConfigurationError(
                f"{top}: more than {_MAX_FOUND} plugins; name a smaller folder"
            )


def _sources_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # A folder that is called main.lua would answer requests: let it be found broken.
        broken = [name for name in folders if Path(name).stem == "main" and _language(name)]
        for name in sorted([*files, *broken]):
            if _language(name):
                yield Path(place) / name


def _language(name: str) -> str:
    info = by_extension().get(Path(name).suffix[1:].lower())
    return info.name if info else ""


# ---------------------------------------------------------------------- examining


def _examine(engine: Engine, top: Path, kind: str, place: Path, sources: list[Path]) -> Finding:
    shown = str(place.relative_to(top)) if place != top else place.name or str(place.resolve())
    finding = Finding(shown, kind, sorted({_language(path.name) for path in sources}))
    asked: set[str] = set()
    if kind == "script":
        try:
            asked.update(manifest.read(place).capabilities)
        except PluginError as error:
            finding.errors.append(place_and_message(error))
    for path in sources:
        try:
            names = engine.names_in(path)
        except SandboxError as error:
            finding.errors.append(_with_folder(place, path, error))
        else:
            asked.update(NEEDS[name] for name in names if name in NEEDS)
    finding.capabilities = sorted(asked)
    return finding


def _with_folder(place: Path, path: Path, error: SandboxError) -> str:
    """The error's text; a file in a folder below the plugin's is named with its folder."""
    text = place_and_message(error)
    folder = path.parent.relative_to(place) if place.is_dir() else Path()
    return f"{folder}/{text}" if folder.parts else text
