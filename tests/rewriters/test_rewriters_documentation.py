"""What docs/rewriters.md shows has to work as it is written there."""

import re
from pathlib import Path

import onnx
import torch
from torch import nn

from rewriters import Target, select
from rewriters.apply import apply_graph_rewriter, rewritten

PAGE = Path(__file__).parents[2] / "docs" / "rewriters.md"


def examples():
    namespace = {"__name__": "examples_of_the_documentation"}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), namespace)
    return namespace


def test_the_tests_on_the_page_pass():
    tests = [value for name, value in examples().items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_the_module_example_replaces_global_pooling_only():
    selection = select([examples()["global_pool_to_mean"]], Target("tinychip"))
    pools = nn.ModuleDict({"global": nn.AdaptiveAvgPool2d(1), "local": nn.AdaptiveAvgPool2d(2)})
    applied = rewritten(pools, selection)
    assert [replacement.where for replacement in applied.replacements] == ["global"]
    assert [skipped.reason for skipped in applied.skipped] == ["the output is 2, not one pixel"]


def test_the_fusion_example_needs_the_one_to_feed_the_other():
    selection = select([examples()["drop_relu_before_relu6"]], Target("tinychip"))
    fed = rewritten(nn.Sequential(nn.ReLU(), nn.ReLU6()), selection, [torch.randn(2, 3)])
    assert [replacement.where for replacement in fed.replacements] == ["1"]
    apart = rewritten(nn.Sequential(nn.ReLU(), nn.Tanh(), nn.ReLU6()), selection, [torch.randn(2, 3)])
    assert [skipped.reason for skipped in apart.skipped] == ["its input is not the output of a ReLU"]


def test_the_graph_example_drops_the_relu(export, operators):
    model = export(nn.Sequential(nn.Sigmoid(), nn.ReLU()), torch.randn(2, 3))
    changed, entry = apply_graph_rewriter(model, examples()["drop_relu_after_sigmoid"], Target("tinychip"))
    assert (entry.status, entry.times) == ("fired", 1)
    assert operators(changed) == ["Sigmoid"]
    onnx.checker.check_model(changed)
