"""The `server` object of a script: what ServeMSX calls `import("server")`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus

from runtimes.python.host import HostGate

_FORM: Final = "application/x-www-form-urlencoded"


def _parse(text: str) -> dict[str, list[str]]:
    """The fields of a query (Go's url.ParseQuery: a pair with a semicolon is left out)."""
    fields: dict[str, list[str]] = {}
    kept = "&".join(pair for pair in text.split("&") if ";" not in pair)
    for name, value in parse_qsl(kept, keep_blank_values=True, errors="replace"):
        fields.setdefault(name, []).append(value)
    return fields


class Answer:
    """What a script has written so far."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.redirect: str | None = None
        self.headers: list[list[Any]] = []
        self.body: list[bytes] = []


class Server:
    """The request and the answer as a script sees them.  Plugin code cannot write to it: its
    class is not one of theirs."""

    def __init__(
        self, gate: HostGate, plugin: str, script: str, request: Mapping[str, Any], answer: Answer
    ) -> None:
        self._gate = gate
        self._answer = answer
        self._query = request["query"]
        self._body = request["body"]
        self.proto = request["proto"]
        self.method = request["method"]
        self.host = request["host"]
        self.remote_addr = request["remote_addr"]
        self.header = self.headers = request["headers"]
        self.uri = request["uri"]
        self.version = request["version"]
        self.script = script
        self.plugin = plugin
        path = request["path"]
        self.path = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
        self.base_url = request["base_url"]

    # ------------------------------------------------------------------ reading

    def read(self, *what: Any) -> Any:
        """`read()`: the body as bytes; `read(bool)`: a map of lists, of the form alone when
        true; `read(name[, bool])`: the first value of a field, or None."""
        if not what:
            return self._body
        only_form = bool(what[1]) if len(what) > 1 else False
        if isinstance(what[0], str):
            found = self._form_fields().get(what[0])
            if not found and not only_form:
                found = _parse(self._query).get(what[0])
            return found[0] if found else None
        fields = {name: list(values) for name, values in self._form_fields().items()}
        if not what[0]:
            for name, values in _parse(self._query).items():
                fields.setdefault(name, []).extend(values)
        return fields

    def _form_fields(self) -> dict[str, list[str]]:
        kind = self.headers.get("Content-Type", [""])[0].partition(";")[0].strip().lower()
        return _parse(self._body.decode("utf-8", "replace")) if kind == _FORM else {}

    # ------------------------------------------------------------------ writing

    def write(self, *parts: Any) -> None:
        """Headers from a map, the status from an integer, a redirect from an integer 300-399
        before a text; everything else goes to the body."""
        rest = list(parts)
        while rest:
            part = rest.pop(0)
            if isinstance(part, dict):
                self._put_headers(part)
            elif isinstance(part, int) and not isinstance(part, bool):
                self._answer.status = part
                if 300 <= part <= 399 and rest and isinstance(rest[0], str):
                    self._answer.redirect = rest.pop(0)
            elif part is not None:
                self._put_body(part)

    def _put_headers(self, fields: dict[Any, Any]) -> None:
        for name, values in fields.items():
            if not isinstance(name, str):
                raise TypeError("write: a header's name is a text")
            listed = values if isinstance(values, (list, tuple)) else [values]
            texts = [str(value) for value in listed]
            self._gate.spend(len(name) + sum(map(len, texts)))
            self._answer.headers.append([name, texts])

    def _put_body(self, part: Any) -> None:
        if isinstance(part, bool):
            part = "true" if part else "false"
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "backslashreplace")
        self._gate.spend(len(data))
        self._answer.body.append(data)

    # ------------------------------------------------------------------ the rest

    def memory(self, *value: Any) -> Any:
        """`memory()` reads what the plugin keeps between requests, `memory(x)` keeps `x`."""
        if not value:
            return self._gate.call("memory.get", self.plugin)
        self._gate.call("memory.set", self.plugin, value[0])
        return None

    def file(self, name: str, *data: Any) -> Any:
        """`file(name)` reads a file of the plugin, as bytes, or gives None; `file(name, None)`
        removes it, `file(name, data)` writes bytes, or anything else as text."""
        if not data:
            return self._gate.call("file.read", name)
        if data[0] is None:
            self._gate.call("file.remove", name)
        else:
            content = data[0] if isinstance(data[0], bytes) else str(data[0]).encode()
            self._gate.call("file.write", name, content)
        return None

    def request(self, url: str, options: Any = None) -> Any:
        """Make an HTTP request; `options` is a method, a body as bytes, or a map.  Raises
        `PermissionError` for a missing grant, `RuntimeError` when it fails."""
        if options is None:
            sent: dict[str, Any] = {}
        elif isinstance(options, str):
            sent = {"method": options}
        elif isinstance(options, bytes):
            sent = {"body": options}
        elif isinstance(options, dict):
            sent = dict(options)
            if isinstance(sent.get("method"), str):
                sent["method"] = sent["method"].upper()
        else:
            raise TypeError("request: expected a method, a body or a map of options")
        return self._gate.call("http.request", url, sent)

    def log(self, *parts: Any) -> None:
        """Write a line to the server's log."""
        self._gate.log(self.plugin, "", "info", " ".join(map(str, parts)))

    def log_inf(self, *parts: Any) -> None:
        """As `log`."""
        self.log(*parts)

    def log_err(self, *parts: Any) -> None:
        """As `log`, as an error."""
        self._gate.log(self.plugin, "", "error", " ".join(map(str, parts)))

    def encode_uri(self, value: Any, for_path: bool = False) -> str:
        """A text escaped for a query (or a path), or a map of lists as a query."""
        if isinstance(value, str):
            return quote(value, safe="$&+=:@") if for_path else quote_plus(value)
        pairs = [
            f"{quote_plus(str(name))}={quote_plus(str(item))}"
            for name in sorted(value)
            for item in (value[name] if isinstance(value[name], (list, tuple)) else [value[name]])
        ]
        return "&".join(pairs)

    def decode_uri(self, text: str, for_path: bool = False) -> str:
        """The opposite of `encode_uri` for a text."""
        return unquote(text) if for_path else unquote_plus(text)
