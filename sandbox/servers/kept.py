"""Small files that a server keeps in its folder: read with a cap, replaced in one step.

One of them is changed by several programs, by the server and by `sandbox install` and
`uninstall`: `grants.json`, what an operator granted to plugins and which of them are off.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox.below import read_file
from sandbox.engine.services.grants import parse_grant
from sandbox.errors import ConfigurationError
from sandbox.policy import parse_capability

GRANTS: Final = "grants.json"
"""The name of the file that holds `Decisions`."""

MAX_BYTES: Final = 1024 * 1024
"""Longest file that is read, in bytes."""


def read_bytes(path: Path) -> bytes | None:
    """The bytes of a regular file, or None when there is none.  Raises `ConfigurationError`, also
    for a pipe: to wait for somebody to write to it could take for ever."""
    try:
        data = read_file(path, MAX_BYTES)
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
                # What a server could read, it can read when root has replaced it.
                with contextlib.suppress(OSError):
                    before = os.lstat(path)
                    os.fchown(number, before.st_uid, before.st_gid)
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


# ---------------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class Decisions:
    """What an operator decided about plugins: the grants of each, and which are switched off."""

    granted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()

    def of(self, plugin: str) -> frozenset[str]:
        """What one plugin was granted."""
        return self.granted.get(plugin, frozenset())

    def granting(self, plugin: str, capabilities: frozenset[str]) -> Decisions:
        """The same, where exactly these are what a plugin was granted."""
        granted = {**self.granted, plugin: capabilities}
        return Decisions({name: some for name, some in granted.items() if some}, self.disabled)

    def switched(self, plugin: str, *, on: bool) -> Decisions:
        """The same, with a plugin on or off."""
        rest = self.disabled - {plugin}
        return Decisions(self.granted, rest if on else rest | {plugin})

    def without(self, plugin: str) -> Decisions:
        """The same, with nothing decided about a plugin: the next one of its name may be
        another stranger's."""
        return self.granting(plugin, frozenset()).switched(plugin, on=True)


def readable(capability: str) -> str:
    """`capability` itself when a policy can have it.  Raises `ConfigurationError`."""
    parse_capability(capability)
    if capability.partition(":")[0] == "http":
        parse_grant(capability)
    return capability


def read_decisions(root: Path) -> Decisions:
    """What the file in a server's folder says; nothing is decided where there is none.

    Raises `ConfigurationError` naming the file.
    """
    path = root / GRANTS
    content = read_object(path)
    strange = sorted(set(content) - {"grants", "disabled"})
    if strange:
        raise ConfigurationError(
            f"{path}: {strange[0][:100]!r} is unknown; there are disabled, grants"
        )
    granted, disabled = content.get("grants", {}), content.get("disabled", [])
    lists = [disabled, *granted.values()] if isinstance(granted, dict) else [None]
    for one in lists:
        if not isinstance(one, list) or not all(isinstance(text, str) for text in one):
            raise ConfigurationError(f"{path}: must hold lists of texts")
    try:
        given = {name: frozenset(map(readable, some)) for name, some in granted.items()}
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None
    return Decisions(given, frozenset(disabled))


def decide(root: Path, change: Callable[[Decisions], Decisions]) -> Decisions:
    """Change what is decided, by what `change` makes of what the file says, and keep it.

    Two programs that do so at once must not undo each other's: use it within `alone`.  Raises
    `ConfigurationError` when the file cannot be read or written; then nothing changes.
    """
    before = read_decisions(root)
    after = change(before)
    if after != before:
        content: dict[str, Any] = {
            "grants": {name: sorted(some) for name, some in after.granted.items()},
            "disabled": sorted(after.disabled),
        }
        write_object(root / GRANTS, content, 0o600)
    return after


@contextlib.contextmanager
def alone(root: Path, *, wait: bool) -> Iterator[None]:
    """No other program that uses this changes decisions meanwhile.

    With `wait` it is waited for.  Without, it is a `ConfigurationError`: a server must not stand
    still because somebody stopped a command.
    """
    with contextlib.ExitStack() as stack:
        # Where a folder cannot be locked (some network file systems) this does without.
        with contextlib.suppress(OSError):
            number = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, number)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise ConfigurationError(
                    "grants: another program is changing them; try again when it is done"
                ) from None
        yield
