"""Every engine gives what OpenMMLab's network gives: it is exported, rewritten and optimised, and still the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from compiler.artifact import Engine
from compiler.config import compose
from compiler.config.sizes import size_text
from compiler.export import as_they_are
from compiler.networks import build
from compiler.pipeline.cache import Cache
from compiler.pipeline.composition import build_stage, export_stage, rewriting_of, selection_for
from compiler.pipeline.job import read_job
from compiler.pipeline.line import Line
from compiler.sources import Samples
from compiler.sources.torch_network import WEIGHTS_FILE
from compiler.stages import Artifact, LoadedNetwork, Rewrite, Rewriters
from tests.networks.parity import MODELS, distance, inputs_of, outputs_of

# One of each task, and one whose network is another one where it is traced. RTMPose's is held to the original where it
# is compiled from the command line (tests/pipeline/test_compile.py); CRNN's by dynamo to the network, at every width
# (tests/networks/test_crnn.py).
QUICK = [*((name, "auto") for name in ("dbnet", "pointpillars", "rtmdet-tiny")), ("crnn", "torchscript")]
SLOW = [(name, "auto") for name in MODELS if (name, "auto") not in QUICK]
SLOW += [(name, "torchscript") for name in ("panet", "rtmpose", "simcc-res50")]
EXPORTERS = [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW)]


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
    loaded = folder / "loaded"
    loaded.mkdir()
    torch.save(weights.fill(build(job.config.model.network).state_dict()), loaded / WEIGHTS_FILE)
    if job.task.batched:
        inputs = {name: np.concatenate([tensor, tensor[..., ::-1]]) for name, tensor in inputs.items()}
    line, selection = Line(Cache(folder / "cache"), lambda event: None), selection_for(job)
    network = LoadedNetwork(Artifact("parity", loaded), rewriting_of(job, selection), job.source, job.task)
    stage = export_stage(job, network, selection)
    network = replace(network, rewriting=replace(stage.network.rewriting, outputs=outputs))
    # Whether it was frozen to its example is shown by other tests, on smaller networks.
    stage = replace(stage, network=network, example=Samples.of(inputs), others=(), comparable=as_they_are, ties=None)
    rewritten = line.run_program(Rewrite(line.run_program(stage), Rewriters.of_graph(selection)))
    engine = line.run(build_stage(job, rewritten, lambda event: None))
    return job.backend.open(Engine.load(engine.folder))


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
