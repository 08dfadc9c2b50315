"""Every engine gives what OpenMMLab's network gives: it is exported, rewritten and optimised, and still the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from compiler.artifact import Engine
from compiler.config import compose
from compiler.config.sizes import size_text
from compiler.export import ExportOptions, describe, export_onnx
from compiler.networks import build
from compiler.pipeline.job import read_job
from compiler.pipeline.stages import build_engine, rewrite, rewritten_program, select_rewriters
from compiler.sources.torch_network import WEIGHTS_FILE, TorchNetwork, other_inputs, varying_axes
from tests.networks.parity import MODELS, distance, inputs_of, outputs_of

EXPORTERS = [(name, "auto") for name in MODELS]
EXPORTERS += [(name, "torchscript") for name in ("crnn", "panet", "rtmpose", "simcc-res50")]


def read_raw_job(name, exporter, size):
    """Return the job that compiles a model up to its raw outputs: where it selects detections, it ends before that.

    Sizes vary as in a real compile, but no further than to the reference's small one.
    """
    overrides = [f"model={name}", f"export.exporter={exporter}"]
    model = compose(overrides).model
    if (model.tail and model.stride) or model.task == "text-detection":
        smallest = size_text(tuple(2 * step for step in model.stride))
        overrides.append(f"shape=dynamic_{smallest}-{size_text(size)}")
    config = compose(overrides)
    if model.tail and model.stride:
        config = replace(config, model=replace(config.model, tail=None))
    return read_job(config)


def compile_raw(job, weights, inputs, outputs, folder):
    """Run the stages of a compile on given weights, up to the engine."""
    exported, rewritten, engine = (folder / name for name in ("exported", "rewritten", "engine"))
    for path in (exported, rewritten, engine):
        path.mkdir()
    network = build(job.config.model.network)
    torch.save(weights.fill(network.state_dict()), folder / WEIGHTS_FILE)
    networks = TorchNetwork(job, select_rewriters(job), folder)
    options = ExportOptions(job.config.exporter, job.config.export.opset, varying_axes(job.config, job.task), outputs)
    if job.task.batched:
        inputs = {name: np.concatenate([tensor, tensor[..., ::-1]]) for name, tensor in inputs.items()}
    export_onnx(networks.rewritten.network, inputs, other_inputs(job), options, exported, rewriting=networks.rewriting)
    rewrite(networks, exported, rewritten)
    build_engine(job, describe(rewritten_program(rewritten)), engine, lambda event: None)
    return job.backend.open(Engine.load(engine))


@pytest.mark.parametrize(("name", "exporter"), EXPORTERS)
def test_raw_outputs_equal_openmmlabs(name, exporter, weights, references, tmp_path):
    original = references(MODELS[name])
    inputs = inputs_of(original, weights)
    job = read_raw_job(name, exporter, next(iter(inputs.values())).shape[2:])
    # Of the outputs of intermediate supervision, the engine gives only the last.
    expected = outputs_of(name, original)[-1:] if job.config.model.tail else outputs_of(name, original)
    session = compile_raw(job, weights, inputs, tuple(output["name"] for output in expected), tmp_path)
    found = session.run(inputs)
    assert list(found) == [output["name"] for output in expected]
    for output in expected:
        assert distance(found[output["name"]], output, original) < 1e-4, output["name"]
