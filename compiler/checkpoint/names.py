"""The names of classes and key points that OpenMMLab's trainers write beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.checkpoint.reading import SAFETENSORS, load_content

_MOST = 1 << 16
"""Of names; more are none."""
_LONGEST = 200
"""Of a name, in characters."""


@dataclass(frozen=True)
class CheckpointNames:
    """What a checkpoint was trained to tell apart; nothing where it does not say.

    Attributes:
        classes: In the order of the scores.
        keypoints: In the order of the outputs.
        swap: For each key point the one that it becomes in a mirror; None where the file does not say.
    """

    classes: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()
    swap: tuple[int, ...] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CheckpointNames:
        """Read what `dataclasses.asdict` wrote."""
        swap = values["swap"]
        return cls(tuple(values["classes"]), tuple(values["keypoints"]), None if swap is None else tuple(swap))


def names_of(path: Path) -> CheckpointNames:
    """The names in a checkpoint of MMEngine's or MMCV's; none where it cannot be read, which loading it will say."""
    if path.suffix == SAFETENSORS:
        return CheckpointNames()
    try:
        content = load_content(path, mapped=True)
        meta = content.get("meta") if isinstance(content, Mapping) else None
        return names_in(meta) if isinstance(meta, Mapping) else CheckpointNames()
    except Exception:  # what a damaged file leads torch, and odd values Python, to raise has no common base class
        return CheckpointNames()


def names_in(meta: Mapping[Any, Any]) -> CheckpointNames:
    """The names in the metadata of a checkpoint, of OpenMMLab's packages of today (`dataset_meta`) or before them."""
    said = meta.get("dataset_meta")
    today = said if isinstance(said, Mapping) else {}
    dataset = {key.lower(): value for key, value in today.items() if isinstance(key, str)}
    classes = _texts(dataset.get("classes") if today else meta.get("CLASSES"))
    numbered = dataset.get("keypoint_id2name")
    points: tuple[str, ...] = ()
    if isinstance(numbered, Mapping) and _are_counted(numbered):
        points = _texts([numbered[index] for index in range(len(numbered))])
    return CheckpointNames(classes, points, _swap(dataset.get("flip_indices"), len(points)))


def _are_counted(numbers: Mapping[Any, Any]) -> bool:
    """Whether they are 0, 1, 2 and so on; a key of another kind may take for ever to be hashed again."""
    return all(isinstance(number, int) for number in numbers) and set(numbers) == set(range(len(numbers)))


def _texts(value: Any) -> tuple[str, ...]:
    """Names as they are listed; none where it is no list of them."""
    is_list = isinstance(value, list | tuple) and 0 < len(value) <= _MOST
    if not is_list or not all(isinstance(name, str) and 0 < len(name) <= _LONGEST for name in value):
        return ()
    return tuple(value) if len(set(value)) == len(value) else ()


def _swap(value: Any, count: int) -> tuple[int, ...] | None:
    if not isinstance(value, list | tuple) or not count or len(value) != count:
        return None
    is_own_inverse = all(
        isinstance(other, int) and 0 <= other < count and value[other] == index for index, other in enumerate(value)
    )
    return tuple(value) if is_own_inverse else None
