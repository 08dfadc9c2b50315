"""Each task names what it is proven by; so does one of the user's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from compiler.errors import CompileError
from compiler.mmdeploy import sdk_model
from compiler.proof import TaskProof, proof_of
from compiler.tasks.detection import ObjectDetection
from tests.tasks.detectors import detector

FAMILIES = {
    "crnn": "characters",
    "dbnet": "1 - IoU",
    "pointpillars": "m",
    "rtmdet": "1 - IoU",
    "rtmpose": "px",
    "yoloxpose": "px",
}


@pytest.mark.parametrize("model", FAMILIES)
def test_every_family_has_a_proof_with_a_unit(model):
    task = detector(model)
    proof = proof_of(task)
    assert isinstance(proof, TaskProof)
    assert proof.task is task
    assert proof.unit == FAMILIES[model]


def test_a_task_that_derives_from_ours_is_proven_and_described_as_ours():
    class Mine(ObjectDetection):
        pass

    ours = detector("rtmdet")
    mine = Mine(**vars(ours))
    assert type(proof_of(mine)) is type(proof_of(ours))
    assert type(sdk_model(mine)) is type(sdk_model(ours))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("", "Empty module name"),
        ("compiler.proof.nosuch:Proof", "nosuch"),
        ("compiler.proof.detection:NoSuch", "NoSuch"),
        ("compiler.proof.detection:Detected", "no compiler.proof.TaskProof"),
        ("compiler.proof.detection", "has no attribute"),
    ],
)
def test_a_task_that_names_no_proof_is_refused_with_where_to_name_it(entry, why):
    class Mine(ObjectDetection):
        proof = entry

    with pytest.raises(CompileError, match="Mine does not say how it is proven") as caught:
        proof_of(Mine(**vars(detector("rtmdet"))))
    assert why in caught.value.why


def test_the_sdk_knows_no_point_clouds():
    assert sdk_model(detector("pointpillars")) is None


def test_running_a_task_imports_neither_its_proof_nor_what_mmdeploy_is_told():
    code = (
        "import sys, compiler.runtime\n"
        "import compiler.tasks.detection, compiler.tasks.pose.bottomup, compiler.tasks.text_recognition\n"
        "import compiler.tasks.text_detection, compiler.tasks.voxel_detection, compiler.tasks.arrays.task\n"
        "print([name for name in sys.modules if name.startswith(('compiler.proof', 'compiler.mmdeploy', 'torch'))])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
