"""What a deploy name does not hold is in it as a digest."""

from __future__ import annotations

import pytest

from compiler.config import compose
from compiler.errors import UsageError

PLAIN = "pose-detection_simcc_onnxruntime_dynamic_256x192"


def name(*overrides, distinguishing=()):
    return str(compose(["model=rtmpose", *overrides], distinguishing=distinguishing).deploy_name)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["batch.largest=4"],
        ["+backend=onnxruntime", "shape=dynamic_256x192"],
        ["checkpoint=a.pth", "image=a.jpg", "box=1,2,3,4", "output=elsewhere", "cache_limit=3"],
    ],
)
def test_a_name_alone_stands_for_what_is_usual_whatever_goes_in(overrides):
    assert name(*overrides) == PLAIN


def test_every_other_key_makes_another_name():
    names = [
        name(override)
        for override in (
            "batch.largest=8",
            "batch.largest=16",
            "tail=host",
            "keypoints=[a]",
            "model.processing.flip_test=true",
            "backend.threads=2",
            "export.opset=19",
            "verify.tolerance=1e-3",
        )
    ]
    assert len(set(names)) == len(names)
    assert all(one.startswith(f"{PLAIN}+v") for one in names), "YAML takes 78e30 for a number"
    assert name("batch.largest=8", "checkpoint=a.pth") == names[0]


def test_weights_make_another_name_where_a_sweep_says_so():
    assert len({name(f"checkpoint={one}", distinguishing=[f"checkpoint={one}"]) for one in ("a.pth", "b.pth")}) == 2


def test_what_a_config_leaves_to_the_command_line_is_in_the_name(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("defaults: [torch, _self_]\ntarget: nets:Net\ninputs:\n  x: ???\n")
    names = {
        str(compose(["model=mine", f"model.inputs.x={shape}", "checkpoint=a.pth"], tmp_path).deploy_name)
        for shape in ("1x3x8x8", "1x3x9x9")
    }
    assert len(names) == 2
    assert all("+v" in name for name in names)
    with pytest.raises(UsageError, match="[Mm]issing mandatory value"):
        compose(["model=mine"], tmp_path)


def test_a_digest_cannot_be_composed_from():
    with pytest.raises(UsageError, match="settings that a name cannot hold") as caught:
        compose([f"deploy={name('batch.largest=8')}"])
    assert f"deploy={PLAIN}" in caught.value.fix


def test_a_module_of_ones_own_is_called_after_its_target():
    chosen = ["model=torch", "model.target=nets.small:Net"]
    assert compose(chosen).model.name == "nets-small-net"
    assert compose([*chosen, "model.name=mine"]).model.name == "mine"
    assert compose(["model=torch"]).model.name == "torch"
