"""The decorators that turn a function into a rewriter. The conditions that each takes are `ConditionOptions`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from rewriters.conditions import ConditionOptions, Conditions
from rewriters.contract import Contract
from rewriters.definition import FunctionRewriter, FusionRewriter, GraphRewriter, ModuleRewriter, source_of
from rewriters.errors import RewriterError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from rewriters.definition import FunctionBody, FusionBody, GraphBody, ModuleBody


def function_rewriter(
    function: Callable[..., Any], /, *, contract: Contract, **conditions: Unpack[ConditionOptions]
) -> Callable[[FunctionBody], FunctionRewriter]:
    """Rewrite the calls of a torch function: `body(call, *args, **kwargs)` returns what the function would.

    Args:
        function: The function, as torch reports it to `torch.overrides` (`x.relu()` is `torch.Tensor.relu`).
        contract: What the rewriter promises about the numbers.
        conditions: When it applies.
    """
    if not callable(function):
        raise RewriterError(f"function_rewriter takes the function to rewrite first, not {function!r}")
    checked = Conditions(**conditions)

    def define(body: FunctionBody) -> FunctionRewriter:
        about = _described(body, contract, checked, "(call, ...)", 1)
        return FunctionRewriter(**about, function=function, body=body)

    return define


def module_rewriter(
    module_type: type, /, *, contract: Contract, **conditions: Unpack[ConditionOptions]
) -> Callable[[ModuleBody], ModuleRewriter]:
    """Replace the modules of a class, subclasses included: `body(call, module)` returns the replacement.

    Args:
        module_type: The class.
        contract: What the rewriter promises about the numbers.
        conditions: When it applies.
    """
    if not isinstance(module_type, type):
        raise RewriterError(f"module_rewriter takes a module class first, not {module_type!r}")
    checked = Conditions(**conditions)

    def define(body: ModuleBody) -> ModuleRewriter:
        about = _described(body, contract, checked, "two arguments, the call and the module", 2)
        return ModuleRewriter(**about, module_type=module_type, body=body)

    return define


def fusion_rewriter(
    first: Collection[type], second: Collection[type], /, *, contract: Contract, **conditions: Unpack[ConditionOptions]
) -> Callable[[FusionBody], FusionRewriter]:
    """Replace two modules by one: `body(call, first, second)` returns what takes the place of both.

    It is asked about each two of exactly these classes where the second takes what the first returns, and nothing else
    reads that: however the modules around them are called, and in whatever order they hold them.

    Args:
        first: Classes of the module that runs first.
        second: Classes of the module that takes what the first returns.
        contract: What the rewriter promises about the numbers.
        conditions: When it applies.
    """
    for classes in (first, second):
        if isinstance(classes, type) or not classes or not all(isinstance(one, type) for one in classes):
            raise RewriterError(f"fusion_rewriter takes the classes to fuse first, twice several, not {classes!r}")
    checked = Conditions(**conditions)

    def define(body: FusionBody) -> FusionRewriter:
        about = _described(body, contract, checked, "three arguments, the call and the two modules", 3)
        return FusionRewriter(**about, first=tuple(first), second=tuple(second), body=body)

    return define


def graph_rewriter(
    *, contract: Contract, after: Collection[str] = frozenset(), **conditions: Unpack[ConditionOptions]
) -> Callable[[GraphBody], GraphRewriter]:
    """Rewrite the ONNX graph in place: `body(call, graph)` returns the names of the places where it did.

    Args:
        contract: What the rewriter promises about the numbers.
        after: Names of the graph rewriters that have to run before this one.
        conditions: When it applies.
    """
    if isinstance(after, str):
        raise RewriterError(f"after takes a set of names, not {after!r}; write after={{{after!r}}}")
    checked = Conditions(**conditions)

    def define(body: GraphBody) -> GraphRewriter:
        about = _described(body, contract, checked, "two arguments, the call and the graph", 2)
        return GraphRewriter(**about, after=frozenset(after), body=body)

    return define


def _described(
    body: Callable[..., Any], contract: Contract, conditions: Conditions, parameters: str, count: int
) -> dict[str, Any]:
    """What every rewriter knows about itself, once its body is known to take that many parameters."""
    name, source = body.__name__, source_of(body)
    docstring = inspect.getdoc(body) if body.__doc__ else None
    if not docstring:
        raise RewriterError(f"{name} ({source}) has no docstring; its first line is the reason that the ledger gives")
    if not isinstance(contract, Contract):
        raise RewriterError(f"{name} ({source}): contract is {contract!r}, not a Contract such as Contract.exact")
    try:
        inspect.signature(body).bind_partial(*[None] * count)
    except TypeError as error:
        raise RewriterError(f"{name} ({source}) has to take {parameters}: {error}") from error
    why = docstring.splitlines()[0]
    return {"name": name, "contract": contract, "conditions": conditions, "why": why, "source": source}
