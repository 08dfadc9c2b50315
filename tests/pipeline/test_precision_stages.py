"""Compiling in a lower precision: what is made of the Program, what it is held to, and what a second run makes anew."""

from __future__ import annotations

import re
import shutil

import cv2
import numpy as np
import onnx
import pytest

from compiler import runtime
from compiler.config import compose
from compiler.errors import ExitCode, UsageError
from compiler.events import StageFinished
from compiler.pipeline.tolerances import proof_tolerance
from compiler.proof import Tolerance
from compiler.report import Report
from tests.cli.running import run_verb
from tests.compiling import compile_here
from tests.conftest import PHOTOGRAPH

MODEL = "model=simcc-mobilenetv2"
INT8 = (MODEL, "precision=int8")
FP16 = (MODEL, "precision=fp16")
LAST = ("build", "reference", "compare", "verify", "speed")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two images to calibrate on."""
    folder = tmp_path_factory.mktemp("photographs")
    shutil.copy(PHOTOGRAPH, folder / "a.jpg")
    cv2.imwrite(str(folder / "b.png"), cv2.imread(str(PHOTOGRAPH))[:, ::-1])
    return folder


@pytest.fixture(scope="module")
def fp16(tmp_path_factory, shared_cache):
    """The outcome of a compile in fp16, and what was heard of it."""
    return compile_here(tmp_path_factory.mktemp("fp16"), shared_cache, *FP16)


@pytest.fixture(scope="module")
def int8(tmp_path_factory, shared_cache, photographs):
    """The outcome of a compile in int8, and what was heard of it."""
    return compile_here(tmp_path_factory.mktemp("int8"), shared_cache, *INT8, f"calibration.data={photographs}")


@pytest.fixture
def compiled(tmp_path, shared_cache):
    """Compile with overrides, into a folder of the test's own."""
    return lambda *overrides: compile_here(tmp_path, shared_cache, *overrides)


def stages(heard) -> dict[str, bool]:
    """Return whether each stage was cached, in order."""
    return {event.stage: event.cached for event in heard if isinstance(event, StageFinished)}


def operators(bundle) -> set[str]:
    return {node.op_type for node in onnx.load(bundle / "end2end.onnx").graph.node}


def test_a_precision_is_a_stage_between_the_rewriters_and_the_build(fp16, int8):
    outcome, heard = fp16
    assert outcome.exit_code == ExitCode.PROVEN
    assert list(stages(heard)) == ["load", "export", "rewrite", "precision", *LAST]
    _, heard = int8
    assert list(stages(heard)) == ["load", "export", "rewrite", "calibrate", "precision", *LAST]


@pytest.mark.parametrize(("allowed", "is_proven"), [("0", False), ("10000", True)])
def test_points_that_are_elsewhere_are_proven_only_where_they_may_be(allowed, is_proven, compiled, int8, photographs):
    """The peaks of random weights are near each other: 8 bits choose others, however parallel the scores are."""
    outcome, _ = compiled(*INT8, f"calibration.data={photographs}", f"verify.decoded_tolerance={allowed}")
    assert (outcome.exit_code == ExitCode.PROVEN) is is_proven
    assert ("px off after decoding where 0 are allowed" in outcome.problem) is not is_proven


def test_the_engine_holds_the_precision_and_takes_the_same_input(fp16, int8):
    (halved, _), (quantized, _) = fp16, int8
    model = onnx.load(halved.bundle / "end2end.onnx")
    assert {weight.data_type for weight in model.graph.initializer} >= {onnx.TensorProto.FLOAT16}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators(quantized.bundle)
    assert "QuantizeLinear" not in operators(halved.bundle)


def test_the_precision_is_proven_before_the_engine(fp16, int8):
    for (outcome, _), precision in ((fp16, "fp16"), (int8, "int8")):
        assert [proof.stage for proof in outcome.proofs][-2:] == [precision, "engine (onnxruntime)"]


