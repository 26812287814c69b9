"""Scripts and bare code: one run each, in a fresh environment of a pooled worker.

A plugin's scripts have workers of their own; bare code shares workers per language.  A worker
runs one thing at a time; more runs than workers wait in line.
"""

from __future__ import annotations

import logging
import mimetypes
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sandbox.below import GONE, read_file
from sandbox.engine.core import Core
from sandbox.engine.driver import NotBegun
from sandbox.engine.faults import clean, error_from, one_line
from sandbox.engine.plugins import MAX_SOURCE, Source, StaticFile, read_source
from sandbox.engine.pool import Pools
from sandbox.engine.runtimes import by_extension
from sandbox.engine.sandbox import Sandbox
from sandbox.engine.workers import current_chain
from sandbox.errors import (
    ConfigurationError,
    LimitExceeded,
    Panic,
    PluginError,
    PolicyDenied,
    SandboxCrashed,
    SandboxError,
    UnknownPlugin,
)
from sandbox.limits import Limits
from sandbox.messages import Headers, Request, Response, plain, reason_phrase
from sandbox.usage import Usage
from sandbox.values import Value, text_map
from sandbox.wire.codec import encode
from sandbox.wire.extensions import EncodeError

log: Final = logging.getLogger("sandbox.engine")
VERSION: Final = "0.04.203"
"""What `server.version` says: M.VV.PPP, where PPP is the plugin engine's version (ServeMSX)."""


MAX_STATIC: Final = 16 * 2**20
"""Longest file that is answered as it is, in bytes: all of it is in memory."""

_SHORT: Final = 65_536
"""Bytes of a script and a body that may be sent ahead."""


@dataclass(frozen=True, slots=True)
class Run:
    """The outcome of `execute`.

    `value` is the chunk's return value or the program's last expression; `globals` the plain
    data among its globals; `output` what it printed; `usage` the limit matrix of the run;
    `error` is None when `ok`.
    """

    ok: bool
    value: Value = None
    globals: dict[str, Value] = field(default_factory=dict)
    output: str = ""
    usage: Usage | None = None
    error: SandboxError | None = None


