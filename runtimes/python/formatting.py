"""The safe replacement of ``str.format``, ``str.format_map`` and ``format``.

Owns the rules for brace templates: a field may walk into attributes and items only by names the
attribute rules allow, and no field may ask for an absurd width.  A template is checked once and
then rendered by the interpreter's own ``str.format``; only templates with fields nested in a
format specification are rendered here, because their specification is known only at run time.
Knows nothing of guards, syntax trees or environments.
"""

from __future__ import annotations

import re
from _string import (  # type: ignore[import-not-found]  # what string.Formatter is made of
    formatter_field_name_split,
    formatter_parser,
)
from collections.abc import Callable, Mapping
from typing import Any, Final

from runtimes.python.names import (
    NAMEDTUPLE_API,
    VALUE_GUARDED,
    attribute_refusal,
)

MAX_WIDTH: Final = 1_000_000
"""Largest width or precision a format specification may name."""

_MAX_CHECKED = 512
PLAIN: Final = 1
_NESTED: Final = 2
_NUMBERS = re.compile(r"[0-9]+")
plain_templates: dict[str, None] = {}
"""Templates checked lately and found harmless; bounded, keyed by exact str only."""


def check_spec(spec: str) -> None:
    """Refuse a format specification with an absurd width or precision (ValueError)."""
    for number in _NUMBERS.findall(spec):
        if len(number) > 7 or int(number) > MAX_WIDTH:
            raise ValueError(f"width or precision in a format is limited to {MAX_WIDTH}")


def _check_field(name: str) -> None:
    _first, rest = formatter_field_name_split(name)
    for is_attribute, key in rest:
        # Private names are refused here as well: a template holds them without their mark, and
        # unmarked they could only mean something on an object that is not the plugin's.
        if is_attribute and (
            attribute_refusal(key) is not None
            or key in VALUE_GUARDED
            or (key[:1] == "_" and key not in NAMEDTUPLE_API)
        ):
            raise AttributeError(f'"{key[:80]}" may not be used in a format string')


def check_template(template: str) -> int:
    """Check every field of `template`; tell plain (1) from nested (2).

    Raises ``AttributeError`` for a forbidden attribute and ``ValueError`` for a width beyond
    :data:`MAX_WIDTH` or a malformed template.
    """
    kind = PLAIN
    for _literal, name, spec, _conversion in formatter_parser(template):
        if name is None:
            continue
        _check_field(name)
        if spec:
            if "{" in spec:
                kind = _NESTED
                check_template(spec)
            else:
                check_spec(spec)
    return kind


def is_plain_template(template: str) -> bool:
    """Tell whether a literal template may be formatted without a guard (used while compiling)."""
    try:
        return check_template(template) == PLAIN
    except (AttributeError, ValueError):
        return False


def template_kind(template: str) -> int:
    """:func:`check_template` with a memory for the harmless ones."""
    if template in plain_templates:
        return PLAIN
    kind = check_template(template)
    if kind == PLAIN and len(template) < 1000:
        if len(plain_templates) >= _MAX_CHECKED:
            plain_templates.clear()
        plain_templates[template] = None
    return kind


def safe_format(template: str, /, *args: Any, **kwargs: Any) -> str:
    """``str.format`` without forbidden attribute walks."""
    if type(template) is not str:
        raise TypeError("descriptor 'format' requires a 'str' object")
    if template_kind(template) == PLAIN:
        return template.format(*args, **kwargs)
    return _Renderer(args, kwargs).render(template, 2)


def safe_format_map(template: str, mapping: Mapping[str, Any], /) -> str:
    """``str.format_map`` without forbidden attribute walks."""
    if type(template) is not str:
        raise TypeError("descriptor 'format_map' requires a 'str' object")
    if template_kind(template) == PLAIN:
        return template.format_map(mapping)
    return _Renderer((), mapping).render(template, 2)


def safe_format_value(value: Any, spec: str = "", /) -> str:
    """The builtin ``format`` with the width cap."""
    if type(spec) is not str:
        raise TypeError("format() argument 2 must be str")
    check_spec(spec)
    return format(value, spec)


class _Renderer:
    """One rendering of one template whose specifications contain fields themselves."""

    __slots__ = ("_args", "_kwargs", "_next")

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._args = args
        self._kwargs = kwargs
        self._next = 0

    def render(self, template: str, depth: int) -> str:
        if depth == 0:
            raise ValueError("Max string recursion exceeded")
        parts: list[str] = []
        for literal, name, spec, conversion in formatter_parser(template):
            parts.append(literal)
            if name is None:
                continue
            value = self._look_up(name)
            if conversion:
                value = _CONVERSIONS[conversion](value)
            if spec and "{" in spec:
                spec = self.render(spec, depth - 1)
            parts.append(safe_format_value(value, spec or ""))
        return "".join(parts)

    def _look_up(self, field: str) -> Any:
        _check_field(field)
        first, rest = formatter_field_name_split(field)
        if first == "":
            first = self._next
            self._next += 1
        value = self._args[first] if isinstance(first, int) else self._kwargs[first]
        for is_attribute, key in rest:
            value = getattr(value, key) if is_attribute else value[key]
        return value


_CONVERSIONS: dict[str, Callable[[Any], str]] = {"s": str, "r": repr, "a": ascii}
