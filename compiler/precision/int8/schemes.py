"""How a target wants 8-bit arithmetic written into a graph: as which integers, and around which operators."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compiler.errors import UsageError, nearest

ACTIVATIONS = {"uint8": (0, 255), "int8": (-128, 127)}
"""The integers that activations can be held in, and the smallest and largest of each."""
WEIGHT_ZERO_POINTS = {"int8": 0, "uint8": 128}
"""The integers that weights can be held in, and which of them is zero."""

WEIGHTED = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
FUNCTIONS = frozenset(
    {
        "HardSwish",
        "HardSigmoid",
        "Swish",
        "Gelu",
        "Mish",
        "Elu",
        "Celu",
        "Selu",
        "PRelu",
        "Tanh",
        "Softplus",
        "Softsign",
    }
)
"""Of one activation, for which ONNX Runtime has no 8-bit kernel: they are computed in float."""
JOINS = frozenset({"Add", "Mul", "Sigmoid", "LeakyRelu", "Concat", "GlobalAveragePool", "AveragePool", "ReduceMean"})
CARRIERS = frozenset(
    {
        "MaxPool",
        "Reshape",
        "Flatten",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Split",
        "Resize",
        "Gather",
        "DepthToSpace",
    }
)
FUSED = frozenset({"Relu", "Clip"})


@dataclass(frozen=True)
class QuantizationScheme:
    """What a target's 8-bit kernels take. Weights are always symmetric around their zero point.

    Attributes:
        activations: The integers that activations are held in: one of `ACTIVATIONS`.
        symmetric_activations: Whether their zero point is always 0.
        weights: The integers that weights are held in: one of `WEIGHT_ZERO_POINTS`.
        largest_weight: How far from their zero point weights may be: 127 uses all 8 bits.
        per_channel: Whether each output channel of a weight has a scale of its own.
        weighted: Operators that multiply with weights, or two activations with each other: what quantising is for.
        joins: Operators that read 8 bits so that what they read can stay in 8 bits, most with a kernel for it;
            quantised where their result goes on to a quantised layer.
        carriers: Operators that only move values, and keep the scale: quantised where all their readers are.
        fused: Operators that the target fuses into the one before; they are looked through.
        functions: Operators that are computed in float of 8 bits; quantised between a convolution, which is in
            integers only where what it gives is, and another quantised layer.
        residual_adds: Whether an addition gets the input quantised that does not come straight from a weighted layer.
        quantized_bias: Whether biases are int32 at the scale of the product. They stay float32 otherwise.
    """

    activations: str
    symmetric_activations: bool
    weights: str = "int8"
    largest_weight: int = 127
    per_channel: bool = True
    weighted: frozenset[str] = WEIGHTED
    joins: frozenset[str] = frozenset()
    carriers: frozenset[str] = frozenset()
    fused: frozenset[str] = FUSED
    functions: frozenset[str] = frozenset()
    residual_adds: bool = False
    quantized_bias: bool = False

    def __post_init__(self) -> None:
        if self.activations not in ACTIVATIONS:
            raise UsageError(
                f"activations cannot be held in '{self.activations}'",
                where="QuantizationScheme.activations",
                fix=nearest(self.activations, ACTIVATIONS),
            )
        if self.weights not in WEIGHT_ZERO_POINTS:
            raise UsageError(
                f"weights cannot be held in '{self.weights}'",
                where="QuantizationScheme.weights",
                fix=nearest(self.weights, WEIGHT_ZERO_POINTS),
            )
        if self.symmetric_activations and self.activations != "int8":
            raise UsageError(
                "symmetric activations have to be int8",
                where="QuantizationScheme.symmetric_activations",
                why=f"a zero point of 0 leaves no room for negative values in {self.activations}",
                fix="choose int8, or activations that are not symmetric",
            )

    @property
    def operators(self) -> frozenset[str]:
        """All operators that can be quantised."""
        return self.weighted | self.joins | self.carriers | self.functions


ONNX_RUNTIME_VNNI = QuantizationScheme(
    activations="uint8",
    symmetric_activations=False,
    # There is no 8-bit kernel for ConvTranspose.
    weighted=frozenset({"Conv", "MatMul", "Gemm"}),
    joins=JOINS,
    carriers=CARRIERS,
    functions=FUNCTIONS,
    quantized_bias=True,
)
"""ONNX Runtime on x86-64 with VNNI, and on arm64: an operator runs in 8 bits where all it reads, and all that reads it,
is quantised.

Source: "Quantize ONNX models" in ONNX Runtime's documentation, which recommends unsigned activations with signed
weights (U8S8) on x86.
"""

ONNX_RUNTIME_PORTABLE = replace(ONNX_RUNTIME_VNNI, weights="uint8")
"""ONNX Runtime on any processor: the kernels for unsigned weights never lose a sum. Weights have all of their 8 bits.

Source: the same page, which names the saturation of U8S8 without VNNI, and the two ways around it.
"""

ONNX_RUNTIME_AVX2 = replace(ONNX_RUNTIME_VNNI, largest_weight=64)
"""ONNX Runtime on x86-64 without VNNI: two products of 255 and 64 fit 16 bits, so that the fast kernels for signed
weights are right on any processor. Weights have 7 bits."""

TENSORRT = QuantizationScheme(activations="int8", symmetric_activations=True, residual_adds=True)
"""TensorRT and TensorRT-RTX: only the inputs of weighted layers, and of skip connections, are quantised.

Source: "Working with Quantized Types", explicit quantization, in NVIDIA's TensorRT documentation: quantise all inputs
of weighted operations, not their outputs; quantise the residual input of skip connections; per-tensor scales for
activations and per-channel scales for weights. TensorRT moves the pairs through pooling, resizing and the like itself.
"""
