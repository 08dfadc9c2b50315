"""The schema: what a config works out for itself, and what it refuses although every type is right."""

from dataclasses import replace

import pytest

from compiler.config.deploy_name import PRECISIONS, Shape
from compiler.config.schema import (
    BatchConfig,
    CompileConfig,
    ExportConfig,
    ModelConfig,
    VerifyConfig,
)
from compiler.errors import UsageError

MODEL = ModelConfig("rtmpose", "pose-detection", "simcc", (256, 192), network={}, processing={})
BACKEND = {"_target_": "somewhere.Backend", "name": "tensorrt", "precisions": ["fp16", "fp32"]}
CONFIG = CompileConfig(MODEL, BACKEND, algos={"simcc": "rtmpose"})


def test_what_is_left_out_has_a_default_that_can_be():
    CONFIG.check()


@pytest.mark.parametrize(
    ("shape", "resolved"),
    [
        ("dynamic", Shape(True, (256, 192))),
        ("static", Shape(False, (256, 192))),
        ("static_256x192", Shape(False, (256, 192))),
        ("dynamic-64x64-128x128", Shape(True, (64, 64), (128, 128))),
    ],
)
def test_the_models_own_size_is_filled_in(shape, resolved):
    assert replace(CONFIG, shape=shape).resolved_shape == resolved


def test_the_name_has_the_algorithm_of_the_model_that_stands_for_it():
    assert str(CONFIG.deploy_name) == "pose-detection_simcc_tensorrt_dynamic_256x192"


def test_the_name_has_the_model_where_another_stands_for_its_algorithm():
    smaller = replace(CONFIG, model=replace(MODEL, name="rtmpose-s"))
    assert str(smaller.deploy_name) == "pose-detection_rtmpose-s_tensorrt_dynamic_256x192"
    unknown = replace(CONFIG, algos={})
    assert str(unknown.deploy_name) == "pose-detection_rtmpose_tensorrt_dynamic_256x192"


@pytest.mark.parametrize(
    ("batch", "dynamic", "static"),
    [
        (BatchConfig(), (1, 4), (1,)),
        (BatchConfig(1, 2, 8), (1, 2, 8), (2,)),
        (BatchConfig(3, 3, 3), (3,), (3,)),
    ],
)
def test_each_batch_size_is_proven_once(batch, dynamic, static):
    assert replace(CONFIG, batch=batch).batch_sizes == dynamic
    assert replace(CONFIG, batch=batch, shape="static").batch_sizes == static


@pytest.mark.parametrize(
    ("asked", "backend", "model", "used"),
    [
        ("auto", "auto", "auto", "dynamo"),
        ("auto", "auto", "torchscript", "torchscript"),
        ("auto", "dynamo", "torchscript", "dynamo"),
        ("torchscript", "dynamo", "dynamo", "torchscript"),
    ],
)
def test_the_exporter_is_what_was_asked_for_then_the_backends_then_the_models(asked, backend, model, used):
    config = CompileConfig(
        replace(MODEL, exporter=model), {**BACKEND, "exporter": backend}, export=ExportConfig(exporter=asked)
    )
    assert config.exporter == used


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_precision_of_the_backends_is_accepted(precision):
    replace(CONFIG, precision=precision).check()


@pytest.mark.parametrize(
    ("change", "where", "said"),
    [
        ({"precision": "int8"}, "backend=tensorrt precision=int8", "this backend takes fp16, fp32"),
        ({"precision": "int9"}, "precision", "did you mean int8?"),
        ({"precision": "double"}, "precision", ", ".join(sorted(PRECISIONS))),
        ({"shape": "static_192x256"}, "shape=static_192x256", "use shape=static_256x192"),
        ({"shape": "dynamic_256x192-256x192"}, "shape=dynamic_256x192-256x192", "built for one size"),
        ({"shape": "static_3x256x192"}, "shape=static_3x256x192", "not 3x256x192"),
        ({"batch": BatchConfig(0, 1, 1)}, "batch.smallest, batch.usual, batch.largest", "1 <= smallest"),
        ({"batch": BatchConfig(2, 1, 4)}, "batch.smallest, batch.usual, batch.largest", "2, 1, 4"),
        ({"batch": BatchConfig(1, 5, 4)}, "batch.smallest, batch.usual, batch.largest", "1, 5, 4"),
        ({"export": ExportConfig(exporter="tracer")}, "export.exporter", "auto, dynamo, torchscript"),
        ({"model": replace(MODEL, exporter="dynamos")}, "model.exporter", "did you mean dynamo?"),
        ({"export": ExportConfig(opset=17)}, "export.opset=17", "use export.opset=18"),
        ({"export": ExportConfig("dynamo", 11)}, "export.opset=11", "export.exporter=torchscript"),
        ({"verify": VerifyConfig(tolerance=0.0)}, "verify.tolerance", "not positive"),
        ({"verify": VerifyConfig(tolerance=-1e-4)}, "verify.tolerance", "not positive"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(change, where, said):
    with pytest.raises(UsageError) as caught:
        replace(CONFIG, **change).check()
    assert caught.value.where == where
    assert said in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize(
    "change",
    [
        {"shape": "static_256x192"},
        {"batch": BatchConfig(1, 1, 1)},
        {"export": ExportConfig("torchscript", 11)},
        {"export": ExportConfig("dynamo", 18)},
        {"model": replace(MODEL, exporter="torchscript"), "export": ExportConfig(opset=17)},
        {"backend": {**BACKEND, "exporter": "torchscript"}, "export": ExportConfig(opset=17)},
        {"verify": VerifyConfig(tolerance=1e-9)},
    ],
)
def test_what_is_just_possible_is_accepted(change):
    replace(CONFIG, **change).check()
