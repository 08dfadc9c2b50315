"""Any torch module through the command line: compiled, proven, and run as a bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from compiler import runtime
from compiler.report import Report

NETS = """
import torch
from torch import nn
from blocks import Block

class Two(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.block = Block(width)
        self.embedding = nn.Embedding(10, width)

    def forward(self, x, ids):
        features = self.block(x)
        return {"map": features, "sums": (features.mean((2, 3)), self.embedding(ids).sum(1)), "nothing": None}

class Unstable(nn.Module):
    def forward(self, x):
        return [x] * len(x)

class Words(nn.Module):
    def forward(self, ids, mask, k):
        return ids * mask + k, (ids * mask).sum()

class Stubborn(nn.Module):
    def forward(self, x):
        return x.reshape(1, 12)
"""
BLOCKS = """
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x):
        return self.bn(self.conv(x)).relu()
"""
TWO = ("model=torch", "model.target=nets:Two", "model.kwargs.width=4", "model.inputs.x=1x3x8x8")
IDS = "model.inputs.ids=1x5:int64:0-9"


def bundle_in(folder):
    """Return the one bundle in a folder, which is named after its target."""
    (found,) = (path for path in folder.glob("outputs/tensors_nets-two_onnxruntime_dynamic*") if path.is_dir())
    return str(found)


@pytest.fixture
def in_folder(here):
    """A command line in a folder that holds the user's own code."""
    (here.folder / "nets.py").write_text(NETS)
    (here.folder / "blocks.py").write_text(BLOCKS)
    return here


def test_a_module_with_two_inputs_and_a_dictionary_is_compiled_proven_and_run(in_folder, command_line):
    run = command_line(*TWO, IDS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "the weights are those that model.target makes" in " ".join((run.stdout + run.stderr).split())
    report = Report.load(Path(bundle_in(in_folder.folder)))
    assert not report.problem
    assert {c.output for proof in report.proofs for c in proof.comparisons} == {"map", "sums_0", "sums_1"}
    assert {c.input for proof in report.proofs for c in proof.comparisons} == {"1", "4"}

    np.savez(in_folder.folder / "in.npz", x=np.ones((6, 3, 8, 8), np.float32), ids=np.arange(30).reshape(6, 5) % 10)
    run = in_folder("predict", bundle_in(in_folder.folder), "in.npz", "picture=out.png", "arrays=out.npz")
    assert run.returncode == 0, run.stdout + run.stderr
    assert [(result["name"], result["shape"]) for result in json.loads(run.stdout)] == [
        ("map", [6, 4, 8, 8]),
        ("sums_0", [6, 4]),
        ("sums_1", [6, 4]),
    ]
    written = np.load(in_folder.folder / "out.npz")
    assert written["map"].shape == (6, 4, 8, 8)
    assert (in_folder.folder / "out.png").is_file()

    assert "up to date" in in_folder(*TWO, IDS).stdout
    (in_folder.folder / "blocks.py").write_text(BLOCKS.replace(".relu()", ".tanh()"))
    assert "up to date" not in in_folder(*TWO, IDS).stdout
    in_folder("predict", bundle_in(in_folder.folder), "in.npz", "arrays=changed.npz")
    assert not np.allclose(np.load(in_folder.folder / "changed.npz")["map"], written["map"])


def test_a_checkpoint_is_loaded_whole_or_not_at_all(in_folder):
    weights = {
        "embedding.weight": torch.full((10, 4), 2.0),
        "block.conv.weight": torch.zeros(4, 3, 3, 3),
        "block.conv.bias": torch.ones(4),
        **{f"block.bn.{name}": torch.ones(4) for name in ("weight", "bias", "running_mean", "running_var")},
    }
    torch.save({"model_state_dict": weights}, in_folder.folder / "weights.pth")
    run = in_folder(*TWO, IDS, "checkpoint=weights.pth")
    assert run.returncode == 0, run.stdout + run.stderr
    np.savez(in_folder.folder / "in.npz", x=np.ones((1, 3, 8, 8)), ids=np.zeros((1, 5), int))
    in_folder("predict", bundle_in(in_folder.folder), "in.npz", "arrays=out.npz")
    assert np.allclose(np.load(in_folder.folder / "out.npz")["sums_1"], 10)

    del weights["embedding.weight"]
    torch.save(weights, in_folder.folder / "part.pth")
    run = in_folder(*TWO, IDS, "checkpoint=part.pth")
    assert run.returncode == 1
    assert "1 keys missing: embedding.weight" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("model=torch",), "there are no inputs"),
        (("model=torch", "model.inputs.x=1x3"), "the network's target is missing"),
        (TWO, "the network's forward needs the argument 'ids'"),
        ((*TWO, "model.inputs.ids=5 numbers"), "a shape is written 1x3x224x224"),
        ((*TWO, "model.inputs.ids=1x5"), "the network fails on its inputs"),
        (("model=torch", "model.target=nets:Unstable", "model.inputs.x=1x3"), "other outputs from one run to the next"),
        (("model=torch", "model.target=nets:Stubborn", "model.inputs.x=1x3x4"), "use shape=static"),
        ((*TWO, IDS, "image=a.jpg"), "nets-two does not look at image"),
        (("model=rtmpose", "arrays=a.npz"), "rtmpose does not look at arrays"),
    ],
)
def test_what_cannot_be_compiled_is_said(in_folder, arguments, said):
    run = in_folder(*arguments)
    assert run.returncode in (1, 2)
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_a_module_with_axes_of_one_name_a_scalar_and_a_batch_behind_them(in_folder):
    inputs = ("ids=seqxn:int64:0-9", "mask=seqxn:int8:0-1", "k=scalar:int64:1-3")
    axes = ("model.axes.seq=3-5-8", "model.axes.n=1-2")
    run = in_folder("model=torch", "model.target=nets:Words", *(f"model.inputs.{one}" for one in inputs), *axes)
    assert run.returncode == 0, run.stdout + run.stderr
    (bundle,) = (path for path in in_folder.folder.glob("outputs/tensors_nets-words_*") if path.is_dir())
    proofs = Report.load(bundle).proofs
    assert {comparison.input for proof in proofs for comparison in proof.comparisons} == {"1x3", "1x5", "2x8"}
    predictor = runtime.open(bundle)
    assert [spec.shape for spec in predictor.engine.inputs] == [("seq", "batch"), ("seq", "batch"), ()]
    ids = np.arange(8).reshape(4, 2)
    found = predictor.run({"ids": ids, "mask": np.ones((4, 2), np.int8), "k": np.array(7)})
    assert found["output_0"].tolist() == (ids + 7).tolist()
    assert found["output_1"] == 28
