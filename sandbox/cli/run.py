"""`sandbox run FILE`: one file, once, in a sandbox of its own.

What FILE is decides how it runs: `mod_NAME.ext` is loaded and unloaded as a module, `main.ext`
beside a manifest (or any file with `--request`) answers a request, all else is bare code.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
from pathlib import Path
from typing import Any, Final

from sandbox import manifest
from sandbox.cli.options import add_isolation, add_limits, command, limits_of
from sandbox.cli.output import as_json, complaint, error_map, plain, problem, result
from sandbox.engine.engine import Engine
from sandbox.engine.plugins import MAX_SOURCE
from sandbox.engine.runtimes import RuntimeInfo, by_extension
from sandbox.engine.scripts import Run
from sandbox.errors import ConfigurationError, LifecycleError, PluginError, SandboxError
from sandbox.messages import Request, Response
from sandbox.usage import Usage

HOST: Final = "localhost"
_MODULE: Final = re.compile(r"mod_([A-Za-z0-9_.\-]+)")


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "run",
        run,
        "Run one file in a sandbox and print its output and value. mod_NAME files are loaded as "
        "a module; a plugin folder's main file answers a GET request for its first page.",
        "sandbox run --cpu 250ms --json hello.lua",
    )
    parser.add_argument("file", metavar="FILE", help="the file to run; its extension says how")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--request",
        metavar="PATH",
        help="have FILE's folder, as a plugin, answer a GET request for PATH below it",
    )
    add_limits(parser)
    add_isolation(parser)


def run(options: argparse.Namespace) -> int:
    """Run the file; 0 when all went well, 1 when the plugin failed."""
    path = Path(options.file)
    runtime = _checked(path)
    limits = limits_of(options)
    path = Path(os.path.abspath(path))
    # The engine's own warnings say again what the outcome says.
    logging.getLogger("sandbox.engine").setLevel(logging.ERROR)
    module = _MODULE.fullmatch(path.stem)
    settings: dict[str, Any] = {"limits": limits, "isolation": options.isolation, "workers": 1}
    if options.request is not None or (path.stem == "main" and _has_manifest(path.parent)):
        return _request(path, options, settings)
    if module:
        return _module(path, module[1], runtime, options.json, settings)
    with Engine(**settings) as engine:
        outcome = engine.execute(path.read_bytes(), runtime.name, file=path.name)
    return _report(outcome, options.json)


def _checked(path: Path) -> RuntimeInfo:
    """The language of a file that can be run; `ConfigurationError` (wrong use) for another."""
    runtime = by_extension().get(path.suffix[1:].lower())
    if path.is_dir():
        raise ConfigurationError(f"{path}: is a directory; `sandbox check` takes one")
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ConfigurationError(f"{path}: is not a file that can be read")
    if runtime is None:
        known = ", ".join(f".{extension}" for extension in sorted(by_extension()))
        raise ConfigurationError(f"{path}: no runtime for this kind of file; there are {known}")
    if size > MAX_SOURCE:
        raise ConfigurationError(f"{path}: {size} bytes are more than {MAX_SOURCE}")
    return runtime


def _has_manifest(folder: Path) -> bool:
    return (folder / manifest.NAME).is_file()


# ---------------------------------------------------------------------- the three ways


def _request(path: Path, options: argparse.Namespace, settings: dict[str, Any]) -> int:
    plugin = path.parent.name
    wanted = options.request
    if wanted is None:
        # "/" is answered by the folder's first main file; name ours if there is another.
        mains = [one for one in by_extension() if (path.parent / f"main.{one}").is_file()]
        wanted = path.name if len(mains) > 1 else ""
    response: Response | None = None
    failure: SandboxError | None = None
    with Engine([path.parent.parent], **settings) as engine:
        try:
            response = engine.request(plugin, Request("GET", f"/{plugin}/{wanted.lstrip('/')}"))
        except ConfigurationError:
            raise
        except SandboxError as error:
            failure = error
        usage = engine.usage().get(plugin)
    ok = response is not None and response.status < 400
    if options.json:
        _print_json(ok, None, _text(response), {}, failure, usage, response)
    elif response is not None:
        result(response.text, "" if response.body.endswith(b"\n") else "\n")
        if not ok:
            problem(f"the answer's status is {response.status}")
    if failure is not None and not options.json:
        complaint(failure)
    return 0 if ok else 1


def _module(
    path: Path, name: str, runtime: RuntimeInfo, as_object: bool, settings: dict[str, Any]
) -> int:
    usage = None
    failure: SandboxError | None = None
    with Engine([path.parent], hosts=[HOST], **settings) as engine:
        try:
            status = engine.load(HOST, name)
            usage = engine.usage().get(status.sandbox)
            if status.language != runtime.name:
                raise ConfigurationError(
                    f"{path}: mod_{name} is there in {status.language}, too, which goes first"
                )
            engine.unload(status.host, name)
        except ConfigurationError:
            raise
        except LifecycleError as error:
            failure = PluginError(f"add_host refused: {error.reason}", plugin=name)
        except SandboxError as error:
            failure = error
    return _report(Run(failure is None, usage=usage, error=failure), as_object)


# ---------------------------------------------------------------------- reporting


def _report(outcome: Run, as_object: bool) -> int:
    if as_object:
        _print_json(
            outcome.ok, outcome.value, outcome.output, outcome.globals, outcome.error, outcome.usage
        )
    else:
        result(outcome.output, "")
        if outcome.value is not None:
            result(outcome.value if isinstance(outcome.value, str) else as_json(outcome.value))
        if outcome.error is not None:
            complaint(outcome.error)
    return 0 if outcome.ok else 1


def _print_json(
    ok: bool,
    value: Any,
    output: Any,
    variables: dict[str, Any],
    error: SandboxError | None,
    usage: Usage | None,
    response: Response | None = None,
) -> None:
    shown = {
        "ok": ok,
        "value": plain(value),
        "output": output,
        "globals": variables,
        "error": error_map(error),
        "usage": usage.as_dict() if usage else None,
    }
    if response is not None:
        shown["status"] = response.status
        shown["headers"] = response.headers.as_lists()
    result(as_json(shown))


def _text(response: Response | None) -> str | bytes:
    """The body, as text if it is UTF-8."""
    body = response.body if response else b""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body
