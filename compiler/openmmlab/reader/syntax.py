"""The operators that a config may use, and what other syntax is called in a message."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, values: item in values,
    ast.NotIn: lambda item, values: item not in values,
}
CONVERSIONS: dict[int, Callable[[Any], Any]] = {
    -1: lambda value: value,
    ord("s"): str,
    ord("r"): repr,
    ord("a"): ascii,
}


def describe(node: ast.AST) -> str:
    """What a piece of syntax is called in a message."""
    return _NAMES.get(type(node), f"the syntax {type(node).__name__}")


_NAMES: dict[type[ast.AST], str] = {
    ast.AsyncFunctionDef: "a function definition",
    ast.Assert: "an assert statement",
    ast.Await: "an await expression",
    ast.ClassDef: "a class definition",
    ast.FunctionDef: "a function definition",
    ast.Global: "a global statement",
    ast.Lambda: "a lambda",
    ast.NamedExpr: "an assignment expression (:=)",
    ast.Raise: "a raise statement",
    ast.Starred: "a starred name",
    ast.Try: "a try statement",
    ast.While: "a while loop",
    ast.With: "a with statement (a lazy config uses one around its base files)",
    ast.Yield: "a yield expression",
}
