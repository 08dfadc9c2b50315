"""Models of MMOCR 1.0.1: DBNet, DBNet++, PSENet and PANet find text, CRNN reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compiler.openmmlab.translate.data import (
    LOAD_IMAGE,
    PIXELS,
    READING,
    UNCHANGED,
    TestData,
    preprocessor,
    reading,
    test_data,
)
from compiler.openmmlab.translate.dictionary import characters
from compiler.openmmlab.translate.explicit import explicit, needed
from compiler.openmmlab.translate.parts import Part, Parts, amount, bare, each, expect, node, optional, pair, refuse
from compiler.openmmlab.translate.text_networks import MODELS
from compiler.tasks.resizing import multiple, scaled_size

__all__ = ["MODELS", "translate"]

_STRIDE = 32
_PICTURE = (1280, 720)
"""Width and height of what a detector's usual shape is made for."""
_SMALLEST = 320
_LARGEST_SQUARE = 2048
"""A square with longer sides takes more memory than many machines have; the largest shape is then the usual one."""
_ROWS = 32
"""The height of which a Mini-VGG makes one row."""
_COLUMNS = 4
"""The network halves widths twice."""
_WIDTHS = (32, 100, 640)
"""The smallest, the usual and the largest width of a line, unless the config bounds them."""
_ANY_LENGTH = 100_000


def _grey(value: Any, where: str) -> float:
    """The only one of a list of numbers."""
    numbers = each(float)(value, where)
    if len(numbers) != 1:
        refuse(f"{len(numbers)} channels are not supported", where, why="ours reads grey images, which have one")
    return float(numbers[0])


_USUAL_POSTPROCESSORS: Mapping[str, Mapping[str, Any]] = {
    "DBHead": {"type": "DBPostprocessor", "text_repr_type": "quad"},
    "PANHead": {"type": "PANPostprocessor"},
    "PSEHead": {"type": "PSEPostprocessor"},
}
"""What a head has whose config names none."""


def _postprocessor(target: str, *keys: str) -> Part:
    return Part(
        f"compiler.tasks.text_detection.{target}",
        keys=("text_repr_type", *keys),
        assumed={"rescale_fields": (["polygons"],)},
        dropped=("test_cfg",),
    )


_POSTPROCESSORS: Parts = {
    "DBPostprocessor": _postprocessor(
        "db.DBPostprocessor", "mask_thr", "min_text_score", "min_text_width", "unclip_ratio", "epsilon_ratio",
        "max_candidates",
    ),
    "PANPostprocessor": _postprocessor(
        "pan.PANPostprocessor", "score_threshold", "min_text_confidence", "min_kernel_confidence",
        "distance_threshold", "min_text_area", "downsample_ratio",
    ),
    "PSEPostprocessor": _postprocessor(
        "pse.PSEPostprocessor", "min_kernel_confidence", "score_threshold", "min_kernel_area", "min_text_area",
        "downsample_ratio",
    ),
}  # fmt: skip
_CTC: Parts = {"CTCPostProcessor": Part(assumed={"ignore_chars": (["padding"],)}, dropped=("max_seq_len",))}

_PICTURES = Part(
    keys=("bgr_to_rgb",),
    convert={"mean": each(float, 3), "std": each(float, 3), "pad_size_divisor": amount},
    assumed={"pad_value": (0,), "rgb_to_bgr": (False,)},
    dropped=("batch_augments",),
    rename={"pad_size_divisor": "pad_divisor", "bgr_to_rgb": "to_rgb"},
    defaults={"pad_divisor": 1, "to_rgb": False},
)
_LINES = Part(
    convert={"mean": _grey, "std": _grey},
    assumed={"pad_value": (0,), "rgb_to_bgr": (False,), "bgr_to_rgb": (False,), "pad_size_divisor": (1,)},
    dropped=("batch_augments",),
)

_LOADED_WITH = (*READING, "min_size")
_RESIZING: Mapping[str, tuple[Any, ...]] = {
    "interpolation": ("bilinear",),
    "backend": ("cv2",),
    "scale_factor": (None,),
    "resize_type": ("Resize",),
}
_LABELS: Parts = dict.fromkeys(
    ("LoadOCRAnnotations", "FixInvalidPolygon", "PackTextDetInputs", "PackTextRecogInputs"), UNCHANGED
)
_PICTURE_STEPS: Parts = {
    "LoadImageFromFile": replace(LOAD_IMAGE, dropped=_LOADED_WITH),
    "Resize": Part(
        convert={"scale": pair}, assumed={"keep_ratio": (True,), **_RESIZING}, dropped=("clip_object_border",)
    ),
    "ShortScaleAspectJitter": Part(
        convert={"short_size": lambda side, where: [_ANY_LENGTH, amount(side, where)]},
        assumed={"ratio_range": ((1, 1),), "aspect_ratio_range": ((1, 1),), "scale_divisor": (1,), **_RESIZING},
        rename={"short_size": "scale"},
    ),
    **_LABELS,
}
_LINE_STEPS: Parts = {
    "LoadImageFromFile": Part(assumed={"color_type": ("grayscale",), **PIXELS}, dropped=_LOADED_WITH),
    "RescaleToHeight": Part(
        convert={
            "height": amount,
            "min_width": optional(amount),
            "max_width": optional(amount),
            "width_divisor": amount,
        },
        assumed=_RESIZING,
        defaults={"min_width": None, "max_width": None, "width_divisor": 1},
    ),
    "Resize": Part(
        convert={"scale": pair}, assumed={"keep_ratio": (False,), **_RESIZING}, dropped=("clip_object_border",)
    ),
    **_LABELS,
}
_THEIRS: Mapping[str, Mapping[str, Any]] = {
    "LoadImageFromFile": {"color_type": "color"},
    "Resize": {"keep_ratio": False},
    "ShortScaleAspectJitter": {"short_size": 736, "ratio_range": (0.7, 1.3), "aspect_ratio_range": (0.9, 1.1)},
}


