"""Names and numbers by which the HTTP front end is known; plain data, needs no extra packages."""

from __future__ import annotations

from typing import Final

from sandbox.engine.scripts import VERSION

__all__ = ["NAME", "RESERVED", "VERSION"]

NAME: Final = "ServeMSX"
"""What MSX clients are told: some plugins and start pages look at it."""

RESERVED: Final = frozenset(
    {
        "msx", "admin", "static", "install", "restart", "settings", "update", "proxy.m3u8",
        "logo.png", "logotype.png", "favicon.ico",
    }
)  # fmt: skip
"""Names of our own pages, which no installed plugin may have."""
