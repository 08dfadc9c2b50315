"""The verb `predict`: run a bundle, or two bundles that read text together. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from compiler import runtime
from compiler.errors import ExitCode, UsageError
from compiler.tasks.images import write_image

if TYPE_CHECKING:
    from compiler.runtime import Predictor
    from compiler.text_spotting import TextSpotter

USAGE = (
    "python -m compiler predict <bundle> <image or .bin> [box=x1,y1,x2,y2|boxes.json] [picture=<file>], or "
    "python -m compiler predict <text detector> <text recogniser> <image> [picture=<file>]"
)


def run(arguments: Sequence[str]) -> int:
    """Print the results as JSON, and draw them where a picture is asked for."""
    options = dict(argument.split("=", 1) for argument in arguments if argument.startswith(("box=", "picture=")))
    *bundles, source = [argument for argument in arguments if not argument.startswith(("box=", "picture="))] or [""]
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
        from compiler.text_spotting import open_spotter

        predictor = open_spotter(*bundles)
        results = predictor(source)
    print(json.dumps([result.to_dict() for result in results], indent=2))
    if "picture" in options:
        write_image(options["picture"], predictor.draw(source, results))
    return ExitCode.PROVEN
