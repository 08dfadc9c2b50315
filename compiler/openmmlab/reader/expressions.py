"""The expressions of a config, evaluated by walking through their syntax: nothing of the file is run."""

from __future__ import annotations

import ast
from collections import ChainMap
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

from compiler.errors import UsageError, nearest
from compiler.openmmlab.reader.budget import BITS, DEPTH, Budget, Refusal
from compiler.openmmlab.reader.calls import call_function, call_method, format_value
from compiler.openmmlab.reader.syntax import BINARY, COMPARE, CONVERSIONS, UNARY, describe
from compiler.openmmlab.reader.values import Inherited

DUMP = "where OpenMMLab is installed, run Config.fromfile('{file}').dump('mine.py') and give mine.py"

# What Python raises where an expression has no value. The message is Python's.
MISTAKES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Imported:
    """A name that an import statement would bind. Nothing is imported; only using the name is refused."""

    name: str
    line: int


class Expressions:
    """Evaluates the expressions of one file.

    Args:
        file: The file, for messages.
        names: The names assigned so far.
        budget: What evaluating may cost.
    """

    def __init__(self, file: str, names: MutableMapping[str, Any], budget: Budget) -> None:
        self.file = file
        self.names = names
        self.budget = budget
        self._depth = 0

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression.

        Raises:
            UsageError: It is not among the expressions that are read, costs too much, or Python has no value for it.
        """
        self._depth += 1
        try:
            self.budget.spend()
            if self._depth > DEPTH:
                raise Refusal(f"an expression is nested deeper than {DEPTH} levels")
            handler = self._HANDLERS.get(type(node))
            if handler is None:
                raise Refusal(f"{describe(node)} is not read", DUMP)
            return handler(self, node)
        except (Refusal, *MISTAKES) as error:
            raise self.error(node, error) from None
        finally:
            self._depth -= 1

    def error(self, node: ast.AST, error: Exception) -> UsageError:
        """What a user sees of a failure at a node."""
        where = f"{self.file}:{getattr(node, 'lineno', 1)}"
        if isinstance(error, Refusal):
            fix = error.fix.replace("{file}", self.file)
            return UsageError("this config cannot be read without running it", where=where, why=error.why, fix=fix)
        why = f"{type(error).__name__}: {str(error)[:200]}"
        return UsageError("this line could not be run even by Python", where=where, why=why, fix="correct the config")

    def binary(self, operation: ast.operator, left: Any, right: Any) -> Any:
        """The value of `left <operation> right`, once what it makes is paid for."""
        if isinstance(operation, ast.Mult):
            self._repeat(left, right)
        else:
            self.budget.measure(left)
            self.budget.measure(right)
        integers = isinstance(left, int) and isinstance(right, int)
        # Even 1 to a large power is refused: no config means it.
        if isinstance(operation, ast.Pow) and integers and left.bit_length() * right > BITS:
            raise Refusal(f"a power has more than {BITS} bits")
        if isinstance(operation, ast.LShift) and integers and right > BITS:
            raise Refusal(f"a number is shifted by more than {BITS} bits")
        if isinstance(operation, ast.Mod) and isinstance(left, str):
            raise Refusal("text is not formatted with %", "write an f-string")
        return self.budget.counted(BINARY[type(operation)](left, right))

    def _repeat(self, left: Any, right: Any) -> None:
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, (str, list, tuple)) and isinstance(times, int):
                self.budget.spend(len(sequence) * max(times, 0))

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        return value if isinstance(value, str) else self.budget.counted(value)

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise Refusal(f"the name {node.id} has no value here; {nearest(node.id, self.names)}")
        value = self.names[node.id]
        if isinstance(value, Imported):
            raise Refusal(f"{node.id} is imported (line {value.line}), and nothing is imported to read a config", DUMP)
        return value

    def _attribute(self, node: ast.Attribute) -> Any:
        value = self.evaluate(node.value)
        if not isinstance(value, Inherited):
            raise Refusal(
                f"{node.attr} is an attribute of a {type(value).__name__}: only what a base holds has any", DUMP
            )
        if node.attr not in value:
            raise Refusal(f"the base has no {node.attr} here; {nearest(node.attr, map(str, value))}")
        return value[node.attr]

    def _subscript(self, node: ast.Subscript) -> Any:
        value = self.evaluate(node.value)
        index = self.index(node.slice)
        return self.budget.counted(value[index]) if isinstance(index, slice) else value[index]

    def index(self, node: ast.expr) -> Any:
        """What stands in the brackets behind a value."""
        if isinstance(node, ast.Slice):
            return slice(*(part and self.evaluate(part) for part in (node.lower, node.upper, node.step)))
        value = self.evaluate(node)
        self.budget.measure(value)
        return value

    def _items(self, nodes: list[ast.expr]) -> Iterator[Any]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                unpacked = self.evaluate(node.value)
                self.budget.spend(len(unpacked))
                yield from unpacked
            else:
                yield self.evaluate(node)

    def _list(self, node: ast.List) -> list[Any]:
        return list(self._items(node.elts))

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self._items(node.elts))

    def _set(self, node: ast.Set) -> set[Any]:
        items = list(self._items(node.elts))
        self.budget.measure(items)
        return set(items)

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                unpacked = self.evaluate(value)
                self.budget.spend(len(unpacked))
                result.update(unpacked)
            else:
                name = self.index(key)
                result[name] = self.evaluate(value)
        return result

    def _binary(self, node: ast.BinOp) -> Any:
        if type(node.op) not in BINARY:
            raise Refusal(f"{describe(node.op)} is not read", DUMP)
        return self.binary(node.op, self.evaluate(node.left), self.evaluate(node.right))

    def _unary(self, node: ast.UnaryOp) -> Any:
        return UNARY[type(node.op)](self.evaluate(node.operand))

    def _compare(self, node: ast.Compare) -> bool:
        left = self.evaluate(node.left)
        for operation, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(right_node)
            self.budget.measure(left)
            self.budget.measure(right)
            if not COMPARE[type(operation)](left, right):
                return False
            left = right
        return True

    def _boolean(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for part in node.values:
            value = self.evaluate(part)
            if bool(value) is isinstance(node.op, ast.Or):
                break
        return value

    def _conditional(self, node: ast.IfExp) -> Any:
        return self.evaluate(node.body if self.evaluate(node.test) else node.orelse)

    def _call(self, node: ast.Call) -> Any:
        function = node.func
        if isinstance(function, ast.Name) and function.id not in self.names:
            return call_function(function.id, *self._arguments(node), self.budget)
        if isinstance(function, ast.Attribute):
            return call_method(self.evaluate(function.value), function.attr, *self._arguments(node), self.budget)
        self.evaluate(function)
        raise Refusal(f"{describe(function)} is called, and only functions and methods known to be harmless are", DUMP)

    def _arguments(self, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
        positional = list(self._items(node.args))
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is None:
                self.budget.spend(len(value))
            for name, item in ({keyword.arg: value} if keyword.arg is not None else value).items():
                if not isinstance(name, str) or name in keywords:
                    raise Refusal(f"the keyword {name!r} is not a text, or is given twice")
                keywords[name] = item
        return positional, keywords

    def _formatted(self, node: ast.FormattedValue) -> str:
        value = self.evaluate(node.value)
        self.budget.measure(value)
        spec = self.evaluate(node.format_spec) if node.format_spec else ""
        return format_value(CONVERSIONS[node.conversion](value), spec, self.budget)

    def _joined(self, node: ast.JoinedStr) -> str:
        return "".join(self.evaluate(part) for part in node.values)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
        return [inner.evaluate(node.elt) for inner in self._rounds(node.generators)]

    def _set_comprehension(self, node: ast.SetComp) -> set[Any]:
        items = [inner.evaluate(node.elt) for inner in self._rounds(node.generators)]
        self.budget.measure(items)
        return set(items)

    def _dict_comprehension(self, node: ast.DictComp) -> dict[Any, Any]:
        return {inner.index(node.key): inner.evaluate(node.value) for inner in self._rounds(node.generators)}

    def _rounds(self, generators: list[ast.comprehension]) -> Iterator[Expressions]:
        """Yield an evaluator for each round of a comprehension, with names of its own."""
        if not generators:
            yield self
            return
        first, *others = generators
        inner = Expressions(self.file, ChainMap({}, self.names), self.budget)
        inner._depth = self._depth + 1
        for item in self.evaluate(first.iter):
            inner.bind(first.target, item)
            if all(inner.evaluate(condition) for condition in first.ifs):
                yield from inner._rounds(others)

    def bind(self, target: ast.expr, value: Any) -> None:
        """Give a value to the target of an assignment or a loop."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = list(value)
            self.budget.spend(len(items))
            if len(items) != len(target.elts):
                raise Refusal(f"{len(items)} values are assigned to {len(target.elts)} names")
            for part, item in zip(target.elts, items, strict=True):
                self.bind(part, item)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            self._set_item(target, value)
        else:
            raise Refusal(f"an assignment to {describe(target)} is not read", DUMP)

    def _set_item(self, target: ast.Attribute | ast.Subscript, value: Any) -> None:
        self.budget.measure(value)
        container, key = self.slot(target)
        container[key] = value

    def slot(self, target: ast.Attribute | ast.Subscript) -> tuple[Any, Any]:
        """The container and the key that `container.key` or `container[key]` means."""
        container = self.evaluate(target.value)
        if isinstance(target, ast.Subscript):
            return container, self.index(target.slice)
        if not isinstance(container, Inherited):
            raise Refusal(f"the attribute {target.attr} of a {type(container).__name__} cannot be set or deleted")
        return container, target.attr

    _HANDLERS: ClassVar[dict[type[ast.expr], Callable[[Any, Any], Any]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.List: _list,
        ast.Tuple: _tuple,
        ast.Set: _set,
        ast.Dict: _dict,
        ast.BinOp: _binary,
        ast.UnaryOp: _unary,
        ast.Compare: _compare,
        ast.BoolOp: _boolean,
        ast.IfExp: _conditional,
        ast.Call: _call,
        ast.JoinedStr: _joined,
        ast.FormattedValue: _formatted,
        ast.ListComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.SetComp: _set_comprehension,
        ast.DictComp: _dict_comprehension,
    }
