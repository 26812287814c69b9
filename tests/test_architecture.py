"""Rules about the code itself, checked on its syntax trees and on what gets imported.

Which layer may import which is the heart of this file (`MAY_IMPORT`); the rest are rules that
keep hostile input away from dangerous functions and slow modules away from workers.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import sandbox
from sandbox.engine.runtimes import installed
from sandbox.engine.zygote import import_paths

ROOT = Path(__file__).parents[1]
MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 80

WORDS = ("usage", "errors", "values", "limits", "policy", "below", "manifest", "messages")
"""The modules of plain data, and of opening files; each may import those before it."""

SHARED_BY_RUNTIMES = frozenset({"runtimes.machine"})
"""What several languages are built on; belongs to none, and imports none."""

ENGINE_SIDE = frozenset({"words", "wire", "api", "engine", "packages"})
MAY_IMPORT: dict[str, frozenset[str]] = {
    "words": frozenset({"words"}),
    "wire": frozenset({"words", "wire"}),
    "api": frozenset({"words", "wire", "api"}),
    "worker": frozenset({"words", "wire", "api", "worker"}),
    "runtimes": frozenset({"words", "wire", "api", "worker", "runtimes"}),
    "engine": frozenset({"words", "wire", "api", "engine"}),
    "packages": frozenset({"words", "packages"}),
    "testing": ENGINE_SIDE | {"testing", "facade"},
    "metrics": ENGINE_SIDE | {"metrics", "facade"},
    "cluster": ENGINE_SIDE | {"metrics", "cluster", "facade"},
    "servers": ENGINE_SIDE | {"testing", "metrics", "cluster", "servers", "facade"},
    "cli": ENGINE_SIDE | {"testing", "metrics", "cluster", "servers", "cli", "facade"},
    "facade": ENGINE_SIDE | {"facade"},
}
"""Layer -> the layers it may import.  `facade` is `sandbox/__init__.py` itself."""

BY_NAME = {
    "sandbox/engine/workers.py": {"sandbox.worker.confine", "sandbox.worker.inline"},
}
"""Modules that are imported by a name in a text, where the table above would not see it."""

LIBRARY_ALONE = frozenset({"cli"})
"""Layers that talk to a terminal and may print."""


@dataclass(frozen=True)
class Source:
    """One parsed file of the product."""

    path: str
    tree: ast.Module
    lines: int

    @property
    def module(self) -> str:
        """The dotted name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def layer(self) -> str:
        """The layer it belongs to."""
        return layer_of(self.module)


def layer_of(module: str) -> str:
    """The layer of a module of ours."""
    parts = module.split(".")
    if parts[0] == "runtimes":
        return "runtimes"
    if len(parts) == 1:
        return "facade"
    return "words" if parts[1] in WORDS else parts[1]


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the product."""
    found = []
    for top in ("sandbox", "runtimes"):
        for path in sorted((ROOT / top).rglob("*.py")):
            text = path.read_text("utf-8")
            found.append(Source(str(path.relative_to(ROOT)), ast.parse(text), text.count("\n")))
    return tuple(found)


def known_modules() -> frozenset[str]:
    """The dotted names of all modules of ours."""
    return frozenset(source.module for source in sources())


def imports(source: Source) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, with the line; under `TYPE_CHECKING` too."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = source.module.split(".")
                if not source.path.endswith("__init__.py"):
                    here = here[:-1]
                here = here[: len(here) - node.level + 1]
                base = ".".join([*here, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if full in known_modules() else base), node.lineno


def ours(module: str) -> bool:
    """Whether a dotted name is in one of our packages."""
    return module.split(".")[0] in ("sandbox", "runtimes")


def offences(rule: Callable[[Source], Iterator[str]]) -> list[str]:
    """What `rule` finds wrong in any file, each with its file."""
    return [f"{source.path}:{what}" for source in sources() for what in rule(source)]


def called(node: ast.Call) -> str:
    """The dotted name of what a call calls, as far as it is one."""
    return ast.unparse(node.func) if isinstance(node.func, (ast.Name, ast.Attribute)) else ""


def calls(source: Source) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a file with the name of what it calls."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield called(node), node


def docstrings(tree: ast.Module) -> set[int]:
    """The identities of the nodes that are documentation: docstrings and texts on their own."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


