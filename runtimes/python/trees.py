"""Small syntax trees: the ones guards are made of, and the ones the rules look for.

Owns no rule.  Names of guards come from ``names``; who is guarded is decided in ``transform``.
"""

from __future__ import annotations

import ast
from typing import Final

from RestrictedPython.transformer import copy_locations

from runtimes.python import names
from runtimes.python.formatting import is_plain_template

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
    kind = target
    for _ in range(2):
        kind = ast.Call(func=ast.Name(names.GUARD_TYPE, ast.Load()), args=[kind], keywords=[])
    return ast.Compare(
        left=kind, ops=[ast.Is()], comparators=[ast.Name(names.GUARD_GUEST, ast.Load())]
    )


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
