"""The table of modules plugins may import.

Owns the mapping from module name to façade; each module's own list, with reasons, is in the
file of its name.  ``SHARED`` façades are immutable and the same for every environment of the
process; ``FACTORIES`` make one per environment, because what they hold has state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from runtimes.python.facade import Facade
from runtimes.python.facades import data, dates, iteration, numbers, text, urls
from runtimes.python.guards import PUBLIC_TYPES

SHARED: Final[Mapping[str, Facade]] = MappingProxyType(
    {
        "base64": data.BASE64,
        "collections": iteration.COLLECTIONS,
        "datetime": dates.DATETIME,
        "functools": iteration.FUNCTOOLS,
        "hashlib": data.HASHLIB,
        "html": text.HTML,
        "itertools": iteration.ITERTOOLS,
        "json": data.JSON,
        "math": numbers.MATH,
        "re": text.RE,
        "string": text.STRING,
        "textwrap": text.TEXTWRAP,
        "time": dates.TIME,
        "typing": text.TYPING,
        "urllib": urls.URLLIB,
        "urllib.parse": urls.PARSE,
    }
)

FACTORIES: Final[Mapping[str, Callable[[], Facade]]] = MappingProxyType(
    {"random": numbers.make_random}
)

AVAILABLE: Final[tuple[str, ...]] = tuple(sorted({*SHARED, *FACTORIES} - {"urllib"}))
"""Names for messages."""

# A class a plugin holds by name is no secret to type().
for _facade in SHARED.values():
    PUBLIC_TYPES.update(value for value in vars(type(_facade)).values() if isinstance(value, type))
