"""What a script writes: the rules of `server.write`, as ServeMSX's document has them.

Where the document is silent the rules are those of Go's http.Redirect and http.Error, which
ServeMSX answers with.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any, Final

from runtimes.python import urls
from runtimes.python.texts import text_of

_PHRASES: Final = {
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    305: "Use Proxy",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
}


class Answer:
    """What a script has written so far."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.redirect: str | None = None
        self.headers: list[list[Any]] = []
        self.body: list[bytes] = []


class Writer:
    """Writes into an answer; `spend` is told how many bytes before each."""

    def __init__(self, answer: Answer, method: str, uri: str, spend: Callable[[int], None]) -> None:
        self._answer = answer
        self._shows_links = method in ("GET", "HEAD")
        self._uri = uri
        self._spend = spend

    def write(self, parts: tuple[Any, ...]) -> None:
        """Headers from a map, the status from an integer, a redirect from an integer 300-399
        before a text, an error from a greater one before anything; the rest is the body."""
        status: int | None = None  # of the part before
        for part in parts:
            before, status = status, None
            if isinstance(part, dict):
                self._headers(part)
            elif type(part) is int:
                # One that cannot cross is as wrong as any that HTTP does not have.
                self._answer.status = status = part if abs(part) < 2**62 else -1
            elif part is None:
                continue
            elif before is not None and 300 <= before <= 399 and type(part) is str:
                self._redirect(before, part)
            elif before is not None and before >= 400 and self._is_bare():
                self._error(part)
            else:
                self._body(part)

    def _headers(self, fields: dict[Any, Any]) -> None:
        for name, values in fields.items():
            if type(name) is not str:
                raise TypeError("write: a header's name is a text")
            listed = values if isinstance(values, list | tuple) else [values]
            texts = [text_of(value) for value in listed]
            self._spend(len(name) + sum(map(len, texts)) + 4)
            self._answer.headers.append([name, texts])

    def _set(self, name: str, value: str | None) -> None:
        """A field in place of all of its name; none for None."""
        kept = [field for field in self._answer.headers if field[0].lower() != name.lower()]
        self._answer.headers = kept if value is None else [*kept, [name, [value]]]

    def _is_bare(self) -> bool:
        """Whether there is neither a body nor a type of one yet."""
        names = {field[0].lower() for field in self._answer.headers}
        return not self._answer.body and "content-type" not in names

    def _body(self, part: Any) -> None:
        data = part if type(part) is bytes else _utf8(text_of(part))
        self._spend(len(data))
        self._answer.body.append(data)

    def _error(self, part: Any) -> None:
        self._set("Content-Type", "text/plain; charset=utf-8")
        self._set("X-Content-Type-Options", "nosniff")
        self._body(part if type(part) is bytes else text_of(part))
        self._body("\n")

    def _redirect(self, status: int, target: str) -> None:
        uri = self._uri.encode("utf-8", "replace")
        place = urls.redirected(uri, _utf8(target)).decode("utf-8", "replace")
        self._spend(len(place))
        self._answer.redirect = place
        self._set("Location", None)
        if status != 304 and self._shows_links and self._is_bare():
            # RFC 9110 section 15.4 asks for a note with the link.
            self._set("Content-Type", "text/html; charset=utf-8")
            link = html.escape(place).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
            self._body(f'<a href="{link}">{_PHRASES.get(status, "")}</a>.\n\n')


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
