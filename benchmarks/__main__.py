"""`python -m benchmarks [NAME…] [--json FILE]`: run benchmarks and print their rows.

A NAME may be a prefix (`call` runs every `call.*`).  Without names all are run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import call, density, http, python_programs, scripts, start, tengo
from benchmarks.report import BENCHMARKS, Row, as_json, table

_MODULES = (
    call,
    scripts,
    python_programs,
    start,
    density,
    http,
    tengo,
)  # importing them registers their benchmarks


def main(arguments: list[str]) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args(arguments)
    chosen = [
        name
        for name in BENCHMARKS
        if not options.names
        or any(name == wanted or name.startswith(wanted + ".") for wanted in options.names)
    ]
    unknown = [
        wanted
        for wanted in options.names
        if not any(name == wanted or name.startswith(wanted + ".") for name in BENCHMARKS)
    ]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    rows: list[Row] = []
    for name in chosen:
        rows += BENCHMARKS[name]()
    sys.stdout.write(table(rows) + "\n")
    if options.json:
        options.json.write_text(as_json(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
