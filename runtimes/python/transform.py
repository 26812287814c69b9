"""The rules of the language: a syntax tree in, a fenced syntax tree and its refusals out.

Owns everything the syntax tree can decide about a plugin: which names and attributes may be
spelled, which statements exist, and which few operations call a guard at run time.  It knows
nothing of files, environments or modules.

What is *not* guarded, and why it need not be:

* Reading ``a.name``.  The name is vetted here, and no object handed out has an attribute under a
  vetted name that leads out (façades list theirs, C types have none but ``names.INSPECTION``).
  The names that are harmful on some values only go through ``guards.guarded_value``.
* ``a[i]``, ``a[i] = v``, ``del a[i]``, ``a[i] += v``, iteration, unpacking, ``*args``.  They
  reach only what the container holds, and every container within reach is the plugin's own or
  immutable: façades refuse to hold a mutable one, and results of façade functions are fresh.
* ``x += v`` on a name: the same containers, and the name is the plugin's.
* Calls: everything callable within reach was handed out to be called.

Attribute *writes* keep a guard, inlined as ``type(type(x)) is GuestType``, because an attribute
of a shared class or function would outlive the plugin.  Special methods are read from classes
only (``type(x) is GuestType``).  Between an inlined test and the use of the object, plugin code
can run; see ``FencePolicy._keeps``.
"""

from __future__ import annotations

import ast
import unicodedata
from typing import Any, TypeVar

from RestrictedPython.transformer import RestrictingNodeTransformer, copy_locations

from runtimes.python import names
from runtimes.python.trees import (
    STATEMENTS,
    call,
    flag_statement,
    is_guest_class,
    is_guest_instance,
    is_safe_literal,
    is_super_call,
    keep,
)
from runtimes.python.writes import Scope, checked_parameter

__all__ = ["FencePolicy", "copy_locations"]

_T = TypeVar("_T", bound=ast.AST)


