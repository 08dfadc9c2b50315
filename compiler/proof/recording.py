"""One input of a proof, and what the engine was held against there, as a file: with it a bundle is proven anywhere.

Outputs are kept whole where they are small. Of large ones numbers are chosen, evenly over the whole, which are compared
and not decoded.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Lock, Tensors, located, reading, require_file, require_files, written_whole
from compiler.config.sizes import InputSize
from compiler.errors import CompileError
from compiler.numerics import Yardstick, yardstick_of
from compiler.proof.basis import Basis
from compiler.proof.comparisons import Comparison, Tolerance, compare_arrays
from compiler.proof.prepared_values import numbers_in, with_numbers
from compiler.proof.task_proof import AnyProof
from compiler.proof.verdicts import Reference, Stage, StageProof, prove_stage
from compiler.tasks import AnySample, Prepared
from compiler.tasks.arrays.files import load_plain

RECORDED_FILE = "recorded.npz"
NOT_FITTING = "the recording does not fit the bundle"
VERSION = 1
LARGEST_INPUTS = 32 * 2**20
"""Bytes of the inputs, unpacked: a larger one is not kept."""
LARGEST_OUTPUTS = 8 * 2**20
"""Bytes of what the reference gives, unpacked: of more, numbers are chosen."""
CHOSEN = 1 << 16
"""How many, of each output."""
LARGEST_UNPACKED = 128 * 2**20
"""Bytes of a whole recording."""
_STEP = 0x9E3779B97F4A7C15
"""An odd number whose multiples fall evenly on any range: the golden section of 2^64."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some numbers of a large output.

    Attributes:
        shape: Of the output.
        numbers: Those at `chosen_places`.
        yardstick: Of all numbers of the output.
    """

    shape: tuple[int, ...]
    numbers: NDArray[Any]
    yardstick: Yardstick

    @classmethod
    def of(cls, output: NDArray[Any]) -> Chosen:
        """Those of an output."""
        return cls(output.shape, output.ravel()[chosen_places(output.size)], yardstick_of(output))

    def compare(self, name: str, found: NDArray[Any] | None, size: str) -> Comparison:
        """Compare them with those of another output; one of another shape is infinitely wrong."""
        is_alike = found is not None and found.shape == self.shape
        numbers = found.ravel()[chosen_places(found.size)] if found is not None and is_alike else None
        return compare_arrays(name, self.numbers, numbers, size, self.yardstick)


def chosen_places(count: int) -> NDArray[np.int64]:
    """The places of the numbers that are chosen of so many, in their order."""
    if count <= CHOSEN:
        return np.arange(count)
    steps = np.arange(CHOSEN, dtype=np.uint64) * np.uint64(_STEP)  # modulo 2^64
    return np.unique((steps.astype(np.float64) / 2.0**64 * count).astype(np.int64).clip(0, count - 1))


@dataclass(frozen=True, eq=False)
class Recording:
    """One input, and what the engine was held against.

    Attributes:
        size: Of the input.
        reference: The name of what gave the outputs.
        numbers: All numbers of the prepared input, by their places in it.
        outputs: Whole; none where numbers were chosen.
        chosen: Of each output; none where they are whole.
        candidates: See `Reference`.
        tied: See `Reference`.
    """

    size: InputSize
    reference: str
    numbers: Mapping[str, NDArray[Any]]
    outputs: Tensors = field(default_factory=dict)
    chosen: Mapping[str, Chosen] = field(default_factory=dict)
    candidates: Tensors | None = None
    tied: Tensors | None = None

    def prepared(self, proof: AnyProof, sample: AnySample) -> Prepared:
        """The input as the task prepares one.

        Args:
            proof: Of the task.
            sample: Any; it lends the form, and none of its numbers.

        Raises:
            ValueError: The task prepares an input in another form.
        """
        form: Prepared = proof.samples(sample, self.size.batch, self.size.size)
        return with_numbers(form, self.numbers)

    def prove(self, stage: Stage, prepared: Prepared, proof: AnyProof, tolerance: Tolerance) -> StageProof:
        """The proof of a stage, which has no name yet, on this input alone."""
        size = str(self.size)
        if not self.chosen:
            reference = Reference(size, prepared, self.outputs, self.candidates, self.tied)
            return prove_stage(stage, [reference], proof, tolerance)
        found = stage.run(prepared.tensors)
        comparisons = tuple(one.compare(name, found.get(name), size) for name, one in self.chosen.items())
        faults = tuple(f"{one.output} of {size} has {fault}" for one in comparisons for fault in tolerance.faults(one))
        count, of = (sum(counts) for counts in zip(*map(_counts, self.chosen.values()), strict=True))
        basis = Basis(count, 0, proof.things, chosen_of=of)
        return StageProof("", "", comparisons, {}, not faults, bases={size: basis}, faults=faults)

    def save(self, folder: Path) -> None:
        """Write the file; the same recording is the same bytes."""
        arrays = {
            "version": np.array(VERSION),
            "size": np.array([self.size.batch, *self.size.size]),
            "reference": np.array(self.reference),
            **_named("input", self.numbers),
            **_named("output", self.outputs),
            **_named("candidates", self.candidates or {}),
            **_named("tied", self.tied or {}),
        }
        for name, one in self.chosen.items():
            parts = {"numbers": one.numbers, "shape": np.array(one.shape, np.int64)}
            length = {"yardstick": np.array(one.yardstick.name), "length": np.array(one.yardstick.length)}
            arrays |= {f"chosen/{quote(name, safe='')}/{part}": value for part, value in (parts | length).items()}
        _write(folder / RECORDED_FILE, arrays)

    @classmethod
    def load(cls, folder: Path) -> Recording:
        """The recording in a bundle.

        Raises:
            CompileError: There is none, or it is damaged.
        """
        path = located(folder, RECORDED_FILE)
        require_file(path, f"the recording {RECORDED_FILE}")
        with reading(path, f"{RECORDED_FILE} is no recording of a proof", fix="compile the bundle again"):
            arrays = load_plain(path, LARGEST_UNPACKED)
            if not isinstance(arrays, dict) or int(arrays["version"]) != VERSION:
                raise ValueError(f"it is none of version {VERSION}")
            batch, *size = map(int, arrays["size"])
            found = cls(
                size=InputSize(batch, tuple(size)),
                reference=str(arrays["reference"]),
                numbers=_below("input", arrays),
                outputs=_below("output", arrays),
                chosen=_chosen(arrays),
                candidates=_below("candidates", arrays) or None,
                tied=_below("tied", arrays) or None,
            )
            if bool(found.outputs) == bool(found.chosen):
                raise ValueError("it has no outputs, or some twice")
            return found


def recorded_in(folder: Path, lock: Lock | None, sizes: Collection[InputSize]) -> Recording | None:
    """The recording in a bundle; None where it keeps none.

    Args:
        folder: The bundle.
        lock: What its files are held to; None where changes are trusted.
        sizes: Of the inputs that the bundle is proven on.

    Raises:
        CompileError: It was changed, is damaged, or is of an input that the bundle is not proven on.
    """
    if not (lock and RECORDED_FILE in lock.files) and not (folder / RECORDED_FILE).exists():
        return None
    require_files(folder, (RECORDED_FILE,), lock)
    recording = Recording.load(folder)
    if recording.size not in sizes:  # before anything as large is made
        raise CompileError(
            NOT_FITTING,
            where=str(folder / RECORDED_FILE),
            why=f"no proof of it is made on {recording.size}",
            fix="compile it again",
        )
    return recording


def recording_of(
    name: str, references: Sequence[Reference], inputs: Sequence[InputSize], usual: InputSize, proof: AnyProof
) -> Recording | None:
    """What is kept of a proof; None where every input is too large.

    The usual input where all that belongs to it is small, else the smallest of which that is true; where it is true of
    none, chosen numbers of the usual one, or of the first that is small enough itself. What says something goes before
    what says nothing: an input in which there is nothing to compare.

    Args:
        name: Of what gave the outputs.
        references: What it gave, for each input.
        inputs: Their sizes.
        usual: The size that an engine is best at.
        proof: Counts what there is to compare.
    """
    sizes = {str(size): size for size in inputs}
    ordered = sorted(references, key=lambda one: one.size != str(usual))
    fitting = [one for one in ordered if _bytes(one.prepared.tensors) <= LARGEST_INPUTS and _is_told(one.prepared)]
    whole = [one for one in fitting if _bytes(one.outputs, one.candidates, one.tied) <= LARGEST_OUTPUTS]
    for one in sorted(whole, key=lambda one: not _says_something(one, proof)):
        numbers = dict(numbers_in(one.prepared))
        return Recording(sizes[one.size], name, numbers, outputs=one.outputs, candidates=one.candidates, tied=one.tied)
    for one in fitting:
        chosen = {output: Chosen.of(array) for output, array in one.outputs.items()}
        return Recording(sizes[one.size], name, dict(numbers_in(one.prepared)), chosen=chosen)
    return None


def _is_told(prepared: Prepared) -> bool:
    """Whether the numbers of a prepared input hold what the network is given: not of a class that is no dataclass."""
    return {f"tensors/{name}" for name in prepared.tensors} <= {place for place, _ in numbers_in(prepared)}


def _says_something(reference: Reference, proof: AnyProof) -> bool:
    return bool(proof.count(reference.outputs)) or reference.candidates is not None


def _counts(one: Chosen) -> tuple[int, int]:
    return one.numbers.size, int(np.prod(one.shape, dtype=np.int64))


def _bytes(*groups: Tensors | None) -> int:
    return sum(tensor.nbytes for group in groups for tensor in (group or {}).values())


def _named(group: str, tensors: Tensors) -> dict[str, NDArray[Any]]:
    """Arrays by the names that they have in the file: no name leads out of the folder of its group."""
    return {f"{group}/{quote(name, safe='')}": tensor for name, tensor in tensors.items()}


def _below(group: str, arrays: Tensors) -> dict[str, NDArray[Any]]:
    """The arrays of a group, by their own names."""
    return {
        unquote(name.removeprefix(f"{group}/")): array for name, array in arrays.items() if name.startswith(f"{group}/")
    }


def _chosen(arrays: Tensors) -> dict[str, Chosen]:
    names = [name.split("/")[1] for name in arrays if name.startswith("chosen/") and name.endswith("/numbers")]
    return {unquote(name): _chosen_in(arrays, f"chosen/{name}") for name in names}


def _chosen_in(arrays: Tensors, place: str) -> Chosen:
    shape = tuple(int(side) for side in arrays[f"{place}/shape"])
    if arrays[f"{place}/numbers"].shape != chosen_places(int(np.prod(shape, dtype=np.int64))).shape:
        raise ValueError(f"{place} has another number of numbers than are chosen")
    length = float(arrays[f"{place}/length"])
    if not 0 < length < np.inf:
        raise ValueError(f"{place} has no yardstick")
    return Chosen(shape, arrays[f"{place}/numbers"], Yardstick(str(arrays[f"{place}/yardstick"]), length))


def _write(path: Path, arrays: Tensors) -> None:
    with written_whole(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # of no time
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
