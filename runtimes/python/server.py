"""The `server` object of a script: what ServeMSX calls `import("server")`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runtimes.python import forms, urls
from runtimes.python.answers import Answer, Writer
from runtimes.python.facade import Frozen
from runtimes.python.host import HostGate
from runtimes.python.settings import Settings
from runtimes.python.texts import a_text, counted, text_of

__all__ = ["Answer", "Server"]

_SHOWN: Final = ("proto", "method", "host", "remote_addr", "uri", "version", "base_url")


class Server(Frozen):
    """The request and the answer as a script sees them."""

    __slots__ = (
        *_SHOWN, "header", "headers", "path", "plugin", "script", "settings",
        "_body", "_form", "_gate", "_kind", "_query", "_query_text", "_writer",
    )  # fmt: skip
    _body: bytes
    _form: tuple[forms.Fields, forms.Files] | None
    _gate: HostGate
    _kind: bytes
    _query: forms.Fields | None
    _query_text: str
    _writer: Writer
    base_url: str
    header: dict[str, list[str]]
    headers: dict[str, list[str]]
    host: str
    method: str
    path: str
    plugin: str
    proto: str
    remote_addr: str
    script: str
    settings: Settings
    uri: str
    version: str

    def __init__(
        self, gate: HostGate, plugin: str, script: str, request: Mapping[str, Any], answer: Answer
    ) -> None:
        path, headers = request["path"], request["headers"]
        headers.pop("Host", None)  # Go takes it for the address; it is there as `host`
        filled = {
            **{name: request[name] for name in _SHOWN},
            "header": headers,
            "headers": headers,
            "path": path.decode("utf-8", "replace") if isinstance(path, bytes) else path,
            "plugin": plugin,
            "script": script,
            "settings": Settings(request.get("settings", {}), request["host"]),
            "_body": request["body"],
            "_form": None,
            "_gate": gate,
            # Now: a script may change the map of headers.
            "_kind": headers.get("Content-Type", [""])[0].encode("utf-8", "replace"),
            "_query": None,
            "_query_text": request["query"],
            "_writer": Writer(answer, request["method"], request["uri"], gate.spend),
        }
        for name, value in filled.items():
            object.__setattr__(self, name, value)

    # ------------------------------------------------------------------ reading

    def read(self, *what: Any) -> Any:
        """`read()`: the body as bytes; `read(bool)`: a map of lists, of the form alone when
        true; `read(name[, bool])`: the first value of a field, the bytes of a file, or None."""
        counted("read", what, 0, 2)
        if not what:
            return self._body
        fields, files = self._parsed()
        only_form = bool(what[1]) if len(what) > 1 else False
        if type(what[0]) is str:
            name = what[0].encode("utf-8", "replace")
            if not name:
                return None
            if name not in fields and name in files:
                return files[name]
            source = fields if name in fields or only_form else self._of_query()
            return source[name][0].decode("utf-8", "replace") if name in source else None
        if type(what[0]) is not bool:
            raise TypeError(f"read: expected a name or a bool, not {type(what[0]).__name__}")
        found: dict[str, list[str]] = {}
        # Fields of the body come before those of the query.
        for source in (fields,) if what[0] else (fields, self._of_query()):
            for key, values in source.items():
                texts = [value.decode("utf-8", "replace") for value in values]
                found.setdefault(key.decode("utf-8", "replace"), []).extend(texts)
        return found

    def _parsed(self) -> tuple[forms.Fields, forms.Files]:
        if self._form is None:
            form = forms.form(self.method, self._kind, self._body)
            object.__setattr__(self, "_form", form)
            return form
        return self._form

    def _of_query(self) -> forms.Fields:
        if self._query is None:
            fields = urls.parse_query(self._query_text.encode("utf-8", "replace"), {})
            object.__setattr__(self, "_query", fields)
            return fields
        return self._query

    # ------------------------------------------------------------------ writing

    def write(self, *parts: Any) -> None:
        """Headers from a map, the status from an integer, a redirect from an integer 300-399
        before a text; everything else goes to the body."""
        self._writer.write(parts)

    # ------------------------------------------------------------------ what lasts

    def memory(self, *value: Any) -> Any:
        """`memory()` reads what the plugin keeps between requests, `memory(x)` keeps `x`."""
        counted("memory", value, 0, 1)
        if not value:
            return self._gate.call("memory.get", self.plugin)
        self._gate.call("memory.set", self.plugin, value[0])
        return None

    def file(self, name: str, *data: Any) -> Any:
        """`file(name)` reads a file of the plugin, as bytes, or gives None; `file(name, None)`
        removes it, `file(name, data)` writes bytes, or anything else as text."""
        counted("file", (name, *data), 1, 2)
        a_text("file", name)
        if not data:
            return self._gate.call("file.read", name)
        if data[0] is None:
            self._gate.call("file.remove", name)
        else:
            content = data[0] if type(data[0]) is bytes else text_of(data[0]).encode()
            self._gate.call("file.write", name, content)
        return None

    # ------------------------------------------------------------------ the rest

    def request(self, url: str, options: Any = None) -> Any:
        """Make an HTTP request; `options` is a method, a body as bytes, or a map.  Raises
        `PermissionError` for a missing grant, `RuntimeError` when it fails."""
        a_text("request", url)
        if options is None:
            sent: dict[str, Any] = {}
        elif type(options) is str:
            sent = {"method": options}
        elif type(options) is bytes:
            sent = {"body": options}
        elif isinstance(options, dict):
            sent = dict(options)
            if type(sent.get("method")) is str:
                sent["method"] = sent["method"].upper()
        else:
            raise TypeError("request: expected a method, a body or a map of options")
        return self._gate.call("http.request", url, sent)

    def log(self, *parts: Any) -> None:
        """Write a line to the server's log."""
        self._gate.log(self.plugin, "", "info", " ".join(map(text_of, parts)))

    def log_inf(self, *parts: Any) -> None:
        """As `log`."""
        self.log(*parts)

    def log_err(self, *parts: Any) -> None:
        """As `log`, as an error."""
        self._gate.log(self.plugin, "", "error", " ".join(map(text_of, parts)))

    # ------------------------------------------------------------------ URLs

    def encode_uri(self, value: Any, for_path: bool = False) -> str:
        """A text or bytes escaped for a query (or a path), or a map of lists as a query."""
        if isinstance(value, dict):
            fields = {}
            for name, items in value.items():
                listed = items if isinstance(items, list | tuple) else [items]
                fields[text_of(name).encode()] = [_raw(item) for item in listed]
            return urls.encode_query(fields).decode("ascii")
        if type(value) not in (str, bytes):
            raise TypeError(f"encode_uri: expected a text or a map, not {type(value).__name__}")
        return urls.escape(_raw(value), "segment" if for_path else "query").decode("ascii")

    def decode_uri(self, text: str, for_path: bool = False) -> str:
        """The opposite of `encode_uri` for a text.  Raises `ValueError` for a broken escape."""
        escaped = a_text("decode_uri", text).encode()
        return urls.unescape(escaped, "segment" if for_path else "query").decode("utf-8", "replace")

    def parse_url(self, *url: Any) -> dict[str, Any]:
        """The parts of a URL, of the request's own by default.  Raises `ValueError`."""
        counted("parse_url", url, 0, 1)
        text = a_text("parse_url", url[0]) if url else self._own()
        parts = urls.parse(text.encode())
        found: dict[str, bytes | None] = {
            "scheme": parts.scheme,
            "opaque": parts.opaque,
            "user": parts.user[0] if parts.user else b"",
            "pass": parts.user[1] if parts.user else None,
            "host": parts.host,
            "path": parts.path,
            "raw_path": parts.escaped_path(),
            "raw_query": parts.query,
            "fragment": parts.fragment,
            "raw_fragment": parts.escaped_fragment(),
        }
        shown: dict[str, Any] = {
            name: value.decode("utf-8", "replace")
            for name, value in found.items()
            if value is not None
        }
        shown["query"] = {
            name.decode("utf-8", "replace"): [value.decode("utf-8", "replace") for value in values]
            for name, values in urls.parse_query(parts.query, {}).items()
        }
        return shown

    def resolve_url(self, *texts: Any) -> str:
        """`resolve_url(reference)`, seen from the request's URL, or `resolve_url(base,
        reference)`.  Raises `ValueError`."""
        counted("resolve_url", texts, 1, 2)
        given = [a_text("resolve_url", text) for text in texts]
        base = given[0] if len(given) == 2 else self._own()
        return urls.resolve(base.encode(), given[-1].encode()).decode("utf-8", "replace")

    def _own(self) -> str:
        return f"http://{self.host}{self.uri}"


def _raw(value: Any) -> bytes:
    return value if type(value) is bytes else text_of(value).encode()
