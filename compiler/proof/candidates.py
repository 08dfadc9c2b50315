"""What a detector selects from, compared where what it selects says nothing: rounding ranks scores that are tied.

A network gives its candidates, decoded, by level; another stage gives all that it computes before it selects, in which
each of them is looked for by its shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.numerics import Yardstick
from compiler.proof.comparisons import Comparison, compare_arrays
from compiler.selection.outputs import JOINED

Array = NDArray[Any]

BOX = Yardstick("box", 1.0)
"""The sides of the box that a coordinate belongs to, see `box_scale`; where a side is shorter than the boxes' deviation
within reach, that."""


@dataclass(frozen=True, eq=False)
class Level:
    """Candidates that compete with each other for being looked at.

    Attributes:
        boxes: `[b, n, 4]`.
        scores: `[b, n, c]`.
        factors: `[b, n]`, what the scores are multiplied by once the best are chosen; None for 1.
        extras: What else is found about each box, `[b, n, ...]`, by name.
    """

    boxes: Array
    scores: Array
    factors: Array | None = None
    extras: dict[str, Array] = field(default_factory=dict)


def levels_of(candidates: Tensors) -> list[Level]:
    """Candidates by the names that `compiler.selection.outputs.candidate_name` gives them, as levels."""
    levels: dict[str, dict[str, Array]] = {}
    for name, tensor in candidates.items():
        level, _, what = name.partition("/")
        levels.setdefault(level, {})[what] = tensor
    return [Level(one.pop("boxes"), one.pop("scores"), one.pop("factors", None), extras=one) for one in levels.values()]


def found_among(pool: Tensors, reference: Tensors) -> Tensors:
    """A stage's candidates, by the names of the reference's; those of which there are none of its shape are left out.

    Args:
        pool: All that the stage computes before it selects.
        reference: The candidates of the network, by level and joined: what is selected from is either.
    """
    forms = [_nearest({**pool, **_taken_apart(pool, form)}, form) for form in forms_of(reference)]
    return min(forms, key=lambda form: form[0])[1]


def _taken_apart(pool: Tensors, form: Tensors) -> Tensors:
    """What a stage computes of all levels at once, by level: it may score each alone, and decode the boxes of all."""
    sizes = [tensor.shape[1] for name, tensor in form.items() if name.endswith("/boxes")]
    ends = np.cumsum(sizes)
    whole = {name: one for name, one in pool.items() if one.ndim > 1 and one.shape[1] == ends[-1]} if sizes[1:] else {}
    parts = {name: np.split(one, ends[:-1], axis=1) for name, one in whole.items()}
    return {f"{name}, level {level}": part for name, split in parts.items() for level, part in enumerate(split)}


def forms_of(reference: Tensors) -> list[Tensors]:
    """The candidates level by level, and all of them as one."""
    joined = {name: tensor for name, tensor in reference.items() if name.startswith(JOINED)}
    return [form for form in ({name: reference[name] for name in reference if name not in joined}, joined) if form]


def _nearest(pool: Tensors, form: Tensors) -> tuple[tuple[int, float], Tensors]:
    """How far what is nearest in a pool is from a form (how many are missing, and the largest error), and that."""
    found, errors = {}, [0.0]
    for name, tensor in form.items():
        alike = [one for one in pool.values() if one.shape == tensor.shape and one.dtype.kind in "fV"]
        compared = [(_rank(compare_arrays(name, tensor, one)), index) for index, one in enumerate(alike)]
        if compared:
            error, index = min(compared)
            errors.append(error)
            found[name] = alike[index].astype(np.float32)
    return (len(form) - len(found), max(errors)), found


def _rank(comparison: Comparison) -> float:
    error = comparison.typical_error
    return float("inf") if np.isnan(error) else error


def compare_candidates(reference: Tensors, pool: Tensors, reach: float, size: str = "") -> list[Comparison]:
    """Compare every candidate, selected or not; what a stage lacks is infinitely wrong.

    Args:
        reference: The candidates of the network, by level and joined.
        pool: See `found_among`.
        reach: The longest side that an image may fill, in pixels.
        size: Of the input.
    """
    found = found_among(pool, reference)
    form = next(form for form in forms_of(reference) if found.keys() <= form.keys())
    several = len({name.partition("/")[0] for name in form}) > 1
    compared = []
    for name, tensor in form.items():
        level, _, what = name.partition("/")
        shown = f"{what} of candidates" + (f", level {level}" if several else "")
        scale = box_scale(tensor, reach) if what == "boxes" else None
        compared.append(_compared(shown, tensor, found.get(name), scale, size))
    return compared


def _compared(shown: str, reference: Array, found: Array | None, scale: Array | None, size: str) -> Comparison:
    if scale is None or found is None:
        return compare_arrays(shown, reference, found, size)
    return compare_arrays(shown, reference / scale, found / scale, size, BOX)


def box_scale(boxes: Array, reach: float) -> Array:
    """What an error of each coordinate of boxes `[..., 4]` is measured in.

    A side is the exponential of what a network says, and its share that rounding moves is what rounding does to that:
    it is held against the deviation of the logarithms where that is above 1.
    """
    within = np.clip(np.nan_to_num(boxes, nan=0.0), -reach, 2 * reach)
    with np.errstate(invalid="ignore", over="ignore"):
        sides = np.abs(boxes[..., 2:].astype(np.float64) - boxes[..., :2])
    is_finite = np.isfinite(sides)
    logarithms = np.log(sides[is_finite & (sides > 0)])
    spread = max(float(logarithms.std()), 1.0) if logarithms.size else 1.0
    # An infinite side is compared as what it is.
    sides = np.where(is_finite, sides * spread, 1.0)
    return np.tile(np.maximum(sides, max(float(within.std()), 1.0)), 2)


def joined_levels(levels: Sequence[Level]) -> Iterator[tuple[Array, Array, dict[str, Array]]]:
    """For each image: all boxes, their scores with the factors, and what else is found about them."""
    for item in range(len(levels[0].boxes)):
        boxes = np.concatenate([level.boxes[item] for level in levels])
        scores = np.concatenate([final_scores(level, item) for level in levels])
        extras = {name: np.concatenate([level.extras[name][item] for level in levels]) for name in levels[0].extras}
        yield boxes, scores, extras


def final_scores(level: Level, item: int) -> Array:
    """What candidates of an image score in the end, `[n, c]`."""
    scores: Array = level.scores[item]
    return scores if level.factors is None else scores * level.factors[item][:, None]
