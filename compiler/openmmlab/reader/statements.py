"""The statements of a config: assignments and deletions, loops and conditions over what is known, ignored imports."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, ClassVar

from compiler.openmmlab.reader.budget import Refusal
from compiler.openmmlab.reader.expressions import DUMP, MISTAKES, Expressions, Imported
from compiler.openmmlab.reader.syntax import describe

BASE = "_base_"


class Statements(Expressions):
    """Carries out the statements of one file on its names."""

    def execute(self, body: list[ast.stmt]) -> None:
        """Carry out statements one after the other.

        Raises:
            UsageError: A statement is not among those that are read, costs too much, or Python could not run it.
        """
        for node in body:
            try:
                self.budget.spend()
                handler = self._STATEMENTS.get(type(node))
                if handler is None:
                    raise Refusal(f"{describe(node)} is not read", DUMP)
                handler(self, node)
            except (Refusal, *MISTAKES) as error:
                raise self.error(node, error) from None

    def _assign(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.bind(target, value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.bind(node.target, self.evaluate(node.value))

    def _augmented(self, node: ast.AugAssign) -> None:
        target = node.target
        if isinstance(target, ast.Name):
            old = self.evaluate(ast.copy_location(ast.Name(target.id, ast.Load()), target))
        else:
            container, key = self.slot(target)
            old = container[key]
        right = self.evaluate(node.value)
        if isinstance(old, list) and isinstance(node.op, ast.Add):
            # Every other name of the list sees its new elements.
            self.budget.spend(len(right))
            old += right
            new: Any = old
        else:
            new = self.binary(node.op, old, right)
        self.bind(target, new)

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                del self.names[target.id]
            elif isinstance(target, (ast.Attribute, ast.Subscript)):
                container, key = self.slot(target)
                del container[key]
            else:
                raise Refusal(f"deleting {describe(target)} is not read", DUMP)

    def _expression(self, node: ast.Expr) -> None:
        self.evaluate(node.value)

    def _for(self, node: ast.For) -> None:
        if node.orelse:
            raise Refusal("the else of a loop is not read", DUMP)
        for item in self.evaluate(node.iter):
            self.bind(node.target, item)
            self.execute(node.body)

    def _if(self, node: ast.If) -> None:
        self.execute(node.body if self.evaluate(node.test) else node.orelse)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                raise Refusal("everything of a module is imported, and nothing is imported to read a config", DUMP)
            self.names[alias.asname or alias.name.partition(".")[0]] = Imported(alias.name, node.lineno)

    def _pass(self, node: ast.Pass) -> None:
        pass

    _STATEMENTS: ClassVar[dict[type[ast.stmt], Callable[[Any, Any], None]]] = {
        ast.Assign: _assign,
        ast.AnnAssign: _annotated,
        ast.AugAssign: _augmented,
        ast.Delete: _delete,
        ast.Expr: _expression,
        ast.For: _for,
        ast.If: _if,
        ast.Import: _import,
        ast.ImportFrom: _import,
        ast.Pass: _pass,
    }
