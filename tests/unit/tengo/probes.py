"""The recorded programs of `oracle/tengo/probes.jsonl`, run in a Tengo runtime of this process."""

from __future__ import annotations

import base64
import datetime
import json
import re
from pathlib import Path
from typing import Any, Final, NoReturn

from runtimes.tengo.runtime import TengoRuntime, create
from sandbox.values import Char, GuestError
from sandbox.wire.codec import decode, encode
from sandbox.worker.runtime import Settings

SHARED: Final = Path(__file__).resolve().parents[4] / "shared"
PROBES: Final = SHARED / "oracle" / "tengo" / "probes.jsonl"
DEVIATIONS: Final = Path(__file__).resolve().parents[2] / "conformance" / "tengo_deviations.md"
_FLOATS: Final = {"NaN": "nan", "+Inf": "inf", "-Inf": "-inf", "-0": "-0.0"}
FUNCTION: Final = object()
"""Stands for a value that cannot leave: a function, or what holds one."""


class NoHost:
    """A host that no program here has a reason to call."""

    def call(self, body: bytes) -> bytes:
        raise AssertionError("a host call")

    def write(self, frames: bytes) -> None:
        raise AssertionError("a note")

    def exceeded(self, limit: str, used: int) -> NoReturn:
        raise AssertionError(f"{limit} exceeded")


def new_runtime(memory: int = 256 << 20) -> TengoRuntime:
    runtime = create()
    runtime.start(Settings(memory, 1 << 20, ()))
    return runtime


def run(
    runtime: TengoRuntime,
    source: str | bytes,
    modules: dict[str, bytes] | None = None,
    inputs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What `execute` gives for a program."""
    content = source.encode() if isinstance(source, str) else source
    frame = [1, 1, "execute", ["(main)", content, inputs or {}, modules or {}]]
    kind, _, answer = decode(runtime.handle(encode(frame), NoHost()))
    assert kind == 3, answer
    assert isinstance(answer, dict)
    return answer


def outcome(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer in the form of the recordings, so far as values can leave."""
    error = answer.get("error")
    if error is None:
        return {"ok": True, "globals": answer["globals"]}
    places = [f"\n\tat {frame[0]}:{frame[1]}:{frame[3]}" for frame in reversed(error["frames"])]
    return {"ok": False, "error": error["message"] + "".join(places)}


def recorded(probe: dict[str, Any]) -> dict[str, Any]:
    """What the real VM did."""
    actual: dict[str, Any] = probe["actual"]
    found: dict[str, Any] = actual.get("both") or actual["2.10.0"]
    return found


def expected(probe: dict[str, Any]) -> dict[str, Any]:
    """What the real VM did, in the form of `outcome`."""
    actual = recorded(probe)
    if not actual["ok"]:
        return {"ok": False, "error": actual["error"]}
    values = dict(actual.get("globals", {}))
    if "out" in actual:
        values["out"] = actual["out"]
    plain = {name: untagged(value) for name, value in values.items()}
    return {"ok": True, "globals": {n: v for n, v in plain.items() if not holds_function(v)}}


def untagged(tagged: dict[str, Any]) -> Any:
    """The value that a recording stands for, as it leaves a sandbox."""
    ((tag, value),) = tagged.items()
    if tag in ("int", "bool", "string"):
        return value
    if tag == "float":
        return float(_FLOATS.get(value, value))
    if tag == "char":
        return Char(value)
    if tag in ("string_b64", "bytes"):
        return base64.b64decode(value)
    if tag == "undefined":
        return None
    if tag == "error":
        return GuestError(untagged(value))
    if tag in ("array", "immutable_array"):
        return [untagged(item) for item in value]
    if tag in ("map", "immutable_map"):
        return {name: untagged(item) for name, item in value.items()}
    if tag == "time":
        return datetime.datetime.fromisoformat(value)
    # Deeper than 64 levels was too deep for the recorder, and is for what leaves a sandbox.
    assert tag in ("function", "module", "too_deep"), tag
    return FUNCTION


def holds_function(value: Any) -> bool:
    """Whether a value cannot leave because there is a function in it."""
    if isinstance(value, GuestError):
        return holds_function(value.value)
    if isinstance(value, list):
        return any(map(holds_function, value))
    if isinstance(value, dict):
        return any(map(holds_function, value.values()))
    return value is FUNCTION


def same(one: Any, other: Any) -> bool:
    """Equality of values that tells 1 from 1.0, and knows NaN and -0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, GuestError):
        return same(one.value, other.value)
    if isinstance(one, float):
        return repr(one) == repr(other)
    return bool(one == other)


def load() -> list[dict[str, Any]]:
    """The recordings, or none when they are not there."""
    if not PROBES.exists():
        return []
    with PROBES.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def deviations() -> dict[str, str]:
    """The recordings that we do not follow, with the reason."""
    text = DEVIATIONS.read_text(encoding="utf-8")
    return dict(re.findall(r"^\* (P\d+): (.+)$", text, re.MULTILINE))
