"""One sandbox: a worker with its plugin or group of plugins, as the engine keeps it.

Data and small questions; making workers and bringing them back is `core.py`'s business.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sandbox.engine.lifecycle import Module
from sandbox.engine.runtimes import RuntimeInfo
from sandbox.engine.usage import Peaks
from sandbox.engine.worker import Worker
from sandbox.limits import Limits


@dataclass(slots=True, eq=False)
class Sandbox:
    """A place to run plugins in.

    `plugins` are the names whose grants it has; `kind` says which base grants apply (`module`,
    `script` or `code`).  `worker` is None until first needed and after a death.
    """

    name: str
    kind: str
    plugins: tuple[str, ...]
    runtime: RuntimeInfo
    limits: Limits
    worker: Worker | None = None
    modules: list[Module] = field(default_factory=list)
    peaks: Peaks = field(default_factory=Peaks)
    """The highest usage of all its workers."""
    deaths: list[float] = field(default_factory=list)
    """Clock readings of the recent deaths of its workers."""
    resting_until: float = -math.inf
    """Clock reading before which it is not started again: it died again and again."""
    busy: bool = False
    """Whether its worker is being started, or its modules brought back after a death."""
    line: deque[Any] = field(default_factory=deque)
    """Who waits for that to be over."""