# ---------------------------------------------------------------------- layers


def test_the_product_is_found() -> None:
    """Guards the other tests: they would pass on an empty list of files."""
    assert {source.layer for source in sources()} >= {
        "words", "wire", "api", "worker", "runtimes", "engine", "facade",
    }  # fmt: skip
    assert len(sources()) > 60


def test_every_layer_is_in_the_table() -> None:
    assert {source.layer for source in sources()} <= set(MAY_IMPORT)


def test_imports_point_downward() -> None:
    def rule(source: Source) -> Iterator[str]:
        for module, line in imports(source):
            if ours(module) and layer_of(module) not in MAY_IMPORT[source.layer]:
                yield f"{line}: {source.layer} imports {module}"

    assert offences(rule) == []


def test_words_import_only_earlier_words() -> None:
    def rule(source: Source) -> Iterator[str]:
        if source.layer != "words":
            return
        place = WORDS.index(source.module.split(".")[1])
        for module, line in imports(source):
            if ours(module) and WORDS.index(module.split(".")[1]) >= place:
                yield f"{line}: imports {module}"

    assert offences(rule) == []


def test_languages_do_not_import_each_other() -> None:
    def rule(source: Source) -> Iterator[str]:
        if source.layer != "runtimes" or source.module == "runtimes":
            return
        own = ".".join(source.module.split(".")[:2])
        for module, line in imports(source):
            if module in SHARED_BY_RUNTIMES:
                continue
            if module.startswith("runtimes.") and not f"{module}.".startswith(f"{own}."):
                yield f"{line}: imports {module}"

    assert offences(rule) == []


def test_imports_by_name_are_listed() -> None:
    """`import_module` of a fixed name is an import; every one of ours is in `BY_NAME`."""

    def rule(source: Source) -> Iterator[str]:
        for name, node in calls(source):
            if name.rpartition(".")[2] not in ("import_module", "__import__"):
                continue
            for argument in node.args[:1]:
                if (
                    isinstance(argument, ast.Constant)
                    and ours(str(argument.value))
                    and argument.value not in BY_NAME.get(source.path, ())
                ):
                    yield f"{node.lineno}: imports {argument.value!r} by name"

    assert offences(rule) == []


_LANGUAGE = re.compile(r"(?<![a-z])(lua\w*|lupa|tengo|restrictedpython|luajit)(?![a-z])", re.I)


def _identifiers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Name):
            yield node.id, line
        elif isinstance(node, ast.Attribute):
            yield node.attr, line
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, line
        elif isinstance(node, (ast.arg, ast.keyword)) and node.arg:
            yield node.arg, line
        elif isinstance(node, ast.alias):
            yield node.name, line


def test_sandbox_names_no_language() -> None:
    """Not as an identifier, not in an import, and not as a text that the code works with."""

    def rule(source: Source) -> Iterator[str]:
        if source.layer in ("runtimes", "cli", "servers", "testing"):
            return
        for name, line in _identifiers(source.tree):
            for word in re.split(r"_|(?<=[a-z])(?=[A-Z])", name):
                if _LANGUAGE.fullmatch(word):
                    yield f"{line}: identifier {name}"
        documentation = docstrings(source.tree)
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in documentation
                and _LANGUAGE.search(node.value)
            ):
                yield f"{node.lineno}: text {node.value!r}"

    assert offences(rule) == []


# ---------------------------------------------------------------------- forbidden things


def _imported_tops(source: Source) -> Iterator[tuple[str, int]]:
    for module, line in imports(source):
        yield module.split(".")[0], line


def test_no_pickle_and_no_evaluation_outside_the_python_runtime() -> None:
    def rule(source: Source) -> Iterator[str]:
        if source.path.startswith("runtimes/python/"):
            return
        for top, line in _imported_tops(source):
            if top in ("pickle", "marshal", "shelve", "code", "codeop", "runpy", "dill"):
                yield f"{line}: imports {top}"
        for name, node in calls(source):
            if name in ("eval", "exec", "compile", "builtins.eval", "builtins.exec"):
                yield f"{node.lineno}: calls {name}"

    assert offences(rule) == []


