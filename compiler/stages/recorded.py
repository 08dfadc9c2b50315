"""What the reference of a proof gave, kept as files: whatever is compared with it later needs no network."""

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

RECORD_FILE = "reference.json"
OUTPUTS, OPENED, CANDIDATES = "outputs", "opened", "candidates"
"""How the reference was run: as it is, with its selection open, for all that it selects from."""


@dataclass
class Recorder:
    """Runs of stages on the inputs of a proof, each done once and kept.

    Attributes:
        samples: The inputs, by their size.
        kept: What came out, by the stage, how it was run, and the size.
    """

    samples: Mapping[str, Prepared]
    kept: dict[tuple[str, str, str], Tensors] = field(default_factory=dict)

    def recorded(self, stage: str, kind: str, run: Run) -> Run:
        """A way to run a stage that keeps what comes out."""

        def running(tensors: Tensors) -> Tensors:
            key = stage, kind, size_of(tensors, self.samples)
            if key not in self.kept:
                self.kept[key] = run(tensors)
            return self.kept[key]

        return running

    def save(self, stage: str, folder: Path) -> None:
        """Write what a stage gave."""
        entries: list[dict[str, Any]] = []
        for (name, kind, size), tensors in self.kept.items():
            if name == stage:
                file = f"reference_{len(entries)}.npz"
                write_arrays(folder / file, {str(index): _plain(array) for index, array in enumerate(tensors.values())})
                entries.append({"kind": kind, "size": size, "file": file, "names": list(tensors)})
        write_json(folder / RECORD_FILE, {"version": 1, "stage": stage, "entries": entries})


@dataclass(frozen=True)
class Recorded:
    """What a stage gave on the inputs of a proof.

    Attributes:
        stage: Its name.
        samples: The inputs, by their size.
        kept: What came out, by how it was run, and the size.
    """

    stage: str
    samples: Mapping[str, Prepared]
    kept: Mapping[tuple[str, str], Tensors]

    @classmethod
    def load(cls, folder: Path, samples: Mapping[str, Prepared]) -> Recorded:
        """Read what a `Recorder` wrote."""
        record = read_json(folder / RECORD_FILE)
        kept = {(one["kind"], one["size"]): _read(folder / one["file"], one["names"]) for one in record["entries"]}
        return cls(record["stage"], samples, kept)

    def run(self, tensors: Tensors) -> Tensors:
        """What it gave for an input of the proof."""
        return self.kept[OUTPUTS, size_of(tensors, self.samples)]

    def run_of(self, kind: str) -> Run | None:
        """What it gave when it was run in another way, as a way to run it; None where it was not."""
        if kind not in {known for known, _ in self.kept}:
            return None
        return lambda tensors: self.kept[kind, size_of(tensors, self.samples)]


def size_of(tensors: Tensors, samples: Mapping[str, Prepared]) -> str:
    """The size of an input of a proof."""
    return next(size for size, prepared in samples.items() if _are_same(prepared.tensors, tensors))


def _are_same(one: Tensors, other: Tensors) -> bool:
    return all(one[name] is other[name] or np.array_equal(one[name], other[name]) for name in one)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers of 16 bits that NumPy itself does not know, in 32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def _read(path: Path, names: list[str]) -> Tensors:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[str(index)] for index, name in enumerate(names)}
