"""Plugin names as file names: one to one, on any file system.

A plugin's name may hold anything but a slash and control characters: dots, spaces, other scripts,
lone surrogates.  What is not a lower-case letter, digit, `-` or `_` is written as `%` and two hex
digits per byte, so that two names never become one where case or Unicode forms do not count.
"""

from __future__ import annotations

import hashlib
from typing import Final

from sandbox.errors import PluginError

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
_LONGEST: Final = 180  # bytes, of the 255 that file systems take; suffixes need some


def plain_name(plugin: str) -> str:
    """The file name for a plugin's name.  Raises `PluginError` when it is empty.

    A long name ends in its SHA-256 instead; `%%` occurs in no other.
    """
    if not plugin:
        raise PluginError("a plugin without a name can keep nothing")
    raw = plugin.encode("utf-8", "surrogatepass")
    text = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in raw)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:90]}%%{hashlib.sha256(raw).hexdigest()}"
