"""The operations of ML Programs, as coremltools makes them of torch, against torch: one conversion for all of them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from compiler.backends.coreml.interpreter import interpreted, quiet
from compiler.backends.coreml.operations.recurrent import lstm
from compiler.backends.coreml.operations.shapes import fill, gather_nd, range_1d, scatter_nd, slice_by_size
from compiler.backends.coreml.operations.spatial import conv, resize, resize_bilinear, resize_nearest_neighbor
from compiler.backends.coreml.operations.table import OPERATIONS


def _positive(x):
    return x.abs() + 1


CASES = {
    "elementwise": lambda x, y: (x.abs() + x.cos() * x.sin() - x.exp() / (1 + y.square()), x.floor() + x.ceil() * 2),
    "erf_round_sign": lambda x, y: (x.erf(), (x * 3).round(), x.sign()),
    "activations": lambda x, y: (F.silu(x), F.gelu(x), F.gelu(x, approximate="tanh"), F.softplus(x), F.elu(x)),
    "bounded": lambda x, y: (F.relu(x), F.relu6(4 * x), F.leaky_relu(x, 0.1), F.hardsigmoid(x), x.clamp(-0.5, 0.7)),
    "sigmoids": lambda x, y: (x.sigmoid(), x.tanh(), F.hardswish(x)),
    "roots": lambda x, y: (_positive(x).sqrt(), _positive(x).rsqrt(), _positive(x).log(), 1 / (_positive(x) * 2)),
    "powers": lambda x, y: ((x.abs() + 0.1) ** 1.5, torch.maximum(x, y), torch.minimum(x, y), torch.remainder(x, 0.3)),
    "divisions": lambda x, y: (torch.floor_divide(x, 0.3), torch.div(x, y.abs() + 1)),
    "comparisons": lambda x, y: (
        torch.where((x > y) & (x >= 0), x, y),
        torch.where(torch.logical_or(x < y, x <= 0.1), x, y),
        torch.where(~(x == y), x, y),
        torch.where(torch.logical_xor(x != 0, y > 0), x, y),
    ),
    "softmax": lambda x, y: (x.softmax(1), x.log_softmax(-1)),
    "sums": lambda x, y: (x.sum(1), x.mean((2, 3), keepdim=True), x.amax(2), x.amin(3), x.logsumexp(1)),
    "norms": lambda x, y: (x.norm(dim=1), F.normalize(x, dim=1)),
    "largest": lambda x, y: (x.argmax(1).float(), x.argmin(2).float(), *(one.float() for one in x.topk(3, dim=2))),
    "sorted": lambda x, y: (x.argsort(dim=3).float(), x.argsort(dim=3, descending=True).float()),
    "products": lambda x, y: (x @ y.transpose(2, 3), torch.einsum("bchw,bcwk->bchk", x, y.transpose(2, 3))),
    "cumulative": lambda x, y: (x.cumsum(2),),
    "sliced": lambda x, y: (x[:, 1:, ::2, -3:], x[:, -1], x[..., :-2], x.narrow(2, 1, 3)),
    "shaped": lambda x, y: (x.reshape(2, -1, 6), x.permute(0, 2, 3, 1), x[:, :, None].squeeze(2), x.flatten(1)),
    "joined": lambda x, y: (torch.cat([x, y], 1), torch.stack([x, y], 2), *x.split([1, 3], 1), *x.chunk(2, 2)),
    "repeated": lambda x, y: (x.repeat(1, 2, 1, 1), x[:, :1].expand(-1, 4, -1, -1), x.flip(2), F.pixel_shuffle(x, 2)),
    "padded": lambda x, y: (
        F.pad(x, (1, 2, 0, 1)),
        F.pad(x, (1, 1, 2, 2), mode="reflect"),
        F.pad(x, (1, 1, 2, 2), mode="replicate"),
        F.pad(x, (1, 0), value=-3.0),
    ),
    "gathered": lambda x, y: (x.index_select(1, torch.tensor([2, 0])), x.gather(2, x.argsort(2)), x[:, [3, 1]]),
    "scattered": lambda x, y: (
        torch.zeros_like(x).scatter(2, x.argsort(2), y),
        torch.zeros_like(x).scatter_add(2, x.argsort(2), y),
    ),
    "made": lambda x, y: (x + torch.arange(6), x * torch.full((4, 1, 1), 0.5), torch.ones_like(x) * y),
    "pooled": lambda x, y: (
        F.max_pool2d(x, 3, 2, 1),
        F.max_pool2d(x, 2, 2, ceil_mode=True),
        F.max_pool2d(x, 3, 2, ceil_mode=True),
        F.avg_pool2d(x, 3, 2, 1),
        F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        F.avg_pool2d(x, 2, 2, ceil_mode=True),
        F.adaptive_avg_pool2d(x, 1),
    ),
    "resized": lambda x, y: (
        F.interpolate(x, scale_factor=2.0, mode="nearest"),
        F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False),
        F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True),
        F.interpolate(x, size=(9, 11), mode="bilinear", align_corners=False),
        F.interpolate(x, size=(9, 11), mode="bilinear", align_corners=True),
        F.interpolate(x, size=(10, 12), mode="nearest"),
    ),
    "normalised": lambda x, y: (F.layer_norm(x, (6,)), F.instance_norm(x), F.layer_norm(x, (5, 6))),
}


class Layers(nn.Module):
    """Those that have weights."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(4, 6, 3, 2, 1),
                nn.Conv2d(4, 6, (3, 1), 1, (2, 0), dilation=2, groups=2, bias=False),
                nn.ConvTranspose2d(4, 6, 4, 2, 1),
                nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
                nn.ConvTranspose2d(4, 6, 2, 2, groups=2),
                nn.BatchNorm2d(4),
                nn.GroupNorm(2, 4),
                nn.PReLU(4),
                nn.Linear(6, 3),
            ]
        )
        self.one = nn.LSTM(6, 5)
        self.both = nn.LSTM(6, 5, bidirectional=True, batch_first=True)

    def forward(self, x, y):
        sequence = x[0].permute(1, 0, 2)
        found, (hidden, cells) = self.one(sequence)
        return *(layer(x) for layer in self.convolutions), found, hidden, cells, self.both(sequence)[0]


