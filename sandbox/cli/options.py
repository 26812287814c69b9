"""Options that several commands have: limits, isolation, and how a command is declared."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.engine.workers import ISOLATIONS
from sandbox.limits import Limits

_LIMITS: Final = (
    ("cpu", "1s", "processor time of one call"),
    ("wall", "5s", "elapsed time of one call, without waiting for the engine"),
    ("memory", "64MiB", "memory of one worker beyond the bare interpreter"),
    ("output", "1MiB", "what one call may print, log and answer"),
    ("host-calls", "10000", "how often one call may ask the engine for something"),
    ("egress", "16MiB", "what one call may send to and receive from other servers"),
    ("storage", "16MiB", "what one plugin may keep"),
    ("log-lines", "1000", "lines that one plugin may log in a second"),
)


def command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], about: str, example: str
) -> argparse.ArgumentParser:
    """Declare a command; `run` returns its exit status."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=about, description=about, epilog=f"example: {example}"
    )
    parser.set_defaults(command=run)
    return parser


def add_isolation(parser: argparse.ArgumentParser) -> None:
    """`--isolation`."""
    parser.add_argument(
        "--isolation",
        choices=ISOLATIONS,
        default="confined",
        help="how workers are kept apart (default: confined; the others are for plugins you trust)",
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """`--cpu` and so on: one option for each limit."""
    for name, default, about in _LIMITS:
        parser.add_argument(f"--{name}", metavar=default, help=f"{about} (default: {default})")


def limits_of(options: argparse.Namespace, others: Mapping[str, Any] | None = None) -> Limits:
    """The limits that were asked for, before `others`; `ConfigurationError` naming a bad one."""
    names = [name.replace("-", "_") for name, _, _ in _LIMITS]
    asked = {name: getattr(options, name) for name in names}
    given = {name: text for name, text in asked.items() if text is not None}
    return Limits().replace(**{**(others or {}), **given})
