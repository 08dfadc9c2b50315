"""A checkpoint of another number of classes or key points says so, with both numbers and what mends it."""

import pytest
import torch

from compiler.checkpoint import match
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.networks.catalogue import build_network
from compiler.networks.trained_counts import refusal_of_count, trained_count
from compiler.sources.user_module import UserModule

HEADS = [
    ("rtmdet-tiny", "classes=3", "3 classes, and the model has 80", "classes=3"),
    ("yolov3-mobilenetv2-320", "classes=2", "2 classes, and the model has 80", "classes=2"),
    ("retinanet-r18", "classes=[a]", "1 classes, and the model has 80", "classes=1"),
    ("rtmpose-t", "keypoints=26", "26 keypoints, and the model has 17", "keypoints=26"),
    ("simcc-mobilenetv2", "keypoints=[a,b]", "2 keypoints, and the model has 17", "keypoints=2"),
    ("yoloxpose-tiny", "keypoints=5", "5 keypoints, and the model has 17", "keypoints=5"),
]


def shapes(model, *overrides):
    """The shapes of a model's weights."""
    from compiler.networks import build

    with torch.device("meta"):
        state = build(compose([f"model={model}", *overrides]).model.network).state_dict()
    return {key: tuple(tensor.shape) for key, tensor in state.items() if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize(("model", "trained", "numbers", "fix"), HEADS)
def test_the_shapes_of_the_head_tell_the_number(model, trained, numbers, fix):
    network = compose([f"model={model}"]).model.network
    refused = refusal_of_count(network, shapes(model, trained), "mine.pth")
    assert refused is not None
    assert refused.what == f"the checkpoint was trained for {numbers}"
    assert fix in refused.fix
    assert refused.where == "mine.pth"


def test_what_differs_in_something_else_too_is_no_matter_of_the_number():
    network, other = compose(["model=rtmdet-tiny"]).model.network, shapes("rtmdet-tiny", "classes=3")
    assert refusal_of_count(network, shapes("rtmdet-tiny"), "mine.pth") is None
    stem = "backbone.stem.0.conv.weight"
    assert refusal_of_count(network, {**other, stem: (1, 2, 3, 3)}, "mine.pth") is None
    head = next(key for key in other if other[key] == (3,))
    assert refusal_of_count(network, {**other, head: (4,)}, "mine.pth") is None, "two heads of two numbers"


@pytest.mark.parametrize(
    ("found", "number"), [((18, 4), 3), ((6, 4), 1), ((19, 4), None), ((0, 4), None), ((18, 5), None)]
)
def test_a_number_may_stand_in_a_shape_several_times(found, number):
    assert trained_count({"w": found}, lambda count: {"w": (count * 6, 4)}, 80) == number


def test_build_network_loads_a_checkpoint_or_says_the_same(tmp_path):
    network = build_network("rtmpose-t", overrides=["keypoints=3"])
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    again = build_network("rtmpose-t", overrides=["keypoints=3"], checkpoint=tmp_path / "mine.pth")
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(again.parameters(), network.parameters(), strict=True))
    with pytest.raises(UsageError, match="trained for 3 keypoints, and the model has 17"):
        build_network("rtmpose-t", checkpoint=tmp_path / "mine.pth")


def test_a_target_that_takes_num_classes_is_told_so(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(
        "from torch import nn\n"
        "def make(num_classes=10, width=4):\n"
        "    return nn.Sequential(nn.Conv2d(3, width, 3), nn.Flatten(), nn.Linear(width, num_classes))\n"
        "def fixed(): return make()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    from own_nets import make

    torch.save(make(num_classes=7).state_dict(), tmp_path / "seven.pth")
    torch.save(make(num_classes=7, width=5).state_dict(), tmp_path / "wider.pth")

    def load(target, name):
        from compiler.sources import Checkpoint

        source = UserModule(target, {"input": "1x3x3x3"}, {})
        source.load(Checkpoint.of(tmp_path / name), tmp_path)

    with pytest.raises(UsageError, match="trained for 7 classes, and the network has 10") as caught:
        load("own_nets:make", "seven.pth")
    assert caught.value.fix == "add model.kwargs.num_classes=7"
    for target, name in (("own_nets:make", "wider.pth"), ("own_nets:fixed", "seven.pth")):
        with pytest.raises(CompileError, match="does not fit the network"):
            load(target, name)


def test_what_nobody_can_explain_is_told_as_before():
    network = torch.nn.Linear(2, 3)
    with pytest.raises(CompileError, match="does not fit"):
        match(network, torch.nn.Linear(2, 4).state_dict(), source="a.pth", explain=lambda found: None)
