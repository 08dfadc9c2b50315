"""Pose estimation in MMDeploy's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from compiler.mmdeploy.detection import detector_steps, post_processing, selection_params
from compiler.mmdeploy.pipeline import color_type, pipeline
from compiler.mmdeploy.sdk_model import SdkModel
from compiler.mmdeploy.whole_image import normalisation
from compiler.tasks.pose.bottomup import BottomupPose
from compiler.tasks.pose.codecs import Codec, MegviiHeatmap, MSRAHeatmap, SimCCLabel, UDPHeatmap
from compiler.tasks.pose.topdown import TopdownPose

if TYPE_CHECKING:
    from compiler.config.sizes import SizeRange

# What the SDK's decoder is handed beside the network's outputs, as MMDeploy lists it for pose models.
META_KEYS = (
    "img_shape", "pad_shape", "ori_shape", "img_norm_cfg", "scale_factor", "bbox_score", "center", "scale"
)  # fmt: skip


@dataclass(frozen=True)
class TopdownPoseSdk(SdkModel[TopdownPose]):
    """MMPose's top-down models."""

    task_name: ClassVar[str] = "PoseDetector"
    model_name: ClassVar[str] = "topdownposeestimator"

    def pipeline(self, batched: bool = True, sizes: SizeRange | None = None) -> dict[str, Any] | None:
        """See `SdkModel.pipeline`: None where the codec is none of MMPose's."""
        task = self.task
        codec = _codec(task)
        if codec is None:
            return None
        size = list(task.input_size)
        affine = {"type": "TopDownAffine", "image_size": size}
        steps: list[dict[str, Any]] = [
            {"type": "LoadImageFromFile", **color_type(task)},
            {"type": "TopDownGetBboxCenterScale", "padding": task.padding, "image_size": size},
            {**affine, "use_udp": True} if task.use_udp else affine,
            normalisation(task.mean, task.std, task.to_rgb),
            {"type": "ImageToTensor", "keys": ["img"]},
            {"type": "Collect", "keys": ["img"], "meta_keys": list(META_KEYS)},
        ]
        # The SDK runs a network once on each crop: it cannot flip, whatever the task does.
        params = {"flip_test": False, **codec.params(task.codec, task.shift_heatmap), **codec.options}
        decoder = {"module": "mmpose", "component": codec.component, "params": params}
        return pipeline(steps, self.model_name, decoder, batched)

    def codebase(self) -> dict[str, Any]:
        """See `SdkModel.codebase`."""
        codec = _codec(self.task)
        return {"type": "mmpose", "task": "PoseDetection", **(codec.options if codec else {})}


@dataclass(frozen=True)
class BottomupPoseSdk(SdkModel[BottomupPose]):
    """MMPose's YOLOX-Pose."""

    task_name: ClassVar[str] = "PoseDetector"
    model_name: ClassVar[str] = "bottomupposeestimator"

    def pipeline(self, batched: bool = True, sizes: SizeRange | None = None) -> dict[str, Any]:
        """See `SdkModel.pipeline`.

        The SDK maps back by a factor only: it lays the image into the upper left corner, where MMPose lays it into the
        middle. It has one factor for either orientation, so that it takes no larger an image than a square holds.
        """
        task = self.task
        height, width = task.input_shape(sizes)
        side = min(height, width)
        steps: list[dict[str, Any]] = [
            {"type": "Resize", "keep_ratio": True, "size": [side, side]},
            {"type": "Pad", "size": [width, height], "pad_val": {"img": [task.pad_value] * 3}},
            normalisation(task.mean, task.std, task.to_rgb),
        ]
        decoder = {"module": "mmpose", "component": "YOLOXPose", "params": selection_params(task.test_cfg)}
        return pipeline(detector_steps(steps, self.task), self.model_name, decoder, batched)

    def codebase(self) -> dict[str, Any]:
        """See `SdkModel.codebase`."""
        return {"type": "mmpose", "task": "PoseDetection", "post_processing": post_processing(self.task.test_cfg)}


@dataclass(frozen=True)
class SdkCodec:
    """A codec in the SDK's words.

    Attributes:
        component: What the SDK calls the decoder.
        params: What makes it decode like a codec, given whether heat maps are shifted after a flip.
        options: What MMDeploy tells of its own exporter, to the decoder and in `codebase_config`.
    """

    component: str
    params: Callable[[Any, bool], dict[str, Any]]
    options: Mapping[str, Any]


def _codec(task: TopdownPose) -> SdkCodec | None:
    return next((CODECS[kind] for kind in type(task.codec).__mro__ if kind in CODECS), None)


def _simcc(codec: SimCCLabel, shift_heatmap: bool) -> dict[str, Any]:
    return {
        "type": "SimCCLabel",
        "input_size": list(codec.input_size),
        "sigma": list(codec.sigma),
        "simcc_split_ratio": codec.simcc_split_ratio,
        "normalize": codec.normalize,
        "use_dark": codec.use_dark,
    }


def _heatmap(codec: MSRAHeatmap | UDPHeatmap | MegviiHeatmap, shift_heatmap: bool) -> dict[str, Any]:
    return {
        "flip_mode": "heatmap",
        "shift_heatmap": shift_heatmap,
        "type": type(codec).__name__,
        "input_size": list(codec.input_size),
        "heatmap_size": list(codec.heatmap_size),
    }


def _msra(codec: MSRAHeatmap, shift_heatmap: bool) -> dict[str, Any]:
    params = {**_heatmap(codec, shift_heatmap), "sigma": codec.sigma, "post_process": "default"}
    if not codec.unbiased:
        return params
    return {**params, "unbiased": True, "post_process": "unbiased", "modulate_kernel": codec.blur_kernel_size}


def _udp(codec: UDPHeatmap, shift_heatmap: bool) -> dict[str, Any]:
    own = {"sigma": codec.sigma, "post_process": "default", "use_udp": True, "modulate_kernel": codec.blur_kernel_size}
    return {**_heatmap(codec, shift_heatmap), **own}


def _megvii(codec: MegviiHeatmap, shift_heatmap: bool) -> dict[str, Any]:
    own = {"kernel_size": codec.kernel_size, "post_process": "megvii", "modulate_kernel": codec.kernel_size}
    return {**_heatmap(codec, shift_heatmap), **own}


HEATMAP_DECODER = "TopdownHeatmapSimpleHeadDecode"
CODECS: Mapping[type[Codec], SdkCodec] = {
    SimCCLabel: SdkCodec("SimCCLabelDecode", _simcc, {"export_postprocess": False}),
    MSRAHeatmap: SdkCodec(HEATMAP_DECODER, _msra, {}),
    UDPHeatmap: SdkCodec(HEATMAP_DECODER, _udp, {}),
    MegviiHeatmap: SdkCodec(HEATMAP_DECODER, _megvii, {}),
}
"""The codecs that the SDK decodes."""
