"""The command line: `sandbox serve | run | check | compile | install | uninstall | list`.

One file per command; this one puts the parser together and turns errors into one line and an
exit status: 0 well, 1 a plugin (or the machine) failed, 2 the command was used wrongly.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from sandbox.cli import check, compile, packages, run, serve
from sandbox.cli.output import problem
from sandbox.errors import ConfigurationError, SandboxError

DISTRIBUTION: Final = "plugin-sandbox"
OK, FAILED, WRONG_USE = 0, 1, 2


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    top = argparse.ArgumentParser(
        prog="sandbox",
        description="Runs plugins that strangers wrote, in Lua, Tengo and restricted Python, "
        "inside confined worker processes.",
        epilog="example: sandbox run hello.lua",
    )
    top.add_argument("--version", action="version", version=f"sandbox {version(DISTRIBUTION)}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (serve, run, check, compile, packages):
        command.add_to(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s", force=True
    )
    try:
        status: int = options.command(options)
        sys.stdout.flush()
    except ConfigurationError as error:
        problem(error.message)
        return WRONG_USE
    except SandboxError as error:
        problem(str(error))
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:
        # Whoever read our output has left; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status
