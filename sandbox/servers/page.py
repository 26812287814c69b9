"""The start page of the HTTP front end: which plugins there are, as one HTML document.

Owns the markup and its escaping.  Everything shown comes from strangers' manifests, so all of it
is escaped; the page loads nothing, runs no script, and its style is inline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Entry:
    """One plugin on the page.  `language` is empty without a main script, `problem` when well."""

    name: str
    label: str
    language: str
    problem: str = ""


POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""The page's Content-Security-Policy: should escaping ever fail, nothing runs all the same."""

_HEAD: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Plugins</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 1rem; }
ul { list-style: none; padding: 0; }
li { border: 1px solid #8886; border-radius: .5rem; margin: .5rem 0; padding: .75rem 1rem; }
a { display: block; font-weight: 600; overflow-wrap: anywhere; }
small { opacity: .75; overflow-wrap: anywhere; }
.problem { color: #c33; overflow-wrap: anywhere; margin: .25rem 0 0; }
</style>
</head>
<body>
<h1>Plugins</h1>
"""
_NONE: Final = "<p>There are no plugins here yet.</p>\n"
_TAIL: Final = "</body>\n</html>\n"


def page(entries: Iterable[Entry]) -> str:
    """The whole document."""
    items = "".join(map(_item, entries))
    return _HEAD + (f"<ul>\n{items}</ul>\n" if items else _NONE) + _TAIL


def _item(entry: Entry) -> str:
    # A name that is no UTF-8 on disk holds surrogates: they are linked as bytes, shown as "?".
    link = quote(entry.name.encode("utf-8", "surrogateescape"))
    about = " &middot; ".join(_text(part) for part in (entry.name, entry.language) if part)
    problem = f'<p class="problem">{_text(entry.problem)}</p>' if entry.problem else ""
    label = _text(entry.label or entry.name)
    return f'<li><a href="/{link}/">{label}</a><small>{about}</small>{problem}</li>\n'


def _text(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode("utf-8"))
