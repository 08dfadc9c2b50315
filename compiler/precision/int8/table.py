"""What calibration found: the range of every tensor that can be quantised, kept as a readable file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.artifact import reading, write_json
from compiler.errors import CompileError

if TYPE_CHECKING:
    import onnx

FORMAT = "calibration-1"


@dataclass(frozen=True)
class Range:
    """The values that a tensor takes.

    Attributes:
        low: The smallest.
        high: The largest, not below `low`.
    """

    low: float
    high: float


@dataclass(frozen=True)
class CalibrationTable:
    """The ranges of a model's activations, on real input. One table serves every scheme.

    Attributes:
        method: How the ranges were found.
        model: Digest of the model.
        data: Digest of the calibration data.
        items: How many items were calibrated on.
        ranges: By tensor.
        unbounded: Tensors that reached an infinity, and so have no range.
    """

    method: str
    model: str
    data: str
    items: int
    ranges: Mapping[str, Range]
    unbounded: tuple[str, ...] = ()

    def check(self, model: onnx.ModelProto) -> None:
        """Make sure that the table belongs to a model.

        Raises:
            CompileError: It was made from another one.
        """
        if self.model != model_digest(model):
            raise CompileError(
                "the calibration table belongs to another model",
                where=f"table of model {self.model[:12]}",
                why=f"this model's digest begins with {model_digest(model)[:12]}",
                fix="calibrate this model",
            )

    def save(self, path: Path) -> None:
        """Write the table as JSON."""
        write_json(path, {"format": FORMAT, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> CalibrationTable:
        """Read a table back.

        Raises:
            CompileError: The file is missing, not a calibration table, or damaged.
        """
        fix = "name a file that calibration wrote, or calibrate again"
        with reading(path, "this is not a calibration table", fix=fix):
            return cls._from_dict(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> CalibrationTable:
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT!r}")
        unknown = values.keys() - {"format", *cls.__dataclass_fields__}
        if unknown:
            raise ValueError(f"it holds unknown keys: {', '.join(sorted(unknown))}")
        method, model, data = (_text(values, key) for key in ("method", "model", "data"))
        if not isinstance(values["items"], int):
            raise TypeError("items is not a number")
        ranges = {name: _range(name, entry) for name, entry in values["ranges"].items()}
        return cls(method, model, data, values["items"], ranges, tuple(values["unbounded"]))


def model_digest(model: onnx.ModelProto) -> str:
    """The digest by which a table knows its model."""
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def _text(values: Mapping[str, Any], key: str) -> str:
    if not isinstance(values[key], str):
        raise TypeError(f"{key} is not text")
    return str(values[key])


def _range(name: str, entry: Mapping[str, Any]) -> Range:
    low, high = float(entry["low"]), float(entry["high"])
    if entry.keys() != {"low", "high"} or not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"the range of {name} is {dict(entry)}")
    return Range(low, high)
