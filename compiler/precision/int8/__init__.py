"""A Program in 8 bits: `calibrate` it on real input, `quantize` it for a target, `rank` the layers that suffer most.

Everything starts from a model in float32 and ends in one with explicit QuantizeLinear and DequantizeLinear nodes, which
ONNX Runtime, TensorRT and TensorRT-RTX read as they are.
"""

from compiler.precision.int8.calibration import calibrate
from compiler.precision.int8.quantize import Quantized, quantize
from compiler.precision.int8.schemes import (
    ONNX_RUNTIME_AVX2,
    ONNX_RUNTIME_PORTABLE,
    ONNX_RUNTIME_VNNI,
    TENSORRT,
    QuantizationScheme,
)
from compiler.precision.int8.sensitivity import auto_quantize, rank
from compiler.precision.int8.table import CalibrationTable

__all__ = [
    "ONNX_RUNTIME_AVX2",
    "ONNX_RUNTIME_PORTABLE",
    "ONNX_RUNTIME_VNNI",
    "TENSORRT",
    "CalibrationTable",
    "QuantizationScheme",
    "Quantized",
    "auto_quantize",
    "calibrate",
    "quantize",
    "rank",
]
