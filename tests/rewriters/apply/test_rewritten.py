from pathlib import Path

import pytest
import torch
from torch import nn

from rewriters import (
    Contract,
    RewriterCodeError,
    RewriterError,
    Target,
    function_rewriter,
    fusion_rewriter,
    module_rewriter,
    select,
)
from rewriters.apply import rewriting, rewritten

TARGET = Target("onnxruntime")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) + x


class SpecialBlock(Block):
    pass


class Doubled(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.linear = block.linear

    def forward(self, x):
        return (self.linear(x) + x) * 2


@module_rewriter(Block, contract=Contract.exact)
def doubled(call, module):
    """Wrong on purpose: it promises to change nothing."""
    return Doubled(module)


@module_rewriter(nn.ReLU, contract=Contract.exact)
def relu_to_clamp(call, module):
    """ReLU is a clamp."""
    if call.where == "keep":
        return call.skip("asked to keep it")
    return nn.Hardtanh(0, float("inf"))


@fusion_rewriter([nn.ReLU], [nn.Hardtanh], contract=Contract.exact)
def relu_before_clamp(call, first, second):
    """A clamp at zero needs no ReLU before it."""
    return second if second.min_val == 0 else call.skip(f"it lets pass what is above {second.min_val}")


@function_rewriter(torch.relu, contract=Contract.exact)
def relu_call(call, input):
    """ReLU is a maximum."""
    return input.clamp(min=0)


def apply(network, *rewriters):
    return rewritten(network, select(rewriters, TARGET))


def test_a_module_is_found_by_its_base_class():
    applied = apply(nn.Sequential(SpecialBlock(), nn.Linear(4, 4)), doubled)
    assert isinstance(applied.network[0], Doubled)
    assert [replacement.where for replacement in applied.replacements] == ["0"]


def test_a_class_of_its_own_beats_the_class_it_derives_from():
    @module_rewriter(SpecialBlock, contract=Contract.exact)
    def special(call, module):
        """For the derived class."""
        return nn.Identity()

    applied = apply(nn.Sequential(SpecialBlock(), Block()), doubled, special)
    assert isinstance(applied.network[0], nn.Identity)
    assert isinstance(applied.network[1], Doubled)


def test_the_copy_shares_its_weights_and_the_original_stays_as_it_is():
    network = nn.Sequential(Block(), nn.BatchNorm1d(4)).eval()
    applied = apply(network, doubled)
    assert isinstance(network[0], Block)
    assert applied.network[0].linear.weight is network[0].linear.weight
    assert applied.network[1].running_mean is network[1].running_mean
    assert applied.network.state_dict().keys() == network.state_dict().keys()


def test_the_root_itself_can_be_replaced():
    assert isinstance(apply(Block(), doubled).network, Doubled)


def test_one_module_under_two_names_stays_one_module():
    shared = nn.ReLU()
    applied = apply(nn.ModuleDict({"a": shared, "b": shared}), relu_to_clamp)
    assert isinstance(applied.network["a"], nn.Hardtanh)
    assert applied.network["a"] is applied.network["b"]
    assert len(applied.replacements) == 1


def test_a_parent_is_rewritten_after_its_children():
    @module_rewriter(nn.Sequential, contract=Contract.exact)
    def unwrapped(call, module):
        """A sequence of one is that one."""
        return module[0]

    assert isinstance(apply(nn.Sequential(nn.ReLU()), relu_to_clamp, unwrapped).network, nn.Hardtanh)


def test_a_replacement_is_in_the_mode_of_what_it_replaces():
    assert not apply(Block().eval(), doubled).network.training


def test_a_skip_is_recorded_with_its_place_and_reason():
    applied = apply(nn.ModuleDict({"keep": nn.ReLU(), "replace": nn.ReLU()}), relu_to_clamp)
    with rewriting(applied) as ledger:
        fired, skipped = ledger.entries()
    assert (fired.status, fired.where) == ("fired", ("replace",))
    assert (skipped.status, skipped.where, skipped.reason) == ("skipped", ("keep",), "asked to keep it")


def test_anything_else_than_a_module_is_an_error_that_names_the_rewriter():
    @module_rewriter(Block, contract=Contract.exact)
    def mistaken(call, module):
        """Gives the class, not a module of it."""
        return Doubled

    with pytest.raises(RewriterError, match=r"mistaken at the network \(.*test_rewritten\.py:\d+\): it returned type"):
        apply(Block(), mistaken)


def test_a_module_rewriter_that_just_returns_leaves_the_module_alone():
    @module_rewriter(nn.ReLU, contract=Contract.exact)
    def of_one(call, module):
        """Only the one that is called so."""
        return nn.ReLU6() if call.where == "this" else None

    applied = apply(nn.ModuleDict({"this": nn.ReLU(), "that": nn.ReLU()}), of_one)
    assert [replacement.where for replacement in applied.replacements] == ["this"]
    assert [(one.where, one.reason) for one in applied.skipped] == [("that", "it found nothing to do here")]


def test_what_a_rewriter_raises_names_it_and_the_line():
    @module_rewriter(nn.ReLU, contract=Contract.exact)
    def clumsy(call, module):
        """Takes every ReLU for a leaky one."""
        return nn.LeakyReLU(module.negative_slope)

    with pytest.raises(RewriterCodeError, match=r"no attribute 'negative_slope'") as caught:
        apply(nn.Sequential(nn.ReLU()), clumsy)
    assert (caught.value.name, caught.value.kind, caught.value.where) == ("clumsy", "module", "0")
    file, line = caught.value.line.rsplit(":", 1)
    assert "module.negative_slope)" in Path(file).read_text().splitlines()[int(line) - 1]


def test_places_are_named_as_the_author_of_the_network_has_them():
    asked = []

    @module_rewriter(nn.ReLU, contract=Contract.exact)
    def asking(call, module):
        """Only looks."""
        asked.append(call.where)

    class Tail(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network, self.act = network, nn.ReLU()

        def forward(self, x):
            return torch.relu(self.act(self.network(x)))

    wrapped = Tail(nn.Sequential(nn.ReLU(), nn.ReLU(), nn.Hardtanh(0, 1)))
    selection = select([asking, relu_before_clamp, relu_call], TARGET)
    applied = rewritten(wrapped, selection, [torch.randn(2)], inner="network")
    assert sorted(asked) == ["0", "the tail, act"]
    assert [(one.rewriter.name, one.where) for one in applied.replacements] == [("relu_before_clamp", "2")]
    with rewriting(applied) as ledger:
        applied.network(torch.randn(2))
    (called,) = [entry for entry in ledger.entries() if entry.name == "relu_call"]
    assert called.where == ("the tail",)


def test_a_class_of_the_same_name_is_another_class():
    namesake = type("Block", (nn.Identity,), {})()
    applied = apply(nn.Sequential(namesake), doubled)
    assert (applied.replacements, applied.skipped) == ((), ())


def test_a_wrong_replacement_is_caught_by_its_contract():
    applied = apply(nn.Sequential(Block()).eval(), doubled)
    with rewriting(applied, measure=True) as ledger, torch.no_grad():
        applied.network(torch.randn(2, 4))
    (entry,) = ledger.entries()
    assert entry.max_absolute_error > 0.1
    assert entry.holds is False


def test_a_right_replacement_keeps_its_contract():
    applied = apply(nn.Sequential(nn.ReLU()), relu_to_clamp)
    with rewriting(applied, measure=True) as ledger:
        applied.network(torch.randn(2, 4))
    (entry,) = ledger.entries()
    assert (entry.max_absolute_error, entry.holds) == (0.0, True)


def test_measuring_survives_a_forward_in_place():
    applied = apply(nn.Sequential(nn.ReLU(inplace=True)), relu_to_clamp)
    with rewriting(applied, measure=True) as ledger:
        output = applied.network(torch.tensor([-1.0, 2.0]))
    assert output.tolist() == [0.0, 2.0]
    assert ledger.entries()[0].holds


INPUT = torch.linspace(-2, 2, 8).reshape(2, 4)


def fused(network, rewriter=relu_before_clamp, input=INPUT):
    return rewritten(network, select([rewriter], TARGET), [input])


def test_two_modules_become_one_in_the_place_of_the_first_and_are_measured_together():
    network = nn.Sequential(nn.ReLU(), nn.Hardtanh(0, 1), nn.ReLU(), nn.Hardtanh(-1, 1))
    applied = fused(network)
    assert [type(module).__name__ for module in applied.network] == ["Hardtanh", "Identity", "ReLU", "Hardtanh"]
    with rewriting(applied, measure=True) as ledger:
        assert torch.equal(applied.network(INPUT), network(INPUT))
    fired, skipped = ledger.entries()
    assert (fired.kind, fired.where, fired.max_absolute_error) == ("fusion", ("1",), 0)
    assert (skipped.where, skipped.reason) == (("3",), "it lets pass what is above -1")


def test_a_wrong_fusion_is_caught_by_its_contract():
    @fusion_rewriter([nn.ReLU], [nn.Hardtanh], contract=Contract.exact)
    def first_alone(call, first, second):
        """Wrong on purpose: it forgets the second."""
        return first

    applied = fused(nn.Sequential(nn.ReLU(), nn.Hardtanh(0, 1)), first_alone)
    with rewriting(applied, measure=True) as ledger:
        applied.network(INPUT)
    (entry,) = ledger.entries()
    assert (entry.max_absolute_error, entry.holds) == (1, False)


def test_a_reshape_in_between_is_told_and_measured():
    shapes = []

    @fusion_rewriter([nn.ReLU], [nn.Hardtanh], contract=Contract.exact)
    def whatever_the_shape(call, first, second):
        """A clamp looks at each number alone."""
        shapes.append((call.shapes, call.is_reshaped))
        return second

    applied = fused(nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Hardtanh(0, 1)), whatever_the_shape, INPUT.view(2, 2, 2))
    assert shapes == [((((2, 2, 2), (2, 4)),), True)]
    with rewriting(applied, measure=True) as ledger:
        applied.network(INPUT.view(2, 2, 2))
    assert ledger.entries()[0].max_absolute_error == 0


def test_neither_the_network_nor_the_example_is_changed_by_looking_at_what_runs():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.ReLU(inplace=True), nn.Hardtanh(0, 1))
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.body(x)

    network, input = Counting(), INPUT.clone()
    fused(network, input=input)
    assert network.calls == 0
    assert torch.equal(input, INPUT)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_a_fusion_needs_an_example():
    with pytest.raises(RewriterError, match=r"relu_before_clamp.*needs an example"):
        apply(nn.Sequential(nn.ReLU(), nn.Hardtanh(0, 1)), relu_before_clamp)


def test_a_fusion_has_to_return_a_module():
    @fusion_rewriter([nn.ReLU], [nn.Hardtanh], contract=Contract.exact)
    def mistaken(call, first, second):
        """Gives the two."""
        return [first, second]

    with pytest.raises(RewriterError, match=r"mistaken at 1 .*it returned list"):
        fused(nn.Sequential(nn.ReLU(), nn.Hardtanh(0, 1)), mistaken)


def test_a_fusion_rewriter_that_just_returns_leaves_both_alone():
    @fusion_rewriter([nn.ReLU], [nn.Hardtanh], contract=Contract.exact)
    def idle(call, first, second):
        """Does nothing."""

    (skipped,) = fused(nn.Sequential(nn.ReLU(), nn.Hardtanh(0, 1)), idle).skipped
    assert (skipped.where, skipped.reason) == ("1", "it found nothing to do here")
