"""The tools that a result can depend on: libraries by their version, code by its source."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path

import rewriters
from compiler.artifact import installed_version, source_digest
from compiler.artifact.source_code import any_user_code, code_contents, code_digest, import_recorded, imported_by_name
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


@functools.cache
def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that a result can depend on, and of the compiler's own source."""
    packages = (Path(__file__).parents[1], *map(Path, rewriters.__path__))
    own_source = source_digest(packages)[:16]
    return {
        "python": platform.python_version(),
        "compiler": own_source,
        **{name: installed_version(name) for name in LIBRARIES},
    }


def plug_in_contents() -> dict[str, str]:
    """The code of installed plug-ins' rewriters, with all that it imports, by module; and what each plug-in names."""
    points = entry_points(group=ENTRY_POINT_GROUP)
    named = {f"{point.name} = {point.value}": point.dist.version if point.dist else "" for point in points}
    return named | code_contents(_with_imported_by_name(point.module for point in points))


def load_plug_ins() -> None:
    """Import the plug-ins that are somebody's own: only then is it known for sure what they import.

    One that cannot be imported is told of where its rewriters are chosen.
    """
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if any_user_code([point.module]):
            with suppress(Exception):
                import_recorded(point.module)


def class_digest(kind: type) -> str:
    """The digest of the code that somebody's own class, its bases, and all that their modules import are in; empty for
    a class of ours."""
    return code_digest(_with_imported_by_name(base.__module__ for base in kind.__mro__))


def _with_imported_by_name(modules: Iterable[str]) -> list[str]:
    """Modules, and where one is somebody's own also those of which nobody knows who imported them."""
    own = list(dict.fromkeys(modules))
    return [*own, *(imported_by_name() if any_user_code(own) else ())]
