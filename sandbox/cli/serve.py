"""`sandbox serve`: the HTTP front end over a folder of plugins."""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from sandbox.cli import configuration
from sandbox.cli.bundle import bundled_plugins
from sandbox.cli.configuration import Configuration
from sandbox.cli.options import add_isolation, add_limits, command, limits_of
from sandbox.cli.output import problem, result
from sandbox.engine.async_engine import AsyncEngine
from sandbox.errors import ConfigurationError
from sandbox.policy import EVERYONE, Policy

if TYPE_CHECKING:
    from sandbox.servers.house import House

_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):(\d{1,5})", re.ASCII)
EXTRA: Final = "plugin-sandbox[servers]"


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "serve",
        serve,
        "Serve the plugins of a folder over HTTP; prints its address once it listens.",
        "sandbox serve --http 127.0.0.1:8080 --dir /srv/msx --grant http:api.example.org",
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
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="keep there what plugins store (default: data in --dir; nowhere without one)",
    )
    parser.add_argument(
        "--keep-memory",
        action="store_true",
        help="keep what plugins have in memory there as well; else it lasts until the server ends",
    )
    parser.add_argument(
        "--grant",
        action="append",
        default=[],
        metavar="CAPABILITY",
        help="grant a capability to every plugin, such as http:10.1.2.3:8090; may be repeated",
    )
    parser.add_argument(
        "--withhold",
        action="append",
        default=[],
        metavar="CAPABILITY",
        help="take from every plugin what it may do without a grant: file, http or memory; may "
        "be repeated",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="grants, what is withheld, limits and settings, as JSON or TOML",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="how many workers run scripts at most"
    )
    parser.add_argument(
        "--token-only",
        action="store_true",
        help="only who shows the token is an operator, even from this machine: for proxies",
    )
    add_limits(parser)
    add_isolation(parser)


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    host, port = _address(options.http)
    msx, running = _front_end()
    known = configuration.read(Path(options.config)) if options.config else Configuration()
    if options.workers is not None and options.workers < 1:
        raise ConfigurationError(f"--workers: {options.workers} is not a positive number")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)

    engine_of = _engine_maker(options, known)
    with running.listen(host, port) as listener, running.kept_signals() as came:
        told = False

        def started(address: str) -> None:
            nonlocal told
            if not told:  # who reads our output reads one address
                result(address)
                sys.stdout.flush()
            told = True
            for number in came:
                signal.raise_signal(number)

        # A new engine each time: a restart is to forget what plugins have in memory.
        while asyncio.run(_once(msx, engine_of(), options, known, listener, started)):
            pass
    return 0


async def _once(
    msx: ModuleType,
    engine: AsyncEngine,
    options: argparse.Namespace,
    known: Configuration,
    listener: Any,
    started: Any,
) -> bool:
    """Serve once; True when the server is to start again."""
    async with engine:
        house = _house(engine, options, known)
        try:
            _tell_token(house)
            again: bool = await msx.serve(house, listener, started)
            return again
        finally:
            house.close()


def _engine_maker(options: argparse.Namespace, known: Configuration) -> Any:
    root = Path(options.dir) if options.dir else None
    folder = root / "plugins" if root else bundled_plugins()
    withheld = {**known.withheld}
    withheld[EVERYONE] = [*options.withhold, *withheld.get(EVERYONE, [])]
    data = Path(options.data) if options.data else root / "data" if root else None
    settings: dict[str, Any] = {
        "policy": Policy(withheld=withheld),
        "limits": limits_of(options, known.limits),
        "isolation": options.isolation,
        "workers": options.workers,
        "data": data,
        "keep_memory": options.keep_memory,
    }
    return lambda: AsyncEngine([folder], **settings)


def _house(engine: AsyncEngine, options: argparse.Namespace, known: Configuration) -> House:
    from sandbox.servers.access import is_loopback
    from sandbox.servers.house import House
    from sandbox.servers.settings import Settings

    return House(
        engine,
        Path(options.dir) if options.dir else None,
        loopback=is_loopback(_address(options.http)[0]) and not options.token_only,
        grants=[*options.grant, *known.everyone()],
        plugin_grants=known.some(),
        settings=Settings().changed(known.settings),
    )


def _tell_token(house: House) -> None:
    """Show the operator's token, once, to whoever started the server."""
    if not house.access.made:
        return
    if house.root is not None:
        problem(f"the operator's token, kept in {house.root / 'admin-token'}: {house.admin}")
    elif not house.access.loopback:
        problem(f"the operator's token until the server ends: {house.admin}")


def _front_end() -> tuple[ModuleType, ModuleType]:
    # Late: the other commands work without the packages that this needs.
    try:
        from sandbox.servers import msx, running
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is missing: install {EXTRA}") from None
    return msx, running


def _address(text: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 65_535:
        raise ConfigurationError(f"--http: cannot read {text!r}; write it like 127.0.0.1:8080")
    return match[1] or match[2], int(match[3])
