"""The raw tail's candidates become the host's in NumPy as they do within the graph."""

import numpy as np
import pytest
import torch
from torch import nn

from compiler.selection import SelectionConfig
from compiler.selection.candidates import Candidates
from compiler.selection.nms import preselect, select
from compiler.selection.tail import DetectionTail


def groups(with_factors):
    """Two levels of candidates; no two scores are equal."""
    draw = torch.Generator().manual_seed(0)
    found = []
    for count in (12, 5):
        corners = torch.rand(2, count, 2, generator=draw) * 50
        boxes = torch.cat([corners, corners + torch.rand(2, count, 2, generator=draw) * 40 - 4], dim=2)
        factors = torch.rand(2, count, generator=draw) if with_factors else None
        found.append(Candidates(boxes, torch.rand(2, count, 3, generator=draw), factors, {"mask": boxes * 2}))
    return found


@pytest.mark.parametrize("with_factors", [False, True])
@pytest.mark.parametrize(
    "changes", [{"nms_pre": 7}, {"nms_pre": -1}, {"min_bbox_size": -1, "conf_thr": 0.4}, {"score_thr": 0.99}]
)
def test_it_finds_what_the_host_tail_does(changes, with_factors):
    config = SelectionConfig(**{"nms_pre": 20, "score_thr": 0.3, "max_per_img": 9, **changes})
    found = {}
    for kind in ("host", "raw"):
        outputs = DetectionTail(nn.Identity(), kind, vars(config)).select(groups(with_factors))
        found[kind] = select({name: tensor.numpy() for name, tensor in outputs.items()}, config)
    for name, tensor in found["host"].items():
        np.testing.assert_allclose(found["raw"][name], tensor, atol=1e-6, err_msg=name)


def test_no_candidate_is_left_out():
    raw = DetectionTail(nn.Identity(), "raw", {"nms_pre": 1}).select(groups(with_factors=False))
    kept = preselect(
        {name: tensor.numpy() for name, tensor in raw.items()}, SelectionConfig(nms_pre=1, min_bbox_size=-1)
    )
    assert kept["scores"].shape == (2, 17, 3)
    assert (kept["scores"] > 0).sum(axis=(1, 2)).tolist() == [2, 2]
    assert list(kept) == ["boxes", "scores", "mask"]
