"""A GPU that is this machine's memory, and a library whose engines are numpy functions."""

# ruff: noqa: N802, N815 - CUDA's names

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from enum import IntEnum
from types import ModuleType, SimpleNamespace

import numpy as np

from compiler.artifact import Tensors


class HostCuda:
    """What a session calls of the CUDA runtime, on the host's memory."""

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)

    class Status(IntEnum):
        """How a call went."""

        cudaSuccess = 0
        cudaErrorMemoryAllocation = 2

    def __init__(self, capacity: int = 1 << 30) -> None:
        self.capacity = capacity
        self.memory: dict[int, ctypes.Array] = {}

    def cudaSetDevice(self, index):
        return (self.Status.cudaSuccess,)

    def cudaStreamCreate(self):
        return self.Status.cudaSuccess, 7

    def cudaStreamSynchronize(self, stream):
        return (self.Status.cudaSuccess,)

    def cudaMalloc(self, size):
        if size > self.capacity:
            return self.Status.cudaErrorMemoryAllocation, None
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return self.Status.cudaSuccess, ctypes.addressof(block)

    def cudaFree(self, pointer):
        del self.memory[pointer]
        return (self.Status.cudaSuccess,)

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        ctypes.memmove(target, source, size)
        return (self.Status.cudaSuccess,)

    def cudaGetErrorString(self, status):
        return self.Status.cudaSuccess, b"out of memory"


class Context:
    """Runs one engine."""

    def __init__(self, function: Callable[[Tensors], Tensors], dtypes: Mapping[str, str]) -> None:
        self._function = function
        self._dtypes = dtypes
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, object] = {}
        self.active_optimization_profile = 0
        self.profiler = None
        self.layers = [("conv + relu", 2.0), ("pool", 0.5)]

    def set_optimization_profile_async(self, index, stream):
        self.active_optimization_profile = index

    def set_input_shape(self, name, shape):
        self._shapes[name] = shape

    def set_tensor_address(self, name, address):
        self._addresses[name] = address

    def set_output_allocator(self, name, allocator):
        self._allocators[name] = allocator

    def execute_async_v3(self, stream):
        inputs = {name: self._read(name) for name in self._shapes}
        try:
            outputs = self._function(inputs)
        except ValueError:
            return False
        for name, output in outputs.items():
            array = np.ascontiguousarray(output)
            address = self._allocators[name].reallocate_output_async(name, 0, array.nbytes, 256, stream)
            ctypes.memmove(address, array.ctypes.data, array.nbytes)
            self._allocators[name].notify_shape(name, array.shape)
        if self.profiler is not None:
            for name, milliseconds in self.layers:
                self.profiler.report_layer_time(name, milliseconds)
        return True

    def _read(self, name):
        array = np.empty(self._shapes[name], self._dtypes[name])
        ctypes.memmove(array.ctypes.data, self._addresses[name], array.nbytes)
        return array


def host_library(function: Callable[[Tensors], Tensors], dtypes: Mapping[str, str], *profiles) -> ModuleType:
    """Return a module like `tensorrt` that opens an engine for the file content `plan`, and for nothing else.

    Args:
        function: What the engine computes, from inputs by name to outputs by name.
        dtypes: Of the inputs, by name.
        profiles: Each the smallest, usual and largest shape, by input.
    """
    context = Context(function, dtypes)
    engine = SimpleNamespace(
        create_execution_context=lambda: context,
        num_optimization_profiles=len(profiles),
        get_tensor_profile_shape=lambda name, index: profiles[index][name],
        context=context,
    )
    runtime = SimpleNamespace(deserialize_cuda_engine=lambda plan: engine if plan == b"plan" else None)
    library = ModuleType("tensorrt")
    library.__version__ = "11.4.0"
    library.ILogger = type("ILogger", (), {})
    library.IOutputAllocator = type("IOutputAllocator", (), {})
    library.IProfiler = type("IProfiler", (), {})
    library.Runtime = lambda logger: runtime
    library.context = context
    return library
