"""Keep the tables of docs/models.md what the configs say: `python -m tests.models_page [outputs/multirun-<digest>.md]`.

The list of models is made from `conf/model/`. The table of results is replaced where the file of a sweep is given.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import singledispatch
from pathlib import Path
from typing import Any

from compiler.config import compose
from compiler.config.search import config_loader
from compiler.config.sizes import Size, SizeRange, size_text
from compiler.tasks import AnyTask, build_task
from compiler.tasks.detection.detector import Detector
from compiler.tasks.pose import TopdownPose
from compiler.tasks.text_detection import TextDetection
from compiler.tasks.text_recognition import TextRecognition
from compiler.tasks.voxel_detection import VoxelDetection
from compiler.tasks.voxel_detection.anchors import AnchorDecoder
from compiler.tasks.voxel_detection.centers import CenterDecoder
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs/models.md"
HEADER = ("Family", "Model", "Input", "OpenMMLab config", "Checkpoint", "A dynamic engine takes", "Decoding")


def models_table() -> str:
    """Return one row for each model in `conf/model/`; its full name stands beside the short one."""
    names: dict[str, list[str]] = {}
    for choice in config_loader().get_group_options("model"):
        model = compose([f"model={choice}"]).model
        if model.network:
            names.setdefault(model.name, []).append(choice)
    rows = [HEADER, ("---",) * len(HEADER), *(tuple(_cells(choices)) for choices in names.values())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(choices: list[str]) -> Iterator[str]:
    config = compose([f"model={choices[0]}", "shape=dynamic"])
    model, task = config.model, build_task(config.model.processing)
    codebase, path = model.openmmlab.split("/.mim/configs/")
    yield model.algo
    yield ", ".join(f"`{choice}`" for choice in choices)
    yield named_size(task, model.input_shape)
    yield f"{codebase}: `{Path(path).stem}`"
    yield f"[{model.official.sha256}]({model.official.url})" if model.official.url else "none"
    yield _dynamic(task, config.sizes)
    yield decoding_text(task)


def named_size(task: AnyTask, size: Size) -> str:
    """Return a size as a table has it: `640x640`, or `8000 voxels`."""
    return size_text(size) if len(size) > 1 else f"{size[0]} {task.sides[0]}"


def _dynamic(task: AnyTask, sizes: SizeRange) -> str:
    items = "any batch" if task.batched else "any number of clouds"
    if sizes.fixed:
        return items
    if set(sizes.smallest) == {1}:
        return f"{items}; up to {named_size(task, sizes.largest)}"
    stride = sizes.stride[:1] if len(set(sizes.stride)) == 1 else sizes.stride
    return f"{items}; {size_text(sizes.smallest)} to {size_text(sizes.largest)}, by {size_text(stride)}"


@singledispatch
def decoding_text(task: Any) -> str:
    """Say how a task reads what comes out of the network; each kind of task is registered below."""
    raise TypeError(f"nothing is known about how {type(task).__name__} decodes")


@decoding_text.register
def _(task: TopdownPose) -> str:
    codec = type(task.codec).__name__
    is_dark = getattr(task.codec, "unbiased", False) or getattr(task.codec, "use_dark", False)
    return f"{codec}, DARK" if is_dark else codec


@decoding_text.register
def _(task: Detector) -> str:
    selection = task.test_cfg
    return f"score > {selection.score_thr:g}, NMS at {selection.iou_threshold:g}, best {selection.max_per_img}"


@decoding_text.register
def _(task: TextDetection) -> str:
    processor = task.postprocessor
    names = [field.name for field in fields(processor)]
    thresholds = [name for name in names if name.endswith(("_thr", "_threshold", "_confidence", "_text_score"))]
    values = [f"{name} {getattr(processor, name):g}" for name in thresholds]
    return ", ".join([type(processor).__name__, processor.text_repr_type, *values])


@decoding_text.register
def _(task: TextRecognition) -> str:
    return f"CTC, {len(task.dictionary.characters)} characters"


@decoding_text.register
def _(task: VoxelDetection) -> str:
    return boxes_text(task.decoder)


@singledispatch
def boxes_text(decoder: Any) -> str:
    """Say the same of what decodes the boxes of a point cloud."""
    raise TypeError(f"nothing is known about how {type(decoder).__name__} decodes")


@boxes_text.register
def _(decoder: AnchorDecoder) -> str:
    selection = decoder.test_cfg
    kind = "rotated NMS" if selection.use_rotate_nms else "NMS"
    return f"anchors, score > {selection.score_thr:g}, {kind} at {selection.nms_thr:g}, best {selection.max_num}"


@boxes_text.register
def _(decoder: CenterDecoder) -> str:
    selection = decoder.test_cfg
    radii = [math.sqrt(squared) for squared in selection.min_radius]
    circles = f"circle NMS at {min(radii):.2g} to {max(radii):.2g} m"
    kind = circles if selection.nms_type == "circle" else f"rotated NMS at {selection.nms_thr:g}"
    tasks, best = len(decoder.tasks), selection.post_max_size
    return f"centres, score > {decoder.bbox_coder.score_threshold:g}, {kind}, best {best} of each of {tasks} groups"


def replaced(page: str, name: str, content: str) -> str:
    """Return the page with what lies between `<!-- name -->` and `<!-- end of name -->` replaced.

    Raises:
        ValueError: The page has not exactly one such place.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    new, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}{content}\n{end}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"{PAGE.name} has {count} places for {name}")
    return new


def main(results: str | None = None) -> None:
    """Write the page anew."""
    page = replaced(PAGE.read_text(), "models", models_table())
    if results:
        page = replaced(page, "table", Path(results).read_text().strip())
    PAGE.write_text(page)


if __name__ == "__main__":
    main(*sys.argv[1:])
