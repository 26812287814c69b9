"""Scripts and bare code: one run each in a fresh environment, compiled once per content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

from runtimes.python.environment import new_globals
from runtimes.python.facade import GuestModule, freeze
from runtimes.python.faults import fault
from runtimes.python.host import HostGate, Panic, Panicked
from runtimes.python.plain import is_plain
from runtimes.python.policy import VALUE_NAME, compile_source
from runtimes.python.printing import printer
from runtimes.python.server import Answer, Server

_MAX_COMPILED: Final = 64


class Scripts:
    """Runs scripts and bare code in one worker."""

    def __init__(self, gate: HostGate) -> None:
        self._gate = gate
        self._compiled: OrderedDict[tuple[bytes, str, bool], CodeType] = OrderedDict()

    def _compile(self, source: bytes, file: str, *, value: bool = False) -> CodeType:
        key = (source, file, value)
        code = self._compiled.get(key)
        if code is None:
            code = compile_source(source, file, value=value)
            self._compiled[key] = code
            if len(self._compiled) > _MAX_COMPILED:
                self._compiled.popitem(last=False)
        return code

    # ------------------------------------------------------------------ script

    def request(
        self, plugin: str, file: str, source: bytes, request: dict[str, Any]
    ) -> dict[str, Any]:
        """Run one script for one request."""
        answer, panic = Answer(), Panic()
        names = {
            "panic": freeze(panic.__call__),
            "print": printer(lambda text: self._gate.log(plugin, "", "info", text.rstrip("\n"))),
        }
        modules: dict[str, object] = {"server": Server(self._gate, plugin, file, request, answer)}
        space = new_globals(
            name="__main__",
            filename=file,
            extra_names=names,
            modules=modules,
            import_hook=self._importer(
                lambda name: self._gate.call("plugin.file", plugin, name), names, modules
            ),
        )
        code = self._compile(source, file)
        self._run(code, space, panic)
        return {
            "status": answer.status,
            "headers": answer.headers,
            "body": b"".join(answer.body),
            "redirect": answer.redirect,
            "panic": panic.answer() if panic.happened else None,
        }

    @staticmethod
    def _run(code: CodeType, space: dict[str, Any], panic: Panic) -> None:
        try:
            exec(code, space)
        except Panicked:
            return
        except Exception:
            # A panic on the way out of a `finally` is still a panic.
            if not panic.happened:
                raise

    def _importer(
        self,
        find: Callable[[str], Any],
        names: dict[str, Any],
        modules: dict[str, object],
    ) -> Callable[[str], object]:
        """Imports of a plugin's own files: each runs once per execution."""
        loaded: dict[str, GuestModule | None] = {}
        # Folders on the way to what was imported: `import a.b` binds a, which holds b.
        folders: dict[str, dict[str, Any]] = {}

        def load(name: str) -> object:
            if name not in loaded:
                loaded[name] = None  # a circle of imports finds nothing, as a clear error
                found = find(name)
                if found is not None:
                    file, source = found
                    space = new_globals(
                        name=name,
                        filename=file,
                        extra_names=names,
                        modules=modules,
                        import_hook=load,
                    )
                    exec(self._compile(source, file), space)
                    module = loaded[name] = GuestModule(name, space)
                    folder, _, last = name.rpartition(".")
                    while folder:
                        folders.setdefault(folder, {})[last] = module
                        module = GuestModule(folder, folders[folder])
                        folder, _, last = folder.rpartition(".")
            if loaded[name] is None and name in folders:
                return GuestModule(name, folders[name])
            return loaded[name]

        return load

    # ------------------------------------------------------------------ bare code

    def execute(
        self, file: str, source: bytes, inputs: dict[str, Any], modules: dict[str, Any]
    ) -> dict[str, Any]:
        """Run a program; what it does wrong is part of the answer."""
        output: list[str] = []
        panic = Panic()

        def write(text: str) -> None:
            self._gate.spend(len(text))
            output.append(text)

        names: dict[str, Any] = {"panic": freeze(panic.__call__), "print": printer(write)}
        own = {name: (f"{name}.py", _bytes(text)) for name, text in modules.items()}
        space = new_globals(
            name="__main__",
            filename=file,
            extra_names={**names, **inputs},
            import_hook=self._importer(own.get, names, {}),
        )
        before = dict(space)
        result: dict[str, Any] = {}
        try:
            self._run(self._compile(source, file, value=True), space, panic)
            value = space.get(VALUE_NAME)
            if is_plain(value):
                result["value"] = value
            else:
                kind = type(value).__name__
                raise ValueError(f"the result is a {kind}, which cannot cross as plain data")
        except Exception as error:  # noqa: BLE001 - whatever the program raised is its result
            result["error"] = fault(error)
        if panic.happened:
            result["panic"] = panic.answer()
        result["globals"] = {
            name: item
            for name, item in space.items()
            if name[:1].isalpha() and name.isidentifier()
            and (name in inputs or before.get(name) is not item)
            and is_plain(item)
        }  # fmt: skip
        text = "".join(output)
        result["output"] = text.encode("utf-8", "backslashreplace").decode("utf-8")
        return result

    @staticmethod
    def check(file: str, source: bytes) -> list[str]:
        """Compile only; returns the names that the source uses, once each."""
        code = compile_source(source, file)
        names: dict[str, None] = {}
        pending = [code]
        while pending:
            one = pending.pop()
            names.update(dict.fromkeys(one.co_names))
            pending += [const for const in one.co_consts if isinstance(const, CodeType)]
        return [name for name in names if name.isidentifier()]


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8")