class Scripts:
    """Runs scripts and bare code for one engine."""

    def __init__(self, core: Core, workers: int | None, queue: int) -> None:
        self._core = core
        if queue < 0:
            raise ConfigurationError(f"queue: {queue} is less than nothing")
        self.pools = Pools(core, workers or os.cpu_count() or 1, queue)
        core.functions["plugin.file"] = self._plugin_file

    # ------------------------------------------------------------------ requests

    def resolve(self, plugin: str, uri_path: str) -> Source | StaticFile | None:
        """What answers `uri_path`; see `Plugins.resolve`."""
        return self._core.plugins.resolve(plugin, self._below(plugin, uri_path))

    @staticmethod
    def _below(plugin: str, uri_path: str) -> str:
        """The path after the plugin's name."""
        prefix = f"/{plugin}"
        if uri_path == prefix or uri_path.startswith(prefix + "/"):
            uri_path = uri_path[len(prefix) :]
        return uri_path.lstrip("/")

    async def request(
        self, plugin: str, request: Request, found: Source | StaticFile | None = None
    ) -> Response:
        """Answer one request with a plugin's script or file; see `Engine.request`.

        `found` is what `resolve` gave for it, where that was asked already.
        """
        try:
            found = found or self.resolve(plugin, request.path)
            if found is None:
                return plain(404, reason_phrase(404))
            if isinstance(found, StaticFile):
                return _static(plugin, found)
            limits = self._core.terms(plugin, "script", found.folder, found.asked)
        except UnknownPlugin:
            self.pools.drop("script", plugin)
            raise
        return await self._run_script(plugin, found, request, limits)

    async def _run_script(
        self, plugin: str, source: Source, request: Request, limits: Limits
    ) -> Response:
        arguments = [plugin, source.file, source.content, self._shown(plugin, request)]
        # What is long would fill the socket of a worker that reads nothing while it runs.
        # And what a plugin waits for must neither wait behind others nor run inside them.
        ahead = len(source.content) + len(request.body) <= _SHORT and not current_chain.get().depth
        again = False
        while True:
            sandbox = await self.pools.take(
                "script", plugin, source.runtime, limits, ahead=ahead, first=again
            )
            keep, ran = False, True
            try:
                if not self.pools.takes_more(sandbox):
                    raise NotBegun
                answer = await self._core.call(sandbox, "request", arguments, ahead=True)
                keep = True
                return self._response(plugin, text_map(answer))
            except NotBegun:
                keep = again = True
                ran = False
            except EncodeError as error:
                keep = True
                text = f"the request cannot be passed on: {error}"
                raise PluginError(text, plugin=plugin) from None
            except PluginError:
                keep = True
                raise
            finally:
                self.pools.give_back(sandbox, keep=keep, ran=ran)

    def _shown(self, plugin: str, request: Request) -> dict[str, Value]:
        headers = request.headers
        lists = headers.as_lists() if isinstance(headers, Headers) else {}
        return {
            "proto": request.proto,
            "method": request.method,
            "host": request.host,
            "remote_addr": request.remote_addr,
            "headers": lists,
            "uri": request.uri,
            "query": request.query,
            "body": request.body,
            "version": VERSION,
            "path": self._below(plugin, request.path).encode("utf-8", "surrogateescape"),
            "base_url": f"http://{request.host}/{plugin}/",
            "settings": dict(request.settings),
        }

    def _response(self, plugin: str, answer: Mapping[str, Value]) -> Response:
        panic = answer.get("panic")
        if panic is not None:
            return self._panicked(plugin, text_map(panic))
        status = answer.get("status")
        status = 200 if status is None else status
        if type(status) is not int or not 200 <= status <= 599:
            log.error("plugin %s: status %s is out of range", plugin, one_line(repr(status)))
            return plain(500, reason_phrase(500))
        headers = _headers(answer.get("headers"))
        redirect = answer.get("redirect")
        if isinstance(redirect, str | bytes):
            headers.append(("Location", quote(redirect, safe=_URL)))
        body = answer.get("body")
        if isinstance(body, str):
            body = body.encode("utf-8", "replace")
        return Response(status, Headers(headers), body if isinstance(body, bytes) else b"")

    def _panicked(self, plugin: str, panic: Mapping[str, Value]) -> Response:
        status, text = panic.get("status"), panic.get("text")
        if type(status) is int and 200 <= status <= 599:
            log.info("plugin %s: panic(%d)", plugin, status)
            return plain(status, reason_phrase(status), panicked=str(status))
        shown = clean(text) if status is None else f"panic({status})"
        log.error("plugin %s: panic: %s", plugin, one_line(shown))
        # A status that HTTP does not have is the script's mistake: 500, and the log says which.
        return plain(500, shown if status is None else reason_phrase(500), panicked=shown)

    # ------------------------------------------------------------------ bare code

    async def execute(
        self,
        source: str | bytes,
        language: str,
        inputs: Mapping[str, Value],
        modules: Mapping[str, str | bytes],
        limits: Limits | None,
        file: str,
    ) -> Run:
        """Run bare code; see `Engine.execute`."""
        runtime = self._core.runtime(language)
        content = source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source
        total = len(content) + sum(len(text) for text in modules.values())
        if total > MAX_SOURCE:
            too_long = PluginError(f"{file}: {total} bytes of source are more than {MAX_SOURCE}")
            return Run(ok=False, error=too_long)
        given = {
            name: text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
            for name, text in modules.items()
        }
        arguments = [file, content, dict(inputs), given]
        encode(arguments)  # an input that cannot cross is the caller's mistake: raised here
        wanted = limits or self._core.limits
        sandbox = await self.pools.take("code", "", runtime, wanted)
        keep = False
        try:
            run = await self._execute_in(sandbox, arguments)
            # Workers for limits of one call only are not kept; a limit inside a run ends them.
            keep = wanted == self._core.limits and not isinstance(run.error, LimitExceeded)
        finally:  # whatever happened, its place in the pool is free again
            self.pools.give_back(sandbox, keep=keep)
        return run

    async def _execute_in(self, sandbox: Sandbox, arguments: list[Value]) -> Run:
        worker = sandbox.worker or await self._core.spawn(sandbox)
        meter = worker.meter
        meter.measure_next()
        error: SandboxError | None = None
        answer: Any = None
        try:
            answer = await self._core.call(sandbox, "execute", arguments)
        except (PluginError, PolicyDenied, LimitExceeded, SandboxCrashed) as failed:
            error = failed
        meter.output += len(clean_output(text_map(answer).get("output")))
        return self._run(answer, error, meter.usage(sandbox.limits), sandbox.limits)

    @staticmethod
    def _run(answer: Any, error: SandboxError | None, usage: Usage, limits: Limits) -> Run:
        if error is not None:
            return Run(ok=False, error=error, usage=usage)
        result = text_map(answer)
        output = clean_output(result.get("output"))
        variables = dict(text_map(result.get("globals")))
        raised, panic = result.get("error"), text_map(result.get("panic"))
        if panic:
            status = panic.get("status")
            value = status if status is not None else panic.get("text")
            number = status if type(status) is int and 200 <= status <= 599 else 500
            error = Panic(f"panic: {clean(str(value))}", value=value, status=number)
        elif raised is not None:
            error = error_from(dict(text_map(raised)), "", limits)
        if error is not None:
            return Run(False, None, variables, output, usage, error)
        return Run(True, result.get("value"), variables, output, usage)

    # ------------------------------------------------------------------ host function

    async def _plugin_file(
        self, sandbox: Sandbox, chain: Any, plugin: str, name: str
    ) -> list[Value] | None:
        if sandbox.kind != "script":
            return None
        found = self._core.plugins.find_import(sandbox.plugins[0], name, sandbox.runtime)
        return None if found is None else list(found)

    # ------------------------------------------------------------------ check

    def source_file(self, path: str | os.PathLike[str]) -> Source:
        """A source file by its path.  Raises `PluginError`, also for an unknown extension."""
        where = Path(path)
        info = by_extension().get(where.suffix[1:].lower())
        if info is None:
            known = ", ".join(f".{extension}" for extension in sorted(by_extension()))
            raise PluginError(f"{where.name}: no runtime for this kind of file; there are {known}")
        return Source(where.name, read_source(where, where.name, ""), info, where.parent)

    async def names_in(self, source: Source) -> list[str]:
        """Compile a source file in a worker and return the names it uses.

        Raises `PluginError` with file and line when it does not compile.
        """
        answer = await self._asked_of("check", source)
        return (
            [name for name in answer if isinstance(name, str)] if isinstance(answer, list) else []
        )

    async def compiled(self, source: Source) -> str:
        """The text that a source file is compiled to, in a worker, for languages that are compiled
        to another one.  Raises `PluginError`, also for a language that is not."""
        try:
            return clean_output(await self._asked_of("compile", source))
        except PluginError as error:
            if error.file or "no operation" not in error.message:
                raise
            text = f"{source.file}: {source.runtime.name} is not compiled to another language"
            raise PluginError(text) from None

    async def _asked_of(self, operation: str, source: Source) -> Value:
        sandbox = await self.pools.take("code", "", source.runtime, self._core.limits)
        keep = False
        try:
            answer = await self._core.call(sandbox, operation, [source.file, source.content])
            keep = True
        except PluginError:
            keep = True
            raise
        finally:
            self.pools.give_back(sandbox, keep=keep)
        return answer


