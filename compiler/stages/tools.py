"""The tools that a result can depend on: libraries by their version, code by its source."""

from __future__ import annotations

import functools
import importlib.util
import platform
import sys
from importlib.metadata import entry_points
from pathlib import Path

import compiler
import rewriters
from compiler.artifact import file_digest, installed_version, source_digest
from rewriters.registry import ENTRY_POINT_GROUP

LIBRARIES = (
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnx-graphsurgeon",
    "numpy",
    "opencv-python-headless",
    "pyclipper",
)

OURS = ("compiler", "rewriters")
"""The packages whose source `versions()["compiler"]` is the digest of."""


@functools.cache
def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that a result can depend on, and of the compiler's own source."""
    packages = (Path(package.__file__).parent for package in (compiler, rewriters) if package.__file__)
    own_source = source_digest(packages)[:16]
    return {
        "python": platform.python_version(),
        "compiler": own_source,
        **{name: installed_version(name) for name in LIBRARIES},
    }


def plug_in_digests() -> dict[str, str]:
    """The digest of each module that an installed plug-in's rewriters are in."""
    return {
        f"{point.dist.name if point.dist else '?'} {point.value}": module_digest(point.module)
        for point in entry_points(group=ENTRY_POINT_GROUP)
    }


def foreign_source_digest(kind: type) -> str:
    """The digest of the module that a class of the user's own is in; empty for a class of ours."""
    if kind.__module__.partition(".")[0] in OURS:
        return ""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file_digest(Path(file)) if file and Path(file).is_file() else ""


def module_digest(name: str) -> str:
    """The digest of a module's file; empty where there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return ""
    return file_digest(Path(spec.origin)) if spec and spec.origin and Path(spec.origin).is_file() else ""
