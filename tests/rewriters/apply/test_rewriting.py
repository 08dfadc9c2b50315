from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rewriters import (
    Contract,
    RewriterCodeError,
    RewriterError,
    Target,
    function_rewriter,
    module_rewriter,
    select,
)
from rewriters.apply import rewriting, rewritten

TARGET = Target("onnxruntime")


@function_rewriter(F.silu, contract=Contract.close(1e-6))
def silu_to_sigmoid(call, input, inplace=False):
    """SiLU is a product with a sigmoid."""
    if input.dim() == 2:
        return call.skip("two dimensions only")
    return input * torch.sigmoid(input)


@function_rewriter(torch.sigmoid, contract=Contract.close(1e-6))
def sigmoid_to_tanh(call, input):
    """A sigmoid is a tanh of half the input."""
    return (torch.tanh(input / 2) + 1) / 2


@function_rewriter(F.silu, contract=Contract.close(1e-6))
def silu_to_relu(call, input, inplace=False):
    """Wrong on purpose: it promises to stay close."""
    return F.relu(input)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.neck = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU())

    def forward(self, x):
        return F.silu(self.neck(x).mean(dim=(2, 3)))


def apply(network, *rewriters):
    return rewritten(network.eval(), select(rewriters, TARGET))


def hooks_of(network):
    return [hook for module in network.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]


def test_a_call_is_rewritten_where_it_is_and_skipped_with_a_reason_where_it_is_not():
    applied = apply(Network(), silu_to_sigmoid)
    with rewriting(applied, measure=True) as ledger:
        applied.network(torch.randn(2, 3, 8, 8))
    fired, skipped = ledger.entries()
    assert (fired.status, fired.times, fired.where, fired.holds) == ("fired", 1, ("neck.1",), True)
    assert (skipped.status, skipped.times, skipped.where, skipped.reason) == (
        "skipped",
        1,
        ("",),
        "two dimensions only",
    )


@pytest.mark.parametrize("exporter", ["torch.export", "dynamo", "torchscript"])
def test_it_fires_while_exporting_as_it_does_in_eager_mode(exporter, export, operators):
    network, input = Network(), torch.randn(2, 3, 8, 8)
    applied = apply(network, silu_to_relu)
    with rewriting(applied, measure=True) as ledger:
        if exporter == "torch.export":
            program = torch.export.export(applied.network, (input,), strict=False)
            exported = [node.name for node in program.graph.nodes]
        else:
            exported = operators(export(applied.network, input, dynamo=exporter == "dynamo"))
    assert len([name for name in exported if name.lower().startswith("relu")]) == 2
    assert not [name for name in exported if name.lower().startswith(("silu", "sigmoid"))]
    (entry,) = ledger.entries()
    assert (entry.status, entry.times, entry.where) == ("fired", 2, ("neck.1", ""))
    assert entry.max_absolute_error is None
    assert hooks_of(applied.network) == []


def test_other_rewriters_see_what_a_rewriter_calls():
    applied = apply(nn.SiLU(), silu_to_sigmoid, sigmoid_to_tanh)
    input = torch.randn(1, 2, 3)
    with rewriting(applied, measure=True) as ledger:
        output = applied.network(input)
    assert [entry.times for entry in ledger.entries()] == [1, 1]
    assert torch.allclose(output, F.silu(input), atol=1e-6)


def test_a_rewriter_does_not_see_its_own_calls():
    @function_rewriter(F.relu, contract=Contract.exact)
    def relu_twice(call, input, inplace=False):
        """The second time does nothing."""
        return F.relu(call.original(input))

    applied = apply(nn.ReLU(), relu_twice)
    with rewriting(applied) as ledger:
        applied.network(torch.randn(3))
    assert ledger.entries()[0].times == 1


