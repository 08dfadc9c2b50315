"""Each deploy config of MMDeploy's, by its name: it composes to what it says there, or is refused with the reason."""

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml

from compiler.config import compose
from compiler.config.backend_facts import backend_facts
from compiler.config.deploy_overrides import check_named, named_run
from compiler.config.search import config_folder, config_loader
from compiler.errors import UsageError

FOLDERS = yaml.safe_load(Path(__file__).with_name("deploy_configs.yaml").read_text())
CONFIGS = {name: (folder, facts) for folder, one in FOLDERS.items() for name, facts in one["configs"].items()}
BACKENDS = frozenset(config_loader().get_group_options("backend"))
TASKS = {
    "ObjectDetection": "detection",
    "PoseDetection": "pose-detection",
    "TextDetection": "text-detection",
    "TextRecognition": "text-recognition",
    "VoxelDetection": "voxel-detection",
}
"""MMDeploy's tasks that are here, each with its name here."""
NO_MODEL = (
    "_detr_",
    "_rtmo_",
    "_mrcnn_",
    "two-stage_",
    "faster_rcnn_",
    "yolov3_partition",
    "yolo_partition",
    "yolox_p",
)
"""What names a model that is not here."""
MODELS = {
    "pose-detection_simcc": "rtmpose",
    "pose-detection_yolox-pose": "yoloxpose",
    "text-recognition": "crnn",
    "text-detection": "dbnet",
    "detection": "rtmdet",
    "single-stage": "rtmdet",
}
"""The model that a name stands for by what it begins with."""


def sides(text):
    return tuple(map(int, str(text).split("x")))


def refusal(name):
    """Why a name is refused whatever its sizes; empty where it is not."""
    folder, facts = CONFIGS[name]
    if FOLDERS[folder]["task"] not in (*TASKS, None) or name.startswith("mask_rcnn"):
        return "no such task here"
    if folder.startswith("_base_") or folder.endswith("_base_") or "backend" not in facts:
        return "none itself"
    if any(part in name for part in NO_MODEL):
        return "no such model here"
    if facts["backend"] == "sdk":
        return "sdk is no backend"
    if facts["backend"] not in BACKENDS:
        return f"no backend {facts['backend']} here"
    return "no model here has voxels of 64" if "nus-64x4" in name else ""


@pytest.mark.parametrize("name", [name for name in CONFIGS if refusal(name)])
def test_what_is_not_here_is_refused_with_the_reason(name):
    with pytest.raises(UsageError, match=refusal(name)) as caught:
        named_run([f"deploy={name}"])
    assert name in caught.value.where
    assert "did you mean" not in str(caught.value)


@cache
def base(*overrides):
    return compose(overrides)


def composed(name):
    """What `compose` gives for a name, with each model and each backend composed once."""
    named = named_run([f"deploy={name}"])
    parts = named.name
    chosen = dict(one.split("=") for one in named.implied(config_loader().get_group_options("model"), ()))
    model = base(f"model={chosen['model']}")
    backend = base(f"backend={chosen['backend']}", f"precision={parts.precision}")
    config = replace(model, backend=backend.backend, precision=parts.precision, shape=str(parts.shape))
    config.check()
    check_named(config, named)
    return config


def too_much(name):
    """Why an input is refused, for a backend that is here: of this size, or of colours."""
    _, facts = CONFIGS[name]
    shape = str(facts.get("shape", ""))
    if "300x300" in shape:
        return "multiples of 32x32"
    if "48x64" in shape:
        return "built for sizes from 32x32 to 32x640"
    if name.startswith("text-recognition") and shape and not shape.startswith("1x"):
        return "its input_channels is 3"
    return ""


def precisions(name):
    file = config_folder() / f"backend/{CONFIGS[name][1]['backend']}.yaml"
    return backend_facts(yaml.safe_load(file.read_text())).PRECISIONS


def runs_here(name):
    return not refusal(name) and CONFIGS[name][1]["precision"] in precisions(name)


@pytest.mark.parametrize("name", [name for name in CONFIGS if runs_here(name) and too_much(name)])
def test_an_input_that_no_network_here_takes_is_refused(name):
    with pytest.raises(UsageError) as caught:
        composed(name)
    assert too_much(name) in str(caught.value)


@pytest.mark.parametrize("name", [name for name in CONFIGS if runs_here(name) and not too_much(name)])
def test_a_name_composes_to_what_it_says(name):
    folder, facts = CONFIGS[name]
    config = composed(name)
    assert config.model.task == TASKS[FOLDERS[folder]["task"]]
    assert (config.backend["name"], config.precision) == (facts["backend"], facts["precision"])
    assert config.resolved_shape.dynamic == (facts["kind"] == "dynamic")
    assert config.model.name == model_of(name)
    check_sizes(config, facts)


def model_of(name):
    """The model that a name stands for: heat maps where a pose has no algorithm, of the size that it has."""
    if "kitti" in name or name.startswith("voxel-detection_onnxruntime"):
        return "pointpillars"
    if "nus-20x5" in name:
        return "centerpoint"
    known = next((model for head, model in MODELS.items() if name.startswith(head)), None)
    sizes = {"256x256": "hourglass", "384x384": "hourglass-384x384"}
    return known or sizes.get(CONFIGS[name][1].get("shape"), "hrnet")


