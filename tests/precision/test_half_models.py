"""Real networks in fp16, with activations as large as training may leave them."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from compiler.networks.backbones.litehrnet import LiteHRNet
from compiler.precision.half import HalfOptions, to_half
from tests.networks.test_litehrnet import small_extra

# Its first stage has the averages over most pixels.
ONE_STAGE = small_extra(
    num_stages=1,
    num_modules=[1],
    num_branches=[2],
    num_blocks=[1],
    module_type=["LITE"],
    with_fuse=[True],
    reduce_ratios=[4],
    num_channels=[[16, 32]],
)


def with_outputs(model, *names):
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    extended.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return extended


def run(model, tensors):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, tensors), strict=True))


def nodes(model, operator):
    return [node for node in model.graph.node if node.op_type == operator]


def reasons(result):
    return {kept.node: kept.why for kept in result.excluded}


def deviations(exact, found):
    return max(np.abs(found[name] - exact[name]).max() / exact[name].std() for name in exact)


@pytest.fixture(scope="module")
def photograph(photographs):
    return {"input": photographs["input"][:2]}


def with_larger_feature_maps(rtmpose, times):
    """Scale the last convolution, which ScaleNorm divides out again: the network's outputs are the same."""
    scaled = onnx.ModelProto()
    scaled.CopyFrom(rtmpose)
    constants = nodes(scaled, "Conv")[-1].input[1:]
    for tensor in scaled.graph.initializer:
        if tensor.name in constants:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(times), tensor.name))
    return scaled


def test_rtmposes_norm_overflows_in_fp16_and_stays(rtmpose, photograph):
    large = with_larger_feature_maps(rtmpose, 300)
    exact = run(rtmpose, photograph)
    assert deviations(exact, run(large, photograph)) < 1e-3

    norm = nodes(large, "ReduceL2")[0]
    features = run(with_outputs(large, norm.input[0]), photograph)[norm.input[0]].astype(np.float16)
    with np.errstate(over="ignore"):
        naive = np.sqrt(np.square(features).sum(-1))
    assert np.isfinite(features).all()
    assert np.isinf(naive).any()

    result = to_half(large, [photograph], HalfOptions("fp16"))
    assert reasons(result)[norm.name].startswith("overflows: sums to")
    assert deviations(exact, run(result.model, photograph)) < 0.1
    assert norm.name not in reasons(to_half(rtmpose, [photograph], HalfOptions("fp16")))


def test_rtmpose_is_half_as_large_and_takes_any_batch(rtmpose, photograph):
    result = to_half(rtmpose, [photograph], HalfOptions("fp16"))
    assert result.half > 0.9 * len(rtmpose.graph.node)
    assert result.model.ByteSize() < 0.6 * rtmpose.ByteSize()
    three = {"input": np.concatenate([photograph["input"], photograph["input"][:1]])}
    assert deviations(run(rtmpose, three), run(result.model, three)) < 0.1


def test_rtmpose_in_bf16_keeps_its_convolutions_in_it(rtmpose, photograph):
    result = to_half(rtmpose, [photograph], HalfOptions("bf16", tolerance=1.0))
    kept = {kept.operator for kept in result.excluded}
    assert "Conv" not in kept
    assert max(result.errors.values()) < 1.0


def test_litehrnets_averages_overflow_in_fp16_and_stay(photograph):
    torch.manual_seed(0)
    options = {"input_names": ["input"], "output_names": ["output"], "opset_version": 18, "verbose": False}
    network = LiteHRNet(ONE_STAGE).eval()
    original = torch.onnx.export(network, (torch.tensor(photograph["input"]),), dynamo=True, **options).model_proto
    averages = nodes(original, "ReduceMean")
    bright = {"input": photograph["input"] * 1e4}

    inputs = run(with_outputs(original, *{node.input[0] for node in averages}), bright)
    with np.errstate(over="ignore"):
        partial_sums = {
            node.name: np.cumsum(inputs[node.input[0]].reshape(-1, 64 * 48).astype(np.float16), axis=-1)
            for node in averages
            if inputs[node.input[0]].shape[2:] == (64, 48)
        }
    overflowing = {name for name, sums in partial_sums.items() if np.isinf(sums).any()}
    assert overflowing

    result = to_half(original, [bright], HalfOptions("fp16"))
    assert overflowing <= reasons(result).keys()
    assert deviations(run(original, bright), run(result.model, bright)) < 0.1
    assert not to_half(original, [photograph], HalfOptions("fp16")).excluded
