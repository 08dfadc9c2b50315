"""Where the batch is fixed, the number of items is no longer read from the data."""

from __future__ import annotations

import copy

from compiler.networks.layers.pillars import PointPillarsScatter
from rewriters import Call, Contract, Skip, module_rewriter


@module_rewriter(PointPillarsScatter, contract=Contract.exact)
def fix_number_of_items(call: Call, module: PointPillarsScatter) -> PointPillarsScatter | Skip:
    """In a static engine the items of a batch are counted beforehand; TensorRT cannot build it otherwise.

    Otherwise the last voxel's coordinates tell how many there are. That makes them a shape to TensorRT, which wants to
    know the values of shapes while it builds.
    """
    if call.target.batch is None:
        return call.skip("the batch varies")
    fixed = copy.copy(module)
    fixed.items = call.target.batch
    return fixed