def clean_output(output: object) -> str:
    """What a program printed, as text; control characters stay, they are its output."""
    if isinstance(output, bytes):
        return output.decode("utf-8", "replace")
    return output if isinstance(output, str) else ""


def _headers(value: object) -> list[tuple[str, str]]:
    """The well-formed header fields among those a worker sent (RFC 9110, section 5)."""
    fields: list[tuple[str, str]] = []
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, list) or len(item) != 2 or not isinstance(item[1], list):
            continue
        name = item[0]
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            continue
        for one in item[1]:
            if isinstance(one, bytes):  # what is not UTF-8 goes out as it is
                one = one.decode("utf-8", "surrogateescape")
            if isinstance(one, str):
                fields.append((name, _CONTROLS.sub(" ", one).strip(" ")))
    return fields


_URL: Final = "%/:?#[]@!$&'()*+,;="  # what has a meaning in a URL (RFC 3986), and stays


_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")


def _static(plugin: str, found: StaticFile) -> Response:
    shown = os.fspath(found.path.relative_to(found.folder))
    try:
        content = read_file(found.path, MAX_STATIC, found.folder)
    except GONE:  # since it was found
        return plain(404, reason_phrase(404))
    except OSError as error:
        text = f"{shown} cannot be read: {error.strerror}"
        raise PluginError(text, plugin=plugin, file=shown) from None
    if len(content) > MAX_STATIC:
        text = f"{shown} is longer than {MAX_STATIC} bytes"
        raise PluginError(text, plugin=plugin, file=shown)
    kind = mimetypes.guess_type(found.path.name)[0] or "application/octet-stream"
    return Response(200, Headers({"Content-Type": kind}), content)
