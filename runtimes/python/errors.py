"""The one exception the compiler half of the Python runtime raises.

Owns the shape of "this source is refused": syntax errors, policy refusals, undecodable bytes and
sources too deep to compile all look the same to a caller.  It knows nothing of engines, workers
or how an error is shown to a person.
"""

from __future__ import annotations

MAX_MESSAGE = 4000
"""Longest ``GuestSyntaxError.message``; the rest is cut."""

MAX_TEXT = 200
"""Longest source line kept in ``GuestSyntaxError.text``."""


class GuestSyntaxError(Exception):
    """The plugin's source was refused before it ran.

    Raised by :func:`runtimes.python.policy.compile_source` and by nothing else.  All attributes
    are plain data: ``message`` (every refusal of the policy, joined by newlines), ``filename``,
    ``line`` and ``column`` (of the first refusal; 1-based line, 1-based column, 0 if unknown)
    and ``text`` (that source line, or ``""``).
    """

    message: str
    filename: str
    line: int
    column: int
    text: str

    def __init__(self, message: str, filename: str, line: int, column: int, text: str) -> None:
        self.message = message[:MAX_MESSAGE]
        self.filename = filename
        self.line = line
        self.column = column
        self.text = text.strip()[:MAX_TEXT]
        super().__init__(self.message, filename, line, column, self.text)

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}: {self.message}"