def test_no_pickle_in_the_python_runtime() -> None:
    def rule(source: Source) -> Iterator[str]:
        for top, line in _imported_tops(source):
            if top in ("pickle", "marshal", "shelve", "ctypes") and source.layer == "runtimes":
                yield f"{line}: imports {top}"

    assert offences(rule) == []


def test_processes_are_started_in_one_place() -> None:
    def rule(source: Source) -> Iterator[str]:
        for top, line in _imported_tops(source):
            if top in ("subprocess", "multiprocessing", "pty", "_posixsubprocess"):
                yield f"{line}: imports {top}"
        for name, node in calls(source):
            last = name.rpartition(".")[2]
            if source.path != "sandbox/engine/zygote.py" and (
                last.startswith(("posix_spawn", "spawnv", "execv", "popen"))
                or name in ("os.system", "os.execl", "os.execle", "os.execlp")
            ):
                yield f"{node.lineno}: calls {name}"
            if source.path != "sandbox/worker/zygote.py" and name in ("os.fork", "os.forkpty"):
                yield f"{node.lineno}: calls {name}"

    found = offences(rule)
    # A detector that finds nothing where there is something to find would prove nothing.
    assert any(
        name == "os.posix_spawn"
        for source in sources()
        if source.path == "sandbox/engine/zygote.py"
        for name, _ in calls(source)
    )
    assert found == []


def test_only_the_engine_knows_event_loops() -> None:
    def rule(source: Source) -> Iterator[str]:
        if source.layer not in ("words", "wire", "api", "worker", "runtimes"):
            return
        for top, line in _imported_tops(source):
            if top in ("asyncio", "anyio", "selectors", "concurrent"):
                yield f"{line}: imports {top}"

    assert offences(rule) == []


def test_the_wire_does_no_input_or_output() -> None:
    """Sans I/O: no sockets, files or clocks in the words, the wire and the API."""

    def rule(source: Source) -> Iterator[str]:
        if source.layer not in ("words", "wire", "api"):
            return
        if source.module in ("sandbox.below", "sandbox.manifest"):
            return
        for top, line in _imported_tops(source):
            if top in ("socket", "os", "io", "select", "time", "threading", "logging", "pathlib"):
                yield f"{line}: imports {top}"
        for name, node in calls(source):
            if name == "open":
                yield f"{node.lineno}: opens a file"

    assert offences(rule) == []


def test_the_library_does_not_print() -> None:
    def rule(source: Source) -> Iterator[str]:
        if source.layer in LIBRARY_ALONE:
            return
        for name, node in calls(source):
            if name in ("print", "builtins.print", "sys.stdout.write", "sys.stderr.write"):
                yield f"{node.lineno}: calls {name}"

    assert offences(rule) == []


_LOGGING = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})


def test_log_texts_are_constant() -> None:
    """A log call has a constant text and arguments: what a plugin sends is never a format."""

    def rule(source: Source) -> Iterator[str]:
        for name, node in calls(source):
            owner, _, method = name.rpartition(".")
            if method not in _LOGGING or owner.rpartition(".")[2] not in (
                "log",
                "logger",
                "logging",
            ):
                continue
            position = 1 if method == "log" else 0
            for argument in node.args[position : position + 1]:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    yield f"{node.lineno}: {name}({ast.unparse(argument)}, ...)"

    assert offences(rule) == []


def test_no_bare_except() -> None:
    def rule(source: Source) -> Iterator[str]:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                yield f"{node.lineno}: bare except"

    assert offences(rule) == []


def test_every_module_says_what_it_is_for() -> None:
    def rule(source: Source) -> Iterator[str]:
        if not ast.get_docstring(source.tree):
            yield "1: no docstring"

    assert offences(rule) == []


