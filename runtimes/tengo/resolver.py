"""What each name of a file stands for, and what the original's compiler refuses.

Source of behaviour: compiler.go and symbol_table.go of Tengo v2.10.0.  Every expression and
statement is visited in the order in which the original compiles it, so that of several faults the
same one is shown.  A variable can be used from its definition on; a function's own variable not
before it has its value, except inside a function that is part of that value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from runtimes.tengo.depth import room_for_depth
from runtimes.tengo.faults import TengoSyntaxError, text_of_line
from runtimes.tengo.inference import Flows
from runtimes.tengo.nodes import (
    ArrayLit,
    Assign,
    Binary,
    Block,
    Branch,
    Call,
    Cond,
    ErrorExpr,
    Export,
    Expr,
    ExprStmt,
    File,
    For,
    ForIn,
    FuncLit,
    Ident,
    If,
    ImmutableExpr,
    Import,
    Index,
    Logical,
    MapLit,
    Pos,
    Refused,
    Return,
    Slice,
    Stmt,
    Unary,
    left_of,
)
from runtimes.tengo.scopes import Function, Kind, Symbol


def resolve(
    file: File,
    *,
    builtins: frozenset[str],
    predefined: Sequence[str] = (),
    is_module: bool,
    on_import: Callable[[Import], None] | None = None,
) -> None:
    """Give every name of `file` its symbol, and every function and expression what is known of it.

    `predefined` are names that the host defined for the main program.  `on_import` is called for
    each import where the original would compile it, and may raise.  Raises TengoSyntaxError for
    what the original refuses to compile.
    """
    with room_for_depth():
        resolver = _Resolver(file, is_module, on_import)
        resolver.define_outside(builtins, predefined)
        resolver.run()


class _Scope:
    """One block, or a function's parameters."""

    __slots__ = ("function", "names", "parent")

    def __init__(self, parent: _Scope | None, function: Function) -> None:
        self.parent = parent
        self.function = function
        self.names: list[str] = []