class Everything(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = Layers()

    def forward(self, x, y):
        return *(result + 0.0 for case in CASES.values() for result in case(x, y)), *self.layers(x, y)


@pytest.fixture(scope="module")
def everything():
    """What torch gives, what the interpreter gives for the same, and the operations that it met."""
    pytest.importorskip("coremltools")
    torch.manual_seed(0)
    network = Everything().eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
    x, y = torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 6)
    expected = network(x, y)
    with quiet():
        import coremltools as ct

        traced = torch.jit.trace(network, (x, y), check_trace=False)
        names = [f"result_{index}" for index in range(len(expected))]
        package = ct.convert(
            traced,
            inputs=[ct.TensorType(name=name, shape=(2, 4, 5, 6), dtype=np.float32) for name in "xy"],
            outputs=[ct.TensorType(name=name) for name in names],
            compute_precision=ct.precision.FLOAT32,
            minimum_deployment_target=ct.target.iOS16,
            skip_model_load=True,
        )
    function = package._mil_program.functions["main"]
    found = interpreted(function, {"x": x, "y": y})
    return expected, [found[name] for name in names], {one.op_type for one in function.operations}


def sections():
    """The results of each case: where they begin and end."""
    x = torch.ones(2, 4, 5, 6)
    first = 0
    for name, case in CASES.items():
        count = len(case(x, x))
        yield pytest.param(first, first + count, id=name)
        first += count
    yield pytest.param(first, None, id="layers")


@pytest.mark.parametrize(("first", "last"), list(sections()))
def test_an_operation_equals_torch(everything, first, last):
    expected, found, _ = everything
    for one, other in zip(expected[first:last], found[first:last], strict=True):
        torch.testing.assert_close(other.float(), one.float(), atol=2e-5, rtol=2e-5)


def test_no_operation_is_known_that_is_not_held_against_anything(everything):
    _, _, met = everything
    alone = {
        "batch_norm",
        "fill",
        "gather_nd",
        "identity",
        "inverse",
        "mod",
        "prelu",
        "range_1d",
        "reduce_l2_norm",
        "resize",
    }
    alone |= {"resize_bilinear", "resize_nearest_neighbor", "scatter_nd", "shape", "slice_by_size", "einsum"}
    alone |= {"constexpr_affine_dequantize", "constexpr_blockwise_shift_scale"}
    assert OPERATIONS.keys() - met <= alone
    assert met <= {*OPERATIONS, "const"}


X = torch.linspace(-2, 2, 2 * 4 * 5 * 6).reshape(2, 4, 5, 6)
PLACES = torch.tensor([[0, 1], [1, 3]])


def test_what_coremltools_folds_away_or_writes_for_lengths_that_vary():
    """Each against NumPy."""
    run, x = OPERATIONS, X.numpy()
    equal = np.testing.assert_allclose
    equal(run["mod"](x=X, y=0.3), np.mod(x, np.float32(0.3)), atol=1e-6)
    equal(run["inverse"](x=X + 3), 1 / (x + 3 + 1e-4), rtol=1e-6)
    equal(run["identity"](x=X), x)
    equal(
        run["prelu"](x=X, alpha=torch.tensor([0.0, 0.5, 1, 2])), np.where(x > 0, x, x * [[[0]], [[0.5]], [[1]], [[2]]])
    )
    equal(run["shape"](x=X), x.shape)
    equal(range_1d(start=2, end=9, step=torch.tensor(3)), np.arange(2, 9, 3))
    equal(fill(shape=torch.tensor([2, 3]), value=0.5), np.full((2, 3), 0.5))
    equal(slice_by_size(x=X, begin=[0, 1, 2, 3], size=[-1, 2, -1, 1]), x[:, 1:3, 2:, 3:4])
    equal(gather_nd(x=X, indices=PLACES), x[[0, 1], [1, 3]])
    equal(gather_nd(x=X, indices=torch.tensor([[1], [3]]), batch_dims=1), np.stack([x[0, 1], x[1, 3]]))
    equal(run["batch_norm"](x=X, mean=torch.ones(4), variance=torch.full((4,), 4.0), epsilon=0.0), (x - 1) / 2)
    equal(run["reduce_l2_norm"](x=X, axes=[1], keep_dims=True), np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-5)
    equal(run["einsum"](values=[X, X], equation="bchw,bkhw->bck"), np.einsum("bchw,bkhw->bck", x, x), rtol=1e-5)


