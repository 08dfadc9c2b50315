"""The parallel max-pools of a spatial pyramid become a chain of small ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compiler.networks.layers.csp import SPPBottleneck
from rewriters import Call, Contract, Skip, module_rewriter


class CascadedPooling(nn.Module):
    """A spatial pyramid whose every level pools the level before it; its state dict is that of SPPBottleneck.

    Args:
        conv1: Reduces the channels before the pyramid.
        kernel_sizes: Window of each level, relative to the level before it.
        conv2: Fuses the pyramid.
    """

    def __init__(self, conv1: nn.Module, kernel_sizes: list[int], conv2: nn.Module) -> None:
        super().__init__()
        self.conv1 = conv1
        self.poolings = nn.ModuleList(nn.MaxPool2d(size, stride=1, padding=size // 2) for size in kernel_sizes)
        self.conv2 = conv2

    def forward(self, x: Tensor) -> Tensor:
        """The fused pyramid of `x`."""
        levels = [self.conv1(x)]
        for pooling in self.poolings:
            levels.append(pooling(levels[-1]))
        fused: Tensor = self.conv2(torch.cat(levels, dim=1))
        return fused


@module_rewriter(SPPBottleneck, contract=Contract.exact)
def spp_to_cascaded_pooling(call: Call, module: SPPBottleneck) -> nn.Module | Skip:
    """Max-pools of 5, 9 and 13 equal three chained max-pools of 5, with a quarter of the comparisons.

    The maximum over a window of `a` of the maxima over windows of `b` is the maximum over a window of `a + b - 1`; the
    padding is minus infinity, so it holds at the borders too.
    """
    if type(module) is not SPPBottleneck:
        return call.skip(f"nobody knows how {type(module).__name__} differs from an SPPBottleneck")
    pools = [pooling for pooling in module.poolings if type(pooling) is nn.MaxPool2d]
    if len(pools) != len(module.poolings):
        return call.skip("a pooling is not a MaxPool2d")
    if reason := next(filter(None, map(_why_not_chainable, pools)), ""):
        return call.skip(reason)
    sizes = [_side(pool.kernel_size) for pool in pools]
    steps = [size - previous + 1 for previous, size in zip([1, *sizes], sizes, strict=False)]
    if any(step < 2 for step in steps):
        return call.skip(f"the kernel sizes {sizes} do not increase")
    if any(step % 2 == 0 for step in steps):
        return call.skip(f"the kernel sizes {sizes} are not all odd")
    return CascadedPooling(module.conv1, steps, module.conv2)


def _why_not_chainable(pool: nn.MaxPool2d) -> str:
    size = _side(pool.kernel_size)
    if not size:
        return f"the window {pool.kernel_size} of a max-pool is not square"
    found_and_wanted = {
        "stride": (_side(pool.stride), 1),
        "padding": (_side(pool.padding), size // 2),
        "dilation": (_side(pool.dilation), 1),
        "ceil_mode": (pool.ceil_mode, False),
        "return_indices": (pool.return_indices, False),
    }
    wrong = ((name, found, wanted) for name, (found, wanted) in found_and_wanted.items() if found != wanted)
    return next((f"{name} of a max-pool is {found}, not {wanted}" for name, found, wanted in wrong), "")


def _side(value: int | tuple[int, ...]) -> int:
    """The side of a square; zero when its sides differ."""
    if isinstance(value, int):
        return value
    return value[0] if len(set(value)) == 1 else 0
