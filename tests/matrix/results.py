"""What became of each cell, a line of JSON for each, in a file that is only added to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from compiler.artifact.files import finite
from tests.conftest import REPOSITORY
from tests.matrix.grid import Cell

FILE = REPOSITORY / "docs/matrix.jsonl"

PROVEN, NOT_PROVEN, BUILT, NONE = "proven", "not proven", "built", "none"
OUTCOMES = (PROVEN, NOT_PROVEN, BUILT, NONE)


@dataclass(frozen=True)
class Attempt:
    """What came out of compiling a cell.

    Attributes:
        outcome: `proven`: the engine ran here and passed. `not proven`: it ran and did not, or a step before it did
            not. `built`: it was built, and cannot run here. `none`: there is no engine.
        error: The worst of the last stage that was compared, in its yardstick; None where nothing finite was.
        yardstick: See `compiler.numerics.Yardstick`.
        decoded: The largest difference after decoding, in the task's unit; None where that is not finite.
        unit: Of that.
        stage: What was compared last, such as `engine (ncnn)`.
        milliseconds: Of a processor, for the fastest of several runs of the engine; None where it does not run here.
        reference: The same of ONNX Runtime's in fp32, in the same process, in turns.
        reason: Why it is not proven, in a line.
        machine: The kind of processor.
        versions: Of the libraries.
    """

    outcome: str
    error: float | None = None
    yardstick: str = ""
    decoded: float | None = None
    unit: str = ""
    stage: str = ""
    milliseconds: float | None = None
    reference: float | None = None
    reason: str = ""
    machine: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"an outcome is one of {', '.join(OUTCOMES)}, not {self.outcome!r}")

    @property
    def compared_engine(self) -> bool:
        """Whether the engine, or what stands in for it here, was the last thing that was compared."""
        return self.stage.startswith("engine ")


@dataclass(frozen=True)
class Result:
    """A cell, and what became of it.

    Attributes:
        cell: What was compiled.
        attempt: What came out.
        seconds: That it took in all.
    """

    cell: Cell
    attempt: Attempt
    seconds: float

    def to_line(self) -> str:
        """The result as a line of strict JSON."""
        values = {**asdict(self.cell), "variant": self.cell.model.variant, "seconds": round(self.seconds, 1)}
        return json.dumps(finite({**values, **asdict(self.attempt)}), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> Result:
        """Read what `to_line` wrote."""
        values = json.loads(line)
        cell = Cell(*(values.pop(name) for name in Cell.__dataclass_fields__))
        seconds = values.pop("seconds")
        del values["variant"]
        return cls(cell, Attempt(**values), seconds)


def read_results(file: Path = FILE) -> dict[Cell, Result]:
    """The last result of each cell."""
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    return {result.cell: result for result in map(Result.from_line, lines)}


def add_result(result: Result, file: Path = FILE) -> None:
    """Add a result to the file."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(result.to_line() + "\n")
