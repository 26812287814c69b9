"""`sandbox install`, `uninstall` and `list`: the packages of a server's folder.

A running server sees the change with its next request.  What an operator decided about a plugin,
its grants above all, is forgotten along with it: the next one of its name may be a stranger's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.cli.options import command
from sandbox.cli.output import as_json, result
from sandbox.engine.services.asking import opened
from sandbox.engine.storage import stored
from sandbox.errors import ConfigurationError, PackageRejected
from sandbox.packages import install as packages
from sandbox.packages.archive import read_package
from sandbox.packages.install import Installed
from sandbox.packages.names import check_plugin
from sandbox.policy import CAPABILITIES, Policy
from sandbox.servers.kept import alone, decide, read_decisions
from sandbox.servers.names import RESERVED, VERSION


def add_to(commands: Any) -> None:
    """Declare the three commands."""
    parser = command(
        commands,
        "install",
        install,
        "Install a plugin package into DIR/plugins, in place of an older version of it, and tell "
        "what it asks for. Without what it was not granted it is not run.",
        "sandbox install radio.203.tgz --dir /srv/msx",
    )
    parser.add_argument("package", metavar="PKG", help="a package, NAME.PPP.tgz or NAME.PPP.zip")
    _add_common(parser)
    parser = command(
        commands,
        "uninstall",
        uninstall,
        "Remove an installed package from DIR/plugins, and forget what it was granted; what the "
        "plugin stored is kept for the next one of its name, unless you say --forget.",
        "sandbox uninstall radio --dir /srv/msx --forget",
    )
    parser.add_argument("name", metavar="NAME", help="the plugin's name, as `sandbox list` has it")
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove what the plugin stored as well, its files and kept memory, also when it is "
        "uninstalled already; end the server before, which may write memory again",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="where plugins store, as `sandbox serve` was told (default: data in --dir)",
    )
    _add_common(parser)
    parser = command(
        commands,
        "list",
        show,
        "List the packages that are installed in DIR/plugins.",
        "sandbox list --dir /srv/msx --json",
    )
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", required=True, help="the server's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def install(options: argparse.Namespace) -> int:
    """Install a package.  Raises `ConfigurationError` when it is refused."""
    root, folder = Path(options.dir), _folder(options.dir, make=True)
    try:
        package = read_package(options.package)
        with alone(root, wait=True):
            new = not os.path.lexists(folder / package.name)
            decided = decide(root, lambda now: now.without(package.name) if new else now)
            done = packages.install(package, folder, version=VERSION, reserved=RESERVED)
    except PackageRejected as error:
        raise ConfigurationError(error.message) from None
    asks = package.manifest.capabilities
    granted = decided.of(package.name) | Policy().grants(package.name, "script")
    missing = [capability for capability in asks if not opened(capability, granted)]
    if options.json:
        result(as_json({"installed": asdict(done), "asks": asks, "missing": missing}))
    else:
        result(f"installed {_line(done)}")
        _tell(asks, missing)
    return 0


def _tell(asks: Iterable[str], missing: list[str]) -> None:
    """What an operator should know before the plugin runs."""
    base = Policy().base("", "script")
    result("what every plugin may do, unless it is withheld:")
    for capability in sorted(base):
        result(f"  {capability}: {CAPABILITIES[capability]}")
    result(f"this one asks for: {', '.join(asks) or 'nothing more'}")
    if missing:
        example = " ".join(f"--grant {one}" for one in missing)
        result(
            f"not granted yet: {', '.join(missing)}; it is not run until you grant that: to it "
            "alone on the server's page or in the file of --config, or to every plugin by "
            f"sandbox serve {example}"
        )


def uninstall(options: argparse.Namespace) -> int:
    """Remove a package, and with `--forget` what it stored.  Raises `ConfigurationError` when
    there is none of that name."""
    name, root, folder = options.name, Path(options.dir), _folder(options.dir)
    data = Path(options.data or root / "data")
    try:
        check_plugin(name)
        # As one step for a server that decides something at the same time.
        with alone(root, wait=True):
            read_decisions(root)  # if that fails, nothing is done
            left = options.forget and not os.path.lexists(folder / name) and stored(data, name)
            done = None if left else packages.uninstall(name, folder)
            decide(root, lambda now: now.without(name))
    except PackageRejected as error:
        raise ConfigurationError(error.message) from None
    found = stored(data, name)
    if options.forget:
        for path in found:
            _remove(path)
    if options.json:
        shown, paths = asdict(done) if done else None, [str(path) for path in found]
        result(as_json({"uninstalled": shown, "stored": paths, "forgotten": options.forget}))
        return 0
    if done:
        result(f"uninstalled {_line(done)}")
    _tell_stored(options, data, found)
    return 0


def _remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    try:
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be removed: {error.strerror}") from None


def _tell_stored(options: argparse.Namespace, data: Path, found: list[Path]) -> None:
    """What became of what the plugin stored: the next one of its name would find it."""
    where = " and ".join(map(str, found))
    if not found:
        result(f"it stored nothing in {data}")
    elif options.forget:
        result(f"removed what it stored: {where}")
    else:
        again = ["sandbox", "uninstall", options.name, "--dir", options.dir, "--forget"]
        again += ["--data", options.data] if options.data else []
        result(f"what it stored stays, and the next plugin of that name would find it: {where}")
        result(f"to remove that, too: {shlex.join(again)}")


def show(options: argparse.Namespace) -> int:
    """List the installed packages."""
    found = packages.installed(_folder(options.dir))
    if options.json:
        result(as_json({"packages": [asdict(one) for one in found]}))
    else:
        for one in found:
            result(_line(one))
    return 0


def _folder(root: str, make: bool = False) -> Path:
    if not Path(root).is_dir():
        raise ConfigurationError(f"--dir: {root} is not a folder")
    folder = Path(root) / "plugins"
    try:
        if make:
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--dir: {folder}: {error.strerror}") from None
    if not folder.is_dir():
        raise ConfigurationError(f"--dir: {folder} is not a folder")
    return folder


def _line(one: Installed) -> str:
    return (
        f"{one.name}: engine {one.engine_version:03}, {one.files} files, {one.size} bytes, "
        f"sha256 {one.sha256}"
    )
