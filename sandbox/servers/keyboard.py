"""`/msx/input`: a panel with a keyboard, for devices that have none.

A plugin has the device send `{"data": {"action", "headline", "extension", "value"}}`; each key
that the user presses is a request of its own, so that what was typed is kept here, by the id that
the device gave itself, until some time after the last key.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from sandbox.servers.dialog import texts
from sandbox.servers.replies import Refused, action, base, data, document

MAX_INPUTS: Final = 256
MAX_TEXT: Final = 1000
EXPIRES: Final = 3600.0
"""Seconds after the last key in which an input is forgotten."""

_MAX_ID: Final = 128
_ROW: Final = 10
_LATIN: Final = '1234567890ABCDEFGHIJKLMNOPQRSTUVWXYZ@-:.,/?+();!&"'
_CYRILLIC: Final = "1234567890АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ@-:.,/?"
_IN_NO_ADDRESS: Final = frozenset(',/?+();!&"')
_SPACE: Final = "{txt:msx-white-soft:_}"


@dataclass(slots=True)
class Input:
    """What one device is asked, and has typed so far."""

    action: str = ""
    headline: str = ""
    extension: str = ""
    text: str = ""
    used: float = 0.0
    other: bool = False
    """Whether the other alphabet is shown."""


class Keyboard:
    """The inputs of all devices.  `clock` gives seconds that never go back."""

    def __init__(
        self, *, cyrillic: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cyrillic, self._clock = cyrillic, clock
        self._inputs: OrderedDict[str, Input] = OrderedDict()

    async def answer(self, request: Request) -> Response:
        """One request; raises `Refused` for one that is no key and no question."""
        device = request.query_params.get("id") or "*"
        if len(device) > _MAX_ID:
            raise Refused(400)
        here = f"{base(request)}msx/input?id={quote(device, safe='*')}"
        if request.method != "POST":
            address = "addr" in request.query_params
            return document(self._panel(self._of(device), here, address))
        asked = await data(request)
        if isinstance(asked, dict):
            given = texts(asked)
            new = Input(given["action"], given["headline"], given["extension"], given["value"])
            if len(new.text) > MAX_TEXT:
                raise Refused(400)
            self._keep(device, new)
            return action(f"panel:{here}{'&addr' if 'addr' in request.query_params else ''}")
        if not isinstance(asked, str | None):
            raise Refused(400)
        return self._pressed(self._of(device), device, asked or "")

    # ------------------------------------------------------------------ state

    def _of(self, device: str) -> Input:
        self._expire()
        return self._inputs.get(device) or Input()

    def _keep(self, device: str, one: Input) -> None:
        self._expire()
        one.used = self._clock()
        self._inputs[device] = one
        self._inputs.move_to_end(device)
        while len(self._inputs) > MAX_INPUTS:
            self._inputs.popitem(last=False)

    def _expire(self) -> None:
        before = self._clock() - EXPIRES
        while self._inputs and next(iter(self._inputs.values())).used < before:
            self._inputs.popitem(last=False)

    # ------------------------------------------------------------------ keys

    def _pressed(self, one: Input, device: str, key: str) -> Response:
        match key:
            case "\n":
                what = one.action.replace("{INPUT}", quote(one.text, safe=""))
                return action(what, one.text)
            case "<lng>":
                one.other = not one.other
                self._keep(device, one)
                return action("reload:panel")
            case "<del>":
                one.text = one.text[:-1]
            case "<clr>":
                one.text = ""
            case _:
                if len(one.text) + len(key) > MAX_TEXT:
                    raise Refused(400)
                one.text += key
        if key:
            self._keep(device, one)
        return action("update:panel:txt", {"label": _shown(one.text)})

    # ------------------------------------------------------------------ the panel

    def _panel(self, one: Input, here: str, address: bool) -> dict[str, Any]:
        send = f"execute:service:{here}"
        letters = _CYRILLIC if one.other and self._cyrillic() else _LATIN
        items: list[dict[str, Any]] = [
            {
                "color": "msx-black-soft",
                "compress": False,
                "id": "txt",
                "label": _shown(one.text),
                "layout": "0,0,10,1",
                "offset": "0,0.3,0,0.3",
                "type": "space",
            }
        ]
        for place, letter in enumerate(letters):
            items.append(_key(place, letter, send, address))
        off = {"<lng>"} if not self._cyrillic() else set()
        if address:
            off.add(" ")
        for place, (key, icon, keys, color, footer) in enumerate(_SPECIAL):
            button: dict[str, Any] = {
                "action": send,
                "data": key,
                "enable": False,
                "icon": icon,
                "iconSize": "small",
                "key": keys,
                "layout": f"{2 * place},7,2,1",
                "progress": "1",
                "progressColor": color,
                "titleFooter": footer,
                "type": "button",
            }
            absent = [] if key in off else ["enable"]
            absent += [] if color else ["progress", "progressColor"]
            absent += [] if footer else ["titleFooter"]
            items.append({name: value for name, value in button.items() if name not in absent})
        panel: dict[str, Any] = {"reuse": False, "cache": False, "restore": False}
        panel["compress"] = True
        panel |= {"headline": one.headline} if one.headline else {}
        panel |= {"extension": one.extension} if one.extension else {}
        panel["pages"] = [{"items": items}]
        return panel


_SPECIAL: Final = (
    ("<del>", "backspace", "red|delete", "red", "{ico:fast-rewind}"),
    ("<clr>", "clear", "home", "", "{ico:skip-previous}"),
    (" ", "space-bar", "yellow|space|insert", "yellow", "{ico:fast-forward}"),
    ("<lng>", "language", "end|tab|caps_lock", "", "{ico:skip-next}"),
    ("\n", "done", "green", "green", ""),
)
"""Data, icon, keys of a remote control, color and hint of the keys that are no letters."""


def _key(place: int, letter: str, send: str, address: bool) -> dict[str, Any]:
    """The button of one letter; in an address the dot is at hand, and other signs are off."""
    dot = address and letter == "."
    button: dict[str, Any] = {"action": send, "data": letter}
    if address and letter in _IN_NO_ADDRESS:
        button["enable"] = False
    button["key"] = f"{letter}|{'yellow' if dot else letter.lower()}"
    button["label"] = letter
    button["layout"] = f"{place % _ROW},{2 + place // _ROW},1,1"
    if dot:
        button |= {"progress": 1, "progressColor": "msx-yellow"}
    return button | {"type": "button"}


def _shown(text: str) -> str:
    """A blank at the end would not be seen."""
    return text[:-1] + _SPACE if text.endswith(" ") else text
