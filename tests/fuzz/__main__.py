"""`python -m tests.fuzz {python,lua} [COUNT] [--first N] [--seconds S] [--control] [--shrink N]`.

Runs COUNT random programs behind a fence and prints what they reached; with `--control`, without
a fence.  `--shrink N` prints the smallest program that still shows the finding of program N.
Exit status: 0 when all is well, 1 with findings (or with a control that finds nothing).
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.campaign import campaign, smallest


def main(arguments: list[str]) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("language", choices=("python", "lua"))
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--first", type=int, default=0, metavar="N")
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--shrink", type=int, metavar="N")
    options = parser.parse_args(arguments)
    if options.shrink is not None:
        sys.stdout.write(smallest(options.language, options.shrink) + "\n")
        return 0
    mode = "control" if options.control else "fence"
    result = campaign(options.language, options.count, options.first, mode, options.seconds)
    for seed, why in result.findings[:20]:
        sys.stdout.write(f"program {seed}: {why}\n")
    sys.stdout.write(f"{options.language}, {mode}: {result.text()}\n")
    return int(bool(result.findings) != options.control)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
