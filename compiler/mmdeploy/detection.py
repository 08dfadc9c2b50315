"""Detectors in MMDeploy's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from compiler.mmdeploy.pipeline import color_type, pipeline
from compiler.mmdeploy.sdk_model import SdkModel
from compiler.mmdeploy.whole_image import normalisation, scale
from compiler.selection import SelectionConfig
from compiler.tasks import ImageTask
from compiler.tasks.detection.task import ObjectDetection

if TYPE_CHECKING:
    from compiler.config.sizes import SizeRange

# What the SDK's decoder is handed beside the network's outputs, as MMDeploy lists it for detectors.
META_KEYS = (
    "ori_shape", "scale_factor", "img_norm_cfg", "pad_param", "img_shape", "ori_filename", "img_id", "filename",
    "flip", "flip_direction", "pad_shape", "valid_ratio", "img_path",
)  # fmt: skip


@dataclass(frozen=True)
class ObjectDetectionSdk(SdkModel[ObjectDetection]):
    """MMDetection's single-stage detectors."""

    task_name: ClassVar[str] = "Detector"
    model_name: ClassVar[str] = "singlestagedetector"

    def pipeline(self, batched: bool = True, sizes: SizeRange | None = None) -> dict[str, Any] | None:
        """See `SdkModel.pipeline`; None where the network has a second input, which the SDK does not feed."""
        task = self.task
        if task.image_size_input:
            return None
        padding: dict[str, Any] = {"size_divisor": max([task.pad_divisor, *(sizes.stride if sizes else ())])}
        if task.pad_size or (sizes and sizes.fixed):
            height, width = task.padded_size(0, 0, sizes)
            padding = {"size": [width, height]}
        normalize = normalisation(task.mean, task.std, task.to_rgb)
        steps: list[dict[str, Any]] = [{"type": "Resize", "keep_ratio": True, "size": scale(task.scale, sizes)}]
        if task.pad_value is None:
            steps += [normalize, {"type": "Pad", **padding}]
        else:
            steps += [{"type": "Pad", **padding, "pad_val": {"img": [task.pad_value] * 3}}, normalize]
        decoder = {"module": "mmdet", "component": "ResizeBBox", "params": selection_params(task.test_cfg)}
        return pipeline(detector_steps(steps, task), self.model_name, decoder, batched)

    def codebase(self) -> dict[str, Any]:
        """See `SdkModel.codebase`."""
        return {
            "type": "mmdet",
            "task": "ObjectDetection",
            "model_type": "end2end",
            "post_processing": post_processing(self.task.test_cfg),
        }


def detector_steps(steps: Sequence[Mapping[str, Any]], task: ImageTask[Any, Any]) -> list[Mapping[str, Any]]:
    """All that a detector's input goes through, given what turns a read image into a padded and normalised one."""
    collect = {"type": "Collect", "meta_keys": list(META_KEYS), "keys": ["img"]}
    loading = {"type": "LoadImageFromFile", "backend_args": None, **color_type(task)}
    return [loading, *steps, {"type": "DefaultFormatBundle"}, collect]


def selection_params(config: SelectionConfig) -> dict[str, Any]:
    """The `params` of a detector's decoder.

    The engine has selected the detections: what the SDK still drops is padding, whose score is zero.
    """
    params: dict[str, Any] = {
        "nms_pre": config.nms_pre,
        "min_bbox_size": 0,
        # With an objectness, scores are multiplied by it after the threshold, and may fall below it.
        "score_thr": 0.0 if config.conf_thr else config.score_thr,
        "max_per_img": config.max_per_img,
    }
    if config.iou_threshold is not None:
        params["nms"] = {"type": "nms", "iou_threshold": config.iou_threshold}
    return params


def post_processing(config: SelectionConfig) -> dict[str, Any]:
    """The `post_processing` of `detail.json`."""
    return {
        "score_threshold": config.score_thr,
        "confidence_threshold": config.conf_thr,
        # No overlap is above 1.
        "iou_threshold": 1.0 if config.iou_threshold is None else config.iou_threshold,
        "max_output_boxes_per_class": config.max_per_img,
        "pre_top_k": config.nms_pre,
        "keep_top_k": config.max_per_img,
        "background_label_id": -1,
    }
