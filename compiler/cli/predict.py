"""The verb `predict`: run a bundle, or two bundles that read text together. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler import runtime
from compiler.artifact import written_whole
from compiler.errors import ExitCode, UsageError
from compiler.tasks.arrays.task import NamedArray
from compiler.tasks.images import write_image

if TYPE_CHECKING:
    from compiler.runtime import Predictor
    from compiler.runtime.text_spotting import TextSpotter

USAGE = (
    "python -m compiler predict <bundle> <image, .bin or .npz> [box=x1,y1,x2,y2|boxes.json] [picture=<file>] "
    "[arrays=<.npz>], or "
    "python -m compiler predict <text detector> <text recogniser> <image> [picture=<file>]"
)

OPTIONS = ("box=", "picture=", "arrays=")


def run(arguments: Sequence[str]) -> int:
    """Print the results as JSON, and draw them where a picture is asked for."""
    options = dict(argument.split("=", 1) for argument in arguments if argument.startswith(OPTIONS))
    *bundles, source = [argument for argument in arguments if not argument.startswith(OPTIONS)] or [""]
    if len(bundles) not in (1, 2):
        raise UsageError("predict takes a bundle, or two that read text, and an image", where="command line", fix=USAGE)
    if len(bundles) == 2 and "box" in options:
        raise UsageError("the text detector finds the boxes itself", where=f"box={options['box']}", fix=USAGE)
    predictor: Predictor | TextSpotter
    results: list[Any]
    if len(bundles) == 1:
        predictor = runtime.open(*bundles)
        results = predictor(source, options.get("box"))
    else:
        from compiler.runtime.text_spotting import open_spotter

        predictor = open_spotter(*bundles)
        results = predictor(source)
    if "arrays" in options:
        _write_arrays(Path(options["arrays"]), results)
    print(json.dumps([result.to_dict() for result in results], indent=2))
    if "picture" in options:
        write_image(options["picture"], predictor.draw(source, results))
    return ExitCode.PROVEN


def _write_arrays(path: Path, results: Sequence[Any]) -> None:
    """Write whole outputs as a .npz.

    Raises:
        UsageError: The model does not give arrays.
    """
    if not all(isinstance(result, NamedArray) for result in results):
        raise UsageError(
            "the model gives results, not arrays", where=f"arrays={path}", fix="leave it out: they are printed"
        )
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, **{result.name: result.array for result in results})
