"""The GPUs of this machine, and memory on them, through NVIDIA's `cuda-bindings`: only the driver must be there."""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        index: As CUDA counts.
        name: As the driver calls it.
        capability: Its compute capability, for example `SM86`.
    """

    index: int
    name: str
    capability: str


@dataclass(frozen=True)
class Gpus:
    """What this machine has.

    Attributes:
        found: In CUDA's order.
        driver: The newest CUDA version that the driver supports, for example `13.0`.
        problem: Why none can be used; empty where one can.
    """

    found: tuple[Gpu, ...] = ()
    driver: str = ""
    problem: str = ""

    def at(self, index: int) -> Gpu:
        """The GPU that has this index.

        Raises:
            CompileError: There is none.
        """
        if self.problem or index >= len(self.found):
            names = ", ".join(f"{gpu.index}: {gpu.name}" for gpu in self.found)
            raise CompileError(
                self.problem or f"there is no GPU {index}",
                where=f"backend.device={index}",
                why=names and f"has {names}",
            )
        return self.found[index]


def find_gpus() -> Gpus:
    """Look for GPUs; never fails."""
    if not _has_driver():
        return Gpus(problem="no GPU: there is no NVIDIA driver")
    try:
        cuda = load_cuda()
        version = checked(cuda, cuda.cudaDriverGetVersion())
        count = checked(cuda, cuda.cudaGetDeviceCount())
        found = tuple(_describe(index, checked(cuda, cuda.cudaGetDeviceProperties(index))) for index in range(count))
    except CompileError as error:
        return Gpus(problem=": ".join(filter(None, ("no GPU", error.what, error.fix))))
    return Gpus(found, f"{version // 1000}.{version % 1000 // 10}", "" if found else "no GPU: the driver sees none")


def alone(gpu: Gpu | None) -> dict[str, str]:
    """The variables that show a process this GPU alone, also where this one sees only some; nothing for none."""
    if gpu is None:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[gpu.index] if visible else str(gpu.index)}


def load_cuda() -> Any:
    """Import the CUDA runtime.

    Raises:
        CompileError: It is not installed.
    """
    try:
        return import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise CompileError("cuda-bindings is not installed", why=str(error), fix="pip install cuda-bindings") from error


def checked(cuda: Any, result: tuple[Any, ...]) -> Any:
    """What a call of the CUDA runtime returned beside its status.

    Raises:
        CompileError: The status says that it failed.
    """
    status, *values = result
    if int(status):
        _, text = cuda.cudaGetErrorString(status)
        raise CompileError(f"CUDA fails: {bytes(text).decode()}", why=getattr(status, "name", str(status)))
    return values[0] if values else None


class DeviceBuffer:
    """Memory on the current GPU that grows when it has to, and is freed with this object.

    Args:
        cuda: The CUDA runtime.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self._size = 0
        self._free: Callable[..., object] = lambda: None
        self.pointer = 0

    def reserve(self, size: int) -> int:
        """The address of at least `size` bytes; what they held before is lost where the memory had to grow."""
        size = max(size, 1)  # an empty tensor needs an address too
        if size > self._size:
            self._free()
            self.pointer = int(checked(self._cuda, self._cuda.cudaMalloc(size)))
            self._free = weakref.finalize(self, self._cuda.cudaFree, self.pointer)
            self._size = size
        return self.pointer

    def upload(self, array: NDArray[Any], stream: Any) -> int:
        """Copy a contiguous array to the GPU, in the order of the stream; return its address there."""
        pointer = self.reserve(array.nbytes)
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        checked(self._cuda, self._cuda.cudaMemcpyAsync(pointer, array.ctypes.data, array.nbytes, kind, stream))
        return pointer

    def download(self, shape: tuple[int, ...], dtype: str, stream: Any) -> NDArray[Any]:
        """An array that is filled from the GPU once the stream has come this far."""
        array = np.empty(shape, dtype)
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        checked(self._cuda, self._cuda.cudaMemcpyAsync(array.ctypes.data, self.pointer, array.nbytes, kind, stream))
        return array


def _describe(index: int, properties: Any) -> Gpu:
    name = bytes(properties.name).split(b"\0")[0].decode()
    return Gpu(index, name, f"SM{properties.major}{properties.minor}")


def _has_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
