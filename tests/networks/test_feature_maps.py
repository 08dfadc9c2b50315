"""The neck that lays feature maps side by side."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from compiler.networks.necks.feature_maps import FeatureMapProcessor

FEATURES = tuple(torch.rand(1, 2 + level, 8 >> level, 6 >> level) for level in range(2))


def test_joined_maps_have_the_size_of_the_first_and_the_channels_of_all():
    (joined,) = FeatureMapProcessor(concat=True)(FEATURES)
    assert joined.shape == (1, 5, 8, 6)
    torch.testing.assert_close(joined[:, :2], FEATURES[0])
    torch.testing.assert_close(joined[:, 2:], F.interpolate(FEATURES[1], scale_factor=2, mode="bilinear"))


@pytest.mark.parametrize("index", [1, (1,)])
def test_of_chosen_maps_the_others_are_left_out(index):
    assert FeatureMapProcessor(select_index=index)(FEATURES) == (FEATURES[1],)