def test_files_are_short() -> None:
    def rule(source: Source) -> Iterator[str]:
        if source.lines > MAX_FILE_LINES:
            yield f" {source.lines} lines"

    assert offences(rule) == []


def test_functions_are_short() -> None:
    def rule(source: Source) -> Iterator[str]:
        for node in ast.walk(source.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    yield f"{node.lineno}: {node.name} has {lines} lines"

    assert offences(rule) == []


# ---------------------------------------------------------------------- the public face


@pytest.mark.parametrize("name", sandbox.__all__)
def test_public_name(name: str) -> None:
    """Importable, ours, and documented by a sentence of its own."""
    thing = getattr(sandbox, name)
    assert inspect.isclass(thing)
    assert thing.__name__ == name
    assert thing.__module__.startswith("sandbox.")
    text = inspect.getdoc(thing) or ""
    own = thing.__doc__ or ""
    assert len(text) > 15
    assert own
    assert not own.startswith(f"{name}("), "the docstring that dataclass writes by itself"


def test_public_names_are_exported_once() -> None:
    assert len(set(sandbox.__all__)) == len(sandbox.__all__)
    assert sorted(sandbox.__all__) == list(sandbox.__all__)
    listed = [name for names in sandbox._HOMES.values() for name in names]
    assert sorted(listed) == sorted(sandbox.__all__)
    for home, names in sandbox._HOMES.items():
        module = importlib.import_module(f"sandbox.{home}")
        assert [name for name in names if getattr(module, name).__module__ != module.__name__] == []


def test_the_table_says_what_type_checkers_see() -> None:
    (facade,) = (source for source in sources() if source.layer == "facade")
    seen = {
        (node.module, alias.name)
        for node in ast.walk(facade.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sandbox.")
        for alias in node.names
    }
    table = {(f"sandbox.{home}", name) for home, names in sandbox._HOMES.items() for name in names}
    assert seen == table


def test_unknown_public_name() -> None:
    with pytest.raises(AttributeError, match="module 'sandbox' has no attribute 'engines'"):
        sandbox.engines  # noqa: B018
    assert set(sandbox.__all__) <= set(dir(sandbox))


# ---------------------------------------------------------------------- what a worker imports

_LISTER = """\
import os, sys
sys.path[:] = {paths!r}
{program}
os.write(1, "\\n".join(sorted(sys.modules)).encode())
"""

SLOW = frozenset(
    {
        "asyncio", "ssl", "_ssl", "subprocess", "multiprocessing", "http", "email", "concurrent",
        "xml", "sqlite3", "logging", "unittest", "pdb", "starlette", "uvicorn", "httpx",
    }
)  # fmt: skip


def modules_after(program: str) -> list[str]:
    """What a fresh interpreter, started as a zygote is, has imported after `program`."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c",
         _LISTER.format(paths=import_paths(), program=program)],
        capture_output=True, timeout=60, check=False, env={"TZ": "UTC0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split("\n")


@pytest.mark.parametrize("language", sorted(installed()))
def test_what_a_worker_imports(language: str) -> None:
    """Nothing slow, nothing that starts processes or opens connections, and no engine."""
    factory = installed()[language].factory
    names = modules_after(
        f"from sandbox.worker.zygote import load_factory; load_factory({factory!r})().settle()"
    )
    assert "sandbox.worker.zygote" in names
    assert [name for name in names if name.split(".")[0] in SLOW] == []
    engine_side = ("sandbox.engine", "sandbox.servers", "sandbox.cli", "sandbox.packages")
    assert [name for name in names if name.startswith(engine_side)] == []
    foreign = [
        name
        for name in names
        if name.startswith("runtimes.") and name.split(".")[1] != language
        if name not in SHARED_BY_RUNTIMES
    ]
    assert foreign == []


def test_importing_the_package_imports_nothing_else() -> None:
    assert [name for name in modules_after("import sandbox") if name.startswith("sandbox.")] == []


def test_asking_for_a_word_does_not_import_the_engine() -> None:
    names = modules_after("from sandbox import Limits")
    assert "sandbox.limits" in names
    assert [name for name in names if name.startswith("sandbox.engine")] == []
