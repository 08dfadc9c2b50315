"""From a network to one ONNX file that is right at other batches and says nothing about the machine it comes from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from compiler.artifact import Program, TensorSpec
from compiler.errors import CompileError
from compiler.export import Axis, ExportOptions, run_network
from compiler.graphs import ONNX_FILE, OnnxRuntimeSession, describe, save_model
from tests.exporting import export

BATCH = (Axis(0, "batch"),)
STATIC = {"input": ()}
OPTIONS = ExportOptions("dynamo", 18, axes={"input": BATCH}, outputs=("scores", "features"))
EXAMPLE = {"input": np.random.default_rng(0).normal(size=(2, 3, 8, 6)).astype(np.float32)}

exporters = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])


class Classifier(nn.Module):
    """A convolution and a head, as in any small network."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU())
        self.head = nn.Linear(4, 5)

    def forward(self, image):
        features = self.stem(image).mean((2, 3))
        return self.head(features), features


class Frozen(nn.Module):
    """Bakes the batch it is traced with into a shape."""

    def forward(self, image):
        flat = image.reshape(int(image.shape[0]), -1)
        return flat.softmax(-1), flat


class SilentlyFrozen(nn.Module):
    """Bakes the batch it is traced with into its numbers; every shape stays right."""

    def forward(self, image):
        flat = image.flatten(1)
        return flat * int(image.shape[0]), flat


class Branching(nn.Module):
    """Asks for a value that is not there while tracing."""

    def forward(self, image):
        flat = image.flatten(1)
        return (flat, flat) if float(image.sum()) > 0 else (flat + 1, flat)


class TwoInputs(nn.Module):
    """Tells its arguments apart."""

    def forward(self, image, scale):
        return (image.flatten(1) / scale[:, None],)


