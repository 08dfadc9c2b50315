"""A leaky ReLU is a PReLU whose slope is not learnt, for ncnn."""

from __future__ import annotations

from torch import nn

from rewriters import Call, Contract, module_rewriter


@module_rewriter(nn.LeakyReLU, backends={"ncnn"}, contract=Contract.close(1e-6))
def leaky_relu_to_prelu(call: Call, module: nn.LeakyReLU) -> nn.Module:
    """pnnx 20261020 crashes on networks of many leaky ReLUs, YOLOv3's among them, and on none of PReLUs.

    It makes one layer of a convolution and either, so that nothing is lost.
    """
    return nn.PReLU(1, module.negative_slope).requires_grad_(False)
