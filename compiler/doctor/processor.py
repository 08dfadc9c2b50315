"""The processor: its name, what of its instructions matters here, and what that means for int8, bf16 and fp16."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compiler.artifact.machine import processor_features

CPU_INFO = Path("/proc/cpuinfo")
FEATURES: Mapping[str, tuple[str, ...]] = {
    "AVX2": ("avx2",),
    "FMA": ("fma", "fma3"),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni", "avx512vnni"),
    "AMX int8": ("amx_int8",),
    "AMX bf16": ("amx_bf16",),
    "AVX-512 bf16": ("avx512_bf16",),
    "AVX-512 fp16": ("avx512_fp16", "avx512fp16"),
    "NEON": ("asimd", "neon"),
    "dot product": ("asimddp", "feat_dotprod"),
    "i8mm": ("i8mm", "feat_i8mm"),
    "arm bf16": ("bf16", "feat_bf16"),
    "arm fp16": ("asimdhp", "feat_fp16"),
}
"""What matters, by the names that Linux, macOS and NumPy have for it."""
SUMS_IN_32_BITS = ("VNNI", "AMX int8", "dot product", "i8mm")
COMPUTES_BF16 = ("AMX bf16", "AVX-512 bf16", "arm bf16")
COMPUTES_FP16 = ("AVX-512 fp16", "arm fp16")
X86 = ("x86_64", "amd64", "i386", "i686")


@dataclass(frozen=True)
class Processor:
    """What this machine computes with.

    Attributes:
        name: As the system calls it.
        kind: Such as `x86_64`.
        features: Those of `FEATURES` that it has.
    """

    name: str
    kind: str
    features: tuple[str, ...]

    @property
    def meanings(self) -> dict[str, str]:
        """What it means for each precision here."""
        return {"int8": self._int8, "bf16": self._bf16, "fp16": self._fp16}

    @property
    def _int8(self) -> str:
        found = self._of(SUMS_IN_32_BITS)
        if found:
            return (
                f"right with any weights, and fast: {found} adds products up in 32 bits; for this processor alone, "
                "backend.cpu=vnni takes the fastest kernels of ONNX Runtime and OpenVINO"
            )
        if self.kind.lower() in X86:
            return (
                "without VNNI pairs of products are added up in 16 bits, and what does not fit is lost: keep "
                "backend.cpu=portable, the default, whose weights always fit; what is written for vnni is wrong here"
            )
        return "not known of this processor: keep backend.cpu=portable, the default, which is right on any"

    @property
    def _bf16(self) -> str:
        found = self._of(COMPUTES_BF16)
        if found:
            return f"computed by {found}: backend=openvino precision=bf16"
        return "not computed by this processor: backend=openvino refuses precision=bf16 here"

    @property
    def _fp16(self) -> str:
        found = self._of(COMPUTES_FP16)
        if found:
            return f"computed by {found}: backend=openvino precision=fp16 backend.inference_precision=f16"
        return "halves the size of engines; this processor computes their numbers in fp32"

    def _of(self, wanted: tuple[str, ...]) -> str:
        return " and ".join(name for name in self.features if name in wanted)


def this_processor() -> Processor:
    """The processor of this machine."""
    name, flags = _told_by_system()
    found = {flag.lower() for flag in (*flags, *processor_features())}
    features = tuple(feature for feature, names in FEATURES.items() if found & set(names))
    return Processor(name or platform.processor() or "not known", platform.machine(), features)


def in_cpu_info(text: str) -> tuple[str, list[str]]:
    """The name and the flags of the first processor in what Linux says, which differs between kinds of them."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        values.setdefault(key.strip().lower(), value.strip())
    flags = values.get("flags") or values.get("features") or ""
    return values.get("model name", ""), flags.split()


def _told_by_system() -> tuple[str, Iterable[str]]:
    """A name and flags, from where the system keeps them; empty where it does not tell."""
    if CPU_INFO.is_file():
        return in_cpu_info(CPU_INFO.read_text(encoding="utf-8", errors="replace"))
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string"), _mac_flags()
    return "", ()


def _mac_flags() -> list[str]:
    """The optional parts of an Arm processor that macOS says it has."""
    names = ("FEAT_DotProd", "FEAT_I8MM", "FEAT_BF16", "FEAT_FP16")
    return [name for name in names if _sysctl(f"hw.optional.arm.{name}") == "1"]


def _sysctl(name: str) -> str:
    try:
        run = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()