def test_two_rewriters_that_call_each_others_function_come_to_an_end():
    @function_rewriter(F.relu, contract=Contract.exact)
    def relu_to_clamp(call, input, inplace=False):
        """ReLU is a clamp."""
        return torch.clamp(input, min=0)

    @function_rewriter(torch.clamp, contract=Contract.exact)
    def clamp_to_relu(call, input, min):
        """This clamp is a ReLU."""
        return F.relu(input)

    applied = apply(nn.ReLU(), relu_to_clamp, clamp_to_relu)
    with rewriting(applied) as ledger:
        assert applied.network(torch.tensor([-1.0, 1.0])).tolist() == [0.0, 1.0]
    assert [entry.times for entry in ledger.entries()] == [1, 1]


def test_a_wrong_rewriter_is_caught_by_its_contract():
    applied = apply(nn.SiLU(), silu_to_relu)
    with rewriting(applied, measure=True) as ledger:
        applied.network(torch.linspace(-3, 3, 7))
    (entry,) = ledger.entries()
    assert entry.max_absolute_error == pytest.approx(0.2689, abs=1e-3)
    assert entry.holds is False


def test_a_wrong_shape_is_an_error_that_names_the_rewriter_and_the_place():
    @function_rewriter(F.silu, contract=Contract.lossy("wrong on purpose"))
    def silu_to_sum(call, input, inplace=False):
        """Wrong on purpose."""
        return input.sum()

    applied = apply(nn.Sequential(nn.SiLU()), silu_to_sum)
    error = pytest.raises(
        RewriterError, match=r"silu_to_sum at 0 \(.*test_rewriting\.py:\d+\): .*shape \[\] instead of \[3\]"
    )
    with error, rewriting(applied, measure=True):
        applied.network(torch.randn(3))
    assert hooks_of(applied.network) == []


