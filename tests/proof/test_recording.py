"""What is kept of a proof: one input and what the engine was held against, small, exact, and no more than data."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace

import numpy as np
import pytest

from compiler.config import compose
from compiler.config.sizes import InputSize
from compiler.errors import CompileError
from compiler.proof import Tolerance, proof_of
from compiler.proof.arrays import RawTensorsProof
from compiler.proof.prepared_values import numbers_in, with_numbers
from compiler.proof.recording import (
    CHOSEN,
    LARGEST_INPUTS,
    LARGEST_OUTPUTS,
    RECORDED_FILE,
    Recording,
    chosen_places,
    recording_of,
)
from compiler.proof.verdicts import Reference, Stage
from compiler.tasks import Sample, build_task
from compiler.tasks.arrays.task import PreparedArrays, RawTensors

TIGHT = Tolerance(1e-4, None)
SMALL, USUAL, LARGE = InputSize(1, (4,)), InputSize(1, (8,)), InputSize(4, (8,))


def proof(outputs=("y",)):
    return RawTensorsProof(RawTensors({"x": "nx3xs:float32"}, outputs, axis_lengths={"s": "4-8"}))


def reference(size, outputs, side=8, **candidates):
    tensors = {"x": np.arange(size.batch * 3 * side, dtype=np.float32).reshape(size.batch, 3, side)}
    return Reference(str(size), PreparedArrays(tensors), outputs, candidates.get("candidates"), candidates.get("tied"))


def recorded(*references, usual=USUAL):
    return recording_of("network", references, (SMALL, USUAL, LARGE), usual, proof())


def run_of(outputs):
    return Stage(lambda tensors: outputs, lambda: None, lambda: None)


def heavy(size=LARGEST_OUTPUTS // 8 + 1):
    return {"y": np.random.default_rng(0).standard_normal((1, size))}


def test_a_recording_is_read_as_it_was_written(tmp_path):
    odd = {"../y": np.float32([[1, -0.0, np.inf, np.nan]]), "file": np.array([[True]]), "a/b": np.int64([[2**62]])}
    kept = recorded(reference(USUAL, odd, candidates={"0/boxes": np.ones((1, 2, 4))}, tied={"0/boxes": np.ones(3)}))
    kept.save(tmp_path)
    found = Recording.load(tmp_path)
    assert (found.size, found.reference) == (USUAL, "network")
    for side, other in ((found.outputs, odd), (found.candidates, kept.candidates), (found.tied, kept.tied)):
        assert side.keys() == other.keys()
        assert all(side[name].tobytes() == other[name].tobytes() for name in other)
        assert all(side[name].dtype == other[name].dtype for name in other)
    assert all(".." not in name.split("/") for name in zipfile.ZipFile(tmp_path / RECORDED_FILE).namelist())


def test_the_same_recording_is_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        recorded(reference(USUAL, {"y": np.ones((1, 3))})).save(tmp_path / folder)
    assert (tmp_path / "a" / RECORDED_FILE).read_bytes() == (tmp_path / "b" / RECORDED_FILE).read_bytes()


def test_the_usual_input_is_kept_and_the_smallest_where_that_is_too_large():
    light = {"y": np.ones((1, 3))}
    assert recorded(reference(SMALL, light), reference(USUAL, light), reference(LARGE, light)).size == USUAL
    assert recorded(reference(SMALL, light), reference(USUAL, heavy())).size == SMALL
    too_large = LARGEST_INPUTS // 12 + 1
    assert recorded(reference(SMALL, light), reference(USUAL, light, side=too_large)).size == SMALL
    assert recorded(reference(USUAL, light, side=too_large)) is None


def test_an_input_in_which_something_is_found_goes_before_one_in_which_nothing_is():
    nothing = {"y": np.ones((1, 0))}
    assert recorded(reference(SMALL, {"y": np.ones((1, 3))}), reference(USUAL, nothing)).size == SMALL
    open_too = reference(USUAL, nothing, candidates={"y": np.ones(3)})
    assert recorded(reference(SMALL, {"y": np.ones((1, 3))}), open_too).size == USUAL


def test_whole_outputs_are_decoded_and_held_to_the_tolerance():
    outputs = {"y": np.random.default_rng(0).standard_normal((1, 3, 8)).astype(np.float32)}
    kept, given = recorded(reference(USUAL, outputs)), reference(USUAL, outputs).prepared
    proven = kept.prove(run_of(outputs), given, proof(), TIGHT)
    assert proven.within
    assert proven.decoded == {"1x8": 0.0}
    assert str(proven.weakest) == "1 outputs, 24 numbers"
    off = {"y": outputs["y"] + np.float32(1e-3) * np.eye(1, 24, dtype=np.float32).reshape(1, 3, 8)}
    beyond = kept.prove(run_of(off), given, proof(), TIGHT)
    assert not beyond.within
    assert "y of 1x8 has" in beyond.faults[0]


def test_of_large_outputs_numbers_are_chosen_over_the_whole(tmp_path):
    outputs = heavy()
    kept = recorded(reference(USUAL, outputs))
    assert not kept.outputs
    kept.save(tmp_path)
    assert (tmp_path / RECORDED_FILE).stat().st_size < CHOSEN * 9
    found, given = Recording.load(tmp_path), reference(USUAL, outputs).prepared
    proven = found.prove(run_of(outputs), given, proof(), TIGHT)
    assert proven.within
    assert str(proven.weakest) == f"{len(chosen_places(outputs['y'].size))} of {outputs['y'].size} numbers, not decoded"
    scaled = found.prove(run_of({"y": outputs["y"] * 1.001}), given, proof(), TIGHT)
    assert not scaled.within
    for odd in ({"y": outputs["y"][:, 1:]}, {}):
        assert not found.prove(run_of(odd), given, proof(), TIGHT).within


@pytest.mark.parametrize("count", [0, 1, CHOSEN, CHOSEN + 1, 10 * CHOSEN + 7, 1 << 40])
def test_chosen_places_are_spread_evenly_and_never_outside(count):
    places = chosen_places(count)
    assert np.all(np.diff(places) > 0)
    assert count == 0 or (places[0] >= 0 and places[-1] < count)
    assert len(places) >= min(count, CHOSEN // 2)
    gaps = np.diff([-1, *places, count])
    assert gaps.max(initial=1) <= max(1, 4 * count // CHOSEN + 1)


@pytest.mark.parametrize("model", ["rtmpose", "rtmdet-tiny", "crnn", "dbnet", "pointpillars"])
def test_the_numbers_of_any_tasks_input_are_put_back_into_another_of_its_form(model):
    config = compose([f"model={model}"])
    task = build_task(config.model.processing)
    own, sample = proof_of(task), task.read(task.sample_source())
    size = config.proof_inputs[0]
    prepared = own.samples(sample, size.batch, size.size)
    other = own.samples(Sample(changed(sample.source), sample.boxes), size.batch, size.size)
    numbers = dict(numbers_in(prepared))
    again = with_numbers(other, numbers)
    assert type(again) is type(prepared)
    assert {place: one.tobytes() for place, one in numbers_in(again)} == {
        p: one.tobytes() for p, one in numbers.items()
    }
    assert {f"tensors/{name}" for name in prepared.tensors} <= numbers.keys()
    assert any(one.tobytes() != numbers[place].tobytes() for place, one in numbers_in(other))


def changed(source):
    return np.ascontiguousarray(source[: len(source) // 2, ::-1]) if source.ndim == 3 else source[::3]


def test_a_number_that_is_missing_or_of_another_type_is_refused():
    prepared = PreparedArrays({"x": np.zeros((1, 2), np.float32)})
    for odd in ({}, {"tensors/x": np.zeros((1, 2))}, {"tensors/x": np.zeros(2, np.float32)}):
        with pytest.raises(ValueError, match="tensors/x"):
            with_numbers(prepared, odd)


def test_an_input_that_is_no_dataclass_is_not_kept():
    class Plain:
        def __init__(self):
            self.tensors = {"x": np.ones((1, 3, 8), np.float32)}

    one = replace(reference(USUAL, {"y": np.ones((1, 3))}), prepared=Plain())
    assert recorded(one) is None


@dataclass
class Pickled:
    size: int = 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no archive"),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: np.savez(path, version=1, size=[1, 8], reference="network"),
        lambda path: np.savez(path, version=2, size=[1, 8], reference="network", **{"output/y": [1.0]}),
        lambda path: np.savez(path, version=1, size=[1, 8], reference="network", **{"output/y": [Pickled()]}),
        lambda path: np.savez(path, version=1, size=["a"], reference="network", **{"output/y": [1.0]}),
        lambda path: np.savez(path, version=1, size=[1, 8], reference="", **{"chosen/y/numbers": [1.0]}),
        lambda path: np.savez(
            path, version=1, size=[1, 8], reference="",
            **{"chosen/y/numbers": [1.0], "chosen/y/shape": [1 << 50], "chosen/y/yardstick": "σ", "chosen/y/length": 1},
        ),
        lambda path: np.savez_compressed(path, x=np.zeros((1 << 27) + 1, np.int8)),
    ],
)  # fmt: skip
def test_a_file_that_is_no_recording_is_one_error(tmp_path, damage):
    recorded(reference(USUAL, {"y": np.ones((1, 3))})).save(tmp_path)
    damage(tmp_path / RECORDED_FILE)
    with pytest.raises(CompileError, match=f"{RECORDED_FILE} is no recording of a proof"):
        Recording.load(tmp_path)
