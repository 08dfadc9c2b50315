"""The ranges of shapes that an engine is built for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.artifact import Program, TensorSpec
from compiler.backends import Profile
from compiler.config.sizes import Size
from compiler.errors import UsageError


def for_batch(profile: Profile, batch: int, program: Program) -> Profile:
    """A copy of a profile that takes this batch alone."""
    batched = {spec.name: [size == "batch" for size in spec.shape] for spec in program.inputs}

    def fixed(shapes: Mapping[str, Size]) -> dict[str, Size]:
        return {
            name: tuple(batch if is_batch else side for side, is_batch in zip(shape, batched[name], strict=True))
            for name, shape in shapes.items()
        }

    return Profile(fixed(profile.smallest), fixed(profile.usual), fixed(profile.largest))


def check_profiles(program: Program, profiles: Sequence[Profile]) -> None:
    """Check that every profile gives every input a range that goes with its shape.

    Raises:
        UsageError: One does not; the error names the input and the sizes.
    """
    if not profiles:
        raise UsageError("there is no profile to build for", where=str(program.path))
    for profile in profiles:
        for spec in program.inputs:
            sizes = [shapes.get(spec.name, ()) for shapes in (profile.smallest, profile.usual, profile.largest)]
            problem = _problem(spec, sizes)
            if problem:
                raise UsageError(
                    f"the engine cannot be built for these shapes of '{spec.name}'",
                    where=" <= ".join(map(str, sizes)),
                    why=f"{problem}; the input is {spec}",
                    fix="see shape= and batch.smallest, batch.usual, batch.largest",
                )


def _problem(spec: TensorSpec, sizes: Sequence[Size]) -> str:
    """What is wrong with the smallest, usual and largest shape of an input; empty where nothing is."""
    if any(len(size) != len(spec.shape) for size in sizes):
        return f"a shape has not {len(spec.shape)} dimensions"
    for smallest, usual, largest, dimension in zip(*sizes, spec.shape, strict=True):
        if not 0 < smallest <= usual <= largest:
            return f"{smallest}, {usual}, {largest} do not grow from above 0"
        if isinstance(dimension, int) and not smallest == largest == dimension:
            return f"a fixed dimension is {dimension}, not {smallest} to {largest}"
    return ""
