"""What the operators of torch that select detections become in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import compiler.selection.operators  # noqa: F401  (defines the operators)
from rewriters.onnx_functions import SelectDetections

# The function lies with the rewriters, which import nothing of the compiler: `fuse_nms` looks for what it becomes.
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.deploy_compiler.nms.default: SelectDetections}
"""By operator of torch, for the exporter."""
