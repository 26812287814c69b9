"""Small syntax trees: the ones guards are made of, and the ones the rules look for.

Owns no rule.  Names of guards come from ``names``; who is guarded is decided in ``transform``.
"""

from __future__ import annotations

import ast
import os
from typing import Final

from RestrictedPython.transformer import copy_locations

from runtimes.python import names
from runtimes.python.formatting import is_plain_template

_SECRET: Final = os.urandom(16).hex()
TYPE: Final = f"$type {_SECRET}"
GUEST_TYPE: Final = f"$guest {_SECRET}"
"""Strings for which ``policy`` puts ``type`` and ``GuestType`` among the constants of the code.

A constant is loaded faster than a name is looked up, which pays in the inlined tests that every
method runs.  A tree can hold only literals, so a literal marks the place until the code object
is made.  The secret keeps a plugin from spelling it: what it wrote is fixed before it could see
the finished code, and constants of code are out of its reach anyway.
"""

STATEMENTS: Final = {
    "TryStar": "except*",
    "AsyncFunctionDef": "async def",
    "AsyncFor": "async for",
    "AsyncWith": "async with",
    "Await": "await",
}
"""How refused statements are called in messages."""


def call(guard: str, arguments: list[ast.expr], at: ast.expr | ast.stmt) -> ast.Call:
    made = ast.Call(func=ast.Name(guard, ast.Load()), args=arguments, keywords=[])
    copy_locations(made, at)
    return made


def is_guest_instance(target: ast.expr) -> ast.Compare:
    """``type(type(target)) is GuestType``: two calls the interpreter specialises."""
    return is_guest_class(_type_of(target))


def is_guest_class(target: ast.expr) -> ast.Compare:
    """``type(target) is GuestType``."""
    return ast.Compare(
        left=_type_of(target),
        ops=[ast.Is()],
        comparators=[ast.Constant(GUEST_TYPE)],
    )


def _type_of(target: ast.expr) -> ast.Call:
    return ast.Call(func=ast.Constant(TYPE), args=[target], keywords=[])


def keep(target: ast.expr) -> ast.NamedExpr:
    """``($kept := target)``: the object under a name that no plugin can spell."""
    return ast.NamedExpr(target=ast.Name(names.KEPT_OBJECT, ast.Store()), value=target)


def flag_statement(name: str, at: ast.stmt) -> ast.stmt:
    """``$is_name = type(type(name)) is GuestType``, placed before the loop `at`."""
    flag = ast.Assign(
        targets=[ast.Name(names.FLAG_PREFIX + name, ast.Store())],
        value=is_guest_instance(ast.Name(name, ast.Load())),
    )
    copy_locations(flag, at)
    return flag


def is_super_call(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "super"
        and not node.keywords
        and len(node.args) in (0, 2)
        and not any(isinstance(argument, ast.Starred) for argument in node.args)
    )


def is_safe_literal(node: ast.expr) -> bool:
    """Tell whether `node` is a template whose fields all obey the attribute rules."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and is_plain_template(node.value)
    )
