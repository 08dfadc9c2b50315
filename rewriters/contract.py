"""What a rewriter promises about the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from rewriters.errors import RewriterError


@dataclass(frozen=True)
class Contract:
    """The promise of a rewriter: `Contract.exact`, `Contract.close(atol)` or `Contract.lossy(why)`.

    Attributes:
        kind: `exact`, `close` or `lossy`.
        atol: The largest absolute error that still holds.
        why: Why the numbers change, for a lossy contract.
    """

    kind: str
    atol: float = 0.0
    why: str = ""

    exact: ClassVar[Contract]
    """The outputs are equal, bit for bit."""

    @staticmethod
    def close(atol: float) -> Contract:
        """Promise that no output differs by more than `atol`."""
        if not (math.isfinite(atol) and atol > 0):
            raise RewriterError(
                f"Contract.close needs a finite tolerance above zero, not {atol}; for no difference use Contract.exact"
            )
        return Contract("close", atol=float(atol))

    @staticmethod
    def lossy(why: str) -> Contract:
        """Admit that the outputs differ, and say why that is acceptable."""
        if not why.strip():
            raise RewriterError("Contract.lossy needs the reason why the outputs differ")
        return Contract("lossy", atol=math.inf, why=why.strip())

    def holds(self, max_absolute_error: float) -> bool:
        """Tell whether a measured error keeps the promise; a lossy contract promises nothing, so it always holds."""
        if self.kind == "lossy":
            return True
        return math.isfinite(max_absolute_error) and max_absolute_error <= self.atol

    def __str__(self) -> str:
        details = {"close": f"({self.atol:g})", "lossy": f": {self.why}"}
        return self.kind + details.get(self.kind, "")


Contract.exact = Contract("exact")