def translate(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Translate a config of MMOCR; see `compiler.openmmlab.translate.translate`."""
    network = node(config["model"], MODELS, "model")
    data = explicit(test_data(config), _THEIRS)
    return _recognizer(config, network, data, source) if "decoder" in network else _detector(config, network, data)


def _detector(config: Mapping[str, Any], network: dict[str, Any], data: TestData) -> dict[str, Any]:
    model = config["model"]
    head = needed(model, "det_head", "model")
    postprocessor = head.get("postprocessor") or _USUAL_POSTPROCESSORS[bare(head["type"])]
    steps = data.steps(_PICTURE_STEPS)
    scale = needed(_resizing(steps, _PICTURE_STEPS, data.where), "scale", data.where)
    weighs_maps = needed(network, "neck", "model").get("asf_cfg") is not None
    return {
        "algo": bare(model["type"]).lower() + ("pp" if weighs_maps else ""),
        "task": "text-detection",
        **_picture_shapes(scale),
        "network": network,
        "processing": {
            "_target_": "compiler.tasks.text_detection.TextDetection",
            "scale": scale,
            **reading(steps),
            **preprocessor(config, _PICTURES),
            "postprocessor": node(postprocessor, _POSTPROCESSORS, "model.det_head.postprocessor"),
        },
    }


def _recognizer(config: Mapping[str, Any], network: dict[str, Any], data: TestData, source: Path) -> dict[str, Any]:
    decoder = config["model"]["decoder"]
    needed(network, "backbone", "model")
    expect(network["backbone"]["input_channels"], (1,), "model.backbone.input_channels")
    node(decoder.get("postprocessor") or {"type": "CTCPostProcessor"}, _CTC, "model.decoder.postprocessor")
    known = characters(decoder.get("dictionary") or {}, source.parent, "model.decoder.dictionary")
    network["decoder"]["num_classes"] = len(known) + 1
    line = _line(data)
    return {
        "algo": "crnn",
        "task": "text-recognition",
        **_line_shapes(line),
        "network": network,
        "processing": {
            "_target_": "compiler.tasks.text_recognition.TextRecognition",
            **line,
            **preprocessor(config, _LINES),
            "dictionary": {"_target_": "compiler.tasks.text_recognition.dictionary.Dictionary", "characters": known},
        },
    }


def _resizing(steps: Mapping[str, dict[str, Any]], parts: Parts, where: str) -> dict[str, Any]:
    """The settings of the one step that resizes."""
    resizing = [name for name in parts if name not in (*_LABELS, "LoadImageFromFile")]
    found = [steps[name] for name in resizing if steps.get(name)]
    if len(found) != 1:
        refuse(f"{len(found)} steps resize the image", where, why="it must be one", fix=f"use {' or '.join(resizing)}")
    return found[0]


def _picture_shapes(scale: list[int]) -> dict[str, list[int]]:
    long, short = scale
    width, height = scaled_size(_PICTURE, (long, short))
    usual = [multiple(height, _STRIDE), multiple(width, _STRIDE)]
    # A square, so that pictures may be upright.
    largest = [max(usual)] * 2 if max(usual) <= _LARGEST_SQUARE else list(usual)
    return {
        "input_shape": usual,
        "stride": [_STRIDE, _STRIDE],
        "smallest_shape": [min(_SMALLEST, side) for side in usual],
        "largest_shape": largest,
    }


def _line(data: TestData) -> dict[str, Any]:
    """How a line is brought to the network's height."""
    line = _resizing(data.steps(_LINE_STEPS), _LINE_STEPS, data.where)
    if "scale" in line:
        width, height = line["scale"]
        line = {"height": height, "min_width": width, "max_width": width, "width_divisor": 1}
    expect(line.get("height"), (_ROWS,), f"{data.where}.height")
    own = line["min_width"] if _is_fixed(line) else line["width_divisor"]
    if own % _COLUMNS:
        why = f"the network halves widths twice: what is no multiple of {_COLUMNS} would have to be padded"
        refuse(f"widths that are multiples of {own} are not supported", data.where, why=why)
    return line


def _line_shapes(line: Mapping[str, Any]) -> dict[str, list[int]]:
    if _is_fixed(line):
        return {"input_shape": [_ROWS, line["min_width"]]}
    low, usual, high = _WIDTHS
    smallest = multiple(line["min_width"] or low, _COLUMNS)
    largest = max(smallest, multiple(line["max_width"] or high, _COLUMNS))
    return {
        "input_shape": [_ROWS, min(max(smallest, usual), largest)],
        "stride": [_ROWS, _COLUMNS],
        "smallest_shape": [_ROWS, smallest],
        "largest_shape": [_ROWS, largest],
    }


def _is_fixed(line: Mapping[str, Any]) -> bool:
    return line["min_width"] is not None and line["min_width"] == line["max_width"]
