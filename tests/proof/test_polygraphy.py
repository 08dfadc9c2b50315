"""The proof's figures are those that NVIDIA's Polygraphy finds when it runs the same files on the same input."""

from __future__ import annotations

import pytest
from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
from polygraphy.comparator import Comparator, SimpleCompareFunc

from compiler.proof import proof_of
from compiler.report import Report
from compiler.runtime import read_config
from compiler.tasks import build_task
from tests.conftest import CommandLineHere

MODEL = "model=rtmpose-t"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, shared_cache):
    """The same network in fp32 and in fp16."""
    command_line = CommandLineHere(tmp_path_factory.mktemp("polygraphy"))
    for precision in ("fp32", "fp16"):
        run = command_line(MODEL, f"precision={precision}", f"cache={shared_cache}")
        assert run.returncode == 0, run.stdout + run.stderr
    folder = command_line.folder / "outputs"
    return [folder / f"pose-detection_rtmpose-t_onnxruntime{end}_dynamic_256x192" for end in ("", "-fp16")]


def test_errors_are_those_that_polygraphy_finds(bundles):
    config = read_config(bundles[1])
    task, usual = build_task(config.model.processing), config.usual_input
    tensors = proof_of(task).samples(task.read(task.sample_source()), usual.batch, usual.size).tensors
    runners = [OnnxrtRunner(SessionFromOnnx(str(bundle / "end2end.onnx"))) for bundle in bundles]
    results = Comparator.run(runners, data_loader=[dict(tensors)])
    compared = Comparator.compare_accuracy(results, compare_func=SimpleCompareFunc(atol=1.0, check_error_stat="max"))
    (by_runners,) = compared
    ((differences,),) = by_runners.values()
    engine = Report.load(bundles[1]).proofs[-1]
    ours = {comparison.output: comparison for comparison in engine.comparisons}
    assert differences.keys() == ours.keys()
    for output, difference in differences.items():
        # The fp32 engine stands in for the network, from which it differs by less than 1e-4.
        assert difference.max_absdiff == pytest.approx(ours[output].max_absolute_error, abs=2e-4)
        assert difference.mean_absdiff == pytest.approx(ours[output].mean_absolute_error, abs=2e-4)
        assert ours[output].max_absolute_error > 2e-4
