"""The corpus: where it is, and what the header of each probe says.

Knows the format of the files (see the README next to them) and nothing of engines.
"""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
DEFAULT: Final = CHECKOUT.parent / "shared" / "hostile"
"""An optional folder next to the checkout."""

CANARY_FILE: Final = "/tmp/canary"
"""The path that probes name; a run puts a private one in its place."""

_FOLDERS: Final = ("python", "lua", "resource")
_HEADER: Final = re.compile(r"^(?:#|--) (\w+): (.*)$")
_LANGUAGES: Final = {".py": "python", ".lua": "lua"}


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe.  `language` is empty for a byte stream of a lying worker and for a package;
    `source` is then the name of the stream, or the path of the package's header."""

    id: str
    folder: str
    file: str
    language: str
    source: str
    expect: frozenset[str]
    deadline: float

    @property
    def wants_api(self) -> bool:
        """Whether it looks for functions of the host, which bare code is not given."""
        return self.language == "lua" and re.search(r"\bapi\b", self.source) is not None

    def matches(self, pattern: str) -> bool:
        """Whether `--only pattern` means this probe: a part of its id or path, or a glob."""
        names = (self.id, f"{self.folder}/{self.file}")
        return any(pattern in name or fnmatch.fnmatch(name, pattern) for name in names)


def probes(corpus: Path) -> list[Probe]:
    """Every probe of a corpus, in order.  Raises `FileNotFoundError` when it is not there."""
    if not corpus.is_dir():
        raise FileNotFoundError(corpus)
    found = []
    for folder in _FOLDERS:
        for path in sorted((corpus / folder).glob("*")):
            if path.suffix in _LANGUAGES:
                found.append(_program(path, folder))
    found += [_stream(path) for path in sorted((corpus / "protocol").glob("*.json"))]
    found += [_package(path) for path in sorted((corpus / "package").glob("*.json"))]
    return found


def _program(path: Path, folder: str) -> Probe:
    source = path.read_text(encoding="utf-8", errors="surrogateescape")
    header: dict[str, str] = {}
    for line in source.splitlines()[:12]:
        match = _HEADER.match(line)
        if match is not None:
            header.setdefault(match[1], match[2])
    return Probe(
        id=header["id"],
        folder=folder,
        file=path.name,
        language=_LANGUAGES[path.suffix],
        source=source,
        expect=frozenset(header["expect"].split("|")),
        deadline=int(header["deadline_ms"]) / 1000,
    )


def _stream(path: Path) -> Probe:
    header = json.loads(path.read_text(encoding="utf-8"))
    return Probe(
        id=header["id"],
        folder="protocol",
        file=path.name,
        language="",
        source=path.stem.partition("_")[2],
        expect=frozenset(header["expect"].split("|")),
        deadline=1.0,
    )


def _package(path: Path) -> Probe:
    header = json.loads(path.read_text(encoding="utf-8"))
    return Probe(
        id=header["id"],
        folder="package",
        file=path.name,
        language="",
        source=str(path),
        expect=frozenset(header["expect"].split("|")),
        deadline=1.0,
    )


def allowed_leaks(path: Path) -> dict[str, str]:
    """The probes that may print LEAK, with the reason of each: the rows of `leaks.md`."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 2 and re.fullmatch(r"[a-z]+-\d+", cells[0]):
            found[cells[0]] = cells[1]
    return found
