"""What a rewriter promises about the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from rewriters.errors import RewriterError


@dataclass(frozen=True)
class Contract:
    """The promise of a rewriter: `Contract.exact`, `Contract.close(share)` or `Contract.lossy(why)`.

    Attributes:
        kind: `exact`, `close` or `lossy`.
        share: The largest error that still holds, as a share of the largest number that was to come out.
        why: Why the numbers change, for a lossy contract.
    """

    kind: str
    share: float = 0.0
    why: str = ""

    exact: ClassVar[Contract]
    """The outputs are equal, bit for bit."""

    @staticmethod
    def close(share: float) -> Contract:
        """Promise that no output differs by more than `share` of the largest number in it.

        Numbers are rounded by a share of themselves: 1e-3 is nothing to a hundred thousand, and all to 1e-4.
        """
        if not (math.isfinite(share) and share > 0):
            raise RewriterError(
                f"Contract.close needs a finite share above zero, not {share}; for no difference use Contract.exact"
            )
        return Contract("close", share=float(share))

    @staticmethod
    def lossy(why: str) -> Contract:
        """Admit that the outputs differ, and say why that is acceptable."""
        if not why.strip():
            raise RewriterError("Contract.lossy needs the reason why the outputs differ")
        return Contract("lossy", share=math.inf, why=why.strip())

    def holds(self, max_absolute_error: float, size: float = 1.0) -> bool:
        """Tell whether a measured error keeps the promise; a lossy contract promises nothing, so it always holds.

        Args:
            max_absolute_error: The largest; NaN where something is not a number.
            size: The largest number that was to come out, in magnitude; where all are zero it counts as one.
        """
        if self.kind == "lossy":
            return True
        return math.isfinite(max_absolute_error) and max_absolute_error <= self.share * (size or 1.0)

    def __str__(self) -> str:
        details = {"close": f"({self.share:g})", "lossy": f": {self.why}"}
        return self.kind + details.get(self.kind, "")


Contract.exact = Contract("exact")
