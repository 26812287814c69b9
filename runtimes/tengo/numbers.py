"""What the standard library asks of the world outside Lua: the clock, waiting, and a seed.

Everything else of the modules math, times and rand is Lua. Owns no protocol: the services of the
runtime offer these functions to Lua under the names in `SERVICES`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

# A confined worker has no call to sleep with, but it may wait on a futex with a timeout; a lock
# that nobody ever releases is one. Made here, because the file is loaded before confinement.
_never: Final = threading.Lock()
_never.acquire()
_LONGEST: Final = min(threading.TIMEOUT_MAX, 1e9)


def sleep(nanoseconds: int) -> None:
    """Wait; no processor time is used, and the wall-time limit of the run ends it if need be."""
    if nanoseconds > 0:
        _never.acquire(timeout=min(nanoseconds / 1e9, _LONGEST))


def now() -> int:
    """Nanoseconds since 1970, UTC."""
    return time.time_ns()


def random_seed() -> int:
    """A seed for a generator the script gave none, as Go picks one since 1.20; 63 random bits."""
    return int.from_bytes(os.urandom(8), "big") >> 1


SERVICES: Final[dict[str, Callable[..., Any]]] = {
    "now": now,
    "random_seed": random_seed,
    "sleep": sleep,
}
