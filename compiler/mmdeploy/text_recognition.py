"""The recognition of text in MMDeploy's words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from compiler.mmdeploy.pipeline import pipeline
from compiler.mmdeploy.sdk_model import SdkModel
from compiler.tasks.text_recognition.task import TextRecognition

if TYPE_CHECKING:
    from compiler.config.sizes import SizeRange

# What the SDK's decoder is handed beside the network's output, as MMDeploy lists it for recognisers of text.
META_KEYS = (
    "filename", "scale_factor", "img_norm_cfg", "flip_direction", "valid_ratio", "img_path", "ori_shape",
    "ori_filename", "pad_shape", "flip", "img_shape",
)  # fmt: skip


@dataclass(frozen=True)
class TextRecognitionSdk(SdkModel[TextRecognition]):
    """MMOCR's CRNN."""

    task_name: ClassVar[str] = "TextRecognizer"
    model_name: ClassVar[str] = "crnn"

    def pipeline(self, batched: bool = True, sizes: SizeRange | None = None) -> dict[str, Any]:
        """See `SdkModel.pipeline`."""
        task = self.task
        widest = task.widest(sizes)
        rescale = {
            "type": "RescaleToHeight",
            "height": task.height,
            "min_width": task.min_width,
            "max_width": widest if math.isfinite(widest) else None,
            "width_divisor": task.width_divisor,
        }
        padding: dict[str, Any] = {"size": list(sizes.largest[::-1])} if sizes and sizes.fixed else {"size_divisor": 1}
        steps: list[dict[str, Any]] = [
            {"type": "LoadImageFromFile", "color_type": "grayscale"},
            rescale,
            {"type": "Normalize", "to_rgb": False, "mean": [task.mean], "std": [task.std]},
            {"type": "Pad", **padding},
            {"type": "DefaultFormatBundle"},
            {"type": "Collect", "meta_keys": list(META_KEYS), "keys": ["img"]},
        ]
        # The characters themselves, in place of a file of them: a bundle then needs no file beside those it has.
        params = {
            "type": "Dictionary",
            "dict_list": list(task.dictionary.characters),
            "with_padding": True,
            "ignore_chars": ["padding"],
        }
        decoder = {"module": "mmocr", "component": "CTCConvertor", "params": params}
        return pipeline(steps, self.model_name, decoder, batched)

    def codebase(self) -> dict[str, Any]:
        """See `SdkModel.codebase`."""
        return {"type": "mmocr", "task": "TextRecognition"}
