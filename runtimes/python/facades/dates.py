"""Façades of ``datetime`` and ``time``.

``datetime``: its classes are immutable C types and are let through as they are, with the two
year constants and ``UTC``.  The module itself is not: it carries ``sys``.

``time``: clocks and conversions.  Left out: ``sleep`` (a plugin waits through the host API, on
the host's clock), ``thread_time``, ``clock_*`` and ``get_clock_info`` (facts about the
machine), ``tzset``, ``tzname``, ``timezone`` and ``altzone`` (the machine's zone).
"""

from __future__ import annotations

import datetime
import time
from typing import Final

from runtimes.python.facade import Facade
from runtimes.python.names import words

DATETIME: Final = Facade(
    "datetime",
    {
        name: getattr(datetime, name)
        for name in words("date datetime time timedelta timezone tzinfo MINYEAR MAXYEAR UTC")
    },
)

TIME: Final = Facade(
    "time",
    {
        name: getattr(time, name)
        for name in words(
            "asctime ctime gmtime localtime mktime monotonic monotonic_ns perf_counter "
            "perf_counter_ns process_time process_time_ns strftime strptime struct_time time "
            "time_ns"
        )
    },
)
