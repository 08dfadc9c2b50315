import sys

import pytest
import torch.nn.functional as F

from rewriters import Contract, RewriterError, Target, discover, function_rewriter, graph_rewriter, select

TARGET = Target("tensorrt", precision="fp16")


@function_rewriter(F.silu, contract=Contract.exact)
def silu_anywhere(call, *args, **kwargs):
    """For all backends."""


@function_rewriter(F.silu, backends={"tensorrt"}, contract=Contract.exact)
def silu_on_tensorrt(call, *args, **kwargs):
    """For one backend."""


@function_rewriter(F.silu, precisions={"fp16"}, contract=Contract.exact)
def silu_in_half(call, *args, **kwargs):
    """For one precision."""


@function_rewriter(F.relu, backends={"ncnn"}, contract=Contract.exact)
def relu_on_ncnn(call, *args, **kwargs):
    """For another backend."""


def graph(name, after=()):
    def body(call, graph):
        """Does nothing."""
        return []

    body.__name__ = name
    return graph_rewriter(after=after, contract=Contract.exact)(body)


def reasons(selection):
    return {entry.name: entry.reason for entry in selection.entries}


def test_only_what_applies_is_chosen_and_the_rest_has_a_reason():
    selection = select([silu_anywhere, relu_on_ncnn], TARGET)
    assert selection.functions == (silu_anywhere,)
    assert reasons(selection) == {"relu_on_ncnn": "backend is tensorrt, not ncnn"}


@pytest.mark.parametrize("rewriters", [(silu_anywhere, silu_on_tensorrt), (silu_on_tensorrt, silu_anywhere)])
def test_the_most_specific_wins_whatever_the_order(rewriters):
    selection = select(rewriters, TARGET)
    assert selection.functions == (silu_on_tensorrt,)
    assert reasons(selection) == {"silu_anywhere": f"less specific than {silu_on_tensorrt}"}


@pytest.mark.parametrize("ir", ["torch_export", "torchscript"])
def test_graph_rewriters_act_on_onnx_alone(ir):
    rewriters = (silu_anywhere, graph("drop"))
    traced = select(rewriters, Target("tensorrt", ir=ir))
    assert (traced.functions, traced.graphs) == ((silu_anywhere,), ())
    assert reasons(traced) == {"drop": f"the Program is in {ir}, and has no ONNX graph"}
    assert len(select(rewriters, Target("tensorrt")).graphs) == 1


def test_the_less_specific_serves_where_the_other_does_not_apply():
    assert select([silu_anywhere, silu_on_tensorrt], Target("onnxruntime")).functions == (silu_anywhere,)


def test_two_equally_specific_ones_are_an_error_that_names_both_and_the_fix():
    with pytest.raises(RewriterError, match=r"silu_on_tensorrt.*silu_in_half.*rewriters\.disable=\[silu_in_half\]"):
        select([silu_on_tensorrt, silu_in_half], TARGET)


def test_a_tie_is_broken_by_disabling_one():
    selection = select([silu_on_tensorrt, silu_in_half], TARGET, disable=["silu_in_half"])
    assert selection.functions == (silu_on_tensorrt,)
    assert reasons(selection) == {"silu_in_half": "disabled by the config"}


def test_functions_that_share_a_qualified_name_do_not_compete():
    assert F.max_pool1d.__qualname__ == F.max_pool2d.__qualname__
    first = function_rewriter(F.max_pool1d, contract=Contract.exact)(silu_anywhere.body)
    second = function_rewriter(F.max_pool2d, contract=Contract.exact)(silu_anywhere.body)
    assert select([first, second], TARGET).functions == (first, second)


@pytest.mark.parametrize("option", ["disable", "require"])
def test_an_unknown_name_is_an_error_with_the_nearest_one(option):
    with pytest.raises(RewriterError, match=f"rewriters.{option}.*silu_anywere.*did you mean silu_anywhere"):
        select([silu_anywhere], TARGET, **{option: ["silu_anywere"]})


def test_a_required_rewriter_that_cannot_be_used_is_an_error_with_the_reason():
    with pytest.raises(RewriterError, match=r"relu_on_ncnn is required.*backend is tensorrt, not ncnn"):
        select([relu_on_ncnn], TARGET, require=["relu_on_ncnn"])


def test_a_rewriter_cannot_be_both_required_and_disabled():
    with pytest.raises(RewriterError, match="both disabled and required"):
        select([silu_anywhere], TARGET, disable=["silu_anywhere"], require=["silu_anywhere"])


def test_graph_rewriters_run_after_those_they_name_and_else_by_name():
    rewriters = [graph("d"), graph("b"), graph("a", after={"c", "not_installed"}), graph("c")]
    assert [rewriter.name for rewriter in select(rewriters, TARGET).graphs] == ["b", "c", "a", "d"]


def test_graph_rewriters_that_wait_for_each_other_are_an_error():
    with pytest.raises(RewriterError, match="wait for each other"):
        select([graph("a", after={"b"}), graph("b", after={"a"})], TARGET)


def test_the_built_in_rewriters_are_found_and_select_without_a_tie():
    names = [rewriter.name for rewriter in discover("compiler.networks")]
    assert len(names) == len(set(names))
    assert {"nearest_to_bilinear", "fuse_batch_norm", "fold_scalar_multiplications"} <= set(names)
    for backend in ("onnxruntime", "tensorrt", "openvino", "ncnn"):
        select(discover("compiler.networks"), Target(backend, algo="dbnet"))


def test_those_of_one_network_are_found_beside_it():
    beside = {rewriter.name for rewriter in discover("compiler.networks")} - {rewriter.name for rewriter in discover()}
    assert beside == {"spp_to_cascaded_pooling", "focus_to_pixel_unshuffle", "fix_number_of_items"}


PLUG_IN = '''
from rewriters import Contract, graph_rewriter

@graph_rewriter(contract=Contract.exact)
def from_a_plug_in(call, graph):
    """Shows that plug-ins are found."""
    return []
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one module and one entry point."""

    def install(module, source, reference):
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[deploy_compiler.rewriters]\n{module} = {reference}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield install
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize("reference", ["plug_in", "plug_in:from_a_plug_in"])
def test_a_plug_in_names_a_module_or_a_rewriter(install, reference):
    install("plug_in", PLUG_IN, reference)
    assert [rewriter.name for rewriter in discover()].count("from_a_plug_in") == 1


def test_a_plug_in_that_cannot_be_imported_is_an_error_that_names_it(install):
    install("broken_plug_in", "import no_such_library", "broken_plug_in")
    with pytest.raises(RewriterError, match=r"broken_plug_in.*cannot be imported.*no_such_library"):
        discover()


@pytest.mark.parametrize("reference", ["hollow_plug_in", "hollow_plug_in:VALUE"])
def test_a_plug_in_without_rewriters_is_an_error_that_names_it(install, reference):
    install("hollow_plug_in", "VALUE = 1", reference)
    with pytest.raises(RewriterError, match=r"hollow_plug_in.*neither a rewriter nor a module"):
        discover()
