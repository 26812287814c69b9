"""Small files that a server keeps in its folder: read with a cap, replaced in one step."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any, Final

from sandbox.errors import ConfigurationError

MAX_BYTES: Final = 1024 * 1024
"""Longest file that is read, in bytes."""


def read_bytes(path: Path) -> bytes | None:
    """The bytes of a file, or None when there is none.  Raises `ConfigurationError`."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"{path}: is longer than {MAX_BYTES} bytes")
    return data


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty when there is none.

    Raises `ConfigurationError` with the line of what is no JSON.
    """
    data = read_bytes(path)
    if data is None:
        return {}
    try:
        content = json.loads(data)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}:{error.lineno}: is not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path}: is not JSON") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: must hold a JSON object")
    return content


def write_bytes(path: Path, data: bytes, mode: int = 0o644, *, sure: bool = True) -> None:
    """Replace a file: interrupted at any point, the old content or the new one is there, whole.

    Without `sure` that holds when the program dies, but not when the machine does: waiting for
    the disk takes milliseconds, in which nobody else is served.  Raises `ConfigurationError` when
    it cannot be done.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with open(number, "wb") as file:
                file.write(data)
                file.flush()
                if sure:
                    os.fsync(number)
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None


def write_object(
    path: Path, content: dict[str, Any], mode: int = 0o644, *, sure: bool = True
) -> None:
    """Replace a file by a JSON object, as `write_bytes` does."""
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    write_bytes(path, text.encode("utf-8", "replace") + b"\n", mode, sure=sure)
