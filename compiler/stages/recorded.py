"""What stages of a proof gave, kept as files: whatever is compared with it later need not run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors, read_json, write_json
from compiler.proof import Run
from compiler.tasks import Prepared
from compiler.tasks.arrays.files import write_arrays

RECORD_FILE = "recorded.json"
OUTPUTS, OPENED, CANDIDATES = "outputs", "opened", "candidates"
"""How a stage was run: as it is, with its selection open, for all that it selects from."""

Kept = dict[tuple[str, str, str], Tensors]
"""What came out, by the stage, how it was run, and the size of the input."""


@dataclass(frozen=True)
class Recorder:
    """Runs of stages on the inputs of a proof, each done once and kept.

    Attributes:
        samples: The inputs, by their size.
        kept: What came out.
    """

    samples: Mapping[str, Prepared]
    kept: Kept = field(default_factory=dict)

    def recorded(self, stage: str, kind: str, run: Run) -> Run:
        """A way to run a stage that keeps what comes out; what is no input of the proof is run each time."""

        def running(tensors: Tensors) -> Tensors:
            size = size_of(tensors, self.samples)
            if size is None:
                return run(tensors)
            key = stage, kind, size
            if key not in self.kept:
                self.kept[key] = run(tensors)
            return self.kept[key]

        return running

    def save(self, folder: Path, *stages: str) -> None:
        """Write what some stages gave."""
        entries: list[dict[str, str | list[str]]] = []
        for (stage, kind, size), tensors in self.kept.items():
            if stage in stages:
                file = f"recorded_{len(entries)}.npz"
                write_arrays(folder / file, {str(index): _plain(array) for index, array in enumerate(tensors.values())})
                entries.append({"stage": stage, "kind": kind, "size": size, "file": file, "names": list(tensors)})
        write_json(folder / RECORD_FILE, {"version": 2, "entries": entries})


@dataclass(frozen=True)
class Recorded:
    """What stages gave on the inputs of a proof.

    Attributes:
        samples: The inputs, by their size.
        kept: What came out.
    """

    samples: Mapping[str, Prepared]
    kept: Kept

    @classmethod
    def load(cls, folder: Path, samples: Mapping[str, Prepared]) -> Recorded:
        """Read of what a `Recorder` wrote all that belongs to these inputs."""
        kept = {
            (one["stage"], one["kind"], one["size"]): _read(folder / one["file"], one["names"])
            for one in read_json(folder / RECORD_FILE)["entries"]
            if one["size"] in samples
        }
        return cls(samples, kept)

    @property
    def stages(self) -> tuple[str, ...]:
        """Those of which something is kept, in the order in which they ran."""
        return tuple(dict.fromkeys(stage for stage, _, _ in self.kept))

    def outputs_of(self, stage: str) -> Run:
        """What a stage gave, as a way to run it."""
        return lambda tensors: self.kept[stage, OUTPUTS, str(size_of(tensors, self.samples))]

    def run_of(self, stage: str, kind: str) -> Run | None:
        """What a stage gave when it was run in another way, as a way to run it; None where it was not."""
        if (stage, kind) not in {known[:2] for known in self.kept}:
            return None
        return lambda tensors: self.kept[stage, kind, str(size_of(tensors, self.samples))]


def size_of(tensors: Tensors, samples: Mapping[str, Prepared]) -> str | None:
    """The size of an input of a proof; None of anything else."""
    return next((size for size, prepared in samples.items() if _are_same(prepared.tensors, tensors)), None)


def _are_same(one: Tensors, other: Tensors) -> bool:
    return all(one[name] is other[name] or np.array_equal(one[name], other[name]) for name in one)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers of 16 bits that NumPy itself does not know, in 32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def _read(path: Path, names: list[str]) -> Tensors:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[str(index)] for index, name in enumerate(names)}
