"""onnx's own node tests, compiled as a user compiles a file of somebody else's, on the data that comes with them.

`python -m tests.node_tests` prints what becomes of every one of them; with words behind, of those that have one in
their names.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import onnx
from onnx import numpy_helper
from onnx.backend.test.case import node as cases
from onnx.backend.test.case.test_case import TestCase

from compiler import pipeline
from compiler.config import CompileConfig, compose
from compiler.errors import CompileError
from compiler.graphs.onnx_files import OLDEST_OPSET
from compiler.graphs.walk import default_opset
from compiler.sources import onnx_file
from tests.trials import TrialHere


@dataclass(frozen=True)
class Result:
    """What became of one file.

    Attributes:
        name: Of the test.
        verdict: `proven`, `not proven`, `refused`, or `defect` where something else was raised.
        why: In the compiler's words.
        seconds: Of processor time, children included.
    """

    name: str
    verdict: str
    why: str
    seconds: float


def node_tests(modules: Collection[str] = ()) -> list[TestCase]:
    """onnx's node tests whose opset can be read: those in some of its modules, or all of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if modules:
            for module in modules:
                importlib.import_module(f"{cases.__name__}.{module}")
            found = list(cases._NodeTestCases)
        else:
            found = cases.collect_testcases(None)
    return [case for case in found if default_opset(case.model) >= OLDEST_OPSET]


def write(case: TestCase, folder: Path) -> None:
    """Write a test as onnx keeps it in a folder: the model, and the inputs of its first data set."""
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    inputs, _ = case.data_sets[0]
    for index, (value, given) in enumerate(zip(case.model.graph.input, inputs, strict=False)):
        if value.type.HasField("tensor_type"):
            (data / f"input_{index}.pb").write_bytes(_tensor(given).SerializeToString())


def settings(output: Path) -> CompileConfig:
    """What all of them are compiled with."""
    return compose(["model=onnx", "shape=static", f"output={output}"])


def compiled(case: TestCase, output: Path, settings: CompileConfig) -> Result:
    """Compile one of them on its data."""
    begin = _seconds()
    folder = output / case.name
    write(case, folder)
    model = replace(settings.model, file=str(folder / "model.onnx"))
    try:
        outcome = pipeline.compile_bundle(replace(settings, model=model, input=str(folder / "test_data_set_0")))
        problem = outcome.problem
        verdict, why = ("not proven", str(problem)) if problem else ("proven", "")
    except CompileError as error:
        verdict, why = "refused", f"{error.what}: {error.why}"
    except Exception as error:  # what no user may see
        verdict, why = "defect", f"{type(error).__name__}: {error}"
    return Result(case.name, verdict, why, _seconds() - begin)


def results(tests: Sequence[TestCase]) -> Iterator[Result]:
    """Yield what becomes of each."""
    with TemporaryDirectory() as temporary, patch.object(onnx_file, "Trial", TrialHere):
        common = settings(Path(temporary) / "outputs")
        for case in tests:
            yield compiled(case, Path(temporary), common)


def _tensor(array: Any) -> onnx.TensorProto:
    return array if isinstance(array, onnx.TensorProto) else numpy_helper.from_array(array)


def _seconds() -> float:
    return sum(os.times()[:4])


def main(words: Sequence[str]) -> None:
    """Print what becomes of each, and how many became what."""
    tests = [case for case in node_tests() if not words or any(word in case.name for word in words)]
    found: Counter[str] = Counter()
    for result in results(tests):
        found[result.verdict] += 1
        print(f"{result.verdict:10} {result.seconds:5.2f} {result.name}: {' '.join(result.why.split())}", flush=True)
    print(dict(found))


if __name__ == "__main__":
    main(sys.argv[1:])
