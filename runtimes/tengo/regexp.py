"""Go's regular expressions, by RE2, which they were made from: the same syntax, linear time.

The functions take and give byte strings and byte offsets.  What Go's `regexp` does on top of one
match (finding all, expanding `$1`) is done here.  The package google-re2 is optional; without it
every function raises :class:`RegexpError` with a text that says what to install.

Sources: https://pkg.go.dev/regexp, https://pkg.go.dev/regexp/syntax, re2/re2.h.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

MISSING: Final = (
    "regular expressions need the package google-re2: pip install 'plugin-sandbox[tengo]'"
)
_PREFIX: Final = "error parsing regexp: "
_MAX_MEMORY: Final = 8 << 20  # of one pattern and its automata, in bytes
_MAX_CACHED: Final = 32

Spans = tuple[tuple[int, int], ...]

# RE2's texts and Go's; those that are missing here are the same.
_TEXTS: Final = {
    "invalid named capture group": "invalid named capture",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
}
_ESCAPE: Final = re.compile(rb"\\Q.*?(?:\\E|\Z)|\\(.)", re.DOTALL)


class RegexpError(ValueError):
    """A pattern that cannot be used; the text is Go's, as "error parsing regexp: ..."."""


def _load() -> Any:
    # By name: the package has no types, and need not be there.
    try:
        return importlib.import_module("re2._re2").RE2
    except ImportError:
        return None


_RE2: Final = _load()


def _options() -> Any:
    if _RE2 is None:
        return None
    options = _RE2.Options()
    options.log_errors = False  # it would write to a descriptor that workers do not have
    options.max_mem = _MAX_MEMORY
    return options


_OPTIONS: Final = _options()
_cache: dict[bytes, Any] = {}


def available() -> bool:
    """Whether google-re2 is installed."""
    return _RE2 is not None


def _compiled(pattern: bytes) -> Any:
    """The RE2 object of a pattern; the least recently used ones are dropped."""
    regexp = _cache.pop(pattern, None)
    if regexp is None:
        if _RE2 is None:
            raise RegexpError(MISSING)
        for escape in _ESCAPE.finditer(pattern):
            if escape[1] == b"C":  # a single byte, which only RE2 has
                raise RegexpError(f"{_PREFIX}invalid escape sequence: `\\C`")
        regexp = _RE2(pattern, _OPTIONS)
        if not regexp.ok():
            raise RegexpError(_PREFIX + _reason(pattern, regexp.error()))
        if len(_cache) >= _MAX_CACHED:
            del _cache[next(iter(_cache))]
    _cache[pattern] = regexp
    return regexp


def _reason(pattern: bytes, error: str | bytes) -> str:
    """What Go says where RE2 says `error`."""
    text = error if isinstance(error, str) else error.decode("utf-8", "replace")
    if text.startswith("trailing \\"):
        return "trailing backslash at end of expression: ``"
    if text.startswith("invalid UTF-8"):
        try:
            pattern.decode()
        except UnicodeDecodeError as broken:
            pattern = pattern[broken.start :]
        return f"invalid UTF-8: `{_shown(pattern)}`"
    if text.startswith("pattern too large"):
        return f"expression too large: `{_shown(pattern)}`"
    code, _, argument = text.partition(": ")
    if argument in ("(?<=", "(?<!"):
        argument = "(?<"
    return f"{_TEXTS.get(code, code)}: `{argument}`"


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _repaired(text: bytes) -> tuple[bytes, list[int] | None]:
    """`text` as UTF-8, and if it was not, the place in `text` of each byte.

    Go matches a byte that is not UTF-8 as if it were U+FFFD; RE2 would match it with nothing.
    """
    if text.isascii():
        return text, None
    try:
        text.decode()
    except UnicodeDecodeError:
        pass
    else:
        return text, None
    pieces = list[bytes]()
    places = list[int]()
    at = 0
    for rune in text.decode("utf-8", "surrogateescape"):
        if "\udc80" <= rune <= "\udcff":
            piece, size = b"\xef\xbf\xbd", 1
        else:
            piece = rune.encode()
            size = len(piece)
        pieces.append(piece)
        places += range(at, at + size)
        places += [at] * (len(piece) - size)
        at += size
    places.append(at)
    return b"".join(pieces), places