@pytest.mark.parametrize("made", ["fp16", "int8"])
def test_a_bundle_in_a_lower_precision_is_opened_and_predicts(made, request):
    outcome, _ = request.getfixturevalue(made)
    (pose,) = runtime.open(outcome.bundle)(PHOTOGRAPH)
    assert pose.keypoints.shape == (17, 2)


@pytest.mark.parametrize("made", ["fp16", "int8"])
def test_the_name_carries_the_precision_and_rebuilds_the_config(made, request, shared_cache, photographs):
    outcome, _ = request.getfixturevalue(made)
    plain, _, variant = outcome.name.partition("+")
    assert plain == f"pose-detection_simcc-mobilenetv2_onnxruntime-{made}_dynamic_256x192"
    assert bool(variant) == (made == "int8")  # what it was calibrated on is in no name
    calibration = [f"calibration.data={photographs}"] if made == "int8" else []
    output = outcome.bundle.parent
    again, heard = compile_here(output, shared_cache, f"deploy={plain}", *calibration)
    assert again.up_to_date
    assert stages(heard) == {}


def test_the_report_counts_what_was_lowered(fp16, int8):
    halved, quantized = (Report.load(outcome.bundle).reduced for outcome, _ in (fp16, int8))
    assert (halved.precision, halved.changed, halved.excluded) == ("fp16", halved.nodes, ())
    assert quantized.precision == "int8"
    assert 0 < quantized.changed < quantized.nodes


def test_what_is_named_stays_in_fp32_and_the_report_says_so(compiled, int8):
    outcome, _ = compiled(*FP16, "keep_fp32=[MatMul]")
    excluded = Report.load(outcome.bundle).reduced.excluded
    assert {node["operator"] for node in excluded} == {"MatMul"}
    assert all(node["node"] and node["why"] for node in excluded)
    assert "MatMul" in (outcome.bundle / "report.html").read_text()


def test_what_is_named_and_is_not_there_is_wrong_usage_that_names_it(compiled):
    for overrides in (INT8, FP16):
        with pytest.raises(UsageError, match="/neck/") as caught:
            compiled(*overrides, "keep_fp32=[/neck/*]")
        assert caught.value.exit_code == ExitCode.USAGE


def test_the_command_line_ends_with_2_where_a_pattern_matches_nothing(command_line, shared_cache):
    run = command_line(*FP16, "keep_fp32=[/neck/*]", f"cache={shared_cache}")
    assert run.returncode == 2, run.stdout + run.stderr
    assert "/neck/" in run.stderr


def test_leaving_a_layer_out_does_not_calibrate_again(compiled, int8, photographs):
    _, heard = compiled(*INT8, f"calibration.data={photographs}", "keep_fp32=[MatMul]")
    assert stages(heard) == {
        **dict.fromkeys(("load", "export", "rewrite", "calibrate", "reference", "compare"), True),
        **dict.fromkeys(("precision", "build", "verify", "speed"), False),
    }


