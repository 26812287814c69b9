"""Where the plugins that come with this package are."""

from __future__ import annotations

from pathlib import Path

from sandbox.errors import ConfigurationError


def bundled_plugins() -> Path:
    """The folder of bundled plugins: inside the installed package, or in the source checkout.

    Raises `ConfigurationError` when this installation has none.
    """
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent
    if (package / "bundled").is_dir():
        return package / "bundled"
    if (checkout / "pyproject.toml").is_file() and (checkout / "plugins").is_dir():
        return checkout / "plugins"
    raise ConfigurationError("this installation has no bundled plugins; name a folder with --dir")
