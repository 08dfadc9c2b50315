"""What a proof on a processor holds for: its kind, what it can do, and the library that ran there."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import import_module

from compiler.artifact.digests import installed_version

FEATURES = (
    "AVX2", "FMA3", "AVX512F", "AVX512VNNI", "ASIMD", "ASIMDDP", "ASIMDHP", "SVE", "VSX", "VX",
)  # fmt: skip
"""Of those that NumPy tells: which kernels a library chooses depends on them."""


def this_machine(library: str) -> dict[str, str]:
    """The processor's kind and features, and the version of a library, by name."""
    return {
        "processor": " ".join((platform.machine(), *processor_features())),
        library: _minor(installed_version(library)),
    }


def elsewhere(proven_on: Mapping[str, str], here: Mapping[str, str]) -> str:
    """What is other here than where a proof ran, in words; empty where nothing is, or where that is not known."""
    return ", ".join(
        f"{name} {then or 'unknown'} there and {here[name] or 'unknown'} here"
        for name, then in proven_on.items()
        if name in here and here[name] != then
    )


def processor_features() -> list[str]:
    """Those of `FEATURES` that this processor has."""
    # NumPy shows these in `numpy.show_runtime`, and has no function that returns them; NumPy 1 has them elsewhere.
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            found: Mapping[str, bool] = import_module(name).__cpu_features__
        except (ImportError, AttributeError):
            continue
        return [name for name in FEATURES if found.get(name)]
    return []


def usable_processors() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # as Linux has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _minor(version: str) -> str:
    """A version without what mends it."""
    return ".".join(version.split(".")[:2])
