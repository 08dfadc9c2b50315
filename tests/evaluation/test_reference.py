"""The PyTorch network beside the engine that was made of it. Needs torch."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from compiler.errors import CompileError, UsageError
from compiler.evaluation import EvaluationOptions, Opening, evaluate
from tests.bundles import change_json, lock_again


def test_the_network_and_its_engine_find_the_same(bundle, pose_annotations, shared_cache, tmp_path):
    opening = Opening(cache=shared_cache)
    options = EvaluationOptions(output=tmp_path / "results", workers=1, reference=True, opening=opening)
    evaluation = evaluate([bundle], pose_annotations, options)
    network, engine = evaluation.columns
    assert (network.name, network.backend, network.precision) == ("PyTorch", "pytorch", "fp32")
    assert engine.name == "onnxruntime fp32"
    first, second = (column.results.read_text().splitlines()[1:] for column in (network, engine))
    assert len(first) == len(second) == 3
    assert first != second, "they are not the same computation"
    assert max(np.abs(list(evaluation.differences(engine).values()))) < 1e-3
    assert network.results != engine.results


def test_it_is_made_of_the_files_that_the_bundle_was_made_from(bundle, pose_annotations, shared_cache, tmp_path):
    options = EvaluationOptions(output=tmp_path / "results", opening=Opening(cache=shared_cache), reference=True)
    with pytest.raises(UsageError, match="the bundle was made without checkpoint"):
        evaluate([bundle], pose_annotations, replace(options, checkpoint="other.pth"))
    moved = shutil.copytree(bundle, tmp_path / "moved")
    config = moved / "config.yaml"
    config.write_text(config.read_text().replace("checkpoint: null", "checkpoint: official"))
    lock = moved / "lock.json"
    change_json(lock, made_from={"checkpoint": "0" * 64})
    lock_again(moved)
    with pytest.raises(CompileError, match="what the bundle was made from is not here: checkpoint") as caught:
        evaluate([moved], pose_annotations, options)
    assert "checkpoint=official to download it from https://download.openmmlab.com/" in caught.value.fix