@pytest.mark.parametrize(("mode", "expected"), [("update", 5.0), ("add", 6.0)])
def test_scattered_at_tuples(mode, expected):
    found = scatter_nd(data=torch.ones(2, 4), indices=PLACES, updates=torch.full((2,), 5.0), mode=mode)
    assert (found[0, 1], found[1, 3], found[0, 0]) == (expected, expected, 1.0)


def test_a_way_to_scatter_that_is_not_known_is_told():
    with pytest.raises(NotImplementedError, match="by min"):
        scatter_nd(data=X, indices=PLACES, updates=X[0, :2], mode="min")


@pytest.mark.parametrize("sampling", ["STRICT_ALIGN_CORNERS", "UNALIGN_CORNERS"])
def test_resized_by_lines(sampling):
    expected = F.interpolate(X, (7, 4), mode="bilinear", align_corners=sampling.startswith("STRICT"))
    torch.testing.assert_close(resize_bilinear(X, 7, 4, sampling), expected)
    torch.testing.assert_close(resize(X, [7, 4], 2, "LINEAR", sampling), expected)


def test_resized_by_the_nearest():
    expected = F.interpolate(X, (10, 3))
    torch.testing.assert_close(resize_nearest_neighbor(X, 10, 3), expected)
    torch.testing.assert_close(resize(X, [10, 3], 2, "NEAREST_NEIGHBOR"), expected)


def test_a_way_to_resize_that_is_not_known_is_told():
    with pytest.raises(NotImplementedError, match="OFFSET_CORNERS"):
        resize_bilinear(X, 7, 4, "OFFSET_CORNERS")
    for sampling in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS"):
        with pytest.raises(NotImplementedError, match=f"NEAREST_NEIGHBOR with the sampling {sampling}"):
            resize(X, [10, 3], 2, "NEAREST_NEIGHBOR", sampling)


@pytest.mark.parametrize(("pad_type", "ends"), [("same", (0, 1, 1, 1)), ("same_lower", (1, 0, 1, 1))])
def test_padding_that_keeps_the_size_puts_the_odd_one_at_one_end(pad_type, ends):
    weight = torch.linspace(-1, 1, 3 * 4 * 3 * 2).reshape(3, 4, 3, 2)
    found = conv(X, weight, pad_type=pad_type)
    torch.testing.assert_close(found, F.conv2d(F.pad(X, ends), weight))
    assert found.shape[2:] == X.shape[2:]


def test_an_lstm_from_the_end_equals_torchs_second_direction():
    torch.manual_seed(0)
    both = nn.LSTM(6, 5, bidirectional=True)
    sequence, zeros = torch.randn(4, 2, 6), torch.zeros(2, 5)
    with torch.no_grad():
        expected, (hidden, cells) = both(sequence)

    def as_mil(weights):
        into, forget, cell, out = weights.detach().chunk(4)
        return torch.cat([into, forget, out, cell])

    steps, last, last_cells = lstm(
        sequence,
        zeros,
        zeros,
        as_mil(both.weight_ih_l0_reverse),
        as_mil(both.weight_hh_l0_reverse),
        bias=as_mil(both.bias_ih_l0_reverse + both.bias_hh_l0_reverse),
        direction="reverse",
        output_sequence=True,
    )
    torch.testing.assert_close(steps, expected[..., 5:])
    torch.testing.assert_close(last, hidden[1])
    torch.testing.assert_close(last_cells, cells[1])


def test_another_activation_of_an_lstm_is_told():
    with pytest.raises(NotImplementedError, match="activation"):
        lstm(X, X, X, X, X, activation="relu")


def test_weights_in_8_bits_are_those_of_numpy():
    whole = torch.randint(-128, 128, (4, 6))
    scale, zero = torch.rand(4), torch.tensor([0, 1, -2, 3])
    found = OPERATIONS["constexpr_affine_dequantize"](quantized_data=whole, zero_point=zero, scale=scale, axis=0)
    np.testing.assert_allclose(found, (whole.numpy() - zero.numpy()[:, None]) * scale.numpy()[:, None], rtol=1e-6)
    blocks = torch.rand(4, 2)
    found = OPERATIONS["constexpr_blockwise_shift_scale"](data=whole, scale=blocks)
    np.testing.assert_allclose(found, whole.numpy() * np.repeat(blocks.numpy(), 3, axis=1), rtol=1e-6)
