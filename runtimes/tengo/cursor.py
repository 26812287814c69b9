"""The parser's view of the tokens, and its list of errors.

Which errors are kept and how the parser takes up again after one follows parser/parser.go of
Tengo v2.10.0, since what is shown is the first error of the text and the count of the others.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn

from runtimes.tengo.depth import MAX_DEPTH
from runtimes.tengo.faults import TengoSyntaxError, text_of_line
from runtimes.tengo.nodes import Pos
from runtimes.tengo.scanner import Scanner
from runtimes.tengo.tokens import EOF, LITERALS, SYNC

_MOST_ERRORS = 10
_MOST_SYNCS = 10


class TooManyErrors(Exception):
    """The parser gives up; what it found so far is shown."""


class Cursor(Scanner):
    """The current token, and what to do when it is not the expected one."""

    def __init__(self, source: bytes, name: str) -> None:
        self.name = name
        self.depth = 0
        self._errors = 0
        self._first: tuple[Pos, str] | None = None
        self._last_line = 0
        self._sync_offset = -1
        self._syncs = 0
        super().__init__(source)

    # ------------------------------------------------------------------ errors

    @property
    def failed(self) -> bool:
        """Whether any error was found so far."""
        return self._errors > 0

    def report(self, offset: int, message: str) -> None:
        """An error of the scanner's: always kept."""
        self._keep(self.place(offset), message)

    def _keep(self, pos: Pos, message: str) -> None:
        self._errors += 1
        self._last_line = pos.line
        if self._first is None or (pos, message) < self._first:
            self._first = (pos, message)

    def error(self, pos: Pos, message: str) -> None:
        """An error of the parser's: dropped if the one before it was on the same line."""
        if self._errors and self._last_line == pos.line:
            return
        if self._errors > _MOST_ERRORS:
            raise TooManyErrors
        self._keep(pos, message)

    def expected(self, what: str) -> None:
        """The current token is not `what`."""
        if self.kind == ";" and self.text == b"\n":
            found = "newline"
        elif self.kind in LITERALS:
            found = self.text.decode("utf-8", "replace")
        else:
            found = f"'{self.kind}'"
        self.error(self.place(self.offset), f"expected {what}, found {found}")

    def raise_errors(self) -> None:
        """Raise the first error in the order of the text, if there is one."""
        if self._first is None:
            return
        pos, message = self._first
        raise self._fault(pos, message, self._errors - 1)

    def too_deep(self) -> NoReturn:
        """Refuse a program that nests deeper than walkers of its tree could go."""
        raise self._fault(self.place(self.offset), "nesting too deep", 0)

    def _fault(self, pos: Pos, message: str, more: int) -> TengoSyntaxError:
        return TengoSyntaxError(
            message,
            phase="Parse Error",
            file=self.name,
            pos=pos,
            line_text=text_of_line(self._source, pos.line),
            more=more,
        )

    # ------------------------------------------------------------------ steps

    def enter(self) -> None:
        """Go one level deeper."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.too_deep()

    def here(self) -> Pos:
        """Where the current token starts."""
        return self.place(self.offset)

    def expect(self, kind: str) -> Pos:
        """Step over a token that must be of this kind; where it starts."""
        pos = self.place(self.offset)
        if self.kind != kind:
            self.expected(f"'{kind}'")
        self.next()
        return pos

    def end_statement(self) -> None:
        """Step over the end of a statement; none is needed before `)` and `}`."""
        if self.kind == ";":
            self.next()
        elif self.kind == ",":
            self.expected("';'")
            self.next()
        elif self.kind not in (")", "}"):
            self.expected("';'")
            self.resume()

    def resume(self, at: Collection[str] = SYNC) -> None:
        """After an error: go on to a keyword that starts a statement.

        Stops at the same one only so often, so that an error there cannot repeat for ever.
        """
        while self.kind != EOF:
            if self.kind in at:
                if self.offset == self._sync_offset and self._syncs < _MOST_SYNCS:
                    self._syncs += 1
                    return
                if self.offset > self._sync_offset:
                    self._sync_offset = self.offset
                    self._syncs = 0
                    return
            self.next()