class OneNumber(nn.Module):
    """Gives one number for each item, so that a batch of one has no spread."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(3 * 8 * 6, 4096)
        self.head = nn.Linear(4096, 1)

    def forward(self, image):
        return (self.head(self.stem(image.flatten(1)).sigmoid()),)


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


@pytest.fixture
def classifier() -> nn.Module:
    return Classifier().eval().requires_grad_(False)


def options(exporter: str, **changes) -> ExportOptions:
    return replace(OPTIONS, exporter=exporter, **changes)


@pytest.fixture(scope="module", params=["dynamo", "torchscript"])
def exported(request, tmp_path_factory) -> tuple[nn.Module, Program, ExportOptions]:
    """The classifier, the Program that is made of it, alone in its folder, and how. Not to be changed."""
    torch.manual_seed(0)
    network = Classifier().eval().requires_grad_(False)
    asked = options(request.param)
    return network, export(network, EXAMPLE, asked, tmp_path_factory.mktemp("program")), asked


def test_the_program_equals_the_network_at_any_batch(exported):
    classifier, program, _ = exported
    session = OnnxRuntimeSession(program.path)
    for batch in (1, 2, 7):
        image = {"input": np.random.default_rng(batch).normal(size=(batch, 3, 8, 6)).astype(np.float32)}
        expected, found = run_network(classifier, image, OPTIONS.outputs), session.run(image)
        for name in OPTIONS.outputs:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_its_specs_are_what_was_asked_for(exported):
    _, program, _ = exported
    assert program.inputs == (TensorSpec("input", "float32", ("batch", 3, 8, 6)),)
    assert program.outputs == (
        TensorSpec("scores", "float32", ("batch", 5)),
        TensorSpec("features", "float32", ("batch", 4)),
    )
    assert program.path.name == ONNX_FILE
    assert program == describe(program.path) == Program.load(program.path.parent)
    assert program.nodes == len(onnx.load(program.path).graph.node) > 0


@exporters
def test_constants_are_initializers_whatever_the_exporter(tmp_path, exporter):
    class Shifted(nn.Module):
        def forward(self, x):
            return (x * torch.tensor([1.0, 2.0, 3.0]) + 0.5,)

    options = ExportOptions(exporter, 18, {"input": BATCH}, ("output",))
    export(Shifted(), {"input": np.ones((2, 3), np.float32)}, options, tmp_path)
    graph = onnx.load(tmp_path / ONNX_FILE).graph
    assert "Constant" not in {node.op_type for node in graph.node}
    assert len(graph.initializer) == 2


@exporters
def test_a_static_program_has_the_batch_of_its_example(tmp_path, classifier, exporter):
    program = export(classifier, EXAMPLE, options(exporter, axes=STATIC), tmp_path)
    assert program.inputs[0].shape == (2, 3, 8, 6)
    assert [output.shape for output in program.outputs] == [(2, 5), (2, 4)]
    with pytest.raises(Exception, match="Got: 3 Expected: 2"):
        OnnxRuntimeSession(program.path).run({"input": np.zeros((3, 3, 8, 6), dtype=np.float32)})


@pytest.mark.parametrize(
    ("exporter", "opset", "ir_version"),
    [("torchscript", 11, 8), ("torchscript", 17, 8), ("dynamo", 18, 8), ("dynamo", 20, 9)],
)
def test_the_opset_is_the_one_asked_for_and_older_runtimes_open_the_file(
    tmp_path, classifier, exporter, opset, ir_version
):
    program = export(classifier, EXAMPLE, options(exporter, opset=opset), tmp_path)
    model = onnx.load(program.path)
    assert program.opset == opset
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == opset
    assert model.ir_version == ir_version <= 9  # what ONNX Runtime 1.15, and with it MMDeploy's SDK, opens


def test_an_opset_that_was_not_kept_is_an_error(tmp_path, classifier):
    with pytest.raises(CompileError, match="wrote opset 18, not 17") as caught:
        export(classifier, EXAMPLE, options("dynamo", opset=17), tmp_path)
    assert caught.value.where == "export.opset=17"
    assert "export.opset=18" in caught.value.fix


def test_nothing_of_the_machine_it_comes_from_is_left_in_the_file(exported):
    folder = exported[1].path.parent
    assert sorted(path.name for path in folder.iterdir()) == ["program.json", ONNX_FILE]
    content = (folder / ONNX_FILE).read_bytes() + (folder / "program.json").read_bytes()
    for trace in (b"site-packages", b'.py"', b".py:", b"test_export", str(Path.home()).encode() + b"/"):
        assert trace not in content
    assert str(folder).encode() not in content


def test_exporting_twice_gives_the_same_file(exported, tmp_path):
    classifier, program, asked = exported
    again = export(classifier, EXAMPLE, asked, tmp_path)
    assert again.path.read_bytes() == program.path.read_bytes()


@pytest.mark.parametrize("network", [Frozen(), SilentlyFrozen()], ids=["in a shape", "in its numbers"])
def test_a_batch_that_was_baked_in_is_found(tmp_path, network):
    with pytest.raises(CompileError, match="wrong for an input of 1x3x8x6") as caught:
        export(network.eval(), EXAMPLE, options("torchscript"), tmp_path)
    assert "then run with this input: " in caught.value.why
    assert "static" in caught.value.fix


@pytest.mark.parametrize("network", [Frozen(), SilentlyFrozen()], ids=["in a shape", "in its numbers"])
def test_the_same_network_may_be_exported_for_one_batch(tmp_path, network):
    program = export(network.eval(), EXAMPLE, options("torchscript", axes=STATIC), tmp_path)
    assert program.outputs[0].shape == (2, 3 * 8 * 6)


SIDES = {"input": (*BATCH, Axis(2, "height", 4, 8, 64), Axis(3, "width", 4, 8, 64))}
SQUARES = {"input": np.random.default_rng(0).normal(size=(2, 3, 16, 24)).astype(np.float32)}


class Pyramid(nn.Module):
    """Halves its input twice and brings it back to its size, as detectors do: any multiple of 4 will do."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 3, 3, 2, 1))

    def forward(self, image):
        return (image + F.interpolate(self.down(image), scale_factor=4.0, mode="nearest"),)


class FrozenHeight(Pyramid):
    """Bakes the height it is traced with into its numbers."""

    def forward(self, image):
        return (super().forward(image)[0] / int(image.shape[2]),)


