"""The slices of a `Focus` become a pixel unshuffle, for ncnn."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn

from compiler.networks.backbones.csp_darknet import Focus
from rewriters import Call, Contract, Skip, module_rewriter

SIDE = 2
"""Of the squares of pixels."""


class UnshuffledFocus(nn.Module):
    """A `Focus` whose squares are laid into channels as `nn.PixelUnshuffle` does.

    Args:
        conv: Takes the channels in that order.
    """

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(SIDE)
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of the squares of `x`."""
        convolved: Tensor = self.conv(self.unshuffle(x))
        return convolved


@module_rewriter(Focus, backends={"ncnn"}, contract=Contract.close(1e-5))
def focus_to_pixel_unshuffle(call: Call, module: Focus) -> nn.Module | Skip:
    """ncnn has no slice that leaves pixels out, and lays squares of pixels into channels in one layer, `Reorg`."""
    if type(module) is not Focus:
        return call.skip(f"nobody knows how {type(module).__name__} differs from a Focus")
    conv = deepcopy(module.conv)  # which may be in use elsewhere
    conv.conv.weight = nn.Parameter(_reordered(conv.conv.weight.detach()), requires_grad=False)
    return UnshuffledFocus(conv)


def _reordered(weight: Tensor) -> Tensor:
    """Weights `[o, 4c, h, w]`, for channels that have the columns outermost, for channels that have them innermost."""
    outputs, inputs, *window = weight.shape
    columns_first = weight.reshape(outputs, SIDE, SIDE, inputs // SIDE**2, *window)
    return columns_first.permute(0, 3, 2, 1, 4, 5).reshape(weight.shape)
