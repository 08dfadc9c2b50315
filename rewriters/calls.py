"""What a rewriter is handed when it is asked to rewrite something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rewriters.errors import RewriterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rewriters.target import Target


@dataclass(frozen=True)
class Skip:
    """A rewriter's answer that it leaves this place alone.

    Attributes:
        reason: Why, for the ledger.
    """

    reason: str


NOTHING_TO_DO = Skip("it found nothing to do here")
"""What None says, where a rewriter just returns."""


@dataclass(frozen=True)
class Call:
    """One place in the network that a rewriter may rewrite.

    Attributes:
        target: What the run compiles for.
        where: Path of the module in the network, such as `neck.upsample`; empty for the network as a whole.
    """

    target: Target
    where: str

    def skip(self, reason: str) -> Skip:
        """Leave this place alone: `return call.skip("mode is not nearest")`."""
        if not reason.strip():
            raise RewriterError("call.skip needs a reason: it is what the ledger tells the user")
        return Skip(reason.strip())


@dataclass(frozen=True)
class FunctionCall(Call):
    """One call of a function that a rewriter may rewrite.

    Attributes:
        function: The function that the network called.
    """

    function: Callable[..., Any]

    def original(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it was before the rewriter."""
        return self.function(*args, **kwargs)


@dataclass(frozen=True)
class FusionCall(Call):
    """Two modules, of which the second alone reads what the first returns.

    Attributes:
        shapes: Of what the first returned and of what the second took, each time. Where they differ, the data has been
            given another shape in between, and nothing else.
    """

    shapes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]

    @property
    def is_reshaped(self) -> bool:
        """Whether the second takes the data in another shape."""
        return any(returned != taken for returned, taken in self.shapes)
