"""Writes the reference page of the host API from its declarations."""

from __future__ import annotations

from sandbox.api.functions import FUNCTIONS
from sandbox.api.spec import HostFunction


def _entry(function: HostFunction) -> str:
    names = ", ".join(f"{p.name}: {p.type}{'?' if p.optional else ''}" for p in function.parameters)
    lines = [f"### `{function.name}({names}) -> {function.result}`", "", function.doc, ""]
    if function.capability:
        lines.append(f"Needs the capability `{function.capability}`.")
    if function.seen_as:
        seen = ", ".join(f"`{name}`" for name in function.seen_as)
        lines.append(f"Plugin authors write: {seen}.")
    if function.capability or function.seen_as:
        lines.append("")
    lines += [f"* `{p.name}`: {p.doc}" for p in function.parameters]
    return "\n".join(lines)


def reference() -> str:
    """The page as Markdown."""
    head = (
        "# Host API reference\n\n"
        "Written from the declarations in `sandbox/api/functions.py`; do not edit by hand.\n"
        "These are the calls that cross from a worker to the engine. What plugin authors write is\n"
        "in [plugins.md](plugins.md).\n"
    )
    return "\n\n".join([head, *map(_entry, FUNCTIONS)]) + "\n"
