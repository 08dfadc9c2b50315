"""A user's config may hold anything: it becomes a model, or one clear message."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.errors import CompileError
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate import translate
from tests.openmmlab.changes import MISSING, changed
from tests.openmmlab.published import file_of
from tests.openmmlab.test_translate_detection import CONFIG

NAMES = ("rtmpose", "hrnet", "yoloxpose", "retinanet", "yolov3", "dbnet", "crnn", "pointpillars", "centerpoint")
READ = ("model", "test_dataloader", "test_pipeline", "data_preprocessor", "dataset_type")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["BN", "Resize", "FPN"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("type"), inner, max_size=3),
    max_leaves=5,
)


@cache
def published(name):
    """Return a published config's file, what is read of it with lists for tuples, and the path of each value in it."""
    file = file_of(name)
    config = {key: listed(value) for key, value in read_config(file).items() if key in READ}
    return str(file), config, [path for path in paths(config) if path]


def listed(node):
    if isinstance(node, dict):
        return {key: listed(value) for key, value in node.items()}
    return [listed(item) for item in node] if isinstance(node, list | tuple) else node


def paths(node, path=""):
    """Yield the dotted path of each value."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from paths(value, f"{path}.{key}" if path else str(key))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_config_with_a_value_of_any_kind_is_translated_or_refused(name, data):
    file, config, places = published(name)
    place = data.draw(st.sampled_from(places), label="place")
    value = data.draw(VALUES | st.just(MISSING), label="value")
    try:
        found = translate(changed(config, {place: value}), file)
    except CompileError as error:
        named = error.where.startswith(file)
    else:
        named = {"name", "algo", "task", "input_shape", "network", "processing"} <= found.keys()
    assert named


RESIZE = "test_dataloader.dataset.dataset.pipeline"


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("model", 3, "model"),
        ("model.backbone", 3, "model.backbone"),
        ("model.backbone", MISSING, "model.backbone"),
        ("model.bbox_head", None, "model.bbox_head"),
        ("model.bbox_head.num_classes", "x", "model.bbox_head.num_classes"),
        ("model.bbox_head.num_classes", 0, "model.bbox_head.num_classes"),
        ("model.bbox_head.num_classes", 10**12, "model.bbox_head.num_classes"),
        ("model.bbox_head.num_classes", MISSING, "model.bbox_head.num_classes"),
        ("model.data_preprocessor", [1], "model.data_preprocessor"),
        ("model.data_preprocessor", {1: 2}, "model.data_preprocessor"),
        ("model.data_preprocessor.mean", [1, None, 3], "model.data_preprocessor.mean"),
        ("model.data_preprocessor.mean", [1, 2], "model.data_preprocessor.mean"),
        ("model.data_preprocessor.std", [1, float("nan"), 3], "model.data_preprocessor.std"),
        ("model.data_preprocessor.pad_size_divisor", 0, "model.data_preprocessor.pad_size_divisor"),
        ("model.test_cfg", "x", "model.test_cfg"),
        ("model.test_cfg.nms", 0.5, "model.test_cfg.nms"),
        ("test_dataloader", 3, "test_dataloader"),
        (RESIZE, 3, RESIZE),
        (RESIZE, [3], RESIZE),
        (f"{RESIZE}.1.scale", None, f"{RESIZE}[1].scale"),
        (f"{RESIZE}.1.scale", (640, -1), f"{RESIZE}[1].scale"),
        ("test_dataloader.dataset.dataset.metainfo", ["apple"], "test_dataloader.dataset.dataset.metainfo"),
    ],
)
def test_a_likely_mistake_is_named_where_it_is(path, value, where):
    with pytest.raises(CompileError) as caught:
        translate(changed(CONFIG, {path: value}), "x.py")
    assert caught.value.where == f"x.py: {where}"


def test_what_nobody_foresaw_is_one_message_too(monkeypatch):
    def mistaken(config, source):
        return config["model"]["backbone"]["out_indices"]["last"]

    monkeypatch.setattr(import_module("compiler.openmmlab.translate.detection"), "translate", mistaken)
    with pytest.raises(CompileError, match="the config cannot be understood") as caught:
        translate(CONFIG, "x.py")
    assert (caught.value.where, "indices" in caught.value.why) == ("x.py", True)
