"""Façades of ``json``, ``base64`` and ``hashlib``.

``json``: ``dumps`` and ``loads`` with the options that are data or plain hooks.  Left out:
``cls`` (a class of the plugin's would run inside the encoder's own machinery), ``load`` and
``dump`` (there are no files), the encoder and decoder classes, and the submodules, which carry
``builtins``.

``base64``: the coding functions for bytes in memory, without the ones for files.

``hashlib``: the algorithms every platform guarantees, and ``pbkdf2_hmac``.  Left out:
``scrypt`` (asks for memory by the gigabyte), ``file_digest`` (opens files) and
``algorithms_available`` (a mutable set that tells the build of the machine's library).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from runtimes.python.facade import Facade
from runtimes.python.guards import ALLOWED_BASES, PUBLIC_TYPES
from runtimes.python.names import words


class JSONDecodeError(ValueError):
    """``json.JSONDecodeError`` with the same attributes, and without a way into ``json``."""

    def __init__(self, msg: str, doc: str, pos: int) -> None:
        self.msg = msg
        self.doc = doc
        self.pos = pos
        self.lineno = doc.count("\n", 0, pos) + 1
        self.colno = pos - doc.rfind("\n", 0, pos)
        super().__init__(f"{msg}: line {self.lineno} column {self.colno} (char {pos})")


PUBLIC_TYPES.add(JSONDecodeError)
ALLOWED_BASES.add(JSONDecodeError)


def _dumps(
    obj: Any,
    *,
    skipkeys: bool = False,
    ensure_ascii: bool = True,
    check_circular: bool = True,
    allow_nan: bool = True,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
    sort_keys: bool = False,
) -> str:
    if not (skipkeys or sort_keys or indent is not None or separators or default is not None) and (
        ensure_ascii and check_circular and allow_nan
    ):
        # Lets the module use its ready-made encoder.
        return json.dumps(obj)
    return json.dumps(
        obj,
        skipkeys=bool(skipkeys),
        ensure_ascii=bool(ensure_ascii),
        # Without the check a cycle ends in a deep C recursion.
        check_circular=True,
        allow_nan=bool(allow_nan),
        indent=indent,
        separators=separators,
        default=default,
        sort_keys=bool(sort_keys),
    )


def _loads(
    s: str | bytes | bytearray,
    *,
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
    parse_float: Callable[[str], Any] | None = None,
    parse_int: Callable[[str], Any] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    if not isinstance(s, str | bytes | bytearray):
        raise TypeError(f"the JSON object must be str, bytes or bytearray, not {type(s).__name__}")
    try:
        return json.loads(
            s,
            object_hook=object_hook,
            parse_float=parse_float,
            parse_int=parse_int,
            parse_constant=parse_constant,
            object_pairs_hook=object_pairs_hook,
        )
    except json.JSONDecodeError as error:
        raise JSONDecodeError(error.msg, error.doc, error.pos) from None


JSON: Final = Facade("json", {"dumps": _dumps, "loads": _loads, "JSONDecodeError": JSONDecodeError})

BASE64: Final = Facade(
    "base64",
    {
        name: getattr(base64, name)
        for name in words(
            "b64encode b64decode standard_b64encode standard_b64decode urlsafe_b64encode "
            "urlsafe_b64decode b32encode b32decode b32hexencode b32hexdecode b16encode b16decode "
            "a85encode a85decode b85encode b85decode encodebytes decodebytes"
        )
    },
)

_ALGORITHMS: Final = frozenset(hashlib.algorithms_guaranteed)


def _new(name: str, data: Any = b"", *, usedforsecurity: bool = True) -> Any:
    if type(name) is not str or name.lower() not in _ALGORITHMS:
        raise ValueError(f"unsupported hash type, available: {', '.join(sorted(_ALGORITHMS))}")
    return hashlib.new(name.lower(), data, usedforsecurity=bool(usedforsecurity))


HASHLIB: Final = Facade(
    "hashlib",
    {
        "new": _new,
        "algorithms_guaranteed": _ALGORITHMS,
        "pbkdf2_hmac": hashlib.pbkdf2_hmac,
        **{name: getattr(hashlib, name) for name in _ALGORITHMS},
    },
)
