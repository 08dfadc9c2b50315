"""Every model in conf/model is whole: it composes, builds, names its original, and is found again by its own name."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from compiler.config import compose
from compiler.config.schema import TAILS
from compiler.networks import build, with_tail
from compiler.proof import proof_of
from compiler.tasks import build_task

FOLDER = Path(__file__).parents[1] / "conf"
FILES = {path.stem: path for path in (FOLDER / "model").glob("*.yaml")}
CONTENTS = {name: yaml.safe_load(path.read_text()) for name, path in FILES.items()}
STANDING = yaml.safe_load((FOLDER / "deploy_names.yaml").read_text())

# A second name of a model holds nothing but a reference to it.
ALIASES = {name: content["defaults"][0] for name, content in CONTENTS.items() if list(content) == ["defaults"]}
# The user's own network has nothing that could be compared.
OWN = {name for name, content in CONTENTS.items() if content.get("network") == {}}
MODELS = sorted(FILES.keys() - ALIASES.keys() - OWN)

# Those that stand for the algorithms, and then the rest.
ONE_OF_EACH = [
    pytest.param(name, marks=() if name in STANDING["algos"].values() else pytest.mark.slow) for name in MODELS
]

# Of the models that take any size, those that the others are variants of.
DETECTORS = [name for name, content in CONTENTS.items() if {"stride", "tail"} <= set(content)]


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def config(name):
    return compose_model(name)


@cache
def compose_model(name):
    return compose([f"model={name}"])


def sample(task, size):
    """Return the network's inputs for one item, made from what ships with the task."""
    return proof_of(task).samples(task.read(task.sample_source()), 1, size).tensors


def output_shapes(model):
    """Return the shapes of what a model's network with its tail gives for one small item."""
    task = build_task(model.processing)
    inputs = sample(task, model.smallest_shape or model.input_shape)
    # Shapes need no computing, unless the number of items is one of the values.
    with torch.device("meta" if task.batched else "cpu"), torch.no_grad():
        network = build(model.network)
        network = with_tail(network, model.tail) if model.tail else network
        return [list(output.shape) for output in network(*(torch.tensor(tensor) for tensor in inputs.values()))]


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_first_line_says_what_it_is(name):
    assert re.fullmatch(r"# \w.+\.", FILES[name].read_text().splitlines()[0])


def test_a_model_is_called_like_its_file(name, config):
    assert config.model.name == name


def test_it_names_the_original(config):
    assert re.fullmatch(r"(mmpose|mmdet|mmocr|mmdet3d)/\.mim/configs/.+\.py", config.model.openmmlab)


def test_the_official_checkpoint_carries_its_digest_in_its_name(config):
    official = config.model.official
    assert official.url.startswith("https://download.openmmlab.com/mm")
    assert re.fullmatch(r"[0-9a-f]{8}", official.sha256)
    assert official.sha256 in re.split(r"[-_.]", official.url.rpartition("/")[2])


def test_no_two_models_name_one_original_or_one_checkpoint():
    assert len({CONTENTS[name]["openmmlab"] for name in MODELS}) == len(MODELS)
    assert len({CONTENTS[name]["official"]["url"] for name in MODELS}) == len(MODELS)


@pytest.mark.parametrize("name", ONE_OF_EACH, indirect=True)
def test_the_task_reads_what_the_network_gives(config):
    assert len(output_shapes(config.model)) == len(build_task(config.model.processing).outputs)


@pytest.mark.parametrize("name", ONE_OF_EACH, indirect=True)
def test_its_weights_are_called_after_the_parts_in_its_config(config):
    """What tells apart which models weights may be of, before any is built."""
    with torch.device("meta"):
        parts = {key.partition(".")[0] for key in build(config.model.network).state_dict()}
    assert parts <= config.model.network.keys()


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", DETECTORS)
def test_the_task_of_a_detector_reads_what_its_tails_give(name, tail):
    model = compose([f"model={name}", f"tail={tail}"]).model
    task, (first, second, *others) = build_task(model.processing), output_shapes(model)
    assert task.tail == model.tail["kind"] == tail
    rows = [1, task.test_cfg.max_per_img if tail == "native" else first[1]]
    assert first == [*rows, 5 if tail == "native" else 4]
    assert second == (rows if tail == "native" else [*rows, second[-1]])
    assert [other[:2] for other in others] == [rows] * len(task.outputs[2:])


def test_a_sample_has_the_size_of_the_input(config):
    task, size = build_task(config.model.processing), config.sizes.usual
    lengths = {"batch": 1, **dict(zip(task.sides, size, strict=True))}
    tensors = sample(task, size)
    assert tuple(tensors) == task.inputs
    for name, axes in task.axes.items():
        assert all(tensors[name].shape[position] == lengths[axis] for position, axis in axes.items())


@pytest.mark.parametrize("name", ONE_OF_EACH, indirect=True)
def test_its_deploy_name_gives_the_same_config(config):
    assert compose([f"deploy={config.deploy_name}"]) == config


@pytest.mark.parametrize("name", STANDING["algos"].values())
def test_the_name_of_a_static_engine_gives_the_same_config(name):
    config = compose([f"model={name}", "shape=static"])
    assert compose([f"deploy={config.deploy_name}"]) == config


@pytest.mark.parametrize("alias", ALIASES)
def test_a_second_name_is_the_same_model(alias):
    assert compose_model(alias) == compose_model(ALIASES[alias])


def test_every_algorithm_and_every_task_has_one_of_its_models_to_stand_for_it():
    models = {name: compose_model(name).model for name in MODELS}
    assert {model.algo for model in models.values()} == set(STANDING["algos"])
    assert {model.task for model in models.values()} == set(STANDING["tasks"])
    assert all(models[name].algo == algo for algo, name in STANDING["algos"].items())
    assert all(models[name].task == task for task, name in STANDING["tasks"].items())
