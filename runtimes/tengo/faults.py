"""What is wrong with a program's text, worded and placed as the original does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from runtimes.tengo.nodes import Pos

_LONGEST_LINE: Final = 200


class TengoSyntaxError(Exception):
    """A program that does not parse or does not compile.

    `message` is the original's wording without its prefix; `phase` is that prefix; `more` is how
    many further errors the parser found; `line_text` is the line of the fault, cut when long.
    `str()` is the whole text as the original prints it.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: Literal["Parse Error", "Compile Error"],
        file: str,
        pos: Pos,
        line_text: str = "",
        more: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.phase = phase
        self.file = file
        self.pos = pos
        self.line_text = line_text
        self.more = more

    def __str__(self) -> str:
        line, column = self.pos
        text = f"{self.phase}: {self.message}\n\tat {self.file}:{line}:{column}"
        return f"{text} (and {self.more} more errors)" if self.more else text


def text_of_line(source: bytes, line: int) -> str:
    """Line `line` (1-based) of a source, for showing to people."""
    start = 0
    for _ in range(line - 1):
        start = source.find(b"\n", start) + 1
        if start == 0:
            return ""
    end = source.find(b"\n", start, start + _LONGEST_LINE)
    if end < 0:
        end = min(len(source), start + _LONGEST_LINE)
    return source[start:end].decode("utf-8", "replace").rstrip("\r")
