"""Convert an archive of TorchScript to an ML Program, in a process of its own: run by `run_script`, never imported.

It needs PyTorch and coremltools, of which what it says goes to nobody's screen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import warnings
from pathlib import Path
from typing import Any

MOST_SHAPES = 128
"""That Core ML takes of one input."""
LEAST_WEIGHTS = 2048
"""Smaller ones stay as they are, by coremltools' own choice: they save nothing."""


def main() -> None:
    """Read the archive, and write the package."""
    parser = argparse.ArgumentParser()
    for option in ("--program", "--output", "--settings"):
        parser.add_argument(option, required=True)
    parser.add_argument("--packages", action="append", default=[])
    options = parser.parse_args()
    sys.path.extend(options.packages)
    warnings.simplefilter("ignore")
    settings = json.loads(Path(options.settings).read_text(encoding="utf-8"))
    tell(0.0, "Reading the archive")
    import coremltools
    import torch

    take_single_numbers()
    network = torch.jit.load(options.program, map_location="cpu")  # type: ignore[no-untyped-call]
    tell(0.2, "Converting")
    package = converted(coremltools, network, settings)
    if settings["precision"] == "int8":
        tell(0.8, "Quantising the weights")
        package = with_small_weights(package)
    package.save(options.output)
    tell(1.0, "converted")


def tell(share: float, phase: str) -> None:
    """Say how far it is."""
    print(f"{share:6.1%}  {phase}", flush=True)


def take_single_numbers() -> None:
    """Let coremltools 9.0 take constants of one number, as an `int`, which NumPy 2.4 refuses, and stacked."""
    import numpy
    from coremltools.converters.mil import Builder, register_torch_op
    from coremltools.converters.mil.frontend.torch import ops

    int_before, stack_before = ops._int, ops.stack

    def _int(context: Any, node: Any) -> None:
        given = context[node.inputs[0]]
        if given.can_be_folded_to_const():
            context.add(Builder.const(val=int(numpy.asarray(given.val).item()), name=node.name), node.name)
        else:
            int_before(context, node)

    def stack(context: Any, node: Any) -> None:
        given = context[node.inputs[0]]
        if isinstance(given, list | tuple):
            stack_before(context, node)
        else:  # a list of numbers, which has become one constant
            context.add(Builder.identity(x=given, name=node.name), node.name)

    register_torch_op(_int, torch_alias=["int"], override=True)
    register_torch_op(stack, override=True)


def converted(coremltools: Any, network: Any, settings: dict[str, Any]) -> Any:
    """The ML Program; in int8 it computes in fp16, as Core ML does of itself."""
    import numpy

    precision = coremltools.precision
    computes = precision.FLOAT32 if settings["precision"] == "fp32" else precision.FLOAT16
    return coremltools.convert(
        network,
        inputs=[input_type(coremltools, spec, settings["shapes"]) for spec in settings["inputs"]],
        outputs=[
            coremltools.TensorType(name=spec["name"], dtype=numpy.dtype(spec["dtype"]).type)
            for spec in settings["outputs"]
        ],
        convert_to="mlprogram",
        compute_precision=computes,
        minimum_deployment_target=getattr(coremltools.target, settings["target"]),
        skip_model_load=True,
    )


def input_type(coremltools: Any, spec: dict[str, Any], shapes: str) -> Any:
    """An input: a side is a length, or the smallest, the usual and the largest of one that varies."""
    import numpy

    sides = spec["shape"]
    shape: Any = tuple(sides)
    if any(isinstance(side, list) for side in sides):
        shape = enumerated(coremltools, sides) if shapes == "enumerated" else ranged(coremltools, sides)
    return coremltools.TensorType(name=spec["name"], shape=shape, dtype=numpy.dtype(spec["dtype"]).type)


def ranged(coremltools: Any, sides: list[Any]) -> Any:
    """A shape of which sides vary between two lengths."""
    return coremltools.Shape(
        tuple(
            coremltools.RangeDim(lower_bound=side[0], default=side[1], upper_bound=side[2])
            if isinstance(side, list)
            else side
            for side in sides
        )
    )


def enumerated(coremltools: Any, sides: list[Any]) -> Any:
    """Every shape that there may be.

    Raises:
        ValueError: There are more than Core ML takes.
    """
    lengths = [range(side[0], side[2] + 1) if isinstance(side, list) else (side,) for side in sides]
    found = list(itertools.islice(itertools.product(*lengths), MOST_SHAPES + 1))
    if len(found) > MOST_SHAPES:
        raise ValueError(f"Core ML takes {MOST_SHAPES} shapes at most, and there are more: use backend.shapes=range")
    usual = tuple(side[1] if isinstance(side, list) else side for side in sides)
    return coremltools.EnumeratedShapes(shapes=[list(shape) for shape in found], default=list(usual))


def with_small_weights(package: Any) -> Any:
    """The package with its large weights in 8 bits, symmetric around zero for each of their channels.

    Raises:
        ValueError: It has none.
    """
    from coremltools.optimize import coreml

    config = coreml.OptimizationConfig(global_config=coreml.OpLinearQuantizerConfig(mode="linear_symmetric"))
    small = coreml.linear_quantize_weights(package, config)
    function = small._mil_program.functions["main"]
    if not any(one.op_type.startswith("constexpr_") for one in function.operations):
        raise ValueError(f"no weight of the network is large enough: {LEAST_WEIGHTS} numbers at the least")
    return small


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        print("\nfailed:", "coremltools cannot convert the Program", *told[:3], sep="\n", file=sys.stderr)
        sys.exit(1)