def _width(text: bytes, at: int) -> int:
    """The length of the rune at a byte of valid UTF-8; 1 at the end."""
    lead = text[at] if at < len(text) else 0
    return 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def _matches(regexp: Any, text: bytes, limit: int) -> Iterator[Spans]:
    """All matches from left to right as Go counts them, `limit` at most unless it is negative.

    Sources: the description of "All" functions in the documentation of package regexp.
    """
    unanchored, match = _RE2.Anchor.UNANCHORED, regexp.Match
    end, position, previous = len(text), 0, -1
    while limit != 0 and position <= end:
        spans: Spans = match(unanchored, text, position, end)
        first, last = spans[0]
        if first < 0:
            return
        if last == position:
            position += _width(text, position)
            # An empty match that touches the one before does not count.
            if first == previous:
                continue
        else:
            position = last
        previous = last
        limit -= 1
        yield spans


def check(pattern: bytes) -> None:
    """Raise :class:`RegexpError` unless the pattern can be used."""
    _compiled(pattern)


def match(pattern: bytes, text: bytes) -> bool:
    """Whether the pattern matches anywhere in the text."""
    regexp, (text, _) = _compiled(pattern), _repaired(text)
    spans: Spans = regexp.Match(_RE2.Anchor.UNANCHORED, text, 0, len(text))
    return spans[0][0] >= 0


def find(pattern: bytes, text: bytes, limit: int) -> list[int]:
    """All matches in one list: the number of spans in each, then their ends, -1 for no part.

    Empty when there is none.
    """
    regexp, (text, places) = _compiled(pattern), _repaired(text)
    found = [end for spans in _matches(regexp, text, limit) for span in spans for end in span]
    if not found:
        return []
    if places is not None:
        found = [end if end < 0 else places[end] for end in found]
    return [1 + regexp.NumberOfCapturingGroups(), *found]


def replace(pattern: bytes, text: bytes, template: bytes) -> bytes:
    """Go's ReplaceAllString: every match replaced by the expanded template."""
    regexp = _compiled(pattern)
    parts = _template(template, regexp)
    source, places = _repaired(text)
    out, done = [], 0
    for spans in _matches(regexp, source, -1):
        if places is not None:
            spans = tuple((places[a], places[b]) if a >= 0 else (a, b) for a, b in spans)
        out.append(text[done : spans[0][0]])
        done = spans[0][1]
        for part in parts:
            if isinstance(part, bytes):
                out.append(part)
                continue
            first, last = spans[part]
            if first >= 0:
                out.append(text[first:last])
    out.append(text[done:])
    return b"".join(out)


def _template(template: bytes, regexp: Any) -> list[bytes | int]:
    """A template cut into texts and group numbers; groups that are not there are left out.

    Sources: Regexp.Expand in the documentation of package regexp.
    """
    groups, parts = regexp.NumberOfCapturingGroups(), list[bytes | int]()
    names = dict(regexp.NamedCapturingGroups())
    text = template.decode("utf-8", "surrogateescape")
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar].encode("utf-8", "surrogateescape"))
        at = dollar + 1
        if text.startswith("$", at):
            parts.append(b"$")
            at += 1
            continue
        name, after = _name(text, at)
        if not name:
            parts.append(b"$")
            continue
        at = after
        if name.isascii() and name.isdigit() and len(name) < 10 and (name == "0" or name[0] != "0"):
            number = int(name)
            if number <= groups:
                parts.append(number)
        elif (group := names.get(name.encode("utf-8", "surrogateescape"))) is not None:
            parts.append(group)
    parts.append(text[at:].encode("utf-8", "surrogateescape"))
    return parts


def _name(text: str, at: int) -> tuple[str, int]:
    """The name after a `$`, empty when there is none, and the place after it."""
    brace = text.startswith("{", at)
    start = at = at + brace
    while at < len(text) and (text[at] == "_" or text[at].isalpha() or text[at].isdecimal()):
        at += 1
    name = text[start:at]
    if not brace:
        return name, at
    return (name, at + 1) if text.startswith("}", at) else ("", at)


def _warm_up() -> None:
    """Use everything once, so that nothing is set up late in a confined worker."""
    if available():
        replace(rb"(?i)(\pL+)|\b(?P<n>x)\d{2,}$", "äx12 ".encode() + b"\xff", b"${n}$1")
        try:
            check(b"(")
        except RegexpError:
            _cache.clear()


_warm_up()

# What library code in Lua can ask for.
SERVICES: Final[dict[str, Callable[..., Any]]] = {
    "regexp_check": check,
    "regexp_match": match,
    "regexp_find": find,
    "regexp_replace": replace,
}