@exporters
def test_height_and_width_can_vary_too(tmp_path, exporter):
    network = Pyramid().eval().requires_grad_(False)
    program = export(network, SQUARES, options(exporter, axes=SIDES, outputs=("output",)), tmp_path)
    assert program.inputs == (TensorSpec("input", "float32", ("batch", 3, "height", "width")),)
    other = np.ones((1, 3, 12, 36), np.float32)
    expected = network(torch.from_numpy(other))[0].numpy()
    found = OnnxRuntimeSession(program.path).run({"input": other})["output"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_height_that_was_baked_in_is_found(tmp_path):
    network = FrozenHeight().eval().requires_grad_(False)
    with pytest.raises(CompileError, match="wrong for an input of 1x3x8x8"):
        export(network, SQUARES, options("torchscript", axes=SIDES, outputs=("output",)), tmp_path)


def test_items_that_change_places_are_no_baked_in_size(tmp_path):
    class Shuffled(nn.Module):
        def forward(self, image):
            flat = image.flatten(1)
            return (flat.flip(1) if torch.compiler.is_exporting() else flat,)

    def sorted_outputs(outputs, like):
        return {name: np.sort(array, axis=1) for name, array in outputs.items()}

    wanted = options("dynamo", axes=STATIC, outputs=("output",))
    with pytest.raises(CompileError, match="wrong for an input"):
        export(Shuffled().eval(), EXAMPLE, wanted, tmp_path)
    export(Shuffled().eval(), EXAMPLE, wanted, tmp_path, comparable=sorted_outputs)


def test_rounding_in_a_single_number_is_not_taken_for_a_baked_in_batch(tmp_path):
    network = OneNumber().eval().requires_grad_(False)
    program = export(network, EXAMPLE, options("dynamo", outputs=("score",)), tmp_path)
    assert program.outputs == (TensorSpec("score", "float32", ("batch", 1)),)


@exporters
def test_inputs_are_matched_by_name_not_by_order(tmp_path, exporter):
    example = {"scale": np.array([2.0, 4.0], dtype=np.float32), **EXAMPLE}
    wanted = options(exporter, axes={"input": BATCH, "scale": BATCH}, outputs=("scaled",))
    program = export(TwoInputs().eval(), example, wanted, tmp_path)
    assert [spec.name for spec in program.inputs] == ["input", "scale"]
    found = OnnxRuntimeSession(program.path).run(example)
    expected = example["input"].reshape(2, -1) / example["scale"][:, None]
    np.testing.assert_allclose(found["scaled"], expected, rtol=1e-6)


@pytest.mark.parametrize("outputs", [("scores",), ("scores", "features", "more")])
@exporters
def test_another_number_of_outputs_is_an_error(tmp_path, classifier, exporter, outputs):
    with pytest.raises(CompileError) as caught:
        export(classifier, EXAMPLE, options(exporter, outputs=outputs), tmp_path)
    assert caught.value.where in ("model.processing", f"export.exporter={exporter}")


def test_the_number_of_outputs_is_held_to_the_tasks():
    with pytest.raises(CompileError, match="has 2 outputs, not 1") as caught:
        run_network(Classifier().eval(), EXAMPLE, ["scores"])
    assert caught.value.why == "the task reads scores"


def test_a_network_that_cannot_be_traced_is_an_error(tmp_path):
    with pytest.raises(CompileError, match="cannot be exported to ONNX") as caught:
        export(Branching().eval(), EXAMPLE, options("dynamo"), tmp_path)
    assert caught.value.where == "export.exporter=dynamo"
    assert caught.value.why
    assert "\n" not in caught.value.why
    assert list(tmp_path.iterdir()) == []


def test_an_operator_without_a_translation_is_named(tmp_path):
    class Special(nn.Module):
        def forward(self, image):
            return torch.special.airy_ai(image.flatten(1)), image

    with pytest.raises(CompileError, match="cannot be exported to ONNX") as caught:
        export(Special().eval(), EXAMPLE, options("torchscript"), tmp_path)
    assert "airy_ai" in caught.value.why


@exporters
def test_rewriting_acts_while_the_network_is_traced(tmp_path, classifier, exporter):
    class SiluAsRelu(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), named=None):
            if function is F.silu:
                return F.relu(arguments[0])
            return function(*arguments, **(named or {}))

    plain = export(classifier, EXAMPLE, options(exporter), tmp_path)
    assert "Relu" not in {node.op_type for node in onnx.load(plain.path).graph.node}
    program = export(classifier, EXAMPLE, options(exporter), tmp_path, rewriting=SiluAsRelu)
    operators = {node.op_type for node in onnx.load(program.path).graph.node}
    assert "Relu" in operators
    assert "Sigmoid" not in operators


def test_what_is_no_valid_onnx_is_not_a_program(exported, tmp_path):
    model = onnx.load(exported[1].path)
    model.graph.node[0].input[0] = "from nowhere"
    with pytest.raises(CompileError, match="not valid ONNX") as caught:
        save_model(model, tmp_path / "broken.onnx")
    assert caught.value.where == str(tmp_path / "broken.onnx")
    assert "\n" not in caught.value.why


@exporters
def test_the_exporters_keep_quiet(tmp_path, classifier, exporter, capfd, recwarn):
    export(classifier, EXAMPLE, options(exporter), tmp_path)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert [str(warning.message) for warning in recwarn] == []
