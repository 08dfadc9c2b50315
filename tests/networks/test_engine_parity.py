"""Every engine gives what OpenMMLab's network gives: it is exported, rewritten and optimised, and still the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_parity import MODELS

from compiler.artifact import Engine
from compiler.config import compose
from compiler.export import Axis, ExportOptions, export
from compiler.networks import build
from compiler.pipeline.job import read_job
from compiler.pipeline.stages import WEIGHTS_FILE, Networks, build_engine, rewrite, select_rewriters

EXPORTERS = [(name, "auto") for name in MODELS] + [("rtmpose", "torchscript"), ("simcc-res50", "torchscript")]


def read_raw_job(name, exporter):
    """Return the job that compiles a model up to its raw outputs: where it selects detections, it ends before that."""
    config = compose([f"model={name}", f"export.exporter={exporter}"])
    if config.model.stride is not None:
        config = replace(config, model=replace(config.model, tail=None))
    return read_job(config)


def axes_of(job):
    """Let every side vary that a real compile lets vary."""
    stride = job.config.model.stride
    sides = () if stride is None else (Axis(2, "height", stride, 2 * stride), Axis(3, "width", stride, 2 * stride))
    return (Axis(0, "batch"), *sides)


def compile_raw(job, weights, image, outputs, folder):
    """Run the stages of a compile on given weights, up to the engine."""
    exported, rewritten, engine = (folder / name for name in ("exported", "rewritten", "engine"))
    for path in (exported, rewritten, engine):
        path.mkdir()
    network = build(job.config.model.network)
    torch.save(weights.fill(network.state_dict()), folder / WEIGHTS_FILE)
    networks = Networks(job, select_rewriters(job), folder)
    options = ExportOptions(job.config.exporter, job.config.export.opset, axes_of(job), ("input",), outputs)
    pair = {"input": np.concatenate([image, image[..., ::-1]])}
    export(networks.rewritten.network, pair, options, exported, networks.rewriting)
    rewrite(networks, exported, rewritten)
    build_engine(job, rewritten, engine)
    return job.backend.open(Engine.load(engine))


@pytest.mark.parametrize(("name", "exporter"), EXPORTERS)
def test_raw_outputs_equal_openmmlabs(name, exporter, weights, references, tmp_path):
    original = references(MODELS[name])
    image = weights.image(MODELS[name], tuple(original["input"]["shape"]))
    job = read_raw_job(name, exporter)
    # Of the outputs of intermediate supervision, the engine gives only the last.
    expected = original["outputs"][-1:] if job.config.model.tail else original["outputs"]
    session = compile_raw(job, weights, image, tuple(output["name"] for output in expected), tmp_path)
    found = session.run({"input": image})
    assert list(found) == [output["name"] for output in expected]
    for output in expected:
        tensor, reference = found[output["name"]], original["arrays"][output["name"]].ravel()
        assert list(tensor.shape) == output["shape"]
        assert np.abs(tensor.ravel()[:: output["step"]] - reference).max() < 1e-4 * output["std"], output["name"]
