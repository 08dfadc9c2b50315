import subprocess
import sys

import pytest
import torch.nn.functional as F
from torch import nn

from rewriters import Contract, RewriterError, function_rewriter, fusion_rewriter, graph_rewriter, module_rewriter


def test_a_decorated_function_is_a_description_of_itself():
    @function_rewriter(F.silu, backends={"ncnn"}, opsets=">=18", contract=Contract.close(1e-3))
    def silu_by_hand(call, input, inplace=False):
        """The backend has no SiLU.

        More about it.
        """

    assert (silu_by_hand.name, silu_by_hand.kind) == ("silu_by_hand", "function")
    assert silu_by_hand.why == "The backend has no SiLU."
    assert silu_by_hand.rewrites == "torch.nn.functional:silu"
    assert silu_by_hand.conditions.specificity == 2
    assert silu_by_hand.source.startswith(f"{__name__}:")


def test_a_class_can_be_the_replacement_itself():
    @module_rewriter(nn.Dropout, contract=Contract.exact)
    class NoDropout(nn.Identity):
        """Dropout does nothing at inference."""

        def __init__(self, call, module):
            super().__init__()

    assert (NoDropout.name, NoDropout.kind) == ("NoDropout", "module")
    assert isinstance(NoDropout.body(None, nn.Dropout()), nn.Identity)


def undocumented(call, other):
    return other


def too_short():
    """Takes nothing."""


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: function_rewriter(F.silu, contract=Contract.exact)(undocumented), "no docstring"),
        (lambda: graph_rewriter(contract=Contract.exact)(undocumented), "no docstring"),
        (lambda: function_rewriter(F.silu, contract=Contract.exact)(too_short), r"\(call, \.\.\.\)"),
        (lambda: module_rewriter(nn.ReLU, contract=Contract.exact)(too_short), "two arguments"),
        (lambda: fusion_rewriter([nn.Conv2d], [nn.ReLU], contract=Contract.exact)(too_short), "three arguments"),
        (lambda: fusion_rewriter(nn.Conv2d, nn.ReLU, contract=Contract.exact), "the classes to fuse"),
        (lambda: fusion_rewriter([nn.Conv2d], [], contract=Contract.exact), "the classes to fuse"),
        (lambda: graph_rewriter(contract="exact")(lambda call, graph: []), "no docstring"),
        (lambda: graph_rewriter(contract="exact")(exact_by_name), "not a Contract"),
        (lambda: function_rewriter("silu", contract=Contract.exact), "the function to rewrite"),
        (lambda: module_rewriter("Block", contract=Contract.exact), "a module class"),
        (lambda: graph_rewriter(after="other", contract=Contract.exact), "set of names"),
        (lambda: graph_rewriter(backends="ncnn", contract=Contract.exact), "set of names"),
        (
            lambda: graph_rewriter(backend={"ncnn"}, contract=Contract.exact),
            "no condition 'backend'; there are backends",
        ),
    ],
)
def test_a_badly_written_rewriter_is_an_error_where_it_is_defined(define, message):
    with pytest.raises(RewriterError, match=message):
        define()


def exact_by_name(call, graph):
    """Has a contract of the wrong type."""


def test_the_authors_api_imports_neither_torch_nor_onnx():
    check = "import sys, rewriters; assert not {'torch', 'onnx', 'onnx_graphsurgeon'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", check], check=True)
