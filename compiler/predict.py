"""The verb `predict`: run a bundle on an image. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence

from compiler import runtime
from compiler.errors import ExitCode, UsageError
from compiler.tasks.images import write_image

USAGE = "python -m compiler predict <bundle> <image> [box=x1,y1,x2,y2|boxes.json] [picture=<file>]"


def run(arguments: Sequence[str]) -> int:
    """Print the results as JSON, and draw them where a picture is asked for."""
    options = dict(argument.split("=", 1) for argument in arguments if argument.startswith(("box=", "picture=")))
    paths = [argument for argument in arguments if not argument.startswith(("box=", "picture="))]
    if len(paths) != 2:
        raise UsageError("predict takes a bundle and an image", where="command line", fix=USAGE)
    bundle, image = paths
    predictor = runtime.open(bundle)
    results = predictor(image, options.get("box"))
    print(json.dumps([result.to_dict() for result in results], indent=2))
    if "picture" in options:
        write_image(options["picture"], predictor.draw(image, results))
    return ExitCode.PROVEN
