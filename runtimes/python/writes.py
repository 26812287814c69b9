"""Where an attribute write needs its guard.

Owns the proofs that let a write go unguarded because the same object was checked before.  Knows
nothing of name rules; it never loosens a guard on anything but a local variable of one function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

# Decorators of the interpreter's own that leave the first parameter what it is: the instance.
_METHOD_DECORATORS: Final = frozenset({"property", "setter", "getter", "deleter"})
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_OWN_SCOPE: Final = (
    *_FUNCTIONS,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
# Not AnnAssign: without a value it is dropped, and with it the check it would have made.
_SIMPLE: Final = (ast.Assign, ast.AugAssign, ast.Delete)


class Scope:
    """One function, class or module body while its statements are visited.

    Tracks two facts about the object a name is bound to, so that not every write has to check:
    ``known`` names passed the write check already, ``flagged`` ones had the outcome of the test
    kept in a local variable before the loop around.  The proof that both still hold at a write:

    * Only a function's own locals are tracked, and none that a ``global`` or ``nonlocal``
      statement or a ``:=`` anywhere in the function mentions: a generator expression binds
      with ``:=`` whenever somebody takes its next value.  So nothing but the function's own
      statements can bind them, and only when their turn comes.
    * A name becomes known when a simple assignment or deletion that checks it has finished, for
      the statements after it in the same block and the blocks inside those.  They run only
      after it.  What was learnt inside a block is forgotten at its end.
    * A statement that binds a name anywhere inside, nested functions included, makes it unknown
      before the statement is entered.  For a loop this covers its next round.
    * A name is flagged for one loop, and only if nothing in that loop binds it.
    * The type of an object cannot change, because ``__class__`` is refused.
    """

    __slots__ = ("_bound", "_learnt", "_tracked", "first", "flagged", "kind", "known")

    def __init__(self, kind: str, function: ast.FunctionDef | ast.Lambda | None = None) -> None:
        self.kind = kind
        self.first = first_parameter(function.args) if function is not None else None
        self.known: frozenset[str] = frozenset()
        self.flagged: frozenset[str] = frozenset()
        self._learnt: set[str] = set()
        self._tracked: frozenset[str] = frozenset()
        # Tracked names that certainly have a value: testing an unbound one would raise.
        self._bound: frozenset[str] = frozenset()
        if isinstance(function, ast.FunctionDef):
            self._track(function)

    def _track(self, function: ast.FunctionDef) -> None:
        written = _written(function.body)
        if not written:
            return
        arguments = function.args
        parameters = {
            item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        }
        local = set(parameters)
        for node in _own_nodes(function.body):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                local.add(node.id)
        for statement in function.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Global | ast.Nonlocal):
                    local.difference_update(node.names)
                elif isinstance(node, ast.NamedExpr):
                    local.discard(node.target.id)
        self._tracked = frozenset(name for name in local & written if name[:1] != "_")
        self._bound = self._tracked & parameters

    def learn(self, name: str) -> None:
        """Note that the statement being visited checks `name`, whatever path it takes."""
        if name in self._tracked:
            self._learnt.add(name)

    def tracks(self, name: str) -> bool:
        """Tell whether nothing but the function's own statements can bind `name`."""
        return name in self._tracked

    def facts(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """Everything tracked, to be handed to :meth:`restore` at the end of a block."""
        return self.known, self.flagged, self._bound

    def restore(self, facts: tuple[frozenset[str], frozenset[str], frozenset[str]]) -> None:
        """Forget what was learnt since `facts`."""
        self.known, self.flagged, self._bound = facts

    def enter(self, statement: ast.stmt) -> frozenset[str]:
        """Prepare for visiting `statement`; return the names to flag before it."""
        if not self._tracked:
            return frozenset()
        bound = frozenset(_all_bound(statement)) & self._tracked
        self.known -= bound
        self.flagged -= bound
        self._bound -= bound
        self._learnt = set()
        if not isinstance(statement, ast.For | ast.While):
            return frozenset()
        new = (_written([statement]) & self._bound) - self.known - self.flagged
        self.flagged |= new
        return new

    def leave(self, statement: ast.stmt, new: frozenset[str]) -> None:
        """Remember what `statement`, whose :meth:`enter` returned `new`, has checked."""
        self.flagged -= new
        if isinstance(statement, _SIMPLE):
            self.known |= self._learnt - frozenset(_all_bound(statement))
            if isinstance(statement, ast.Assign):
                names_set = {n for target in statement.targets for n in _all_bound(target)}
                self._bound |= names_set & self._tracked
        self._learnt = set()


def _written(body: list[ast.stmt]) -> frozenset[str]:
    """Names whose attributes the body itself writes."""
    return frozenset(
        node.value.id
        for node in _own_nodes(body)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and not isinstance(node.ctx, ast.Load)
    )


def _own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes of a body without those inside functions, classes and comprehensions."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, _OWN_SCOPE):
            continue
        yield node
        pending.extend(ast.iter_child_nodes(node))


def _all_bound(statement: ast.AST) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                yield node.id
        else:
            yield from (name for name in _bound_names(node) if name is not None)


def first_parameter(arguments: ast.arguments) -> str | None:
    positional = arguments.posonlyargs + arguments.args
    return positional[0].arg if positional else None


def checked_parameter(method: ast.FunctionDef) -> str | None:
    """Name of the parameter whose writes are checked once at the start of `method`.

    The proof: the name is bound by the call alone, nothing in the method (nested functions
    included) binds it again, and the type of an object cannot change, because ``__class__`` is
    refused.  So what holds at the first statement holds at every write.  A nested function
    that uses the name as its own parameter is a scope of its own and checks for itself.
    """
    first = first_parameter(method.args)
    if first is None or first[:1] == "_":
        return None
    for decorator in method.decorator_list:
        name = getattr(decorator, "id", None) or getattr(decorator, "attr", None)
        if name not in _METHOD_DECORATORS:
            return None
    writes = False
    for statement in method.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                if node.id == first and not isinstance(node.ctx, ast.Load):
                    return None
            elif isinstance(node, ast.Attribute):
                owner = node.value
                if isinstance(owner, ast.Name) and owner.id == first:
                    writes = writes or not isinstance(node.ctx, ast.Load)
            elif first in _bound_names(node):
                return None
    return first if writes else None


def _bound_names(node: ast.AST) -> list[str | None]:
    """Names a node binds as plain strings, without a Name node."""
    if isinstance(node, ast.Global | ast.Nonlocal):
        return list(node.names)
    if isinstance(node, ast.alias):
        return [node.asname or node.name.partition(".")[0]]
    if isinstance(node, ast.MatchMapping):
        return [node.rest]
    if isinstance(
        node,
        ast.FunctionDef | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar,
    ):
        return [node.name]
    return []
