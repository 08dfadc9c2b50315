"""TensorRT: engines for NVIDIA's GPUs, from Jetson to the data centre, built on the GPU that runs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from compiler.backends import BuildRequest
from compiler.backends.nvidia.backend import NvidiaBackend
from compiler.backends.nvidia.build_engine import Settings
from compiler.backends.nvidia.cuda import Gpu, Gpus
from compiler.config.ranges import between


@dataclass(frozen=True, kw_only=True)
class TensorRT(NvidiaBackend):
    """NVIDIA's TensorRT 10.x and 11.x. Networks are strongly typed: the Program's precision is the engine's.

    Attributes:
        optimization_level: From 0, fast to build, to 5, fast to run; None for the library's own, 3.
        timing_cache: Whether measurements are kept for later builds with the same version on the same kind of GPU.
        version_compatible: Whether later versions of the same major release can run the engine.
        dla_core: The deep learning accelerator of a Jetson that runs what it can; None for the GPU alone.
    """

    LIBRARY: ClassVar[str] = "tensorrt"
    OLDEST: ClassVar[str] = "10.3"
    TITLE: ClassVar[str] = "TensorRT"
    TRITON: ClassVar[str] = "tensorrt"

    optimization_level: int | None = between(0, 5, default=None)
    timing_cache: bool = True
    version_compatible: bool = False
    dla_core: int | None = between(0, 1023, default=None)

    @property
    def engine_holds_code(self) -> bool:
        """A version-compatible engine brings the part of the library that runs it."""
        return self.version_compatible

    def targets(self, gpus: Gpus) -> tuple[str, ...]:
        """The capability of the configured GPU, where there is one."""
        return tuple(gpu.capability for gpu in gpus.found if gpu.index == self.device)

    def building_problem(self, gpus: Gpus) -> str:
        """Engines are built on a GPU of the kind that runs them."""
        return gpus.problem

    def building_gpu(self, gpus: Gpus) -> Gpu:
        """The configured GPU."""
        return gpus.at(self.device)

    def settings(self, request: BuildRequest) -> Settings:
        """Add what TensorRT-RTX does not have."""
        return replace(
            super().settings(request),
            optimization_level=self.optimization_level,
            version_compatible=self.version_compatible,
            dla_core=self.dla_core,
        )

    def measurements(self, folder: Path, version: str, gpu: Gpu | None) -> Path | None:
        """The timing cache of this version on this kind of GPU."""
        if gpu is None or not self.timing_cache:
            return None
        return folder / f"tensorrt-{version}-{gpu.name.replace(' ', '_')}-{gpu.capability}.timing"
