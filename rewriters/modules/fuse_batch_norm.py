"""A batch normalisation behind a convolution becomes part of the convolution's weights."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from rewriters import Call, Contract, Skip, module_rewriter


@module_rewriter("ConvModule", contract=Contract.close(1e-3))
def fuse_batch_norm(call: Call, module: nn.Module) -> nn.Module | Skip:
    """In evaluation a batch normalisation is a scale and a shift, which the convolution before it can take over.

    Exporters fold it too, after tracing, decomposing and translating it: fused before, there is less to export.
    """
    convolution, normalisation = getattr(module, "conv", None), getattr(module, "bn", None)
    if not isinstance(convolution, nn.Conv2d):
        return call.skip("its conv is no Conv2d")
    if isinstance(normalisation, nn.Identity):
        return call.skip("it has no normalisation")
    if not isinstance(normalisation, nn.BatchNorm2d):
        return call.skip("its bn is no BatchNorm2d")
    if module.training or normalisation.running_var is None:
        return call.skip("the normalisation depends on the batch")
    fused = copy.copy(module)
    # A shallow copy shares the dictionary of children with the original.
    fused._modules = dict(module._modules)
    fused.conv = fuse_conv_bn_eval(convolution, normalisation)
    fused.bn = nn.Identity()
    return fused
