"""How many classes or key points a checkpoint was trained for, as the shapes of its weights say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from compiler.checkpoint.matching import COUNTER, Shapes
from compiler.config.class_names import LARGEST_NUMBER, naming
from compiler.config.consistency import COUNTED, Counted, value_at, with_value
from compiler.errors import CompileError, UsageError
from compiler.networks.build import build

if TYPE_CHECKING:
    from torch import nn


def refusal_of_count(network: Mapping[str, Any], found: Shapes, source: str) -> UsageError | None:
    """What is said of a checkpoint that differs from a network in how many things it tells apart, and in nothing else.

    Args:
        network: Describes it: see `compiler.networks.build`.
        found: The shapes of the checkpoint's weights, under the network's names.
        source: Where the checkpoint comes from.
    """
    model = {"network": network}
    counted = {one.count: one for one in COUNTED if isinstance(value_at(model, one.count), int)}
    for one in counted.values():
        count = value_at(model, one.count)
        trained = trained_count(found, lambda number: _shapes_with(model, one, number), count)  # noqa: B023
        if trained is not None:
            own = _shapes_with(model, one, count)
            return _refusal(one, trained - one.blank, count - one.blank, _difference(found, own or {}), source)
    return None


def trained_count(found: Shapes, shapes_with: Callable[[int], Shapes | None], count: int) -> int | None:
    """The number with which a network has these shapes; None where no number gives them.

    Args:
        found: The shapes that are looked for.
        shapes_with: The shapes of the network with another number; None where it cannot be built so.
        count: The number that it has.
    """
    own, more = shapes_with(count), shapes_with(count + 1)
    if own is None or more is None or found.keys() != own.keys():
        return None
    for key, shape in own.items():
        if len(found[key]) != len(shape):
            return None
        for mine, wider, theirs in zip(shape, more[key], found[key], strict=True):
            if mine == theirs:
                continue
            number, rest = divmod(theirs - mine, wider - mine) if wider != mine else (0, 1)
            number += count
            return number if not rest and 0 < number <= LARGEST_NUMBER and shapes_with(number) == found else None
    return None


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's weights, without the counters of batches, which some checkpoints leave out."""
    state = network.state_dict()
    return {key: tuple(tensor.shape) for key, tensor in state.items() if not key.endswith(COUNTER)}


def _shapes_with(model: Mapping[str, Any], one: Counted, number: int) -> Shapes | None:
    import torch

    with suppress(CompileError), torch.device("meta"):
        return shapes_of(build(with_value(model, one.count, number)["network"]))
    return None


def _difference(found: Shapes, own: Shapes) -> str:
    key = next(key for key, shape in own.items() if found[key] != shape)
    return f"{key} is {'x'.join(map(str, found[key]))}, not {'x'.join(map(str, own[key]))}"


def _refusal(one: Counted, trained: int, count: int, difference: str, source: str) -> UsageError:
    return UsageError(
        f"the checkpoint was trained for {trained} {one.key or 'characters'}, and the model has {count}",
        where=source,
        why=f"nothing else differs: {difference}",
        fix=naming(one.key, trained) if one.key else "name the dictionary that it was trained with",
    )