def test_what_a_rewriter_raises_names_it_its_place_and_its_line_and_who_calls_it_is_not_blamed():
    @function_rewriter(torch.sigmoid, contract=Contract.close(1e-6))
    def clumsy(call, input):
        """Divides by nothing."""
        return input / (1 // 0)

    applied = apply(nn.Sequential(nn.SiLU()), silu_to_sigmoid, clumsy)
    with pytest.raises(RewriterCodeError, match="ZeroDivisionError") as caught, rewriting(applied):
        applied.network(torch.randn(1, 2, 3))
    assert (caught.value.name, caught.value.where) == ("clumsy", "0")
    file, line = caught.value.line.rsplit(":", 1)
    assert "1 // 0" in Path(file).read_text().splitlines()[int(line) - 1]


@pytest.mark.parametrize("answer", ["no", {"output": "no"}, F.relu, object(), [torch.ones(1), F.relu]])
def test_what_no_function_of_torch_returns_is_an_error_that_names_the_rewriter(answer):
    @function_rewriter(F.silu, contract=Contract.exact)
    def mistaken(call, input, inplace=False):
        """Wrong on purpose."""
        return answer

    applied = apply(nn.Sequential(nn.SiLU()), mistaken)
    message = r"mistaken at 0 .*it returned \w+, and has to return what torch\.nn\.functional:silu would"
    with pytest.raises(RewriterCodeError, match=message), rewriting(applied):
        applied.network(torch.randn(3))


def test_a_rewriter_that_forgets_to_call_skip_is_told_so():
    @function_rewriter(F.silu, contract=Contract.exact)
    def forgetful(call, input, inplace=False):
        """Names the method."""
        return call.skip

    applied = apply(nn.SiLU(), forgetful)
    with pytest.raises(RewriterCodeError, match=r"it returned method.*call\.skip\(reason\)"), rewriting(applied):
        applied.network(torch.randn(3))


def test_a_rewriter_that_just_returns_leaves_the_call_alone():
    @function_rewriter(F.silu, contract=Contract.exact)
    def idle(call, input, inplace=False):
        """Does nothing."""

    applied = apply(nn.SiLU(), idle)
    with rewriting(applied, measure=True) as ledger:
        assert torch.equal(applied.network(torch.ones(3)), F.silu(torch.ones(3)))
    (entry,) = ledger.entries()
    assert (entry.status, entry.reason) == ("skipped", "it found nothing to do here")


def test_of_a_function_that_returns_nothing_none_is_the_result():
    @function_rewriter(torch.Tensor.__setitem__, contract=Contract.exact)
    def set_by_index_put(call, input, index, value):
        """An assignment is an index_put."""
        input.copy_(torch.where(torch.arange(len(input)) == index, value, input))

    class First(nn.Module):
        def forward(self, x):
            y = x.clone()
            y[0] = 5.0
            return y

    applied = apply(First(), set_by_index_put)
    with rewriting(applied, measure=True) as ledger:
        assert applied.network(torch.zeros(2)).tolist() == [5.0, 0.0]
    assert [entry.status for entry in ledger.entries()] == ["fired"]


def test_what_is_raised_in_a_module_that_a_rewriter_made_names_the_rewriter():
    class Clumsy(nn.Module):
        def forward(self, x):
            return x.reshape(7)

    @module_rewriter(nn.SiLU, contract=Contract.exact)
    def to_clumsy(call, module):
        """Wrong on purpose."""
        return Clumsy()

    applied = apply(nn.Sequential(nn.SiLU()), to_clumsy)
    with pytest.raises(RewriterCodeError, match="shape '\\[7\\]' is invalid") as caught, rewriting(applied):
        applied.network(torch.ones(3))
    assert (caught.value.name, caught.value.where) == ("to_clumsy", "0")
    file, line = caught.value.line.rsplit(":", 1)
    assert "reshape(7)" in Path(file).read_text().splitlines()[int(line) - 1]
    with pytest.raises(ValueError, match="elsewhere") as caught, rewriting(applied):
        raise ValueError("elsewhere")
    assert not isinstance(caught.value, RewriterCodeError)
    assert hooks_of(applied.network) == []


def test_measuring_a_function_in_place_does_not_apply_it_twice():
    @function_rewriter(torch.Tensor.add_, contract=Contract.exact)
    def add_twice_half(call, input, other):
        """Adds in two halves."""
        return call.original(call.original(input, other / 2), other / 2)

    class AddOne(nn.Module):
        def forward(self, x):
            return x.add_(1 * torch.ones(1))

    applied = apply(AddOne(), add_twice_half)
    with rewriting(applied, measure=True) as ledger:
        assert applied.network(torch.zeros(2)).tolist() == [1.0, 1.0]
    assert ledger.entries()[0].holds


def test_only_the_calls_of_the_network_are_rewritten():
    applied = apply(Network(), silu_to_relu)
    with rewriting(applied) as ledger:
        assert torch.equal(F.silu(torch.tensor([-1.0])), torch.tensor([-1.0]) * torch.sigmoid(torch.tensor([-1.0])))
    assert ledger.entries()[0].reason == "the network never calls the function"


def test_a_network_that_raises_leaves_nothing_behind_and_can_run_again():
    applied = apply(Network(), silu_to_sigmoid)
    with rewriting(applied) as ledger:
        with pytest.raises(RuntimeError):
            applied.network(torch.randn(2, 5, 8, 8))
        applied.network(torch.randn(2, 3, 8, 8))
    assert ledger.entries()[0].where == ("neck.1",)
    assert hooks_of(applied.network) == []


def test_a_module_rewriter_is_not_blamed_for_what_function_rewriters_do_inside():
    @module_rewriter(nn.Sequential, contract=Contract.exact)
    def same_again(call, module):
        """Builds the same sequence."""
        return nn.Sequential(*module)

    applied = apply(nn.Sequential(nn.SiLU()), silu_to_relu, same_again)
    with rewriting(applied, measure=True) as ledger:
        applied.network(torch.randn(5))
    by_name = {entry.name: entry for entry in ledger.entries()}
    assert (by_name["same_again"].max_absolute_error, by_name["same_again"].holds) == (0.0, True)
    assert (by_name["silu_to_relu"].times, by_name["silu_to_relu"].holds) == (1, False)