def test_another_image_calibrates_again(compiled, int8, photographs, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(photographs, data)
    _, heard = compiled(*INT8, f"calibration.data={data}")
    assert stages(heard)["calibrate"], "the same images in another place are the same"
    cv2.imwrite(str(data / "b.png"), cv2.imread(str(PHOTOGRAPH))[::-1])
    _, heard = compiled(*INT8, f"calibration.data={data}")
    assert [stage for stage, cached in stages(heard).items() if not cached][:2] == ["calibrate", "precision"]


def test_the_layers_that_lose_most_are_left_out_until_the_proof_holds(compiled, int8, photographs):
    plain, _ = int8
    worst = next(proof for proof in plain.proofs if proof.stage == "int8").worst.relative_error
    strict = (*INT8, f"calibration.data={photographs}", f"verify.reduced_tolerance={worst / 2}")
    failed, _ = compiled(*strict)
    assert failed.exit_code == ExitCode.NOT_PROVEN
    assert "the first stage beyond its tolerance is 'int8'" in failed.problem

    found, heard = compiled(*strict, "calibration.auto=true")
    assert stages(heard)["calibrate"], "what it is about is the same ranges"
    reduced = Report.load(found.bundle).reduced
    assert reduced.excluded
    assert 0 < reduced.changed < Report.load(plain.bundle).reduced.changed
    usual = next(proof for proof in found.proofs if proof.stage == "int8").comparisons
    assert all(c.relative_error <= worst / 2 for c in usual if c.input == "1x256x192")


def test_what_selects_is_quantised_by_what_it_selects_from(compiled, tmp_path):
    """The five best of a hundred thousand that are nearly the same are others after the least rounding."""
    generator = np.random.default_rng(0)
    shapes = {"w0": (8, 8, 3, 3), "w1": (8, 8, 3, 3), "of": (8 * 120 * 120,)}
    model = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 18]>
        g (float[1, 8, 120, 120] x) => (float[1, 5] y) <int64[1] k = {5}> {
            a = Conv <pads = [1, 1, 1, 1]> (x, w0) b = Relu (a) c = Conv <pads = [1, 1, 1, 1]> (b, w1)
            d = Flatten (c) best, places = TopK (d, k) y = Gather (of, places)
        }""")
    drawn = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in drawn.items())
    onnx.save(model, tmp_path / "best.onnx")
    file = ("model=onnx", f"model.file={tmp_path}/best.onnx", "shape=static")
    outcome, _ = compiled(*file, "precision=int8", "calibration.auto=true")
    reduced = Report.load(outcome.bundle).reduced
    assert (reduced.changed, reduced.excluded) == (2, ())
    assert "beyond its tolerance is 'int8'" in outcome.problem


def test_a_cosine_below_the_limit_is_not_proven_and_named(compiled, int8, photographs):
    outcome, _ = compiled(*INT8, f"calibration.data={photographs}", "verify.reduced_cosine=0.999999")
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    assert re.search(r"beyond its tolerance is 'int8': .* cosine 0\.99\d\d at worst", outcome.problem)


def test_the_stages_in_fp32_are_held_to_their_own_tolerance(compiled):
    outcome, _ = compiled(*FP16, "verify.tolerance=1e-9")
    assert "beyond its tolerance is 'rewritten network'" in outcome.problem
    within = {proof.stage: proof.within for proof in outcome.proofs}
    assert within["fp16"], "1e-9 is not what fp16 is held to"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], Tolerance(1e-4)),
        (["precision=fp16"], Tolerance(0.1, cosine=0.99, typical=0.2)),
        (["precision=bf16"], Tolerance(1.0, cosine=0.99, typical=0.2)),
        (["precision=int8"], Tolerance(None, cosine=0.99, typical=0.2)),
        (["precision=int8", "verify.reduced_tolerance=0.5"], Tolerance(0.5, cosine=0.99, typical=0.2)),
        (["precision=fp16", "verify.reduced_cosine=0.9"], Tolerance(0.1, cosine=0.9, typical=0.2)),
        (["precision=int8", "verify.reduced_typical=0.1"], Tolerance(None, cosine=0.99, typical=0.1)),
        (["precision=fp16", "verify.decoded_tolerance=2"], Tolerance(0.1, 2.0, 0.99, 0.2)),
    ],
)
def test_each_precision_has_a_tolerance_of_its_own(overrides, expected):
    assert proof_tolerance(compose([MODEL, "backend=tensorrt", *overrides])) == expected


def test_explain_takes_a_bundle_in_a_lower_precision(int8, capsys):
    outcome, _ = int8
    assert run_verb("explain", str(outcome.bundle)) == ExitCode.PROVEN
    assert f"simcc-mobilenetv2  {outcome.name}" in capsys.readouterr().out


def test_an_unknown_method_of_calibration_is_wrong_usage(compiled):
    with pytest.raises(UsageError, match="no calibration method 'minmax'") as caught:
        compiled(*INT8, "calibration.method=minmax")
    assert "min_max" in caught.value.fix
