"""Loading now what the interpreter would otherwise load later.

Owns the list of things the standard library imports on first use, and :func:`lock_down`, which
makes sure that nothing is imported or printed behind our back afterwards.  A worker may not open
a file once it is confined, so a lazy import there is not slow, it is fatal.
"""

from __future__ import annotations

import codecs
import datetime
import encodings
import hashlib
import json
import os
import random
import re
import sys
import time
import unicodedata  # noqa: F401 - for \\N{...} in strings
import urllib.parse
import warnings
from importlib.abc import MetaPathFinder
from typing import Any, Final

from runtimes.python.names import words

_ENCODINGS: Final = words(
    "ascii utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be utf-7 latin-1 "
    "iso8859-2 iso8859-15 cp437 cp850 cp1250 cp1251 cp1252 koi8-r idna punycode unicode-escape "
    "raw-unicode-escape rot13 hex base64 charmap"
)

_done = False


def warm_up() -> None:
    """Trigger every lazy import plugins can cause; called once, when the package is imported."""
    global _done
    if _done:
        return
    _done = True
    for name in _ENCODINGS:
        codecs.lookup(name)
    "ä.example".encode("idna").decode("idna")
    datetime.datetime.strptime("2000-01-01", "%Y-%m-%d")
    time.strptime("2000", "%Y")
    time.strftime("%c %x %Z", time.localtime(0))
    datetime.datetime.now().astimezone()
    datetime.datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    json.loads(json.dumps([{"a": 1.5}], indent=1))
    re.sub("(?P<a>x)|y", r"\g<a>", "xy")
    random.Random(1).sample(range(10), 3)
    urllib.parse.urlsplit("http://[::1]:80/").hostname  # noqa: B018
    for name in hashlib.algorithms_guaranteed:
        hashlib.new(name, b"")
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("loads what a warning needs", stacklevel=1)


class _NoImports(MetaPathFinder):
    """Answers every import that is not already loaded, without touching the file system."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        raise ModuleNotFoundError(f"{fullname} is not available in a confined worker")


def _codec(name: str) -> codecs.CodecInfo | None:
    """Find codecs among the loaded modules only."""
    module = sys.modules.get(f"encodings.{name}")
    if module is None:
        alias = encodings.aliases.aliases.get(name)
        module = sys.modules.get(f"encodings.{alias}") if alias else None
    entry = getattr(module, "getregentry", None)
    info: codecs.CodecInfo | None = entry() if entry is not None else None
    return info


def lock_down() -> None:
    """Make the process stop looking at the file system by itself.

    To be called by a worker once everything it needs is imported and before it is confined.
    Process-wide and final: later imports of modules that are not loaded raise
    ``ModuleNotFoundError``, unknown codecs raise ``LookupError``, warnings are dropped, errors
    nobody can receive (in a generator that is thrown away, say) are not printed, because the
    interpreter would print source lines from files, and local time is UTC.
    """
    sys.meta_path.insert(0, _NoImports())
    codecs.unregister(encodings.search_function)
    codecs.register(_codec)
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _unraisable: None
    os.environ["TZ"] = "UTC0"
    time.tzset()
    time.localtime(0)
