"""From a network to an archive of torch's that is right at other sizes and says nothing about where it comes from."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from compiler.artifact import Program, TensorSpec, TorchExportProgram, TorchScriptProgram
from compiler.errors import CompileError
from compiler.export import Axis, ExportOptions, export_onnx, export_traced, open_program, run_network
from compiler.selection.operators import nms
from tests.exporting import other_inputs

BATCH = {"input": (Axis(0, "batch"),)}
OPTIONS = ExportOptions("dynamo", 18, BATCH, ("scores", "features"))
EXAMPLE = {"input": np.random.default_rng(0).normal(size=(2, 3, 8, 6)).astype(np.float32)}

kinds = pytest.mark.parametrize(
    ("exporter", "kind"), [("dynamo", TorchExportProgram), ("torchscript", TorchScriptProgram)]
)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)

    def forward(self, image):
        features = F.silu(self.stem(image)).mean((2, 3))
        return self.head(features), features


class SilentlyFrozen(nn.Module):
    """Bakes the batch it is traced with into its numbers; every shape stays right."""

    def forward(self, image):
        flat = image.flatten(1)
        return flat * int(image.shape[0]), flat


class Selecting(nn.Module):
    """Ends in an operator that only the compiler knows."""

    def forward(self, image):
        boxes, scores = image[:, 0, :, :4], image[:, 1].sigmoid()
        return nms(boxes, scores, 0.5, 2)[:2]


class Reversed(nn.Module):
    """Tells its arguments apart."""

    def forward(self, image, scale):
        return (image.flatten(1) / scale[:, None],)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return Classifier().eval().requires_grad_(False)


def options(exporter, **changes):
    return ExportOptions(**{**vars(OPTIONS), "exporter": exporter, **changes})


def export(network, folder, wanted, example=EXAMPLE, **named):
    return export_traced(network, example, other_inputs(example, wanted), wanted, folder, **named)


@kinds
def test_an_archive_runs_as_it_was_written_at_any_batch(tmp_path, classifier, exporter, kind):
    program = export(classifier, tmp_path, options(exporter))
    assert type(program) is kind
    assert program == Program.load(tmp_path)
    session = open_program(program)
    for batch in (1, 2, 7):
        image = {"input": np.random.default_rng(batch).normal(size=(batch, 3, 8, 6)).astype(np.float32)}
        expected, found = run_network(classifier, image, OPTIONS.outputs), session.run(image)
        for name in OPTIONS.outputs:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_both_kinds_of_program_have_the_same_specs(tmp_path, classifier):
    programs = [export(classifier, tmp_path, options(exporter)) for exporter in ("dynamo", "torchscript")]
    (tmp_path / "onnx").mkdir()
    programs.append(export_onnx(classifier, EXAMPLE, other_inputs(EXAMPLE, OPTIONS), OPTIONS, tmp_path / "onnx"))
    for program in programs:
        assert program.inputs == (TensorSpec("input", "float32", ("batch", 3, 8, 6)),)
        assert program.outputs == (
            TensorSpec("scores", "float32", ("batch", 5)),
            TensorSpec("features", "float32", ("batch", 4)),
        )
        assert open_program(program).run(EXAMPLE)["scores"].shape == (2, 5)


@kinds
def test_a_static_program_takes_one_batch(tmp_path, classifier, exporter, kind):
    program = export(classifier, tmp_path, options(exporter, axes={"input": ()}))
    assert program.inputs[0].shape == (2, 3, 8, 6)
    assert [output.shape for output in program.outputs] == [(2, 5), (2, 4)]


def test_a_batch_that_was_baked_in_is_found(tmp_path):
    with pytest.raises(CompileError, match="wrong for an input of 1x3x8x6"):
        export(SilentlyFrozen().eval(), tmp_path, options("torchscript"))
    assert not (tmp_path / Program.SIDECAR).exists()


def test_the_same_network_may_be_traced_for_one_batch(tmp_path):
    program = export(SilentlyFrozen().eval(), tmp_path, options("torchscript", axes={"input": ()}))
    assert program.outputs[0].shape == (2, 3 * 8 * 6)


@kinds
def test_inputs_are_matched_by_name_not_by_order(tmp_path, exporter, kind):
    example = {"scale": np.array([2.0, 4.0], dtype=np.float32), **EXAMPLE}
    wanted = options(exporter, axes={**BATCH, "scale": (Axis(0, "batch"),)}, outputs=("scaled",))
    program = export(Reversed().eval(), tmp_path, wanted, example)
    assert [spec.name for spec in program.inputs] == ["input", "scale"]
    expected = example["input"].reshape(2, -1) / example["scale"][:, None]
    np.testing.assert_allclose(open_program(program).run(example)["scaled"], expected, rtol=1e-6)


@kinds
def test_rewriting_acts_while_the_network_is_traced(tmp_path, classifier, exporter, kind):
    class SiluAsRelu(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), named=None):
            if function is F.silu:
                return F.relu(arguments[0])
            return function(*arguments, **(named or {}))

    plain = open_program(export(classifier, tmp_path, options(exporter))).run(EXAMPLE)
    rewritten = open_program(export(classifier, tmp_path, options(exporter), rewriting=SiluAsRelu)).run(EXAMPLE)
    with SiluAsRelu():
        expected = run_network(classifier, EXAMPLE, OPTIONS.outputs)
    np.testing.assert_allclose(rewritten["features"], expected["features"], atol=1e-6)
    assert np.abs(rewritten["features"] - plain["features"]).max() > 1e-3


@kinds
def test_an_operator_of_the_compilers_own_is_refused(tmp_path, exporter, kind):
    with pytest.raises(CompileError, match="torch's own operators alone") as caught:
        export(Selecting().eval(), tmp_path, options(exporter, axes={"input": ()}))
    assert "deploy_compiler" in caught.value.why
    assert "tail=host" in caught.value.fix


@kinds
def test_nothing_of_the_machine_or_of_the_example_is_left_in_the_archive(tmp_path, classifier, exporter, kind):
    export(classifier, tmp_path, options(exporter))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["program.json", kind.FILE])
    with ZipFile(tmp_path / kind.FILE) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    for name, content in contents.items():
        for trace in (b"site-packages", b'.py"', b".py(", b".py:", b"/test_traced", str(Path.home()).encode() + b"/"):
            assert trace not in content, name
        assert EXAMPLE["input"].tobytes() not in content, name


@kinds
def test_the_exporters_keep_quiet(tmp_path, classifier, exporter, kind, capfd, recwarn):
    open_program(export(classifier, tmp_path, options(exporter)))
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn] == []


def test_a_network_that_cannot_be_traced_is_an_error(tmp_path):
    class Branching(nn.Module):
        def forward(self, image):
            return (image.flatten(1),) if float(image.sum()) > 0 else (image,)

    with pytest.raises(CompileError, match="cannot be exported to torch_export") as caught:
        export(Branching().eval(), tmp_path, options("dynamo", outputs=("output",)))
    assert "\n" not in caught.value.why
    assert list(tmp_path.iterdir()) == []


@kinds
def test_an_archive_of_other_inputs_is_refused(tmp_path, classifier, exporter, kind):
    program = export(classifier, tmp_path, options(exporter))
    foreign = kind(program.path, (*program.inputs, *program.inputs), program.outputs)
    with pytest.raises(CompileError, match="is not the archive that it should be") as caught:
        open_program(foreign)
    assert "it takes 1 inputs" in caught.value.why


def test_an_archive_of_the_other_kind_is_refused(tmp_path, classifier):
    program = export(classifier, tmp_path, options("dynamo"))
    with pytest.raises(CompileError, match="is not the archive that it should be") as caught:
        open_program(TorchScriptProgram(program.path, program.inputs, program.outputs))
    assert "torchscript is needed here: it has no constants.pkl" in caught.value.why
