"""What a script's function was given: counted, and as text."""

from __future__ import annotations

from typing import Any

from runtimes.python.plain import shown


def text_of(value: Any) -> str:
    """A value as text, the same in every language: nothing is empty, bytes are taken as UTF-8,
    lists and maps are shown as `[1, "a", true]`."""
    if value is None:
        return ""
    if type(value) is str:
        return value
    if type(value) is bytes:
        return value.decode("utf-8", "replace")
    return shown(value)


def counted(name: str, arguments: tuple[Any, ...], least: int, most: int) -> None:
    """Raise `TypeError` for a wrong number of arguments."""
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise TypeError(f"{name}: expected {wanted} arguments, not {len(arguments)}")


def a_text(name: str, value: Any) -> str:
    """`value`, which must be a text."""
    if type(value) is str:
        return value
    raise TypeError(f"{name}: expected a text, not {type(value).__name__}")
