"""The schema: what a config works out for itself, and what it refuses although every type is right."""

from dataclasses import replace

import pytest

from compiler.config import compose
from compiler.config.deploy_name import PRECISIONS, Shape
from compiler.config.schema import (
    BatchConfig,
    CalibrationConfig,
    CompileConfig,
    ExportConfig,
    ModelConfig,
    VerifyConfig,
)
from compiler.errors import UsageError

MODEL = ModelConfig("rtmpose", "pose-detection", "simcc", (256, 192), network={}, processing={})


def backend(name: str) -> dict[str, str]:
    """A backend's config node, whose class is one of those in `tests.config.backends`."""
    return {"_target_": f"tests.config.backends.{name}", "name": "tensorrt"}


CONFIG = CompileConfig(MODEL, backend("Fp16First"), algos={"simcc": "rtmpose"})
PICTURE = replace(MODEL, processing={"input_size": [192, 256]})
"""A model whose processing makes pictures of one size, width x height."""
INT8 = replace(CONFIG, backend=backend("Int8"), precision="int8")


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
        (BatchConfig(), ["1x256x192", "4x256x192"], ["1x256x192"]),
        (BatchConfig(1, 2, 8), ["1x256x192", "2x256x192", "8x256x192"], ["2x256x192"]),
        (BatchConfig(3, 3, 3), ["3x256x192"], ["3x256x192"]),
    ],
)
def test_each_batch_size_is_proven_once(batch, dynamic, static):
    assert list(map(str, replace(CONFIG, batch=batch).proof_inputs)) == dynamic
    assert list(map(str, replace(CONFIG, batch=batch, shape="static").proof_inputs)) == static


DETECTOR = replace(
    CONFIG, model=replace(MODEL, input_shape=(640, 640), stride=(32, 32), smallest_shape=(320, 320), processing={})
)


def tails(kind: str, expected: str) -> ModelConfig:
    """A model whose network ends in one tail, and whose processing expects another."""
    return replace(MODEL, tail={"kind": kind}, processing={"tail": expected})


@pytest.mark.parametrize(
    ("shape", "proven"),
    [
        ("static", ["1x640x640"]),
        ("static_416x416", ["1x416x416"]),
        ("dynamic", ["1x320x320", "1x640x640", "4x640x640"]),
        ("dynamic_320x320-1344x1344", ["1x320x320", "1x640x640", "4x1344x1344"]),
        ("dynamic_320x320-416x480", ["1x320x320", "1x416x480", "4x416x480"]),
        ("dynamic_256x800", ["1x256x320", "1x256x800", "4x256x800"]),
    ],
)
def test_a_detector_is_proven_at_its_smallest_usual_and_largest_size(shape, proven):
    config = replace(DETECTOR, shape=shape)
    config.check()
    assert list(map(str, config.proof_inputs)) == proven


@pytest.mark.parametrize(
    ("shape", "nearest"),
    [
        ("static_640x641", "shape=static_640x640"),
        ("static_10x650", "shape=static_32x640"),
        ("dynamic_300x320-1330x1344", "shape=dynamic_288x320-1344x1344"),
    ],
)
def test_a_size_that_the_stride_cannot_take_is_refused_with_the_nearest(shape, nearest):
    with pytest.raises(UsageError) as caught:
        replace(DETECTOR, shape=shape).check()
    assert nearest in caught.value.fix
    assert "multiples of 32x32" in caught.value.why


def test_a_detector_wants_height_and_width():
    with pytest.raises(UsageError, match="3x640x640 is not a size"):
        replace(DETECTOR, shape="static_3x640x640").check()


def test_an_unknown_tail_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="there is no tail 'hots'") as caught:
        replace(DETECTOR, tail="hots").check()
    assert "host" in caught.value.fix


def test_contradicting_tails_are_refused_while_composing():
    detector = "model=rtmdet-tiny"
    with pytest.raises(UsageError, match="ends in the tail 'host', and its processing expects 'native'"):
        compose([detector, "model.tail.kind=host"])
    both = compose([detector, "tail=host"]).model
    assert both.tail["kind"] == both.processing["tail"] == "host"


def test_an_empty_input_shape_is_refused_while_composing():
    with pytest.raises(UsageError, match="0 numbers are no input shape of rtmpose"):
        compose(["model=rtmpose", "model.input_shape=[]"])


@pytest.mark.parametrize(
    ("asked", "chosen", "model", "used"),
    [
        ("auto", "Fp16First", "auto", "dynamo"),
        ("auto", "Fp16First", "torchscript", "torchscript"),
        ("auto", "ByDynamo", "torchscript", "dynamo"),
        ("torchscript", "ByDynamo", "dynamo", "torchscript"),
        ("auto", "ReadsTorchScript", "dynamo", "torchscript"),
        ("auto", "ReadsTorchExport", "torchscript", "dynamo"),
    ],
)
def test_the_exporter_is_what_was_asked_for_then_the_backends_then_the_models(asked, chosen, model, used):
    config = CompileConfig(replace(MODEL, exporter=model), backend(chosen), export=ExportConfig(exporter=asked))
    assert config.exporter == used


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_precision_of_the_backends_is_accepted(precision):
    replace(CONFIG, precision=precision).check()


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, precision="fp16", keep_fp32=("/head/*",)),
        replace(INT8, keep_fp32=("Softmax",)),
        replace(INT8, calibration=CalibrationConfig("images", "entropy", 1, auto=True)),
        replace(CONFIG, verify=VerifyConfig(reduced_tolerance=1e-9, reduced_cosine=1.0)),
    ],
)
def test_what_goes_with_a_lower_precision_is_accepted(config):
    config.check()


