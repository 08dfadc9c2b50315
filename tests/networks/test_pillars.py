"""Pillars: how their points are described, and where their features end up in the image of the ground."""

import numpy as np
import onnxruntime
import pytest
import torch

from compiler.networks.layers.pillars import PillarFeatureNet, PointPillarsScatter
from rewriters import Target, select
from rewriters.apply import rewritten
from rewriters.modules.fuse_batch_norm import fuse_batch_norm

SIZE = (0.5, 0.25, 4)
RANGE = (-2, -1, -3, 2, 1, 1)
ROWS, COLUMNS = 8, 8


def pillars_of(items, seed=0):
    """Return `voxels`, `num_points` and `coors` of point clouds with so many pillars each, no two in one cell."""
    generator = np.random.default_rng(seed)
    total = sum(items)
    num_points = generator.integers(1, 5, total).astype(np.int32)
    voxels = generator.normal(size=(total, 4, 5)).astype(np.float32)
    voxels[np.arange(4) >= num_points[:, None]] = 0
    coors = np.zeros((total, 4), np.int32)
    coors[:, 0] = np.repeat(np.arange(len(items)), items)
    cells = np.concatenate([generator.permutation(ROWS * COLUMNS)[:count] for count in items])
    coors[:, 2], coors[:, 3] = np.divmod(cells, COLUMNS)
    return tuple(map(torch.from_numpy, (voxels, num_points, coors)))


def feature_net(legacy=True):
    torch.manual_seed(0)
    network = PillarFeatureNet(5, (6,), SIZE, RANGE, legacy=legacy).eval().requires_grad_(False)
    layer = network.pfn_layers[0]
    layer.norm.running_mean.uniform_(-1, 1)
    layer.norm.running_var.uniform_(0.5, 1.5)
    layer.norm.bias.uniform_(-1, 1)
    return network


def described(network, voxels, num_points, coors, legacy):
    """Return what `network` should give, one point after the other."""
    layer = network.pfn_layers[0]
    rows = []
    for points, count, (_, _, row, column) in zip(voxels, num_points, coors, strict=True):
        center = torch.tensor([-2 + 0.5 * (column + 0.5), -1 + 0.25 * (row + 0.5), -1])
        mean = points[:count, :3].mean(dim=0)
        decorated = torch.zeros(len(points), 11)
        for index in range(count):
            place, measured = points[index, :3], points[index, 3:]
            first = place - center if legacy else place
            decorated[index] = torch.cat([first, measured, place - mean, place - center])
        rows.append(layer.norm(layer.linear(decorated)).relu().max(dim=0).values)
    return torch.stack(rows)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pillar_is_what_its_decorated_points_have_in_common(legacy):
    network, inputs = feature_net(legacy), pillars_of([9])
    expected = described(network, *inputs, legacy)
    torch.testing.assert_close(network(*inputs), expected, rtol=0, atol=1e-5)


def test_the_inputs_stay_as_they_are():
    inputs = pillars_of([9])
    copies = [tensor.clone() for tensor in inputs]
    feature_net()(*inputs)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(inputs, copies, strict=True))


def test_a_pillars_height_is_that_of_the_whole_range():
    # There is one layer of cells, whose centre is halfway between -3 and 1.
    torch.testing.assert_close(feature_net().first_center, torch.tensor([-1.75, -0.875, -1.0]))


def test_the_linear_layer_takes_over_the_normalisation():
    network, inputs = feature_net(), pillars_of([9])
    fused = rewritten(network, select([fuse_batch_norm], Target("onnxruntime")), inputs).network
    assert isinstance(fused.pfn_layers[0].norm, torch.nn.Identity)
    torch.testing.assert_close(fused(*inputs), network(*inputs), rtol=0, atol=1e-5)


def test_several_layers_are_refused():
    with pytest.raises(ValueError, match="one number"):
        PillarFeatureNet(feat_channels=(64, 64))


def test_features_are_laid_out_by_item_row_and_column():
    coors = torch.tensor([[0, 0, 1, 2], [0, 0, 0, 0], [2, 0, 1, 2]], dtype=torch.int32)
    images = PointPillarsScatter(2, (2, 3))(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), coors)
    assert images.shape == (3, 2, 2, 3)
    assert images[0, :, 1, 2].tolist() == [1, 2]
    assert images[0, :, 0, 0].tolist() == [3, 4]
    assert images[2, :, 1, 2].tolist() == [5, 6]
    assert images.count_nonzero() == 6  # and the cloud in between has no pillar


def test_a_pillar_may_be_repeated():
    _, _, coors = pillars_of([3, 4])
    features = torch.rand(7, 2)
    scatter = PointPillarsScatter(2, (ROWS, COLUMNS))
    filled_up = [torch.cat([tensor, tensor[-1:].expand(5, -1)]) for tensor in (features, coors)]
    assert torch.equal(scatter(*filled_up), scatter(features, coors))


class Images(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = feature_net()
        self.scatter = PointPillarsScatter(6, (ROWS, COLUMNS))
        self.convolution = torch.nn.Conv2d(6, 2, 3, bias=False)

    def forward(self, voxels, num_points, coors):
        return self.convolution(self.scatter(self.features(voxels, num_points, coors), coors))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small network, and its ONNX model for any number of voxels."""
    torch.manual_seed(0)
    network = Images().eval().requires_grad_(False)
    voxels = torch.export.Dim("voxels")
    traced = torch.export.export(network, pillars_of([3, 4]), dynamic_shapes=({0: voxels},) * 3, strict=False)
    path = tmp_path_factory.mktemp("pillars") / "images.onnx"
    torch.onnx.export(
        traced, dynamo=True, verbose=False, opset_version=18, input_names=["voxels", "num_points", "coors"]
    ).save(path)
    return network, onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("items", [[1], [20], [1, 1], [30, 2], [5, 40, 7]])
def test_one_engine_takes_any_number_of_clouds(exported, items):
    network, session = exported
    inputs = pillars_of(items, seed=1)
    names = [value.name for value in session.get_inputs()]
    (output,) = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
    assert output.shape[0] == len(items)
    np.testing.assert_allclose(output, network(*inputs).numpy(), rtol=0, atol=1e-5)
