"""`sandbox compile FILE`: what a file is compiled to, for people to read.

The file is compiled in a confined worker and not run.  Only languages that become another one
have something to show: Tengo becomes Lua.
"""

from __future__ import annotations

import argparse
from typing import Any

from sandbox.cli.options import add_isolation, command
from sandbox.cli.output import complaint, result
from sandbox.engine.engine import Engine
from sandbox.errors import PluginError


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "compile",
        compile_file,
        "Print what a file is compiled to: the Lua of a Tengo script. Nothing is run.",
        "sandbox compile main.tengo",
    )
    parser.add_argument("path", metavar="FILE", help="the file to compile")
    add_isolation(parser)


def compile_file(options: argparse.Namespace) -> int:
    """Compile one file; 1 when it does not compile."""
    with Engine(isolation=options.isolation) as engine:
        try:
            text = engine.compiled(options.path)
        except PluginError as error:
            complaint(error)
            return 1
    result(text, end="")
    return 0
