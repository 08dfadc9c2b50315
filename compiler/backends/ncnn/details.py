"""What is known of an engine beside its layers and weights: `engine_details.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from compiler.artifact import Dimension, Engine, read_json, reading, write_json
from compiler.config.sizes import Size

DETAILS_FILE = "engine_details.json"
PRECISIONS = ("fp32", "fp16")


@dataclass(frozen=True)
class Details:
    """How an engine was built, and how it is run.

    Attributes:
        precision: One of `PRECISIONS`.
        batched: The inputs of which ncnn takes one sample at a time.
        sample: The shape of each input, as ncnn takes it: the smallest, where they vary.
        pnnx: The version of the converter.
    """

    precision: str
    batched: tuple[str, ...]
    sample: Mapping[str, Size]
    pnnx: str

    def save(self, folder: Path) -> None:
        """Write the file."""
        write_json(folder / DETAILS_FILE, asdict(self))

    @classmethod
    def load(cls, engine: Engine) -> Details:
        """The details of an engine, which may come from somebody else.

        Raises:
            CompileError: They are missing, or do not fit the engine.
        """
        path = engine.folder / DETAILS_FILE
        with reading(path, f"{DETAILS_FILE} does not describe an engine", fix="compile it again"):
            values = read_json(path)
            sample = {str(name): tuple(map(int, shape)) for name, shape in values["sample"].items()}
            details = cls(str(values["precision"]), tuple(map(str, values["batched"])), sample, str(values["pnnx"]))
            details._check(engine)
        return details

    def _check(self, engine: Engine) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"there is no precision {self.precision:.20}")
        inputs = {spec.name: spec.shape[spec.name in self.batched :] for spec in engine.inputs}
        if not inputs.keys() >= set(self.batched) or inputs.keys() != self.sample.keys():
            raise ValueError("its inputs are not those of the engine")
        for name, size in self.sample.items():
            if not _is_one_of(size, inputs[name]):
                raise ValueError(f"{name} is {list(size)} here, and {list(inputs[name])} in {engine.SIDECAR}")
        if any(side < 1 for size in self.sample.values() for side in size):
            raise ValueError("an input has elements")


def _is_one_of(size: Size, shape: Sequence[Dimension]) -> bool:
    """Whether a shape of numbers has the rank and the fixed sides of one in which some vary."""
    return len(size) == len(shape) and all(
        isinstance(wanted, str) or side == wanted for side, wanted in zip(size, shape, strict=True)
    )
