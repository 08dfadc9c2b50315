"""A batch normalisation behind a convolution or a linear layer becomes part of that layer's weights."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from rewriters import Call, Contract, Skip, module_rewriter

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTRACT = Contract.close(1e-3)
# What can take over a normalisation of each kind.
ABSORBING: dict[type[nn.Module], tuple[type[nn.Module], ...]] = {
    nn.BatchNorm1d: (nn.Linear,),
    nn.BatchNorm2d: (nn.Conv2d, nn.ConvTranspose2d),
}
NUMBERED = tuple((f"conv{number}", f"bn{number}") for number in (1, 2, 3))


@module_rewriter("ConvModule", contract=CONTRACT)
def fuse_batch_norm(call: Call, module: nn.Module) -> nn.Module | Skip:
    """In evaluation a batch normalisation is a scale and a shift, which the convolution before it can take over.

    Exporters fold it too, after tracing, decomposing and translating it: fused before, there is less to export.
    """
    return _fused(call, module, [("conv", "bn")])


@module_rewriter(nn.Sequential, contract=CONTRACT)
def fuse_batch_norm_in_sequence(call: Call, module: nn.Sequential) -> nn.Module | Skip:
    """In a sequence, a batch normalisation is part of the convolution that it comes right after.

    With those in residual blocks, it is what HRNet and ResNet have in place of `ConvModule`: fused, HRNet-w32 exports
    in little more than half the time.
    """
    if type(module).forward is not nn.Sequential.forward:
        return call.skip("it does not run its modules one after the other")
    return _fused(call, module, pairwise(module._modules))


@module_rewriter("BasicBlock", contract=CONTRACT)
def fuse_batch_norm_in_basic_block(call: Call, module: nn.Module) -> nn.Module | Skip:
    """In a residual block, a batch normalisation is part of the convolution that has its number."""
    return _fused(call, module, NUMBERED)


@module_rewriter("Bottleneck", contract=CONTRACT)
def fuse_batch_norm_in_bottleneck(call: Call, module: nn.Module) -> nn.Module | Skip:
    """In a bottleneck, a batch normalisation is part of the convolution that has its number."""
    return _fused(call, module, NUMBERED)


@module_rewriter("PFNLayer", contract=CONTRACT)
def fuse_batch_norm_in_pillars(call: Call, module: nn.Module) -> nn.Module | Skip:
    """In a pillar feature net, a batch normalisation is part of the linear layer that each point passes."""
    return _fused(call, module, [("linear", "norm")], nn.BatchNorm1d)


def _fused(
    call: Call,
    module: nn.Module,
    names: Iterable[tuple[str, str]],
    kind: type[nn.BatchNorm1d | nn.BatchNorm2d] = nn.BatchNorm2d,
) -> nn.Module | Skip:
    """Return a copy of the module without the batch normalisations that a layer before them can take over.

    Args:
        call: Where the module is.
        module: Stays as it is, and shares with the copy all that does not change.
        names: Of a layer and of what follows it; either may be missing, or be something else.
        kind: Of the normalisations.
    """
    changed: dict[str, nn.Module | None] = {}
    reasons = ["it has no batch normalisation"]
    for layer, normalisation in names:
        follower = module._modules.get(normalisation)
        if follower is None or type(follower) is not kind:
            continue
        result = _absorbing(call, module._modules.get(layer), follower)
        if isinstance(result, Skip):
            reasons.append(result.reason)
        else:
            changed |= {layer: result, normalisation: nn.Identity()}
    if not changed:
        return call.skip(reasons[-1])
    fused = copy.copy(module)
    # A shallow copy shares the dictionary of children with the original.
    fused._modules = {**module._modules, **changed}
    return fused


def _absorbing(
    call: Call, layer: nn.Module | None, normalisation: nn.BatchNorm1d | nn.BatchNorm2d
) -> nn.Linear | nn.Conv2d | nn.ConvTranspose2d | Skip:
    """Return a copy of the layer, which may be in use elsewhere, with the normalisation in its weights."""
    # A subclass may do something else with its weights.
    plain = ABSORBING[type(normalisation)]
    if type(layer) not in plain:
        names = " or ".join(kind.__name__ for kind in plain)
        return call.skip(f"what it normalises does not come from a plain {names}")
    if normalisation.training or normalisation.running_var is None:
        return call.skip("the normalisation depends on the batch")
    if isinstance(layer, nn.Linear):
        return fuse_linear_bn_eval(layer, normalisation)
    if isinstance(layer, nn.Conv2d):
        return fuse_conv_bn_eval(layer, normalisation)
    assert isinstance(layer, nn.ConvTranspose2d)
    if layer.groups > 1:
        return call.skip("the transposed convolution has groups")
    return fuse_conv_bn_eval(layer, normalisation, transpose=True)
