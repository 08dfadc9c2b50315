"""Load a checkpoint's weights into the network that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from compiler.checkpoint.keys import Adapted, adapt
from compiler.errors import CompileError

if TYPE_CHECKING:
    from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
COUNTER = "num_batches_tracked"
"""How the keys of counters end, which only training reads and some checkpoints leave out."""
SHOWN = 5
"""How many keys an error lists before it only counts."""


def match(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    source: str,
    candidates: Callable[[], Iterable[str]] = tuple,
    explain: Callable[[Shapes], CompileError | None] = lambda found: None,
) -> list[str]:
    """Load weights into a network, every key and every shape.

    Args:
        network: Changed in place.
        weights: By state-dict key, of today or of an older OpenMMLab. Counters of batches that only training reads may
            be missing.
        source: Where the weights come from, for the error.
        candidates: Gives the names of models that fit these weights, for the error's advice.
        explain: Says what is behind weights of the network's names and of other shapes, where it knows.

    Returns:
        What was done to the weights, in words: renamed, left out, of another precision.

    Raises:
        CompileError: Keys are missing or left over, or shapes differ; says how many, the first few, and what to try.
    """
    own = network.state_dict()
    adapted = adapt(weights, own)
    missing = [key for key in own if key not in adapted.weights and not key.endswith(COUNTER)]
    foreign = [key for key in adapted.weights if key not in own]
    shared = {key: (tensor, adapted.weights[key]) for key, tensor in own.items() if key in adapted.weights}
    differing = {
        key: f"{key} is {_size(found)}, not {_size(tensor)}"
        for key, (tensor, found) in shared.items()
        if found.shape != tensor.shape
    }
    kinds = [
        f"{key} is {_type(found)}, not {_type(tensor)}"
        for key, (tensor, found) in shared.items()
        if key not in differing and not _converts(found, tensor)
    ]
    shapes = list(differing.values())
    findings = {"missing": missing, "not in the network": foreign, "of another shape": shapes, "of another type": kinds}
    if differing and not (missing or foreign or kinds):
        found_shapes = {key: tuple(found.shape) for key, (_, found) in shared.items()}
        if explained := explain({key: shape for key, shape in found_shapes.items() if not key.endswith(COUNTER)}):
            raise explained
    if any(findings.values()):
        raise CompileError(
            "the checkpoint does not fit the network",
            where=source,
            why="; ".join(f"{len(found)} keys {kind}: {_few(found)}" for kind, found in findings.items() if found)
            + f" (the network has {len(own)} keys)",
            fix=_advice(weights, candidates),
        )
    network.load_state_dict({key: adapted.weights.get(key, tensor) for key, tensor in own.items()}, strict=True)
    return _notes(adapted, own)


def _notes(adapted: Adapted, own: Mapping[str, Tensor]) -> list[str]:
    notes = [f"{adapted.renamed} keys renamed"] if adapted.renamed else []
    count = len(adapted.left_out)
    notes += [f"{count} {'key' if count == 1 else 'keys'} of training left out"] if count else []
    types = {(_type(found), _type(own[key])) for key, found in adapted.weights.items() if found.dtype != own[key].dtype}
    return notes + [f"{found} made {wanted}" for found, wanted in sorted(types)]


def _advice(weights: Mapping[str, Tensor], candidates: Callable[[], Iterable[str]]) -> str:
    roles = {key.partition(".")[0] for key in weights}
    if {"teacher", "student"} <= roles:
        return "it holds two networks: keep the keys below teacher. or those below student., without that word"
    likely = list(candidates())
    if likely:
        return f"these weights fit model={' or model='.join(likely)}"
    return "name the model that this checkpoint was trained for"


def _converts(found: Tensor, wanted: Tensor) -> bool:
    """Tell whether a tensor can be copied without losing its meaning: another precision, not another kind."""
    kinds = [(tensor.is_floating_point(), tensor.is_complex(), tensor.is_quantized) for tensor in (found, wanted)]
    return kinds[0] == kinds[1] and found.layout == wanted.layout


def _few(items: Iterable[object]) -> str:
    names = [str(item) for item in items]
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
