"""The decorators that turn a function into a rewriter, and what they return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from rewriters.conditions import Conditions
from rewriters.contract import Contract
from rewriters.errors import RewriterError

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from torch import nn

    from rewriters.calls import Call, Skip

FunctionBody: TypeAlias = Callable[..., Any]
ModuleBody: TypeAlias = "Callable[[Call, Any], nn.Module | Skip]"
GraphBody: TypeAlias = "Callable[[Call, gs.Graph], list[str] | Skip]"
Names: TypeAlias = "Collection[str] | None"


# Two rewriters are the same one only if they are the same object: comparing bodies would say no more.
@dataclass(frozen=True, eq=False)
class Rewriter:
    """A rewriter: what it is called, whom it is for, why, and what it does to the numbers.

    Attributes:
        name: Name of the decorated function.
        contract: What it promises about the numbers.
        conditions: When it applies.
        why: First line of its docstring.
        source: Where it is defined, as `module:qualified name`.
    """

    name: str
    contract: Contract
    conditions: Conditions
    why: str
    source: str

    @property
    def kind(self) -> str:
        """The sort of thing it rewrites: `function`, `module` or `graph`."""
        raise NotImplementedError

    @property
    def subject(self) -> Hashable:
        """What it rewrites: of all rewriters with the same subject, the most specific wins."""
        raise NotImplementedError

    @property
    def rewrites(self) -> str:
        """What it rewrites, by name."""
        return self.subject if isinstance(self.subject, str) else _source_of(self.subject)

    def __str__(self) -> str:
        return f"{self.name} ({self.source})"


@dataclass(frozen=True, eq=False)
class FunctionRewriter(Rewriter):
    """Rewrites the calls of one torch function.

    Attributes:
        function: The function whose calls it rewrites.
        body: The decorated function.
    """

    function: Callable[..., Any]
    body: FunctionBody

    @property
    def kind(self) -> str:
        """Always `function`."""
        return "function"

    @property
    def subject(self) -> Hashable:
        """The function."""
        return self.function


@dataclass(frozen=True, eq=False)
class ModuleRewriter(Rewriter):
    """Replaces the modules of one class.

    Attributes:
        module_type: The class, or its bare name.
        body: The decorated function.
    """

    module_type: type | str
    body: ModuleBody

    @property
    def kind(self) -> str:
        """Always `module`."""
        return "module"

    @property
    def subject(self) -> Hashable:
        """The class, or its bare name."""
        return self.module_type


@dataclass(frozen=True, eq=False)
class GraphRewriter(Rewriter):
    """Rewrites the ONNX graph.

    Attributes:
        after: Names of the graph rewriters that run before it, where they run at all.
        body: The decorated function.
    """

    after: frozenset[str]
    body: GraphBody

    @property
    def kind(self) -> str:
        """Always `graph`."""
        return "graph"

    @property
    def subject(self) -> Hashable:
        """Its own name: graph rewriters replace one another only by carrying the same name."""
        return self.name


def function_rewriter(
    function: Callable[..., Any],
    /,
    *,
    contract: Contract,
    backends: Names = None,
    irs: Names = None,
    precisions: Names = None,
    algos: Names = None,
    opsets: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> Callable[[FunctionBody], FunctionRewriter]:
    """Rewrite the calls of a torch function: `body(call, *args, **kwargs)` returns what the function would.

    Args:
        function: The function, as torch reports it to `torch.overrides` (`x.relu()` is `torch.Tensor.relu`).
        contract: What the rewriter promises about the numbers.
        backends: Apply only to these backends.
        irs: Apply only to these intermediate representations.
        precisions: Apply only to these precisions.
        algos: Apply only to these algorithms.
        opsets: Apply only to these ONNX opsets, such as `>=18`.
        versions: Apply only to these versions, by library.
    """
    if not callable(function):
        raise RewriterError(f"function_rewriter takes the function to rewrite first, not {function!r}")
    conditions = Conditions(backends, irs, precisions, algos, opsets, versions)

    def define(body: FunctionBody) -> FunctionRewriter:
        return FunctionRewriter(
            **_described(body, contract, minimum_parameters=1),
            conditions=conditions,
            function=function,
            body=body,
        )

    return define


def module_rewriter(
    module_type: type | str,
    /,
    *,
    contract: Contract,
    backends: Names = None,
    irs: Names = None,
    precisions: Names = None,
    algos: Names = None,
    opsets: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> Callable[[ModuleBody], ModuleRewriter]:
    """Replace the modules of a class, subclasses included: `body(call, module)` returns the replacement.

    Args:
        module_type: The class, or its bare name where the class cannot be imported.
        contract: What the rewriter promises about the numbers.
        backends: Apply only to these backends.
        irs: Apply only to these intermediate representations.
        precisions: Apply only to these precisions.
        algos: Apply only to these algorithms.
        opsets: Apply only to these ONNX opsets, such as `>=18`.
        versions: Apply only to these versions, by library.
    """
    by_name = isinstance(module_type, str) and module_type.isidentifier()
    if not by_name and not isinstance(module_type, type):
        raise RewriterError(f"module_rewriter takes a module class or its bare name first, not {module_type!r}")
    conditions = Conditions(backends, irs, precisions, algos, opsets, versions)

    def define(body: ModuleBody) -> ModuleRewriter:
        return ModuleRewriter(
            **_described(body, contract, minimum_parameters=2),
            conditions=conditions,
            module_type=module_type,
            body=body,
        )

    return define


def graph_rewriter(
    *,
    contract: Contract,
    after: Collection[str] = frozenset(),
    backends: Names = None,
    irs: Names = None,
    precisions: Names = None,
    algos: Names = None,
    opsets: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> Callable[[GraphBody], GraphRewriter]:
    """Rewrite the ONNX graph in place: `body(call, graph)` returns the names of the places where it did.

    Args:
        contract: What the rewriter promises about the numbers.
        after: Names of the graph rewriters that have to run before this one.
        backends: Apply only to these backends.
        irs: Apply only to these intermediate representations.
        precisions: Apply only to these precisions.
        algos: Apply only to these algorithms.
        opsets: Apply only to these ONNX opsets, such as `>=18`.
        versions: Apply only to these versions, by library.
    """
    if isinstance(after, str):
        raise RewriterError(f"after takes a set of names, not {after!r}; write after={{{after!r}}}")
    conditions = Conditions(backends, irs, precisions, algos, opsets, versions)

    def define(body: GraphBody) -> GraphRewriter:
        return GraphRewriter(
            **_described(body, contract, minimum_parameters=2),
            conditions=conditions,
            after=frozenset(after),
            body=body,
        )

    return define


def _described(body: Callable[..., Any], contract: Contract, minimum_parameters: int) -> dict[str, Any]:
    name, source = body.__name__, _source_of(body)
    docstring = inspect.getdoc(body) if body.__doc__ else None
    if not docstring:
        raise RewriterError(f"{name} ({source}) has no docstring; its first line is the reason that the ledger gives")
    if not isinstance(contract, Contract):
        raise RewriterError(f"{name} ({source}): contract is {contract!r}, not a Contract such as Contract.exact")
    try:
        inspect.signature(body).bind_partial(*[None] * minimum_parameters)
    except TypeError as error:
        wanted = "(call, ...)" if minimum_parameters == 1 else "two arguments, the call and what to rewrite"
        raise RewriterError(f"{name} ({source}) has to take {wanted}: {error}") from error
    return {"name": name, "contract": contract, "why": docstring.splitlines()[0], "source": source}


def _source_of(thing: Any) -> str:
    owner = getattr(thing, "__module__", None) or getattr(getattr(thing, "__objclass__", None), "__module__", "")
    return f"{owner}:{getattr(thing, '__qualname__', getattr(thing, '__name__', repr(thing)))}"
