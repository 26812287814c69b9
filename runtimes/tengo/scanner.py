"""Bytes of a program -> its tokens, one at a time, with Tengo's automatic semicolons.

Source of behaviour: parser/scanner.go of Tengo v2.10.0, and of its master for number literals.
Faults of the text are reported through `report`, which the parser provides, at the moment the
original would: its scanner reads one character ahead of each token.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain
from typing import Final

from runtimes.tengo.nodes import Pos
from runtimes.tengo.tokens import CHAR, EOF, FLOAT, IDENT, ILLEGAL, INT, STRING, WORDS

_NAME, _WORD, _NEWLINE, _PLAIN_STRING, _INT, _FLOAT = range(1, 7)

# Whatever this does not match is for the slow path: other strings, characters, comments, names
# with letters beyond ASCII, the end, and what is wrong.
_TOKEN: Final = re.compile(
    rb"""[ \t\r]*+(?:
      ([A-Za-z_][A-Za-z0-9_]*+)(?![\x80-\xff])
    | ( [,?;()\[\]{}] | :=? | \.(?![0-9])(?:\.\.)? | \+[+=]? | -[-=]? | /(?![/*])=? | [*%^=!]=?
      | <(?:<=?|=)? | >(?:>=?|=)? | &(?:\^=?|[&=])? | \|[|=]? )
    | (\n)
    | ("[^"\\\n]*+")
    | ( 0[bB][01_]*+(?![eEpP]) | 0[oO][0-7_]*+(?![eEpP]) | 0[xX][0-9a-fA-F_]*+(?![.pP])
      | (?!0[bBoOxX])[0-9][0-9_]*+(?![.eEpP]) )
    | ( (?=\.?[0-9])
        (?: 0[bB][01_]*+ | 0[oO][0-7_]*+ | 0[xX][0-9a-fA-F_]*+(?:\.[0-9a-fA-F_]*+)?
        | [0-9_]*+(?:\.[0-9_]*+)? ) (?:[eEpP][+-]?[0-9_]*+)? )
    )?""",
    re.VERBOSE,
).match
_BLANKS: Final = re.compile(rb"[ \t\r\n]*+").match
_BLANKS_OF_LINE: Final = re.compile(rb"[ \t\r]*+").match

# One UTF-8 character (the group), or one byte that is not part of any.
_CHARACTER: Final = re.compile(
    rb"""([\x00-\x7f] | [\xc2-\xdf][\x80-\xbf]
    | (?:\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]|\xed[\x80-\x9f])[\x80-\xbf]
    | (?:\xf0[\x90-\xbf]|[\xf1-\xf3][\x80-\xbf]|\xf4[\x80-\x8f])[\x80-\xbf]{2}) | [\x80-\xff]""",
    re.VERBOSE,
)
_BOM: Final = b"\xef\xbb\xbf"
_NOT_IN_STRING: Final = re.compile(rb'["\\\n]').search
_NOT_IN_CHAR: Final = re.compile(rb"['\\\n]").search

_NAMED_ESCAPES: Final = frozenset(b"abfnrtv\\")
_ESCAPES: Final[dict[int, tuple[int, int, int]]] = {
    **dict.fromkeys(b"01234567", (3, 8, 255)),
    ord("x"): (2, 16, 255),
    ord("u"): (4, 16, 0x10FFFF),
    ord("U"): (8, 16, 0x10FFFF),
}
"""Escapes with digits: how many, their base, and the largest value."""

_NO_MORE: Final = 1 << 62


class Scanner(ABC):
    """A cursor over the tokens: `next()` sets `kind`, `text` and `offset` of the current one."""

    def __init__(self, source: bytes) -> None:
        self.kind = ""
        self.text = b""
        self.offset = 0
        self._source = source
        self._at = 0
        self._ends_line = False
        # A newline at the very end starts no line of its own, as in the original.
        newlines = re.finditer(rb"\n(?!\Z)", source)
        self._line_starts = array("Q", chain((0,), (match.end() for match in newlines)))
        self._bad_ones = self._bad_characters() if self._is_suspect() else iter(())
        self._next_bad, self._next_message = next(self._bad_ones, (_NO_MORE, ""))
        if source.startswith(_BOM):
            self._at = len(_BOM)
        elif source.startswith(b"#!"):  # the original's command line tool takes it for a comment
            self._at = max(source.find(b"\n"), 0) or len(source)

    @abstractmethod
    def report(self, offset: int, message: str) -> None:
        """Note that the text is wrong at `offset`."""

    def place(self, offset: int) -> Pos:
        """The line and column of an offset."""
        line = bisect_right(self._line_starts, offset)
        return Pos(line, offset - self._line_starts[line - 1] + 1)

    def next(self) -> None:
        """Go to the next token; at the end that is `EOF` again and again."""
        while True:
            match = _TOKEN(self._source, self._at)
            assert match is not None
            group = match.lastindex
            self._at = match.end()
            if group is None:
                if self._scan_odd():
                    break
                continue
            if group == _NEWLINE:
                if not self._ends_line:
                    blanks = _BLANKS(self._source, self._at)
                    assert blanks is not None
                    self._at = blanks.end()
                    continue
                self._scan_semicolon(self._at - 1)
                break
            self.offset = match.start(group)
            self.text = text = match[group]
            if group == _NAME:
                self.kind, self._ends_line = WORDS.get(text, (IDENT, True))
            elif group == _WORD:
                self.kind, self._ends_line = WORDS[text]
            else:
                self._ends_line = True
                self.kind = STRING if group == _PLAIN_STRING else INT
                if group == _FLOAT:
                    self._scan_float()
            break
        if self._next_bad <= self._at:
            self._report_bad()

    # ------------------------------------------------------------------ characters

    def _is_suspect(self) -> bool:
        """Whether any character of the source can be illegal wherever it stands."""
        source = self._source
        if b"\0" in source or source.find(_BOM, 1) > 0:
            return True
        if source.isascii():
            return False
        try:
            source.decode()
        except UnicodeDecodeError:
            return True
        return False

    def _bad_characters(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, str]]:
        stop = len(self._source) if end is None else end
        for match in _CHARACTER.finditer(self._source, start, stop):
            character = match[1]
            if character is None:
                yield match.start(), "illegal UTF-8 encoding"
            elif character == b"\0":
                yield match.start(), "illegal character NUL"
            elif character == _BOM and match.start() > 0:
                yield match.start(), "illegal byte order mark"

    def _report_bad(self) -> None:
        while self._next_bad <= self._at:
            self.report(self._next_bad, self._next_message)
            self._next_bad, self._next_message = next(self._bad_ones, (_NO_MORE, ""))

    def _character(self, at: int) -> tuple[str, int]:
        """The character at an offset and where it ends."""
        match = _CHARACTER.match(self._source, at)
        assert match is not None
        return (match[1] or b"\xef\xbf\xbd").decode(), match.end()

    # ------------------------------------------------------------------ the slow path

    def _scan_odd(self) -> bool:
        """Scan what `_TOKEN` left; false when it was a comment, and there is no token yet."""
        source, start = self._source, self._at
        self.offset = start
        if start >= len(source):
            if self._ends_line:
                self._scan_semicolon(start)
            else:
                self.kind, self.text = EOF, b""
            return True
        first = source[start]
        if first == ord("/"):
            return self._scan_comment(start)
        if first == ord('"'):
            self._scan_string(start)
        elif first == ord("'"):
            self._scan_char(start)
        elif first == ord("`"):
            self._scan_raw_string(start)
        elif not self._scan_name(start):
            character, self._at = self._character(start)
            if character != "\ufeff":
                self.report(start, f"illegal character {_described(character)}")
            self.kind, self.text = ILLEGAL, source[start : self._at]
            return True
        self.text = source[start : self._at]
        self._ends_line = True
        return True

    def _scan_semicolon(self, offset: int) -> None:
        """The statement ends here without a `;`."""
        self.kind, self.text, self.offset = ";", b"\n", offset
        self._ends_line = False

    def _scan_name(self, start: int) -> bool:
        """A name with letters beyond ASCII."""
        at = start
        end = len(self._source)
        while at < end:
            character, after = self._character(at)
            if character.isalpha() or character == "_" or (at > start and character.isdecimal()):
                at = after
            else:
                break
        self.kind, self._at = IDENT, at
        return at > start

    def _scan_float(self) -> None:
        """A number with a fraction or an exponent: the exponent must have digits."""
        self.kind = FLOAT
        if self.text[-1:] in (b"+", b"-", b"e", b"E", b"p", b"P"):
            self.report(self._at, "exponent has no digits")

    def _scan_comment(self, start: int) -> bool:
        source = self._source
        if self._ends_line and self._line_ends_after(start):
            self._scan_semicolon(start)  # and the comment once more, after it
            return True
        self._ends_line = False
        if source[start + 1] == ord("/"):
            end = source.find(b"\n", start)
        else:
            end = source.find(b"*/", start + 2) + 2
            if end < 2:
                self.report(start, "comment not terminated")
                end = -1
        self._at = len(source) if end < 0 else end
        return False

    def _line_ends_after(self, start: int) -> bool:
        """Whether the comments from `start` on contain a newline, or one or the end follows."""
        source, at = self._source, start
        while source[at : at + 2] == b"/*":
            close = source.find(b"*/", at + 2)
            newline = source.find(b"\n", at, close if close >= 0 else len(source))
            if close < 0 or newline >= 0:
                self._seen_twice(start, len(source) if newline < 0 else newline + 1)
                return True
            blanks = _BLANKS_OF_LINE(source, close + 2)
            assert blanks is not None
            at = blanks.end()
            if at >= len(source) or source[at] == ord("\n"):
                self._seen_twice(start, at + 1)
                return True
        self._seen_twice(start, at + 1)
        return source[at : at + 2] == b"//"

    def _seen_twice(self, start: int, end: int) -> None:
        """The original looks at this part twice, and says so twice if a character is illegal."""
        if self._next_bad < end:
            for offset, message in self._bad_characters(start, end):
                self.report(offset, message)

    # ------------------------------------------------------------------ strings, characters

    def _scan_string(self, start: int) -> None:
        source, at = self._source, start + 1
        self.kind = STRING
        while True:
            match = _NOT_IN_STRING(source, at)
            if match is None or match[0] == b"\n":
                self._at = len(source) if match is None else match.start()
                self.report(start, "string literal not terminated")
                return
            if match[0] == b'"':
                self._at = match.end()
                return
            at, _ = self._scan_escape(match.end(), ord('"'))

    def _scan_raw_string(self, start: int) -> None:
        self.kind = STRING
        end = self._source.find(b"`", start + 1)
        if end < 0:
            self.report(start, "raw string literal not terminated")
        self._at = len(self._source) if end < 0 else end + 1

    def _scan_char(self, start: int) -> None:
        source, at = self._source, start + 1
        self.kind = CHAR
        valid = True
        count = 0
        while True:
            match = _NOT_IN_CHAR(source, at)
            end = len(source) if match is None else match.start()
            if count < 2:
                count += sum(1 for _ in _CHARACTER.finditer(source, at, min(end, at + 8)))
            if match is None or match[0] == b"\n":
                self._at = end
                if valid:
                    self.report(start, "rune literal not terminated")
                return
            if match[0] == b"'":
                self._at = match.end()
                break
            count += 1
            at, fine = self._scan_escape(match.end(), ord("'"))
            valid = valid and fine
        if valid and count != 1:
            self.report(start, "illegal rune literal")

    def _scan_escape(self, at: int, quote: int) -> tuple[int, bool]:
        """Check the escape whose backslash is just before `at`: its end, and whether it is one."""
        source = self._source
        first = source[at] if at < len(source) else -1
        if first == quote or first in _NAMED_ESCAPES:
            return at + 1, True
        count, base, largest = _ESCAPES.get(first, (0, 0, 0))
        if count == 0:
            unterminated = first < 0
            message = (
                "escape sequence not terminated" if unterminated else "unknown escape sequence"
            )
            self.report(at, message)
            return at, False
        start = at
        at += base == 16
        value = 0
        for _ in range(count):
            digit = _digit(source[at]) if at < len(source) else 16
            if digit >= base:
                if at >= len(source):
                    self.report(at, "escape sequence not terminated")
                else:
                    shown = _described(self._character(at)[0])
                    self.report(at, f"illegal character {shown} in escape sequence")
                return at, False
            value = value * base + digit
            at += 1
        if value > largest or 0xD800 <= value < 0xE000:
            self.report(start, "escape sequence is invalid Unicode code point")
            return at, False
        return at, True


def _digit(byte: int) -> int:
    """The value of a digit, 16 for what is none."""
    place = b"0123456789abcdef".find(bytes((byte,)).lower())
    return 16 if place < 0 else place


def _described(character: str) -> str:
    """A character as Go's %#U shows it."""
    code = f"U+{ord(character):04X}"
    return f"{code} '{character}'" if character.isprintable() else code