class _Resolver:
    """One walk over a file."""

    def __init__(
        self, file: File, is_module: bool, on_import: Callable[[Import], None] | None
    ) -> None:
        self._file = file
        self._is_module = is_module
        self._on_import = on_import
        self._flows = Flows()
        self._top = file.function = Function()
        self._scope = _Scope(None, self._top)
        # What each name means: the innermost definition last, with its scope.
        self._visible: dict[str, list[tuple[_Scope, Symbol]]] = {}
        self._loops = 0
        # Function variables between their definition and their first value: in their own scope,
        # the name still means an outer variable.
        self._valueless: set[Symbol] = set()
        self._captured_early: dict[Function, set[Symbol]] = {}  # of those, by their function
        # Variables whose defining value is being visited, except where it is just a function.
        self._being_defined: set[Symbol] = set()
        self._visits: dict[type, Callable[..., None]] = {
            Ident: self._ident,
            ArrayLit: self._array,
            MapLit: self._map,
            FuncLit: self._function,
            Unary: self._unary,
            Cond: self._cond,
            Import: self._import,
            ErrorExpr: self._wrapper,
            ImmutableExpr: self._wrapper,
        }
        self._statements: dict[type, Callable[..., None]] = {
            ExprStmt: self._expression_statement,
            Assign: self._assign,
            Block: self._block,
            If: self._if,
            For: self._for,
            ForIn: self._for_in,
            Branch: self._branch,
            Return: self._return,
            Export: self._export,
            Refused: self._refused,
        }

    def define_outside(self, builtins: frozenset[str], predefined: Sequence[str]) -> None:
        """Define what is there before the program."""
        for name in builtins:
            self._visible[name] = [(self._scope, Symbol(name, Kind.BUILTIN))]
        for name in predefined:
            self._visible[name] = [(self._scope, Symbol(name, Kind.BUILTIN, predefined=True))]
        if self._is_module:  # a module's own names are one scope further in
            self._push()

    def run(self) -> None:
        """Visit the whole file."""
        self._file.imports = []
        for statement in self._file.body:
            self._statements[type(statement)](statement)
        self._flows.infer()

    # ------------------------------------------------------------------ scopes

    def _push(self, function: Function | None = None) -> None:
        self._scope = _Scope(self._scope, function or self._scope.function)

    def _pop(self) -> None:
        assert self._scope.parent is not None
        for name in self._scope.names:
            self._visible[name].pop()
        self._scope = self._scope.parent

    def _define(self, name: str, kind: Kind | None = None) -> Symbol:
        function = self._scope.function
        if kind is None:
            is_global = function is self._top and not self._is_module
            kind = Kind.GLOBAL if is_global else Kind.LOCAL
        symbol = Symbol(name, kind, function)
        function.symbols.append(symbol)
        self._scope.names.append(name)
        self._visible.setdefault(name, []).append((self._scope, symbol))
        return symbol

    def _find(self, name: str) -> tuple[Symbol | None, bool]:
        """What a name means here, and whether this very scope defines it."""
        for scope, symbol in reversed(self._visible.get(name, ())):
            own = scope is self._scope
            if not own or symbol not in self._valueless:
                return symbol, own
        return None, False

    def _fail(self, pos: Pos, message: str) -> NoReturn:
        raise TengoSyntaxError(
            message,
            phase="Compile Error",
            file=self._file.name,
            pos=pos,
            line_text=text_of_line(self._file.source, pos.line),
        )

    # ------------------------------------------------------------------ expressions

    def _visit(self, node: Expr) -> None:
        """Visit an expression: down its left spine with a loop, and back up."""
        spine: list[Expr] = []
        first = node
        while (left := left_of(first)) is not None:
            spine.append(first)
            first = left
        visit = self._visits.get(type(first))
        if visit is not None:  # not a literal
            visit(first)
        while spine:
            outer = spine.pop()
            if isinstance(outer, Binary | Logical):
                self._visit(outer.right)
                self._flows.expression(outer)
            elif isinstance(outer, Index):
                self._visit(outer.index)
            elif isinstance(outer, Slice):
                for bound in (outer.low, outer.high):
                    if bound is not None:
                        self._visit(bound)
                self._flows.expression(outer)
            elif isinstance(outer, Call):
                for argument in outer.arguments:
                    self._visit(argument)
                self._flows.call(outer)

    def _ident(self, node: Ident) -> None:
        symbol, _ = self._find(node.name)
        if symbol is None:
            self._fail(node.pos, f"unresolved reference '{node.name}'")
        node.symbol = symbol
        self._use(symbol)

    def _use(self, symbol: Symbol) -> None:
        if symbol.function is not None and symbol.function is not self._scope.function:
            symbol.captured = True
            if symbol in self._valueless:
                self._captured_early.setdefault(symbol.function, set()).add(symbol)
        self._flows.use(symbol, is_early=symbol in self._being_defined)

    def _array(self, node: ArrayLit) -> None:
        for item in node.items:
            self._visit(item)

    def _map(self, node: MapLit) -> None:
        for _, item in node.items:
            self._visit(item)

    def _unary(self, node: Unary) -> None:
        operand = node.operand
        nested = [node]
        while isinstance(operand, Unary):
            nested.append(operand)
            operand = operand.operand
        self._visit(operand)
        for unary in reversed(nested):
            self._flows.expression(unary)

    def _cond(self, node: Cond) -> None:
        self._visit(node.condition)
        self._visit(node.then)
        self._visit(node.otherwise)
        self._flows.expression(node)

    def _wrapper(self, node: ErrorExpr | ImmutableExpr) -> None:
        self._visit(node.value)

    def _import(self, node: Import) -> None:
        if not node.name:
            self._fail(node.pos, "empty module name")
        self._file.imports.append(node)
        if self._on_import is not None:
            self._on_import(node)

    def _function(self, node: FuncLit) -> None:
        outer = self._scope.function
        function = node.function = Function(outer)
        loops, self._loops = self._loops, 0
        self._push(function)
        for param in node.params:
            param.symbol = self._define(param.name, Kind.PARAMETER)
        self._flows.function(node)
        self._block(node.body)
        self._pop()
        self._loops = loops
        # A variable that a function captures while it has no value yet gets `undefined` for one.
        self._valueless -= self._captured_early.pop(outer, set())

    # ------------------------------------------------------------------ statements

    def _block(self, node: Block) -> None:
        self._push()
        for statement in node.body:
            self._statements[type(statement)](statement)
        self._pop()

    def _expression_statement(self, node: ExprStmt) -> None:
        self._visit(node.value)

    def _refused(self, node: Refused) -> None:
        self._fail(node.pos, node.message)

    def _assign(self, node: Assign) -> None:
        root, indexes = _path(node.target)
        symbol, own = self._find(root.name)
        if node.define:
            self._define_variable(node, root, redeclared=own)
            return
        if symbol is None:
            self._fail(node.pos, f"unresolved reference '{root.name}'")
        if node.op:  # the original reads the target first
            self._visit(node.target)
        self._visit(node.value)
        root.symbol = symbol
        if not node.op:
            for index in reversed(indexes):
                self._visit(index)
        if symbol.kind is Kind.BUILTIN and not symbol.predefined:
            self._fail(node.pos, "invalid assignment variable scope: BUILTIN")
        self._use(symbol)
        if not indexes:
            symbol.assigned += 1
            self._flows.assign(symbol, node)

    def _define_variable(self, node: Assign, name: Ident, *, redeclared: bool) -> None:
        if redeclared:
            self._fail(node.pos, f"'{name.name}' redeclared in this block")
        symbol = name.symbol = self._define(name.name)
        is_function = isinstance(node.value, FuncLit)
        if symbol.kind is Kind.LOCAL:
            self._valueless.add(symbol)
        if not is_function:
            self._being_defined.add(symbol)
        self._visit(node.value)
        self._being_defined.discard(symbol)
        self._valueless.discard(symbol)
        self._flows.assign(symbol, node)

    def _if(self, node: If) -> None:
        pushed = 0
        arm: Stmt | None = node
        while isinstance(arm, If):
            if arm.init is not None:
                self._push()
                pushed += 1
                self._statements[type(arm.init)](arm.init)
            self._visit(arm.condition)
            self._block(arm.then)
            arm = arm.otherwise
        if isinstance(arm, Block):
            self._block(arm)
        for _ in range(pushed):
            self._pop()

    def _for(self, node: For) -> None:
        self._push()
        if node.init is not None:
            self._statements[type(node.init)](node.init)
        if node.condition is not None:
            self._visit(node.condition)
        self._loop_body(node.body)
        if node.post is not None:
            self._statements[type(node.post)](node.post)
        self._pop()

    def _for_in(self, node: ForIn) -> None:
        self._push()
        self._visit(node.iterable)
        for name in (node.key, node.value):
            if name is not None:
                name.symbol = self._define(name.name)
                self._flows.iterate(name.symbol, node.iterable, is_key=name is node.key)
        self._loop_body(node.body)
        self._pop()

    def _loop_body(self, body: Block) -> None:
        self._loops += 1
        self._block(body)
        self._loops -= 1

    def _branch(self, node: Branch) -> None:
        if not self._loops:
            self._fail(node.pos, f"{node.keyword} not allowed outside loop")

    def _return(self, node: Return) -> None:
        function = self._scope.function
        if function is self._top and not self._is_module:
            self._fail(node.pos, "return not allowed outside function")
        if node.value is not None:
            self._visit(node.value)
        self._flows.returns(function, node.value)

    def _export(self, node: Export) -> None:
        if self._scope.function is not self._top:
            self._fail(node.pos, "export not allowed inside function")
        if self._is_module:  # in the main program, it is not even looked at
            self._visit(node.value)


def _path(target: Ident | Index) -> tuple[Ident, list[Expr]]:
    """The name at the bottom of an assignment's target, and the indexes from it outwards."""
    indexes: list[Expr] = []
    node: Expr = target
    while isinstance(node, Index):
        indexes.append(node.index)
        node = node.operand
    assert isinstance(node, Ident)  # the parser makes no others
    return node, indexes[::-1]
