"""What is spared of torch's export changes nothing of the file; where torch has other parts, it goes the public way."""

import numpy as np
import onnxscript
import pytest
import torch
from onnxscript import ir, rewriter
from torch import nn
from torch.nn import functional as F

from compiler.export import Axis, ExportOptions, translation
from compiler.export.decomposition import LeanProgram
from compiler.export.tracing import exported
from compiler.export.translation import GuardedRule, by_public_exporter, lean_registry, lean_rules, translated
from compiler.graphs.onnx_files import cleaned
from compiler.selection.translations import TRANSLATIONS

STATIC = ExportOptions("dynamo", 18, {"image": ()}, ("out", "parts"))
DYNAMIC = ExportOptions("dynamo", 18, {"image": (Axis(0, "batch"), Axis(2, "height", 2, 4, 32))}, ("out", "parts"))


class Network(nn.Module):
    """A little of all that onnxscript's rules look for."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, bias=False)

    def forward(self, image):
        padded = self.conv(F.pad(image, (1, 1, 1, 1))).relu().clamp(0, 6)
        halves = torch.cat([padded[:, :2] * 1.0, padded[:, 2:] + 0.0], 1)
        pooled = F.adaptive_avg_pool2d(halves, 1)
        return (halves * pooled).transpose(1, 2).transpose(1, 2), torch.maximum(image, pooled).to(torch.float32)


def traced(options):
    torch.manual_seed(0)
    network = Network().eval().requires_grad_(False)
    return exported(network, (torch.from_numpy(np.random.default_rng(0).random((2, 4, 6, 8), "f4")),), options)


@pytest.mark.parametrize("options", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_the_model_is_that_of_the_public_exporter(options):
    plain = by_public_exporter(traced(options), options, TRANSLATIONS)
    assert len(plain.model.graph) > 5
    assert without_paths(translated(LeanProgram(traced(options)), options, TRANSLATIONS)) == without_paths(plain)


def without_paths(program):
    """The model without where it was traced."""
    return cleaned(program.model_proto).SerializeToString(deterministic=True)


def test_torch_and_onnxscript_have_the_parts_that_are_leant_on():
    assert lean_registry(18) is not None
    with lean_rules():
        assert all(isinstance(rule, GuardedRule) for rule in rewriter._DEFAULT_REWRITE_RULES)
    assert not any(isinstance(rule, GuardedRule) for rule in rewriter._DEFAULT_REWRITE_RULES)


@pytest.mark.parametrize("opset", [18, 23])
def test_the_registry_has_the_translations_of_torchs_own(opset):
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    def entries(registry):
        names = ("onnx_function", "fx_target", "is_custom", "is_complex", "opset_introduced", "device")
        return {
            target: [tuple(getattr(one, name) for name in names) for one in found]
            for target, found in registry.functions.items()
        }

    wanted = ONNXRegistry.from_torchlib(opset)
    found = lean_registry(opset)
    assert entries(found) == entries(wanted)
    assert found.opset_version == wanted.opset_version == opset


def test_operators_of_a_library_that_is_imported_later_are_found():
    lean_registry(18)
    import torch.ao.quantization.fx._decomposed

    assert torch.ao.quantization.fx._decomposed.quantized_decomposed_lib
    assert "quantized_decomposed::quantize_per_tensor" in lean_registry(18).functions


def test_what_an_export_registers_stays_its_own():
    first = lean_registry(18)
    first.register_op(torch.ops.aten.relu.default, next(iter(TRANSLATIONS.values())))
    assert len(lean_registry(18).functions["aten::relu"]) == len(first.functions["aten::relu"]) - 1


@pytest.mark.parametrize("gone", ["_entries", "_guarded_rules"])
def test_without_those_parts_the_public_way_is_taken(gone, monkeypatch):
    def missing():
        raise AttributeError(gone)

    before = without_paths(translated(traced(STATIC), STATIC, TRANSLATIONS))
    monkeypatch.setattr(translation, gone, missing if gone == "_entries" else lambda: None)
    assert (lean_registry(18) is None) == (gone == "_entries")
    assert without_paths(translated(traced(STATIC), STATIC, TRANSLATIONS)) == before


def test_the_rules_are_onnxscripts_again_after_a_failure():
    rules = rewriter._DEFAULT_REWRITE_RULES
    with pytest.raises(ZeroDivisionError), lean_rules():
        raise ZeroDivisionError
    assert rewriter._DEFAULT_REWRITE_RULES is rules


def test_rules_fire_as_they_did():
    def optimised():
        model = ir.from_onnx_text(
            """<ir_version: 10, opset_import: ["" : 18]> f (float[2, 8] x) => (float[2, 4] y, float[2, 4] z) {
                zero = Constant <value_float = 0.0> ()
                six = Constant <value_float = 6.0> ()
                begin = Constant <value_ints = [0]> ()
                middle = Constant <value_ints = [4]> ()
                end = Constant <value_ints = [8]> ()
                axis = Constant <value_ints = [1]> ()
                same = Add (x, zero)
                positive = Relu (same)
                clipped = Clip (positive, zero, six)
                y = Slice (clipped, begin, middle, axis)
                z = Slice (clipped, middle, end, axis)
            }"""
        )
        onnxscript.optimizer.optimize_ir(model)
        return ir.to_proto(model)

    plain = optimised()
    with lean_rules():
        assert optimised() == plain
    operators = [node.op_type for node in plain.graph.node]
    assert "Relu" not in operators
    assert "Add" not in operators


def test_a_guarded_rule_is_not_tried_at_another_operator():
    class Rule:
        """Fires at each node."""

        name = "any"

        def try_rewrite(self, model, graph, node, **options):
            return node.op_type

    relu, add = (ir.Node("", operator, []) for operator in ("Relu", "Add"))
    guarded, anywhere = GuardedRule(Rule(), relu.op_identifier()), GuardedRule(Rule(), None)
    assert (guarded.try_rewrite(None, None, relu), guarded.try_rewrite(None, None, add)) == ("Relu", None)
    assert anywhere.try_rewrite(None, None, add) == "Add"
    assert guarded.name == "any"
