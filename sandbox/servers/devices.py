"""What devices said of themselves when they asked for the menu: their player and platform.

Kept by the id that a device gave itself, for scripts that make links for its player.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_DEVICES: Final = 256
_MAX_TEXT: Final = 128
_PLAIN_PLAYER: Final = "html5"  # the one that needs nothing special


class Devices:
    """The latest `MAX_DEVICES` devices."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def note(self, device: str, player: str, platform: str) -> None:
        """A device said what it is; `player` may have a version after a slash."""
        if not device or max(map(len, (device, player, platform))) > _MAX_TEXT:
            return
        name = player.partition("/")[0]
        self._known[device] = ("" if name == _PLAIN_PLAYER else name, platform)
        self._known.move_to_end(device)
        if len(self._known) > MAX_DEVICES:
            self._known.popitem(last=False)

    def of(self, device: str) -> tuple[str, str]:
        """Player and platform of a device, empty texts for one that is not known."""
        return self._known.get(device, ("", ""))
