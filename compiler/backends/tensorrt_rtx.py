"""TensorRT-RTX: engines for GeForce and RTX GPUs, built ahead of time on any machine and finished on the user's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from compiler.backends import BuildRequest
from compiler.backends.nvidia.backend import NvidiaBackend
from compiler.backends.nvidia.build_engine import Settings
from compiler.backends.nvidia.cuda import Gpu, Gpus
from compiler.config.choices import require_choice
from compiler.errors import UsageError

CAPABILITIES = ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121")
AMPERE_AND_LATER = CAPABILITIES[1:]
"""What an engine is built for by default (NVIDIA's "CPU-Only AOT and TensorRT-RTX Engines")."""


@dataclass(frozen=True, kw_only=True)
class TensorRTRTX(NvidiaBackend):
    """NVIDIA's TensorRT-RTX 1.x.

    It has no timing cache, since it measures nothing before it runs, and all optimization levels build the same bytes.

    Attributes:
        compute_capabilities: The GPUs that the one engine is built for, of `CAPABILITIES`; None for Ampere and later.
            With SM75 (Turing) among them it holds only what Turing can do, and is slower everywhere.
    """

    LIBRARY: ClassVar[str] = "tensorrt_rtx"
    OLDEST: ClassVar[str] = "1.5"
    TITLE: ClassVar[str] = "TensorRT-RTX"
    TAIL: ClassVar[str] = "host"
    """It cannot build NonMaxSuppression."""

    compute_capabilities: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        where = "backend.compute_capabilities"
        chosen = self.compute_capabilities
        if chosen is not None and len(set(chosen)) != max(len(chosen), 1):
            raise UsageError("compute capabilities are named once each, or not at all", where=where, why=str(chosen))
        for capability in chosen or ():
            require_choice(capability, CAPABILITIES, where)

    def targets(self, gpus: Gpus) -> tuple[str, ...]:
        """The configured capabilities."""
        return self.compute_capabilities or AMPERE_AND_LATER

    def building_problem(self, gpus: Gpus) -> str:
        """Engines are built on any machine, but for those without weights."""
        return (
            f"without its weights an engine is built on a GPU: {gpus.problem}"
            if self.strip_weights and gpus.problem
            else ""
        )

    def building_gpu(self, gpus: Gpus) -> Gpu | None:
        """The configured GPU; None where it is not there."""
        return next((gpu for gpu in gpus.found if gpu.index == self.device), None)

    def settings(self, request: BuildRequest) -> Settings:
        """Add the GPUs to build for."""
        return replace(super().settings(request), compute_capabilities=self.compute_capabilities or ())