class FencePolicy(RestrictingNodeTransformer):
    """The rules.  A node type without a ``visit_`` method is refused by the base class."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(errors=errors)
        self.refusals: list[tuple[int, int, str]] = []
        self._scopes = [Scope("module")]
        self._comprehensions = 0

    # -- bookkeeping -----------------------------------------------------------------------

    def error(self, node: ast.AST, info: str) -> None:
        if len(self.refusals) < 1000:
            line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", -1) + 1
            self.refusals.append((line, column, info))

    def warn(self, node: ast.AST, info: str) -> None:
        """Warnings of the base class concern its print collector, which is not used."""

    def inject_print_collector(self, node: ast.AST, position: int = 0) -> None:
        """``print`` is an ordinary function here."""

    def not_allowed(self, node: ast.AST) -> None:
        kind = type(node).__name__
        self.error(node, f"{STATEMENTS.get(kind, kind)} is not available to plugins")

    def visit(self, node: ast.AST) -> Any:
        # The base class answers None for what it refuses; the tree stays whole for the rest.
        result = super().visit(node)
        return node if result is None else result

    # -- names -----------------------------------------------------------------------------

    def variable(self, node: ast.AST, name: str) -> str:
        """Vet a variable name and return its compiled spelling."""
        if not name.isascii() and unicodedata.normalize("NFKC", name) != name:
            self.error(node, f"{name!r} is not a normalised identifier")
        refusal = names.variable_refusal(name)
        if refusal is not None:
            self.error(node, refusal)
        return name + names.MARK if names.is_private(name) else name

    def attribute(self, node: ast.AST, name: str) -> str:
        """Vet an attribute name and return its compiled spelling."""
        if not name.isascii() and unicodedata.normalize("NFKC", name) != name:
            self.error(node, f"{name!r} is not a normalised identifier")
        refusal = names.attribute_refusal(name)
        if refusal is not None:
            self.error(node, refusal)
        return name + names.MARK if names.is_private(name) else name

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in names.GLOBAL_READABLE and isinstance(node.ctx, ast.Load):
            return node
        node.id = self.variable(node, node.id)
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self.variable(node, name) for name in node.names]
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = [self.variable(node, name) for name in node.names]
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if node.arg is not None and node.arg[:1] == "_":
            self.error(node, f'"{node.arg}" is an invalid keyword because it starts with "_"')
        return self.node_contents_visit(node)

    # -- attributes ------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = node.attr
        if isinstance(node.ctx, ast.Load):
            guard = self._guard_of_read(node, name)
            if guard is None:
                node.attr = self.attribute(node, name)
                return self.node_contents_visit(node)
            node = self.node_contents_visit(node)
            if guard == names.GUARD_BASE:
                node.value = self._base(node.value, name)
            elif guard:
                return call(guard, [node.value, ast.Constant(name)], node)
            return node
        node.attr = self.attribute(node, name)
        node = self.node_contents_visit(node)
        node.value = self._writable(node.value)
        return node

    def _guard_of_read(self, node: ast.Attribute, name: str) -> str | None:
        """The guard a read needs; "" for a plain read as it stands, None for the usual rule."""
        if name in names.VALUE_GUARDED:
            plain = name == "format" and is_safe_literal(node.value)
            return "" if plain else names.GUARD_VALUE
        if name in names.META_READABLE:
            return names.GUARD_META
        if name in names.DEFINABLE:
            if is_super_call(node.value):
                # super() only ever reaches a plugin's own instance and slots of allowed bases.
                return ""
            return names.GUARD_BASE
        return None

    def _keeps(self) -> bool:
        """Tell whether an object can be kept in a local variable between its test and its use.

        In a function, that is: elsewhere the name would outlive the statement.  To read a
        plugin's variable once for the test and once more for the use is not safe.  In between
        the interpreter may collect garbage (from 3.12 on after any call), which runs the
        ``finally`` of a plugin's generator, and that may bind every global or shared variable
        anew.  But :data:`names.KEPT_OBJECT` cannot be spelled, and each frame has its own.
        """
        return self._scopes[-1].kind == "function" and not self._comprehensions

    def _base(self, owner: ast.expr, name: str) -> ast.expr:
        """Wrap the object whose special method `name` is read in its guard.

        ``type(owner) is GuestType`` is the first test of ``guards.guarded_base``, inlined: a
        class of the plugin's own holds the plugin's functions and slots of allowed bases.
        The name was found in ``DEFINABLE`` by the caller, so what is left of the read is plain,
        and ``Base.__init__(self)`` stays a method call to the interpreter.
        """
        if not self._keeps():
            return call(names.GUARD_BASE, [owner, ast.Constant(name)], owner)
        kept = ast.Name(names.KEPT_OBJECT, ast.Load())
        guarded = ast.IfExp(
            test=is_guest_class(keep(owner)),
            body=kept,
            orelse=call(names.GUARD_BASE, [kept, ast.Constant(name)], owner),
        )
        copy_locations(guarded, owner)
        return guarded

    def _writable(self, target: ast.expr) -> ast.expr:
        """Wrap the object of an attribute write in its guard."""
        if not self._keeps():
            return call(names.GUARD_WRITE, [target], target)
        scope = self._scopes[-1]
        if isinstance(target, ast.Name):
            if target.id in scope.known:
                # Checked before, and bound to the same object since; see writes.Scope.
                return target
            scope.learn(target.id)
            if target.id in scope.flagged:
                flag = ast.Name(names.FLAG_PREFIX + target.id, ast.Load())
                return self._guarded(flag, target.id, target)
            if scope.tracks(target.id):
                # The function's own, so it can be read twice; any other is kept, see _keeps.
                return self._guarded(is_guest_instance(target), target.id, target)
        return self._guarded(is_guest_instance(keep(target)), names.KEPT_OBJECT, target)

    def _guarded(self, test: ast.expr, name: str, target: ast.expr) -> ast.expr:
        guarded = ast.IfExp(
            test=test,
            body=ast.Name(name, ast.Load()),
            orelse=call(names.GUARD_WRITE, [ast.Name(name, ast.Load())], target),
        )
        copy_locations(guarded, target)
        return guarded

    def _plain(self, node: Any) -> Any:
        """Let through as it is; see the head of this file for why that is enough."""
        return self.node_contents_visit(node)

    visit_Module = visit_Assign = visit_With = visit_Subscript = _plain
    visit_Match = visit_match_case = _plain
    visit_MatchValue = visit_MatchSingleton = visit_MatchSequence = visit_MatchOr = _plain

    # -- statements ------------------------------------------------------------------------

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.target, ast.Attribute) and node.target.attr in names.VALUE_GUARDED:
            # The read half would hand the unguarded value to the operand's reflected operator.
            self.error(node, f'"{node.target.attr}" may not be assigned in place')
        return self.node_contents_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Drop the annotation: a string in one is code for whoever evaluates it later."""
        if node.value is not None:
            plain = ast.Assign(targets=[node.target], value=node.value)
            copy_locations(plain, node)
            return self.node_contents_visit(plain)
        if isinstance(node.target, ast.Name) and self._scopes[-1].kind == "function":
            # Keeps the name local, as the bare annotation would.
            name = ast.Name(self.variable(node, node.target.id), ast.Store())
            never = ast.If(
                test=ast.Constant(False),
                body=[ast.Assign(targets=[name], value=ast.Constant(None))],
                orelse=[],
            )
            copy_locations(never, node)
            return never
        self.visit(node.target)
        nothing = ast.Pass()
        copy_locations(nothing, node)
        return nothing

    def guard_iter(self, node: Any) -> Any:
        if getattr(node, "is_async", 0):
            self.error(node.target, "asynchronous comprehension is not available to plugins")
        inside = isinstance(node, ast.comprehension)
        self._comprehensions += inside
        node = self.node_contents_visit(node)
        self._comprehensions -= inside
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if node.type is None:
            # A bare except would also swallow what ends an execution.
            node.type = ast.Name(names.GUARD_EXCEPTION, ast.Load())
            copy_locations(node.type, node)
        if node.name is not None:
            node.name = self.variable(node, node.name)
        return self.node_contents_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            self._module_name(node, alias.name)
            if alias.asname is not None:
                alias.asname = self.variable(node, alias.asname)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module == "__future__" and not node.level:
            # Annotations are dropped anyway, every other feature is already in the language.
            nothing = ast.Pass()
            copy_locations(nothing, node)
            return nothing
        self._module_name(node, node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self.error(node, '"*" imports are not available to plugins')
                continue
            alias.name = self.variable(node, alias.name)
            if alias.asname is not None:
                alias.asname = self.variable(node, alias.asname)
        return node

    def _module_name(self, node: ast.stmt, name: str) -> None:
        if any(part[:1] == "_" for part in name.split(".")):
            self.error(node, f'"{name}" may not be imported: it starts with "_"')

    # -- calls -----------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if is_super_call(node):
            return self._super(node)
        if (
            isinstance(node.func, ast.Name)
            and node.func.id == "object"
            and not node.args
            and not node.keywords
        ):
            return call(names.GUARD_SENTINEL, [], node)
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr == "format":
            # "template".format(...) is nearly always called at once; see guarded_template.
            if not is_safe_literal(function.value):
                owner = self.visit(function.value)
                function.value = call(names.GUARD_TEMPLATE, [owner], owner)
            node.args = [self.visit(argument) for argument in node.args]
            node.keywords = [self.visit(keyword) for keyword in node.keywords]
            return node
        return self.node_contents_visit(node)

    def _super(self, node: ast.Call) -> ast.AST:
        """Spell out ``super()``: the builtin itself is not handed out."""
        node = self.node_contents_visit(node)
        if len(node.args) == 2:
            return call(names.GUARD_SUPER2, node.args, node)
        first = self._scopes[-1].first
        if first is None or not any(scope.kind == "class" for scope in self._scopes):
            self.error(node, "super() without arguments is available in methods only")
            return node
        cell = ast.Name("__class__", ast.Load())
        return call(names.GUARD_SUPER, [cell, ast.Name(first, ast.Load())], node)

    # -- functions and classes -------------------------------------------------------------

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self.variable(node, node.arg)
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer = self._scopes[-1]
        if not (outer.kind == "class" and node.name in names.DEFINABLE):
            node.name = self.variable(node, node.name)
        node.returns = None
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        checked = checked_parameter(node) if outer.kind == "class" else None
        scope = Scope("function", node)
        node.args = self.visit(node.args)
        if checked is not None:
            scope.known = frozenset({checked})
        self._scopes.append(scope)
        node.body = self._block(node.body)
        self._scopes.pop()
        if checked is not None:
            test = is_guest_instance(ast.Name(checked, ast.Load()))
            test.ops = [ast.IsNot()]
            write = call(names.GUARD_WRITE, [ast.Name(checked, ast.Load())], node.body[0])
            check = ast.If(test=test, body=[ast.Expr(write)], orelse=[])
            copy_locations(check, node.body[0])
            node.body.insert(1 if ast.get_docstring(node, clean=False) is not None else 0, check)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        node.args = self.visit(node.args)
        self._scopes.append(Scope("function", node))
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self.variable(node, node.name)
        for keyword in node.keywords:
            self.error(node, f'class keyword "{keyword.arg or "**"}" is not available to plugins')
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        node.bases = [
            self.visit(base)
            for base in node.bases
            if not (isinstance(base, ast.Name) and base.id == "object")
        ]
        self._scopes.append(Scope("class"))
        node.body = self._block(node.body)
        self._scopes.pop()
        return node

    # -- blocks ----------------------------------------------------------------------------

    def node_contents_visit(self, node: _T) -> _T:
        """Visit all parts of a node; statements as blocks, in order."""
        for field, old in ast.iter_fields(node):
            if isinstance(old, ast.AST):
                setattr(node, field, self.visit(old))
            elif isinstance(old, list) and old:
                if isinstance(old[0], ast.stmt):
                    setattr(node, field, self._block(old))
                else:
                    visit = self.visit
                    old[:] = [visit(item) if isinstance(item, ast.AST) else item for item in old]
        return node

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        scope = self._scopes[-1]
        entry = scope.facts()
        visited: list[ast.stmt] = []
        for statement in body:
            flags = scope.enter(statement)
            visited.extend(flag_statement(name, statement) for name in sorted(flags))
            result = self.visit(statement)
            scope.leave(statement, flags)
            visited.append(result)
        scope.restore(entry)
        return visited

    # -- match -----------------------------------------------------------------------------

    def visit_MatchAs(self, node: Any) -> Any:
        # Captures are strings in the tree, not Name nodes.
        if node.name is not None:
            node.name = self.variable(node, node.name)
        return self.node_contents_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        if node.rest is not None:
            node.rest = self.variable(node, node.rest)
        return self.node_contents_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        # Each keyword is an attribute read.  Positional patterns read __match_args__, which
        # plugins cannot define.
        for name in node.kwd_attrs:
            if name in names.VALUE_GUARDED:
                self.error(node, f'"{name}" may not be matched in a class pattern')
        node.kwd_attrs = [self.attribute(node, name) for name in node.kwd_attrs]
        return self.node_contents_visit(node)
