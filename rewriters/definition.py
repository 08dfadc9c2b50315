"""What a rewriter is, of each kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from torch import nn

    from rewriters.calls import Call, FusionCall, Skip
    from rewriters.conditions import Conditions
    from rewriters.contract import Contract

FunctionBody: TypeAlias = Callable[..., Any]
ModuleBody: TypeAlias = "Callable[[Call, Any], nn.Module | Skip | None]"
FusionBody: TypeAlias = "Callable[[FusionCall, Any, Any], nn.Module | Skip | None]"
GraphBody: TypeAlias = "Callable[[Call, gs.Graph], list[str] | Skip | None]"


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
        body: The decorated function.
    """

    kind: ClassVar[str]
    """The sort of thing it rewrites: `function`, `module`, `fusion` or `graph`."""

    name: str
    contract: Contract
    conditions: Conditions
    why: str
    source: str
    body: Callable[..., Any]

    @property
    def subject(self) -> Hashable:
        """What it rewrites: of all rewriters with the same subject, the most specific wins."""
        raise NotImplementedError

    @property
    def rewrites(self) -> str:
        """What it rewrites, by name."""
        return self.subject if isinstance(self.subject, str) else source_of(self.subject)

    def __str__(self) -> str:
        return f"{self.name} ({self.source})"


@dataclass(frozen=True, eq=False)
class FunctionRewriter(Rewriter):
    """Rewrites the calls of one torch function.

    Attributes:
        function: The function whose calls it rewrites.
    """

    kind = "function"

    function: Callable[..., Any]
    body: FunctionBody

    @property
    def subject(self) -> Hashable:
        """The function."""
        return self.function


@dataclass(frozen=True, eq=False)
class ModuleRewriter(Rewriter):
    """Replaces the modules of one class.

    Attributes:
        module_type: The class.
    """

    kind = "module"

    module_type: type
    body: ModuleBody

    @property
    def subject(self) -> Hashable:
        """The class."""
        return self.module_type


@dataclass(frozen=True, eq=False)
class FusionRewriter(Rewriter):
    """Replaces two modules by one, where the second takes what the first returns and nothing else reads it.

    Attributes:
        first: Classes of the first.
        second: Classes of the second.
    """

    kind = "fusion"

    first: tuple[type, ...]
    second: tuple[type, ...]
    body: FusionBody

    @property
    def subject(self) -> Hashable:
        """The classes."""
        return frozenset(self.first), frozenset(self.second)

    @property
    def rewrites(self) -> str:
        """The classes, by name."""
        return " before ".join(names_of(classes) for classes in (self.first, self.second))


@dataclass(frozen=True, eq=False)
class GraphRewriter(Rewriter):
    """Rewrites the ONNX graph.

    Attributes:
        after: Names of the graph rewriters that run before it, where they run at all.
    """

    kind = "graph"

    after: frozenset[str]
    body: GraphBody

    @property
    def subject(self) -> Hashable:
        """Its own name: graph rewriters replace one another only by carrying the same name."""
        return self.name


def names_of(classes: tuple[type, ...]) -> str:
    """The bare names of classes, as a sentence takes them."""
    *others, last = [one.__name__ for one in classes]
    return f"{', '.join(others)} or {last}" if others else last


def source_of(thing: Any) -> str:
    """Where something is defined, as `module:qualified name`."""
    owner = getattr(thing, "__module__", None) or getattr(getattr(thing, "__objclass__", None), "__module__", "")
    return f"{owner}:{getattr(thing, '__qualname__', getattr(thing, '__name__', repr(thing)))}"
