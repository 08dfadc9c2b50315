"""Running an engine of TensorRT or TensorRT-RTX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compiler.artifact import LARGEST_WEIGHTS, Engine, Tensors, read_given
from compiler.backends.nvidia.build_engine import Log
from compiler.backends.nvidia.cuda import DeviceBuffer, checked, load_cuda
from compiler.errors import CompileError

Shapes = Mapping[str, tuple[int, ...]]
Range = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""The smallest, the usual and the largest shape of an input."""


class NvidiaSession:
    """An open engine. It runs in one thread at a time.

    Args:
        trt: The library: the module `tensorrt` or `tensorrt_rtx`.
        engine: Built by this version of the library.
        device: The GPU that runs it, as CUDA counts.
        dla_core: The DLA core that it was built for, if any.
        weights: The ONNX file that its weights come from, where it was built without them.
        host_code: Whether the engine may bring code that the processor runs.

    Raises:
        CompileError: The library cannot open the engine on this GPU.
    """

    def __init__(
        self,
        trt: Any,
        engine: Engine,
        device: int,
        dla_core: int | None = None,
        weights: Path | None = None,
        *,
        host_code: bool = False,
    ) -> None:
        self._cuda = load_cuda()
        checked(self._cuda, self._cuda.cudaSetDevice(device))
        self._trt = trt
        self._device = device
        self._specs = engine
        self._log = Log()
        self._runtime = new_runtime(trt, self._log, dla_core, host_code=host_code)
        content = read_given(engine.path, "the engine", largest=LARGEST_WEIGHTS)
        self._engine = self._runtime.deserialize_cuda_engine(content)
        if self._engine is not None and weights is not None:
            refit(trt, self._engine, self._log.listener(trt), weights)
        self._context = self._engine and self._engine.create_execution_context()
        if self._context is None:
            raise self._failure(f"{trt.__name__} {trt.__version__} cannot open {engine.file} on this GPU")
        self._stream = checked(self._cuda, self._cuda.cudaStreamCreate())
        self._buffers = {spec.name: DeviceBuffer(self._cuda) for spec in (*engine.inputs, *engine.outputs)}
        self._allocator = output_allocator(trt, self._buffers)
        for spec in engine.outputs:
            self._context.set_output_allocator(spec.name, self._allocator)
        self._profiles = [
            {spec.name: self._engine.get_tensor_profile_shape(spec.name, index) for spec in engine.inputs}
            for index in range(self._engine.num_optimization_profiles)
        ]

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name.

        Raises:
            CompileError: No profile of the engine takes these shapes, or it fails.
        """
        checked(self._cuda, self._cuda.cudaSetDevice(self._device))
        arrays = {spec.name: np.ascontiguousarray(tensors[spec.name], spec.dtype) for spec in self._specs.inputs}
        profile = matching_profile(self._profiles, {name: array.shape for name, array in arrays.items()})
        if profile != self._context.active_optimization_profile:
            self._context.set_optimization_profile_async(profile, int(self._stream))
        for name, array in arrays.items():
            self._context.set_input_shape(name, array.shape)
            self._context.set_tensor_address(name, self._buffers[name].upload(array, self._stream))
        self._log.listener(self._trt)
        if not self._context.execute_async_v3(int(self._stream)):
            raise self._failure("the engine fails")
        shapes = self._allocator.shapes
        results = {
            spec.name: self._buffers[spec.name].download(shapes[spec.name], spec.dtype, self._stream)
            for spec in self._specs.outputs
        }
        checked(self._cuda, self._cuda.cudaStreamSynchronize(self._stream))
        return results

    def layer_seconds(self, tensors: Tensors, iterations: int) -> dict[str, float]:
        """Seconds that each layer takes in one run, by its name: the mean of several, behind one that does not count.

        Raises:
            CompileError: See `run`.
        """
        self.run(tensors)
        self._context.profiler = profiler = layer_profiler(self._trt)
        for _ in range(iterations):
            self.run(tensors)
        return {name: seconds / iterations for name, seconds in profiler.seconds.items()}

    def _failure(self, what: str) -> CompileError:
        return CompileError(what, why="\n".join(self._log.of("ERROR", "INTERNAL_ERROR")[-3:]))


def new_runtime(trt: Any, log: Log, dla_core: int | None = None, *, host_code: bool = False) -> Any:
    """What the library opens engines with; those that bring code for the processor only where that is allowed."""
    runtime = trt.Runtime(log.listener(trt))
    runtime.engine_host_code_allowed = host_code
    if dla_core is not None:
        runtime.DLA_core = dla_core
    return runtime


def refit(trt: Any, engine: Any, logger: Any, weights: Path) -> None:
    """Fill the weights of an ONNX file into an engine that was built without them.

    Raises:
        CompileError: They do not belong together.
    """
    refitter = trt.Refitter(engine, logger)
    if not trt.OnnxParserRefitter(refitter, logger).refit_from_file(str(weights)) or not refitter.refit_cuda_engine():
        raise CompileError("the engine does not take the weights of this Program", where=str(weights))


def matching_profile(profiles: Sequence[Mapping[str, Range]], shapes: Shapes) -> int:
    """The profile that takes these shapes, or of several the one whose usual shapes are nearest.

    Args:
        profiles: The ranges of each, by input.
        shapes: By input.

    Raises:
        CompileError: None does.
    """

    def takes(ranges: Mapping[str, Range]) -> bool:
        return all(
            len(shape) == len(ranges[name][0])
            and all(
                low <= size <= high for low, size, high in zip(ranges[name][0], shape, ranges[name][2], strict=True)
            )
            for name, shape in shapes.items()
        )

    def distance(index: int) -> float:
        return sum(
            abs(math.log(max(size, 1) / max(usual, 1)))
            for name, shape in shapes.items()
            for size, usual in zip(shape, profiles[index][name][1], strict=True)
        )

    able = [index for index, ranges in enumerate(profiles) if takes(ranges)]
    if not able:
        known = "; or ".join(
            ", ".join(f"{name} from {tuple(low)} to {tuple(high)}" for name, (low, _, high) in ranges.items())
            for ranges in profiles
        )
        raise CompileError(
            "the engine was not built for these shapes",
            where=", ".join(f"{name} {shape}" for name, shape in shapes.items()),
            why=f"it takes {known}",
            fix="compile it for a larger range: shape=dynamic_<smallest>-<largest>, batch.largest",
        )
    return min(able, key=distance)


def output_allocator(trt: Any, buffers: Mapping[str, DeviceBuffer]) -> Any:
    """What gives the library memory for outputs, whose shapes may be known only while it runs."""

    class OutputAllocator(trt.IOutputAllocator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.shapes: dict[str, tuple[int, ...]] = {}

        def reallocate_output_async(self, name: str, memory: int, size: int, alignment: int, stream: int) -> int:
            return buffers[name].reserve(size)

        def notify_shape(self, name: str, shape: Any) -> None:
            self.shapes[name] = tuple(shape)

    return OutputAllocator()


def layer_profiler(trt: Any) -> Any:
    """What the library tells of each layer that an engine runs; `seconds` holds the sums of all runs, by name."""

    class LayerProfiler(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.seconds: dict[str, float] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.seconds[layer_name] = self.seconds.get(layer_name, 0.0) + ms / 1000

    return LayerProfiler()
