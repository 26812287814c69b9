"""Tengo source and its imports, compiled to one Lua chunk."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from runtimes.tengo.depth import room_for_depth
from runtimes.tengo.emit.lines import Place
from runtimes.tengo.emit.program import Program as Emitter
from runtimes.tengo.faults import TengoSyntaxError, text_of_line
from runtimes.tengo.nodes import File, Import
from runtimes.tengo.parser import parse
from runtimes.tengo.resolver import resolve

BUILTINS: Final = frozenset(
    (
        "len", "copy", "append", "delete", "splice", "string", "int", "bool", "float", "char",
        "bytes", "time", "is_int", "is_float", "is_string", "is_bool", "is_char", "is_bytes",
        "is_array", "is_immutable_array", "is_map", "is_immutable_map", "is_iterable", "is_time",
        "is_error", "is_undefined", "is_function", "is_callable", "type_name", "format", "range",
    )
)  # fmt: skip
"""The builtin functions of Tengo v2.10.0."""

Finder: TypeAlias = Callable[[str, str], tuple[str, str, bytes] | None]
"""What `import(name)` in the module `importer` ("" is the main file) means: the module's key, the
file that errors show, and its source; None when there is no such module."""


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled program: the Lua text, the place in the source of each of its lines (None for
    lines that cannot fail), and the names of its globals."""

    lua: bytes
    places: list[Place | None]
    globals: tuple[str, ...]

    def packed_places(self) -> tuple[bytes, list[str]]:
        """The places as sixteen bytes a line: file, line, column, operator; and the files."""
        files: dict[str, int] = {}
        out = bytearray()
        for place in self.places:
            if place is None:
                out += bytes(16)
                continue
            number = files.setdefault(place.file, len(files))
            out += struct.pack("<4I", number, place.line, place.column, place.operator_number)
        return bytes(out), list(files)


def compile_program(
    source: bytes,
    name: str,
    find_module: Finder,
    builtin_modules: frozenset[str],
    predefined: Sequence[str],
) -> Program:
    """Compile a program; `name` is what errors show.  Raises `TengoSyntaxError`."""
    with room_for_depth():
        compilation = _Compilation(find_module, builtin_modules)
        main = compilation.compile(source, name, "", tuple(predefined))
        emitter = Emitter(BUILTINS)
        lua, places, names = emitter.emit_program(main, compilation.modules, compilation.libraries)
    return Program(lua, places, (*predefined, *names))


@dataclass(slots=True)
class _Compilation:
    """What one program consists of: modules in the order of their dependence, and libraries."""

    find_module: Finder
    builtin_modules: frozenset[str]
    modules: list[tuple[str, File]] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    _chain: list[str] = field(default_factory=list)

    def compile(self, source: bytes, name: str, key: str, predefined: Sequence[str]) -> File:
        """Parse and resolve a file, and compile what it imports where it does."""
        file = parse(source, name)
        resolve(
            file,
            builtins=BUILTINS,
            predefined=predefined,
            is_module=bool(key),
            on_import=lambda node: self._import(node, file, key, source),
        )
        return file

    def _import(self, node: Import, file: File, importer: str, source: bytes) -> None:
        def fail(message: str) -> TengoSyntaxError:
            return TengoSyntaxError(
                message,
                phase="Compile Error",
                file=file.name,
                pos=node.pos,
                line_text=text_of_line(source, node.pos.line),
            )

        if node.name in self.builtin_modules:
            node.module = node.name
            if node.name not in self.libraries:
                self.libraries.append(node.name)
            return
        found = self.find_module(importer, node.name)
        if found is None:
            raise fail(f"module '{node.name}' not found")
        key, shown, text = found
        node.module = f"/{key}"
        if key in self._chain:
            raise fail(f"cyclic module import: {key}")
        if any(known == node.module for known, _ in self.modules):
            return
        self._chain.append(key)
        self.modules.append((node.module, self.compile(text, shown, key, ())))
        self._chain.pop()
