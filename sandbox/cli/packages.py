"""`sandbox install`, `uninstall` and `list`: the packages of a server's folder.

A running server sees the change with its next request.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.cli.options import command
from sandbox.cli.output import as_json, result
from sandbox.errors import ConfigurationError, PackageRejected
from sandbox.packages import install as packages
from sandbox.packages.archive import read_package
from sandbox.packages.install import Installed
from sandbox.servers.names import RESERVED, VERSION


def add_to(commands: Any) -> None:
    """Declare the three commands."""
    parser = command(
        commands,
        "install",
        install,
        "Install a plugin package into DIR/plugins, in place of an older version of it.",
        "sandbox install radio.203.tgz --dir /srv/msx",
    )
    parser.add_argument("package", metavar="PKG", help="a package, NAME.PPP.tgz or NAME.PPP.zip")
    _add_common(parser)
    parser = command(
        commands,
        "uninstall",
        uninstall,
        "Remove an installed package from DIR/plugins; what the plugin stored is kept.",
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
    folder = _folder(options.dir, make=True)
    try:
        package = read_package(options.package)
        done = packages.install(package, folder, version=VERSION, reserved=RESERVED)
    except PackageRejected as error:
        raise ConfigurationError(error.message) from None
    _report(done, "installed", options.json)
    return 0


def uninstall(options: argparse.Namespace) -> int:
    """Remove a package.  Raises `ConfigurationError` when there is none of that name."""
    try:
        done = packages.uninstall(options.name, _folder(options.dir))
    except PackageRejected as error:
        raise ConfigurationError(error.message) from None
    _report(done, "uninstalled", options.json)
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


def _report(done: Installed, what: str, as_object: bool) -> None:
    result(as_json({what: asdict(done)}) if as_object else f"{what} {_line(done)}")


def _line(one: Installed) -> str:
    return (
        f"{one.name}: engine {one.engine_version:03}, {one.files} files, {one.size} bytes, "
        f"sha256 {one.sha256}"
    )
