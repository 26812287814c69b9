"""A whole program as one Lua chunk: its modules as functions, its globals as locals.

The chunk is called with the prelude's private table, the values of the globals that the host
defined, a function that gives builtin modules, and a table that it leaves two things in: `save`,
which copies the globals out, and `value`, the value of its last expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtimes.tengo.emit.calls import PREDICATES
from runtimes.tengo.emit.lines import Line, Place, Text, lua_string
from runtimes.tengo.emit.statements import Statements
from runtimes.tengo.library_types import QUICK
from runtimes.tengo.nodes import Assign, ExprStmt, File, Ident
from runtimes.tengo.scopes import Kind, Symbol

_HELPERS: Final = {
    "div": 'T.binary["/"]',
    "rem": 'T.binary["%"]',
    "band": 'T.binary["&"]',
    "bor": 'T.binary["|"]',
    "bxor": 'T.binary["^"]',
    "bandnot": 'T.binary["&^"]',
    "shl": 'T.binary["<<"]',
    "shr": 'T.binary[">>"]',
    "array_mt": "T.metatables[T.ARRAY]",
    "map_mt": "T.metatables[T.MAP]",
    "error": "T.error",
    "char": "T.char",
}
_NAMED: Final = (
    "new", "array", "map_with", "text", "equals", "truthy", "pick", "negate", "complement", "idx",
    "idx_int", "walk", "set", "slice", "each", "length", "append_one", "spread_call", "long_call",
    "rest", "select", "too_few", "miscounted", "below", "immutable", "mathtype", "own", "push",
    "open", "open_to_write", "cut", "to_string", "to_int", "to_float", "type_name", "copy",
)  # fmt: skip
_FIXED: Final = ("T", "given", "import", "state", "save", "to", "_", "arguments", "argc")
_HEADROOM: Final = 60
_MAX_MODULES: Final = 10


class Program(Statements):
    """Emits one program."""

    def __init__(self, builtins: frozenset[str]) -> None:
        helpers = {
            **{name: f"T.{name}" for name in _NAMED},
            **{name: f"T.predicates.{name}" for name in PREDICATES},
            **{f"{module}_{name}": f"T.quick.{module}.{name}" for module, name in QUICK},
            **_HELPERS,
        }
        self._sources = {f"_{name}": source for name, source in helpers.items()}
        self._sources.update({name: f"T.builtins.{name}" for name in builtins})
        super().__init__(Text(), frozenset((*self._sources, *_FIXED)))
        self.used = set()
        self.modules = {}
        self.opened = {}
        self.growing = set()
        self.headers_last = True
        self.spans = {}
        self.hoisted = {}
        self.loops = []
        self._functions = []
        self._frames[0].live = _HEADROOM

    def emit_program(
        self,
        main: File,
        modules: Sequence[tuple[str, File]],
        libraries: Sequence[str],
    ) -> tuple[bytes, list[Place | None], tuple[str, ...]]:
        """The chunk's text, the place of each of its lines, and the names of the globals."""
        files = (main, *(file for _, file in modules))
        self.headers_last = all(b"splice" not in file.source for file in files)
        with self.block():
            self.indent = 0
            head = self.lines
            head.append(self._frames[0].start)
            self._import_libraries(libraries)
            self._declare_modules(modules)
            reported = self._declare_globals(main)
            for key, file in modules:
                self._module(key, file)
            self.file = main.name
            self._main(main)
        out: list[tuple[str, Place | None]] = [("local T, given, import, state = ...", None)]
        for name in sorted(self.used):
            source = self._sources.get(name) or f"T.char({name.removeprefix('_char_')})"
            out.append((f"local {name} = {source}", None))
        self.text.render(head, 0, out)
        lua = "\n".join(line for line, _ in out) + "\n"
        return lua.encode("latin-1"), [place for _, place in out], reported

    def _import_libraries(self, libraries: Sequence[str]) -> None:
        for name in libraries:
            lua = self.unique(f"{name}_module")
            self.emit(f"local {lua} = import({lua_string(name.encode())})")
            self.modules[name] = lua

    def _declare_modules(self, modules: Sequence[tuple[str, File]]) -> None:
        if len(modules) > _MAX_MODULES:
            self.emit("local modules = {}")
        for number, (key, _) in enumerate(modules, 1):
            name = f"module_{number}" if len(modules) <= _MAX_MODULES else f"modules[{number}]"
            self.modules[key] = name

    def _declare_globals(self, main: File) -> tuple[str, ...]:
        """Declare the main file's globals: those of its top level, and those of its blocks that
        functions use, because each of them is one variable for the whole run."""
        reported: dict[str, Symbol] = {}
        for statement in main.body:
            if isinstance(statement, Assign) and statement.define:
                target = statement.target
                if isinstance(target, Ident) and target.symbol is not None:
                    reported[target.name] = target.symbol
        shared = main.function.symbols if main.function is not None else []
        names = []
        for symbol in (*reported.values(), *(one for one in shared if one.captured)):
            if not symbol.lua and symbol.kind is Kind.GLOBAL and self.declare(symbol):
                names.append(symbol.lua)
        if names:
            self.emit(f"local {', '.join(names)}")
        self.emit("function state.save(to)")
        for name, symbol in reported.items():
            self.lines.append(Line(1, f"to[{_key(name)}] = {symbol.lua}"))
        self.emit("end")
        return tuple(reported)

    def _module(self, key: str, file: File) -> None:
        self.file, self.is_module = file.name, True
        with self.function_lines() as lines:
            self.body(file.body)
        name = self.modules[key]
        local = "" if "[" in name else f"local {name}; "
        self.emit(f"{local}{name} = function(){self.text.block(lines)}end")
        self.is_module = False

    def _main(self, main: File) -> None:
        last = main.body[-1] if main.body else None
        if not isinstance(last, ExprStmt):
            self.body(main.body)
            return
        self.body(main.body[:-1])
        start, stored = len(self.lines), self.stored
        value = self.expression(last.value)
        self.emit(f"state.value = {value.text}")
        if self.stored > stored:
            self.enclose(start)


def _key(name: str) -> str:
    return lua_string(name.encode())
