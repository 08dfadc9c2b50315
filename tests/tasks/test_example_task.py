"""The task of one's own that `docs/tasks.md` shows: it is built, proven, drawn, and needs nothing else of the house."""

from pathlib import Path

import numpy as np
import pytest

from compiler.errors import CompileError
from compiler.mmdeploy import sdk_model
from compiler.proof import NETWORK, Tolerance, proof_of, prove
from compiler.tasks import build_task
from tests.tasks.example.classification import Guess

FOLDER = Path(__file__).parent / "example"
NODE = {
    "_target_": "tests.tasks.example.classification.Classification",
    "classes": {"names": ["dark", "bright"]},
    "side": 8,
    "mean": [127, 127, 127],
}


@pytest.fixture
def task():
    return build_task(NODE)


def network(tensors):
    """Tell bright images from dark ones."""
    brightness = tensors["input"].mean(axis=(1, 2, 3)) / 127
    return {"logits": np.stack([-brightness, brightness], axis=1)}


def off_by(error):
    return lambda tensors: {"logits": network(tensors)["logits"] + np.array([0, error])}


def test_it_runs_from_a_file_to_a_picture(task):
    sample = task.read(task.sample_source())
    (guess,) = task.decode(network(task.preprocess(sample).tensors), task.preprocess(sample))
    assert guess == Guess("dark", pytest.approx(0.5, abs=0.2))
    assert task.draw(sample, [guess]).shape == sample.source.shape
    with pytest.raises(CompileError, match="whole image"):
        task.preprocess(task.read(task.sample_source(), "0,0,4,4"))


def test_it_is_proven_as_our_own_are(task):
    proof = proof_of(task)
    samples = {"3x8x8": proof.samples(task.read(task.sample_source()), 3, (8, 8))}
    stages = [(NETWORK, network), ("exact", network), ("near", off_by(1e-3)), ("wrong", off_by(9))]
    exact, near, wrong = prove(stages, samples, proof, Tolerance(None, decoded=1e-2))
    assert exact.decoded == {"3x8x8": 0}
    assert 0 < near.decoded["3x8x8"] < 1e-2
    assert (exact.within, near.within, wrong.within) == (True, True, False)


def test_mmdeploys_sdk_has_no_such_task(task):
    assert sdk_model(task) is None


@pytest.mark.parametrize("name", ["classification.py", "proof.py"])
def test_the_documentation_shows_this_very_task(name):
    page = (Path(__file__).parents[2] / "docs/tasks.md").read_text()
    code = (FOLDER / name).read_text().split("\n\n\n", 1)[1].replace("tests.tasks.example", "mine")
    assert code.strip() in page
