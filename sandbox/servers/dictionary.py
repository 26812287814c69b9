"""`/msx/dictionary.json` and the panel that chooses one: the texts of pages in other languages.

The files are an operator's: `dictionaries/NAME.json` in the server's folder, and
`dictionary.json` for when none is chosen.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sandbox.errors import ConfigurationError
from sandbox.servers.house import House
from sandbox.servers.kept import read_object
from sandbox.servers.names import VERSION
from sandbox.servers.replies import Refused, action, base, data, document

_EMPTY: Final = {"name": "default", "version": VERSION, "properties": {}}
_MAX: Final = 100


def current(house: House) -> dict[str, Any]:
    """The dictionary that is in use; an empty one when there is none.  Reads a file.

    Raises `ConfigurationError` when the file is broken.
    """
    if house.root is None:
        return dict(_EMPTY)
    chosen = house.settings.language
    path = Path("dictionaries", f"{chosen}.json") if chosen else Path("dictionary.json")
    return read_object(house.root / path) or dict(_EMPTY)


def names(house: House) -> list[str]:
    """The dictionaries there are.  Reads a folder."""
    folder = house.root / "dictionaries" if house.root else None
    if folder is None or not folder.is_dir():
        return []
    found = sorted(path.stem for path in folder.glob("*.json") if not path.name.startswith("."))
    return found[:_MAX]


async def dictionary(house: House, request: Request) -> Response:
    """`/msx/dictionary.json`."""
    try:
        return document(await run_in_threadpool(current, house))
    except ConfigurationError:
        raise Refused(500, "the dictionary cannot be read") from None


async def panel(house: House, request: Request) -> Response:
    """`/msx/dictionary`: the choice; POST with a name, by an operator, makes it."""
    known = await run_in_threadpool(names, house)
    if request.method == "POST":
        chosen = await data(request)
        if chosen is None:  # a device tells which dictionary it has
            return action("[]")
        if not house.is_operator(request.scope):
            raise Refused(403)
        if not isinstance(chosen, str) or (chosen and chosen not in known):
            raise Refused(400)
        try:
            house.change(dataclasses.replace(house.settings, language=chosen))
        except ConfigurationError:
            raise Refused(500, "the settings cannot be kept") from None
        return action("[cleanup|reload:menu]")
    items = [{"data": "", "label": "{dic:Default|default}"}]
    items += [{"data": name, "label": name} for name in known]
    return document(
        {
            "reuse": False,
            "cache": False,
            "restore": False,
            "type": "list",
            "headline": "{dic:Language|Language}:",
            "template": {
                "action": f"execute:{base(request)}msx/dictionary",
                "enumerate": False,
                "layout": "0,0,8,1",
                "type": "control",
            },
            "items": items,
        }
    )
