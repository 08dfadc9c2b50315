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
from compiler.artifact import digest, file_digest, installed_version, source_digest
from rewriters.registry import ENTRY_POINT_GROUP

LIBRARIES = (
    "torch",
    "onnx",
    "onnx-ir",
    "onnxscript",
    "onnxruntime",
    "onnx-graphsurgeon",
    "numpy",
    "opencv-python-headless",
    "pyclipper",
    "safetensors",
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
    """The digest of the modules that a class of the user's own and its bases are in; empty for a class of ours."""
    if kind.__module__.partition(".")[0] in OURS:
        return ""
    modules = dict.fromkeys(base.__module__ for base in kind.__mro__ if base.__module__.partition(".")[0] not in OURS)
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in modules}
    return digest({name: file_digest(Path(file)) for name, file in files.items() if file and Path(file).is_file()})


def module_digest(name: str) -> str:
    """The digest of a module's file; empty where there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return ""
    return file_digest(Path(spec.origin)) if spec and spec.origin and Path(spec.origin).is_file() else ""
