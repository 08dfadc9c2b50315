"""Nearest upsampling becomes bilinear, for TensorRT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F

from rewriters import Contract, FunctionCall, Skip, function_rewriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@function_rewriter(
    F.interpolate,
    backends={"tensorrt", "tensorrt_rtx"},
    algos={"dbnet", "dbnetpp", "panet"},
    contract=Contract.lossy("bilinear weights differ from nearest"),
)
def nearest_to_bilinear(
    call: FunctionCall,
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    **rest: Any,
) -> Tensor | Skip:
    """TensorRT and PyTorch round nearest upsampling differently; bilinear agrees."""
    if mode != "nearest":
        return call.skip("mode is not nearest")
    if input.dim() != 4:
        return call.skip(f"the input has {input.dim()} dimensions, and bilinear needs 4")
    bilinear = {**rest, "mode": "bilinear", "align_corners": False}
    upsampled: Tensor = call.original(input, size, scale_factor, **bilinear)
    return upsampled
