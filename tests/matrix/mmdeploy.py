"""What MMDeploy's own table says of the same models: `docs/en/03-benchmark/supported_models.md` of MMDeploy 1.3.1.

RTMPose, RTMDet and YOLOX-Pose are not in it.
"""

from __future__ import annotations

BACKENDS = {
    "TorchScript": "torchscript",
    "OnnxRuntime": "onnxruntime",
    "TensorRT": "tensorrt",
    "ncnn": "ncnn",
    "PPLNN": "",
    "OpenVINO": "openvino",
    "Ascend": "",
    "RKNN": "rknn",
}
"""Its columns, and what they are called here; nothing where there is no such backend."""

YES = {
    "retinanet": ("TorchScript", "OnnxRuntime", "TensorRT", "ncnn", "PPLNN", "OpenVINO", "Ascend", "RKNN"),
    "yolov3": ("TorchScript", "OnnxRuntime", "TensorRT", "ncnn", "OpenVINO", "Ascend", "RKNN"),
    "dbnet": ("TorchScript", "OnnxRuntime", "TensorRT", "ncnn", "PPLNN", "OpenVINO", "Ascend"),
    "panet": ("TorchScript", "OnnxRuntime", "TensorRT", "ncnn", "OpenVINO", "Ascend"),
    "psenet": ("TorchScript", "OnnxRuntime", "TensorRT", "ncnn", "OpenVINO", "Ascend"),
    "crnn": ("TorchScript", "OnnxRuntime", "TensorRT", "ncnn", "PPLNN"),
    "hrnet": ("OnnxRuntime", "TensorRT", "ncnn", "OpenVINO"),
    "mspn": ("OnnxRuntime", "TensorRT", "ncnn", "OpenVINO"),
    "litehrnet": ("OnnxRuntime", "TensorRT", "OpenVINO"),
    "hourglass": ("OnnxRuntime", "TensorRT", "ncnn", "OpenVINO"),
    "simcc": ("OnnxRuntime", "TensorRT", "ncnn"),
    "pointpillars": ("OnnxRuntime", "TensorRT", "OpenVINO"),
    "centerpoint": ("OnnxRuntime", "TensorRT", "OpenVINO"),
}
"""The columns that have a Y, by the model."""
