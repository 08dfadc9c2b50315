"""The networks of MMOCR 1.0.1 that we have."""

from __future__ import annotations

from typing import Any

from compiler.openmmlab.translate.detection import BACKBONES
from compiler.openmmlab.translate.parts import NORM, Part, Parts, expect, plain


def _attention(value: Any, where: str) -> Any:
    expect(value, (None, {"attention_type": "ScaleChannelSpatial"}), where)
    return plain(value)


_RESNETS: Parts = {
    "ResNet": BACKBONES["ResNet"],
    "CLIPResNet": Part(
        "compiler.networks.backbones.clip_resnet.CLIPResNet",
        keys=("depth", "num_stages", "out_indices", "style"),
        convert={"norm_cfg": NORM},
        assumed={
            **BACKBONES["ResNet"].assumed,
            "deep_stem": (True,),
            "avg_down": (True,),
            "stem_channels": (None, 64),
            "dcn": (None,),
        },
    ),
}

_NECKS: Parts = {
    "FPNC": Part(
        "compiler.networks.necks.fpnc.FPNC",
        keys=("in_channels", "lateral_channels", "out_channels"),
        convert={"asf_cfg": _attention},
        assumed={
            "bias_on_lateral": (False,), "bn_re_on_lateral": (False,), "bias_on_smooth": (False,),
            "bn_re_on_smooth": (False,), "conv_after_concat": (False,),
        },
    ),
    "FPNF": Part(
        "compiler.networks.necks.fpnf.FPNF",
        keys=("in_channels", "out_channels", "fusion_type"),
        defaults={"in_channels": (256, 512, 1024, 2048)},
    ),
    "FPEM_FFM": Part(
        "compiler.networks.necks.fpem_ffm.FPEM_FFM",
        keys=("in_channels", "conv_out", "fpem_repeat"),
        assumed={"align_corners": (False,)},
    ),
}  # fmt: skip

_PAN_HEAD = Part(
    "compiler.networks.heads.pan.PANHead",
    keys=("in_channels", "hidden_dim", "out_channel"),
    dropped=("module_loss", "postprocessor"),
)
_HEADS: Parts = {
    "DBHead": Part(
        "compiler.networks.heads.db.DBHead",
        keys=("in_channels",),
        assumed={"with_bias": (False,)},
        dropped=("module_loss", "postprocessor"),
    ),
    "PANHead": _PAN_HEAD,
    "PSEHead": _PAN_HEAD,
}

_DETECTOR = Part(
    "compiler.networks.text_detection.TextDetector",
    children={"backbone": _RESNETS, "neck": _NECKS, "det_head": _HEADS},
    dropped=("data_preprocessor",),
)
_RECOGNIZER = Part(
    "compiler.networks.text_recognition.TextRecognizer",
    children={
        "backbone": {
            "MiniVGG": Part(
                "compiler.networks.backbones.mini_vgg.MiniVGG",
                keys=("leaky_relu", "input_channels"),
                defaults={"input_channels": 3},
            )
        },
        "decoder": {
            "CRNNDecoder": Part(
                "compiler.networks.heads.crnn.CRNNDecoder",
                keys=("in_channels", "rnn_flag"),
                dropped=("dictionary", "module_loss", "postprocessor"),
            )
        },
    },
    assumed={"preprocessor": (None,), "encoder": (None,)},
    dropped=("data_preprocessor",),
)

MODELS: Parts = {"DBNet": _DETECTOR, "PSENet": _DETECTOR, "PANet": _DETECTOR, "CRNN": _RECOGNIZER}
