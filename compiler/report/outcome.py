"""What a compile came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compiler.errors import ExitCode
from compiler.proof import StageProof
from compiler.report.speed import Speed, Tried


@dataclass(frozen=True)
class Outcome:
    """The end of a compile that built an engine, or what one is built from elsewhere.

    Attributes:
        model: The model's name.
        name: The deploy name.
        bundle: The folder.
        unit: The task's unit, of decoded differences.
        engine_bytes: The size of the engine's file; None where it is still to be built.
        picture: The engine's picture, in the bundle.
        proofs: Each stage behind the network, compared.
        problem: Why the engine is not proven; empty if it is.
        up_to_date: Whether the bundle was there already and nothing was done.
        speed: Of a lower precision beside fp32, on the machine that compiled it; None where it was not measured.
        tried: The precisions that `precision=auto` tried; none where one was named.
    """

    model: str
    name: str
    bundle: Path
    unit: str
    engine_bytes: int | None
    picture: str
    proofs: tuple[StageProof, ...]
    problem: str = ""
    up_to_date: bool = False
    speed: Speed | None = None
    tried: tuple[Tried, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """Done and proven, or built but not proven."""
        return ExitCode.NOT_PROVEN if self.problem else ExitCode.PROVEN

    @property
    def verdict(self) -> str:
        """What it came to, in a sentence, and on how much that stands; what a lossy rewriter changed counts too."""
        return f"{self.headline}: {self.problem or self._proven}"

    @property
    def _proven(self) -> str:
        lossy = [proof for proof in self.proofs if proof.lossy]
        changed = "".join(
            f"; a lossy rewriter moved the {one.stage} by {one.worst.relative_error:.1e} {one.worst.yardstick} "
            f"from the {one.reference}, {one.worst_decoded:.2g} {self.unit} after decoding"
            for one in lossy
        )
        basis = self.proofs[-1].weakest if self.proofs else None
        stands = f", on {basis} at the least" if basis else ""
        return f"{'every other' if lossy else 'every'} stage is within its tolerance{stands}{changed}"

    @property
    def headline(self) -> str:
        """What it came to, in a word or three."""
        return "built but not proven" if self.problem else "proven"

    @property
    def places(self) -> dict[str, Path]:
        """Where to look, by what is there."""
        return {
            "bundle": self.bundle,
            "report": self.bundle / "report.html",
            "picture": self.bundle / self.picture,
        }
