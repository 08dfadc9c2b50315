"""What a weight was called when it was saved, and what is only there because the network was being trained."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

PARALLEL = ("module.", "_orig_mod.")
"""Put before every key by distributed training and MMEngine's averages, and by torch.compile."""
WRAPPERS = (*PARALLEL, "model.")
"""Those, and what Lightning puts there, which may be a name of the network's own too."""

AVERAGING = (
    r"ema_\w+$"  # MMCV's average: the runner had swapped it with the plain key before it saved
    r"|steps$"  # how often MMEngine's average was updated
)
TRAINING_ONLY = re.compile(
    AVERAGING + r"|data_preprocessor\."  # mean and deviation: the task has them
    r"|teacher\."  # of a distillation
    r"|(?:.*\.)?(?:\w+_)?loss(?:_\w+)?\."
    r"|.*\.num_batches_tracked$"
)
"""Keys that no network needs for inference; where one has such a key all the same, it is loaded."""

FORMER_NAMES = (
    # MMPose before 1.0 named its head after what it finds.
    (r"(.*)keypoint_head(\..*)", r"\1head\2"),
    # MMPose before 1.0 numbered the layers before the last one together with it.
    (r"(.*)keypoint_head\.final_layer\.(\d+\.\w+)", r"\1head.conv_layers.\2"),
    (r"(.*)keypoint_head\.final_layer\.\d+(\.\w+)", r"\1head.final_layer\2"),
    (r"(.*)\bhead\.final_layer\.(\d+\.\w+)", r"\1head.conv_layers.\2"),
    (r"(.*)\bhead\.final_layer\.\d+(\.\w+)", r"\1head.final_layer\2"),
    # MMDetection reads the first stage of a two-stage detector as a detector of its own.
    (r"rpn_head(\..*)", r"bbox_head\1"),
    # MMOCR before 1.0 built its text detectors as MMDetection does.
    (r"bbox_head(\..*)", r"det_head\1"),
    # Deformable convolutions of MMCV before version 2 of that layer kept their offsets beside themselves.
    (r"(.*)_offset(\.weight|\.bias)", r"\1.conv_offset\2"),
)


@dataclass(frozen=True, eq=False)
class Adapted:
    """Weights under the names that a network has for them.

    Attributes:
        weights: By the network's key; what it has no key for keeps its own.
        renamed: How many have another name in the file, a wrapper's prefix aside.
        left_out: Keys that only training needs.
    """

    weights: dict[str, Tensor]
    renamed: int
    left_out: tuple[str, ...]


def adapt(weights: Mapping[str, Tensor], own: Collection[str]) -> Adapted:
    """Rename weights as OpenMMLab does when it loads a checkpoint, and leave out what only training needs.

    A weight is renamed only where the network has the new name and not the old one, and nothing else has it.
    """
    found = unwrapped(weights, own)
    adapted: dict[str, Tensor] = {}
    renamed = 0
    for key, tensor in found.items():
        names = (name for name in _present_names(key) if name in own and name not in found and name not in adapted)
        name = key if key in own else next(names, key)
        renamed += name != key
        adapted[name] = tensor
    left_out = tuple(key for key in adapted if key not in own and TRAINING_ONLY.match(key))
    wanted = {key: tensor for key, tensor in adapted.items() if key not in left_out}
    return Adapted(wanted, renamed, left_out)


def without_training(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as an unknown network would have them: without wrappers, and without what only training needs."""
    found = unwrapped(weights)
    renamed = {re.sub(r"^keypoint_head\.", "head.", key): tensor for key, tensor in found.items()}
    return {key: tensor for key, tensor in renamed.items() if not TRAINING_ONLY.match(key)}


def is_average(key: str) -> bool:
    """Whether a key is there for an average over the training, and is no weight of the network."""
    return re.match(AVERAGING, key) is not None


def unwrapped(
    weights: Mapping[str, Tensor], own: Collection[str] = (), wrappers: Sequence[str] = WRAPPERS
) -> dict[str, Tensor]:
    """Weights without what a wrapper put before all of their keys, unless the network has it too."""
    found = dict(weights)
    while not any(key in own for key in found):
        shared = next((prefix for prefix in wrappers if all(_is_under(key, prefix) for key in found)), "")
        inner = {key.removeprefix(shared): tensor for key, tensor in found.items() if key.startswith(shared)}
        if not shared or not inner:
            break
        found = inner
    return found


def _is_under(key: str, prefix: str) -> bool:
    return key.startswith(prefix) or TRAINING_ONLY.match(key) is not None


def _present_names(key: str) -> Iterator[str]:
    for pattern, name in FORMER_NAMES:
        match = re.fullmatch(pattern, key)
        if match:
            yield match.expand(name)
