"""The last lines that each plugin logged, kept in memory for whoever runs the server."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sandbox.engine.faults import one_line

PLUGINS: Final = "sandbox.plugin"
"""Above the loggers of the plugins, `sandbox.plugin.NAME`."""

SERVERS: Final = "sandbox.servers"
"""Above the loggers of the front ends; a record's `plugin` attribute says whom it is about."""

MAX_LINES: Final = 200
_MAX_TEXT: Final = 1000
_MAX_PLUGINS: Final = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One line: seconds since 1970, the level's name, and text without control characters."""

    time: float
    level: str
    text: str


class Logs(logging.Handler):
    """A ring buffer per plugin; what the front ends say of no plugin is under an empty name.

    `since` tells from which time on (seconds since 1970) lines are about the plugin that now has
    a name: what is older may be another stranger's.
    """

    def __init__(self, since: Callable[[str], float] = lambda _: 0.0) -> None:
        super().__init__(logging.INFO)
        self._since = since
        self._guard = threading.Lock()
        self._lines: OrderedDict[str, deque[Line]] = OrderedDict()

    def attach(self) -> None:
        """Begin to listen."""
        for name in (PLUGINS, SERVERS):
            logging.getLogger(name).addHandler(self)

    def detach(self) -> None:
        """Listen no more."""
        for name in (PLUGINS, SERVERS):
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a format that does not fit its arguments
            text = str(record.msg)
        plugin = getattr(record, "plugin", "")
        if record.name.startswith(PLUGINS + "."):
            plugin = record.name[len(PLUGINS) + 1 :]
        line = Line(record.created, record.levelname, one_line(text[:_MAX_TEXT]))
        with self._guard:
            self._lines.setdefault(str(plugin), deque(maxlen=MAX_LINES)).append(line)
            self._lines.move_to_end(str(plugin))
            # Whoever logged last stays: names come from folders, but those come and go.
            while len(self._lines) > _MAX_PLUGINS:
                self._lines.popitem(last=False)

    def lines(self, plugin: str) -> list[Line]:
        """What is kept of one plugin, oldest first."""
        since = self._since(plugin)
        with self._guard:
            return [line for line in self._lines.get(plugin, ()) if line.time >= since]

    def forget(self, plugin: str) -> None:
        """Drop the lines of a plugin."""
        with self._guard:
            self._lines.pop(plugin, None)
