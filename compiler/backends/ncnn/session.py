"""An engine of ncnn's, open on the processor."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Engine, Tensors, TensorSpec
from compiler.backends.backend import count_samples
from compiler.backends.ncnn.network import NcnnError, Options, open_network, run_sample
from compiler.backends.ncnn.param_file import PARAM_FILE, WEIGHTS_FILE
from compiler.backends.ncnn.trial import Trials
from compiler.errors import CompileError

INSTALL = "pip install 'deploy-compiler[ncnn]'"


class NcnnSession:
    """An engine, open. A network is converted for one sample: several run one after the other.

    Args:
        engine: Its blobs are called what its specs call its inputs and outputs.
        batched: The inputs that count samples; none where the network takes all there is at once.
        options: How it is run.
        trials: The shapes that it may be run at: ncnn would end the process where a layer does not fit one.

    Raises:
        CompileError: ncnn is not installed, or refuses the files.
    """

    def __init__(self, engine: Engine, batched: frozenset[str], options: Options, trials: Trials) -> None:
        self._ncnn = load_ncnn()
        self._engine, self._batched, self._trials = engine, batched, trials
        try:
            self._net = open_network(self._ncnn, engine.folder / PARAM_FILE, engine.folder / WEIGHTS_FILE, options)
        except NcnnError as error:
            raise self._failed(str(error)) from error

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name.

        Raises:
            CompileError: ncnn fails on them, or they count no sample or different ones.
        """
        found = [self._run(sample) for sample in self._samples(tensors)]
        if not self._batched:
            return found[0]
        return {spec.name: np.stack([one[spec.name] for one in found]) for spec in self._engine.outputs}

    def _samples(self, tensors: Tensors) -> Iterator[Tensors]:
        given = {spec.name: np.asarray(tensors[spec.name], spec.dtype) for spec in self._engine.inputs}
        if not self._batched:
            yield given
            return
        for index in range(count_samples({name: array for name, array in given.items() if name in self._batched})):
            yield {name: array[index] if name in self._batched else array for name, array in given.items()}

    def _run(self, sample: Tensors) -> Tensors:
        self._trials.require({name: array.shape for name, array in sample.items()})
        outputs = {spec.name: spec for spec in self._engine.outputs}
        try:
            found = run_sample(self._ncnn, self._net, sample, list(outputs))
        except NcnnError as error:
            raise self._failed(str(error)) from error
        return {name: self._shaped(array, outputs[name]) for name, array in found.items()}

    def _shaped(self, array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
        """An output of one sample with as many dimensions as it should have; ncnn may keep the batch, which is one."""
        rank = len(spec.shape) - bool(self._batched)
        if array.ndim == rank + 1 and array.shape[0] == 1:
            array = array[0]
        if array.ndim != rank:
            raise self._failed(f"{spec.name} is {list(array.shape)}, which are not {rank} dimensions")
        return array.astype(spec.dtype, copy=False)

    def _failed(self, why: str) -> CompileError:
        return CompileError(
            "the engine fails in ncnn", where=str(self._engine.folder / PARAM_FILE), why=why, fix="compile it again"
        )


def load_ncnn() -> Any:
    """The library.

    Raises:
        CompileError: It is not installed.
    """
    try:
        return importlib.import_module("ncnn")
    except (ImportError, OSError) as error:  # OSError: a shared library of its own is missing
        raise CompileError("ncnn is not installed", where="backend=ncnn", why=str(error), fix=INSTALL) from error