def check_sizes(config, facts):
    """MMDeploy's smallest and largest sizes are ours, and its usual one is within them."""
    shape = str(facts.get("shape", ""))
    given = [sides(size)[-2:] for size in shape.split("-")] if shape[:1].isdigit() else []
    read = [sides(size) for size in facts.get("shapes", ())]
    sizes = config.sizes
    if len(read) == 3 or len(given) == 2:
        smallest, *_, largest = read or given
        assert (sizes.smallest, sizes.largest) == (smallest, largest)
    elif given or read:
        assert sizes.usual == (read or given)[0]
    for size in read:
        assert all(low <= side <= high for low, side, high in zip(sizes.smallest, size, sizes.largest, strict=True))
    if facts["kind"] == "static":
        assert len(config.proof_inputs) == 1
    if "voxel" in facts:
        voxels = config.model.processing["voxelization"]["max_num_points"]
        assert [voxels, config.model.processing["used_dimensions"]] == facts["voxel"]


def test_the_walk_counts_them_all():
    kinds = Counter(
        "refused"
        if refusal(name)
        else "too large"
        if too_much(name)
        else "composed"
        if runs_here(name)
        else "precision"
        for name in CONFIGS
    )
    assert sum(kinds.values()) == len(CONFIGS) == 367
    assert kinds["composed"] >= 60
    assert kinds["refused"] >= 150


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("pose-detection_yolox-pose_onnxruntime_dynamic", "pose-detection_yoloxpose_onnxruntime_dynamic_640x640"),
        ("pose-detection_onnxruntime_static", "pose-detection_hrnet_onnxruntime_static_256x192"),
        ("pose-detection_tensorrt_static-256x256", "pose-detection_hourglass_tensorrt_static_256x256"),
        (
            "voxel-detection_tensorrt_dynamic-kitti-32x4",
            "voxel-detection_pointpillars_tensorrt_dynamic_2000-9000",
        ),
        (
            "detection_tensorrt_fp16_dynamic-320x320-1344x1344",  # as MMDeploy 0 wrote it
            "detection_rtmdet_tensorrt-fp16_dynamic_320x320-1344x1344",
        ),
    ],
)
def test_the_run_goes_by_a_name_of_ours_that_gives_it_again(name, ours):
    config = compose([f"deploy={name}"])
    assert str(config.deploy_name) == ours
    assert compose([f"deploy={ours}"]) == config


def test_a_graph_that_ends_before_the_suppression_has_the_hosts_tail():
    config = compose(["deploy=single-stage_partition_onnxruntime_static"])
    assert config.tail == "host"
    assert config == compose(["model=rtmdet", "shape=static", "tail=host"])
    assert config.variant == compose(["model=rtmdet", "shape=static", "tail=host"]).variant


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["deploy=pose-detection_simcc_onnxruntime_dynamic", "model=hrnet"], "the deploy name says 'simcc'"),
        (["deploy=pose-detection_yolox-pose_onnxruntime_dynamic", "model=rtmpose"], "the deploy name says 'yoloxpose'"),
        (["deploy=detection_onnxruntime_static", "model=hrnet"], "not one for the task 'detection'"),
        (["deploy=voxel-detection_tensorrt_dynamic-nus-20x5", "model=pointpillars"], "its max_num_points is 20"),
        (["deploy=text-recognition_tensorrt_dynamic-32x32-32x640"], "its input_channels is 3"),
    ],
)
def test_a_model_that_is_not_what_the_name_says_is_refused(overrides, said):
    with pytest.raises(UsageError, match=said):
        compose(overrides)


@pytest.mark.parametrize(
    ("overrides", "model"),
    [
        (["deploy=pose-detection_simcc_onnxruntime_dynamic", "model=simcc-res50"], "simcc-res50"),
        (["deploy=pose-detection_onnxruntime_static", "model=mspn"], "mspn"),
        (["deploy=pose-detection_tensorrt_static-256x256", "model=hourglass-52"], "hourglass"),
        (["deploy=detection_onnxruntime_static", "model=retinanet"], "retinanet"),
    ],
)
def test_a_model_that_is_what_the_name_says_is_taken(overrides, model):
    assert compose(overrides).model.name == model


@pytest.mark.parametrize(
    "path", ["detection_onnxruntime_static.py", "configs/mmdet/detection/detection_onnxruntime_static"]
)
def test_a_file_is_chosen_by_its_name(path):
    with pytest.raises(UsageError, match="its file is not read") as caught:
        compose([f"deploy={path}"])
    assert caught.value.fix.startswith("deploy=detection_onnxruntime_static,")


@pytest.mark.parametrize("backend", ["pplnn", "ppl", "ascend", "snpe", "tvm", "vacc"])
def test_a_backend_that_nobody_can_install_is_explained(backend):
    for overrides in ([f"backend={backend}"], [f"deploy=detection_{backend}_static"]):
        with pytest.raises(UsageError) as caught:
            compose(overrides)
        assert "the nearest is onnxruntime" in caught.value.fix
        assert "Python distribution" in caught.value.why or "PyPI" in caught.value.why


def test_a_misspelt_backend_is_still_offered_the_nearest():
    with pytest.raises(UsageError, match="did you mean tensorrt"):
        compose(["backend=tensorrrt"])
