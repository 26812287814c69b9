"""The manifest of a package: read more strictly than that of a folder somebody wrote by hand.

What `sandbox.manifest` is lenient about, ServeMSX's way, a stranger could use to be read in two
ways: so one property twice, one that nobody knows, numbers that JSON does not have, text that is
not meant for people, and URLs that leave the package are refused here, each with its reason.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sandbox import manifest
from sandbox.errors import ConfigurationError, PackageRejected, PluginError
from sandbox.limits import Limits
from sandbox.manifest import Manifest
from sandbox.packages.names import shown

MAX_BYTES: Final = 65_536
"""Longest manifest in bytes, as `sandbox.manifest` has it."""

MAX_DEPTH: Final = 4
"""Most objects and lists inside each other; the documented properties need two."""

MAX_CAPABILITIES: Final = 64
MAX_LABEL: Final = 200
MAX_URL: Final = 2000
"""Longest list, and longest texts in characters."""

BASE_URL: Final = "{BASE_URL}"
"""What ServeMSX replaces in `URL` and `Image` with the plugin's own address."""

_KNOWN: Final = {
    "label": str, "image": str, "icon": str, "url": str, "torrent": bool,
    "capabilities": list, "limits": dict,
}  # fmt: skip
_SPELLED: Final = "Label, Image, Icon, URL, Torrent, Capabilities, Limits"
_MAX_DIGITS: Final = 16
_MAX_SHOWN: Final = 300
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""A JSON text, or what follows an opening quote: it always matches, so that each is read once."""

_JOINERS: Final = "\u200c\u200d"
"""Invisible, but part of how some scripts and emoji are written."""

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_INTERACTION: Final = re.compile(r"request:interaction:[^@\s]*@")
"""How Media Station X writes a request that a page of the plugin answers, before that URL."""


def read_manifest(data: bytes, *, plugin: str, allowed: Limits) -> Manifest:
    """The manifest in `data`, the bytes of a package's `manifest.json`.

    `allowed` are the operator's limits, which `Limits` in it may lower and not raise.  Raises
    `PackageRejected` naming the property and the rule.
    """
    try:
        content = _json(data)
        _check(content)
        return _as_a_folder(data, plugin, allowed)
    except _Refused as refused:
        raise PackageRejected(f"{manifest.NAME}: {refused}", plugin=plugin) from None


class _Refused(Exception):
    """The rule that a manifest breaks."""


def _as_a_folder(data: bytes, plugin: str, allowed: Limits) -> Manifest:
    """What the engine will read from the installed file."""
    try:
        found = manifest.parse(data, plugin=plugin)
        found.limits_within(allowed)
    except (PluginError, ConfigurationError) as error:
        raise _Refused(_cut(error.message.removeprefix(f"{manifest.NAME} "))) from None
    return found


def _cut(message: str) -> str:
    plain = message.encode("ascii", "backslashreplace").decode("ascii")
    return plain if len(plain) <= _MAX_SHOWN else f"{plain[:_MAX_SHOWN]}..."


# ---------------------------------------------------------------------- as JSON


def _json(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise _Refused(f"is longer than {MAX_BYTES} bytes")
    if data.startswith(b"\xef\xbb\xbf"):
        raise _Refused("begins with a byte order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _Refused("is not UTF-8 text") from None
    if _depth(text) > MAX_DEPTH:
        raise _Refused(f"nests more than {MAX_DEPTH} deep")
    try:
        content = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise _Refused(f"is not JSON: {error.msg} in line {error.lineno}") from None
    if not isinstance(content, dict):
        raise _Refused("must be a JSON object")
    return content


def _depth(text: str) -> int:
    """How deep brackets nest, before a parser that recurses sees them."""
    depth = deepest = 0
    for char in re.findall(r"[\[{\]}]", _TEXT.sub("", text)):
        depth += 1 if char in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ even for those who do not tell case apart, as ServeMSX."""
    found = {}
    for name, value in pairs:
        if name.lower() in found:
            raise _Refused(f"{shown(name)} is there twice")
        found[name.lower()] = value
    return found


def _constant(name: str) -> float:
    raise _Refused(f"{name} is not a number of JSON")


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise _Refused(f"a number has more than {_MAX_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or len(text) > 4 * _MAX_DIGITS:
        raise _Refused("a number is too big or too long")
    return value


# ---------------------------------------------------------------------- as a manifest


def _check(content: dict[str, Any]) -> None:
    for name, value in content.items():
        kind = _KNOWN.get(name)
        if kind is None:
            raise _Refused(f"{shown(name)} is not known; there are {_SPELLED}")
        if type(value) is not kind:
            raise _Refused(f"{name} must be {_a(kind)}")
    for name in ("label", "icon"):
        _check_text(name, content.get(name, ""), MAX_LABEL)
    for name in ("image", "url"):
        _check_text(name, content.get(name, ""), MAX_URL)
        _check_url(name, content.get(name, ""))
    capabilities = content.get("capabilities", [])
    if len(capabilities) > MAX_CAPABILITIES:
        raise _Refused(f"capabilities has more than {MAX_CAPABILITIES} entries")
    if not all(isinstance(one, str) for one in capabilities):
        raise _Refused("capabilities must be a list of texts")
    if len(set(capabilities)) < len(capabilities):
        raise _Refused("capabilities has an entry twice")
    for name, value in content.get("limits", {}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise _Refused(f"limits: {shown(name)} must be a number or a text such as '64MiB'")


def _a(kind: type) -> str:
    return {str: "a text", bool: "true or false", list: "a list", dict: "an object"}[kind]


def _check_text(name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise _Refused(f"{name} is longer than {most} characters")
    for char in text:
        if unicodedata.category(char) in _INVISIBLE and char not in _JOINERS:
            raise _Refused(f"{name} has the invisible character U+{ord(char):04X}")


def _check_url(name: str, url: str) -> None:
    """Refuses a URL that is neither of the web nor a path below the plugin's own folder."""
    url = _INTERACTION.sub("", url, count=1)
    if url.startswith(BASE_URL):
        path = url.removeprefix(BASE_URL).lstrip("/")
    else:
        try:
            parts = urlsplit(url)
            hostname = parts.hostname
        except ValueError:
            raise _Refused(f"{name} is not a URL: {shown(url)}") from None
        if parts.scheme in ("http", "https"):
            if not hostname or "@" in parts.netloc or "\\" in url:
                raise _Refused(f"{name} needs a host, without user and password: {shown(url)}")
            return
        if ":" in url.partition("/")[0]:
            raise _Refused(f"{name} is neither http nor https nor below {BASE_URL}: {shown(url)}")
        if url.startswith("/"):
            raise _Refused(f"{name} is a path outside the package: {shown(url)}")
        path = url
    path = path.partition("#")[0].partition("?")[0]
    while unquote(path) != path:  # a path that is decoded twice must stay inside as well
        path = unquote(path)
    if "\\" in path or "\0" in path or {one.strip() for one in path.split("/")} & {".", ".."}:
        raise _Refused(f"{name} is a path that leaves the package: {shown(url)}")
