"""`sandbox install`, `uninstall` and `list`: the packages of a server's folder.

A running server sees the change with its next request.  What an operator decided about a plugin,
its grants above all, is forgotten along with it: the next one of its name may be a stranger's.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.cli.options import command
from sandbox.cli.output import as_json, result
from sandbox.engine.services.asking import opened
from sandbox.errors import ConfigurationError, PackageRejected
from sandbox.packages import install as packages
from sandbox.packages.archive import read_package
from sandbox.packages.install import Installed
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
        "plugin stored is kept.",
        "sandbox uninstall radio --dir /srv/msx",
    )
    parser.add_argument("name", metavar="NAME", help="the plugin's name, as `sandbox list` has it")
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
    """Remove a package.  Raises `ConfigurationError` when there is none of that name."""
    folder = _folder(options.dir)
    try:
        # As one step for a server that decides something at the same time.
        with alone(Path(options.dir), wait=True):
            read_decisions(Path(options.dir))  # if that fails, nothing is done
            done = packages.uninstall(options.name, folder)
            decide(Path(options.dir), lambda now: now.without(options.name))
    except PackageRejected as error:
        raise ConfigurationError(error.message) from None
    result(as_json({"uninstalled": asdict(done)}) if options.json else f"uninstalled {_line(done)}")
    return 0


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