@pytest.mark.parametrize(
    ("change", "where", "said"),
    [
        ({"precision": "int8"}, "backend=tensorrt precision=int8", "this backend takes fp16, fp32"),
        ({"precision": "itn8"}, "precision", "did you mean int8?"),
        ({"precision": "double"}, "precision", ", ".join(sorted(PRECISIONS))),
        ({"shape": "static_192x256"}, "shape=static_192x256", "use shape=static_256x192"),
        ({"shape": "dynamic_256x192-256x192"}, "shape=dynamic_256x192-256x192", "built for one size"),
        ({"shape": "static_3x256x192"}, "shape=static_3x256x192", "not 3x256x192"),
        ({"batch": BatchConfig(2, 1, 4)}, "batch.smallest, batch.usual, batch.largest", "2, 1, 4"),
        ({"batch": BatchConfig(1, 5, 4)}, "batch.smallest, batch.usual, batch.largest", "1, 5, 4"),
        ({"export": ExportConfig(exporter="tracer")}, "export.exporter", "auto, dynamo, torchscript"),
        ({"model": replace(MODEL, exporter="dynamos")}, "model.exporter", "did you mean dynamo?"),
        ({"export": ExportConfig(opset=17)}, "export.opset=17", "use export.opset=18"),
        ({"export": ExportConfig("dynamo", 11)}, "export.opset=11", "export.exporter=torchscript"),
        (
            {"backend": backend("ReadsTorchScript"), "export": ExportConfig("dynamo")},
            "backend=tensorrt export.exporter=dynamo",
            "it reads torchscript, which is made by torchscript",
        ),
        ({"verify": VerifyConfig(tolerance=0.0)}, "verify.tolerance", "not positive"),
        ({"cache_limit": -1.0}, "cache_limit", "cannot be limited to -1.0 GiB"),
        ({"verify": VerifyConfig(tolerance=-1e-4)}, "verify.tolerance", "not positive"),
        ({"verify": VerifyConfig(reduced_tolerance=0.0)}, "verify.reduced_tolerance", "0.0 is not positive"),
        ({"verify": VerifyConfig(reduced_tolerance=-0.1)}, "verify.reduced_tolerance", "leave it out"),
        ({"verify": VerifyConfig(decoded_tolerance=-1.0)}, "verify.decoded_tolerance", "-1.0 is negative"),
        ({"input_kind": "sound"}, "input_kind=sound", "no input to be of a kind"),
        ({"model": replace(PICTURE, input_shape=())}, "model.input_shape", "0 numbers are no input shape"),
        ({"model": replace(PICTURE, input_shape=(256,))}, "model.input_shape", "its input has 2"),
        ({"model": replace(DETECTOR.model, input_shape=())}, "model.input_shape", "0 numbers are no input shape"),
        ({"model": tails("host", "native")}, "model.tail.kind, model.processing.tail", "tail=raw sets both"),
        ({"model": tails("native", "host")}, "model.tail.kind, model.processing.tail", "tail=native or"),
        ({"keep_fp32": ("/head/*", "Conv")}, "keep_fp32=[/head/*, Conv]", "everything is in fp32 already"),
        ({"calibration": CalibrationConfig(data="images")}, "calibration", "fp32 needs no calibration"),
        ({"calibration": CalibrationConfig(auto=True), "precision": "fp16"}, "calibration", "fp16 needs no"),
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
        {"backend": backend("ByTorchScript"), "export": ExportConfig(opset=17)},
        {"backend": backend("ReadsTorchExport"), "export": ExportConfig(opset=17)},  # an archive has no opset
        {"verify": VerifyConfig(tolerance=1e-9)},
        {"verify": VerifyConfig(decoded_tolerance=0.0)},
        {"input": "song.wav", "input_kind": "sound"},  # whether the task looks at such is its own matter
        {"model": PICTURE},
        {"model": replace(MODEL, input_shape=())},  # a model with inputs of its own has no size
        {"model": tails("host", "host")},
        {"model": replace(MODEL, tail={"_target_": "compiler.networks.tails.LastOutput"})},
    ],
)
def test_what_is_just_possible_is_accepted(change):
    replace(CONFIG, **change).check()


@pytest.mark.parametrize(
    "override",
    [
        "model.name='../../evil'",
        "model.name=/tmp/evil",
        "model.name='a/b'",
        "model.name='..'",
        "model.name='a\\\\b'",
        "model.name='a b'",
        "model.name=.hidden",
        "model.task='../x'",
        "model.algo='../x'",
        "+backend.name='../x'",
        "model.name=nul",
        "model.name=COM1.x",
        "model.algo=aux",
        f"model.name={'n' * 101}",
    ],
)
def test_nothing_is_called_what_leads_out_of_the_output(override):
    with pytest.raises(UsageError) as caught:
        compose(["model=rtmpose-t", override.replace("+backend", "backend")])
    assert caught.value.where == override.lstrip("+").partition("=")[0]


def test_a_model_that_nobody_named_goes_by_its_algorithm():
    assert compose(["model=rtmpose-t", "model.name=''"]).model.name == "simcc"


@pytest.mark.parametrize("name", ["my-fruit", "rtmpose_m.v2", "v1.0+cpu", "null", "console", "模型", "m", "n" * 100])
def test_a_plain_name_is_one(name):
    assert compose(["model=rtmpose-t", f"model.name='{name}'"]).model.name == name
