"""What a function rewriter may return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from rewriters.calls import NOTHING_TO_DO, FunctionCall, Skip
from rewriters.definition import FunctionRewriter, source_of
from rewriters.failures import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

OF_TORCH = (
    *(torch.Tensor, torch.Size, torch.dtype, torch.device, torch.layout, torch.memory_format),
    *(torch.SymInt, torch.SymFloat, torch.SymBool),
    *(bool, int, float, complex, type(None)),
)
"""What is in the results of torch's functions on tensors."""


def checked_result(result: Any, rewriter: FunctionRewriter, call: FunctionCall) -> Any:
    """What the function is said to return, or the skip where the rewriter just returned.

    Raises:
        RewriterCodeError: No function of torch returns such a thing.
    """
    if result is None and not _returns_nothing(call.function):
        return NOTHING_TO_DO
    if isinstance(result, Skip):
        return result
    for leaf in pytree.tree_leaves(result):
        if not isinstance(leaf, OF_TORCH):
            kind = type(leaf).__name__
            wanted = f"what {source_of(call.function)} would, or call.skip(reason)"
            raise refusal(rewriter, call.where, f"it returned {kind}, and has to return {wanted}")
    return result


def _returns_nothing(function: Callable[..., Any]) -> bool:
    """Whether None is what a function itself returns: one that sets something."""
    return getattr(function, "__name__", "") in ("__setitem__", "__set__", "__delete__", "backward")
