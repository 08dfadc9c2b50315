"""The detection of text in MMDeploy's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from compiler.mmdeploy.pipeline import color_type, pipeline
from compiler.mmdeploy.sdk_model import SdkModel
from compiler.mmdeploy.whole_image import normalisation, scale
from compiler.tasks.text_detection.db import DBPostprocessor
from compiler.tasks.text_detection.postprocessor import Postprocessor
from compiler.tasks.text_detection.task import TextDetection

if TYPE_CHECKING:
    from compiler.config.sizes import SizeRange

# What the SDK's decoder is handed beside the network's outputs, as MMDeploy lists it for detectors of text.
META_KEYS = (
    "ori_filename", "img_path", "flip", "ori_shape", "img_norm_cfg", "img_shape", "filename", "valid_ratio",
    "flip_direction", "scale_factor", "pad_shape",
)  # fmt: skip


@dataclass(frozen=True)
class TextDetectionSdk(SdkModel[TextDetection]):
    """MMOCR's detectors of text."""

    task_name: ClassVar[str] = "TextDetector"
    model_name: ClassVar[str] = "textdetector"

    def pipeline(self, batched: bool = True, sizes: SizeRange | None = None) -> dict[str, Any] | None:
        """See `SdkModel.pipeline`."""
        task = self.task
        decoder = _decoder(task.postprocessor)
        if decoder is None:
            return None
        padding: dict[str, Any] = {"size_divisor": max([task.pad_divisor, *(sizes.stride if sizes else ())])}
        if sizes and sizes.fixed:
            padding = {"size": list(sizes.largest[::-1])}
        steps: list[dict[str, Any]] = [
            {"type": "LoadImageFromFile", **color_type(task)},
            {"type": "Resize", "keep_ratio": True, "size": scale(task.scale, sizes)},
            normalisation(task.mean, task.std, task.to_rgb),
            {"type": "Pad", **padding},
            {"type": "DefaultFormatBundle"},
            {"type": "Collect", "meta_keys": list(META_KEYS), "keys": ["img"]},
        ]
        return pipeline(steps, self.model_name, {"module": "mmocr", **decoder}, batched)

    def codebase(self) -> dict[str, Any]:
        """See `SdkModel.codebase`."""
        return {"type": "mmocr", "task": "TextDetection"}


def _decoder(postprocessor: Postprocessor) -> dict[str, Any] | None:
    """The SDK's `DBHead`, which finds rectangles, with corners at whole pixels.

    Nothing for other post-processors: the SDK's `PSEHead` and `PANHead` end the process that runs them, as of its
    version 1.3.1.
    """
    if not isinstance(postprocessor, DBPostprocessor):
        return None
    params = {
        "text_repr_type": "quad",
        "mask_thr": postprocessor.mask_thr,
        "min_text_score": postprocessor.min_text_score,
        "min_text_width": postprocessor.min_text_width - 1,  # the SDK drops what is exactly so wide as well
        "unclip_ratio": postprocessor.unclip_ratio,
        "max_candidate": postprocessor.max_candidates,
    }
    return {"component": "DBHead", "params": params}
