"""`sandbox serve`: the HTTP front end over a folder of plugins."""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeAlias

from sandbox.cli.bundle import bundled_plugins
from sandbox.cli.options import add_isolation, add_limits, command, limits_of
from sandbox.cli.output import result
from sandbox.engine.async_engine import AsyncEngine
from sandbox.errors import ConfigurationError

_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):(\d{1,5})", re.ASCII)
EXTRA: Final = "plugin-sandbox[servers]"

Serve: TypeAlias = Callable[
    [AsyncEngine, str, int, Callable[[str], None]], Coroutine[Any, Any, None]
]


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "serve",
        serve,
        "Serve the plugins of a folder over HTTP; prints its address once it listens.",
        "sandbox serve --http 127.0.0.1:8080 --dir /srv/msx",
    )
    parser.add_argument(
        "--http",
        default="127.0.0.1:8080",
        metavar="HOST:PORT",
        help="where to listen (default: 127.0.0.1:8080; port 0 takes a free one)",
    )
    parser.add_argument(
        "--dir", metavar="DIR", help="serve DIR/plugins (default: the bundled plugins)"
    )
    add_limits(parser)
    add_isolation(parser)


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    host, port = _address(options.http)
    front_end = _front_end()
    folder = Path(options.dir) / "plugins" if options.dir else bundled_plugins()
    limits = limits_of(options)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)

    def started(address: str) -> None:
        result(address)
        sys.stdout.flush()

    async def run() -> None:
        async with AsyncEngine([folder], limits=limits, isolation=options.isolation) as engine:
            await front_end(engine, host, port, started)

    asyncio.run(run())
    return 0


def _front_end() -> Serve:
    # Late: the other commands work without the packages that this needs.
    try:
        from sandbox.servers import msx
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is missing: install {EXTRA}") from None
    return msx.serve


def _address(text: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 65_535:
        raise ConfigurationError(f"--http: cannot read {text!r}; write it like 127.0.0.1:8080")
    return match[1] or match[2], int(match[3])
