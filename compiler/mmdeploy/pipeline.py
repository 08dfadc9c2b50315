"""The layout of MMDeploy's `pipeline.json`, which its SDK reads to prepare inputs and decode outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compiler.tasks.task import ImageTask


def color_type(task: ImageTask[Any, Any]) -> dict[str, str]:
    """How `LoadImageFromFile` reads a task's images; nothing where it is the usual way."""
    return {"color_type": "color_ignore_orientation"} if task.ignore_orientation else {}


def pipeline(
    transforms: Sequence[Mapping[str, Any]],
    model: str,
    decoder: Mapping[str, Any],
    batched: bool,
) -> dict[str, Any]:
    """The content of a `pipeline.json` with one image in, one network and one decoder.

    Args:
        transforms: What makes the network's input of an image file, from loading it to collecting the result.
        model: The network's name in `deploy.json`.
        decoder: The OpenMMLab codebase of the decoder (`module`), its name there (`component`) and its `params`.
        batched: Whether the engine takes more than one item at once.
    """
    preprocess = {
        "type": "Task",
        "module": "Transform",
        "name": "Preprocess",
        "input": ["img"],
        "output": ["prep_output"],
        "transforms": [dict(transform) for transform in transforms],
    }
    network = {
        "name": model,
        "type": "Task",
        "module": "Net",
        "is_batched": batched,
        "input": ["prep_output"],
        "output": ["infer_output"],
        "input_map": {"img": "input"},
        "output_map": {},
    }
    postprocess = {
        "type": "Task",
        "name": "postprocess",
        **decoder,
        "output": ["post_output"],
        "input": ["prep_output", "infer_output"],
    }
    return {"pipeline": {"input": ["img"], "output": ["post_output"], "tasks": [preprocess, network, postprocess]}}
