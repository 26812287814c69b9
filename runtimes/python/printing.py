"""`print` for plugins: text to wherever the environment's output goes, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtimes.python.facade import freeze


def printer(write: Callable[[str], None]) -> Any:
    """A `print` whose text goes to `write`.  It has `sep` and `end`; there is no file to name."""

    def print(*values: object, sep: str | None = None, end: str | None = None) -> None:
        separator = " " if sep is None else sep
        ending = "\n" if end is None else end
        if not isinstance(separator, str) or not isinstance(ending, str):
            raise TypeError("print: sep and end are texts")
        write(separator.join([str(value) for value in values]) + ending)

    return freeze(print)
