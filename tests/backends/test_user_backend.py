"""A user's own backend, by a YAML of theirs: the docs have one that reads TorchScript; and one for torch.export."""

import re
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from compiler.artifact import Engine, Program, TorchExportProgram, TorchScriptProgram
from compiler.backends import Backend, BuildRequest, backend_of, build_backend
from compiler.config import compose
from compiler.config.backend_facts import BackendFacts
from compiler.errors import CompileError, UsageError
from compiler.export import ExportOptions, export_traced, run_network
from tests.backends.pyramid import AXES, EXAMPLE, OUTPUTS, Pyramid
from tests.exporting import other_inputs

PAGE = Path(__file__).parents[2] / "docs/backend-of-your-own.md"

TORCH_EXPORT = """
import shutil
from dataclasses import dataclass
from typing import ClassVar

from compiler.artifact import Engine, Program, TorchExportProgram
from compiler.backends import Backend, Probe
from compiler.export import TracedSession

FOLDER = "network"


@dataclass(frozen=True, kw_only=True)
class TorchExport(Backend):
    PROGRAM: ClassVar[type[Program]] = TorchExportProgram
    TAIL: ClassVar[str] = "host"

    def probe(self):
        return Probe("1.0", ("CPU",))

    def plan(self, program):
        return ()

    def build(self, request):
        program = TorchExportProgram.of(request.program)
        (request.folder / FOLDER).mkdir()
        shutil.copy(program.path, request.folder / FOLDER)
        engine = Engine(request.folder, (FOLDER,), self.node(), program.inputs, program.outputs)
        engine.save()
        return engine

    def open(self, engine):
        return TracedSession(TorchExportProgram(engine.path / TorchExportProgram.FILE, engine.inputs, engine.outputs))
"""


@pytest.fixture
def user_configs(tmp_path, monkeypatch):
    """A folder of the user's: the page's class and config, and those of a second backend."""
    page = PAGE.read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (config,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "traced_backend.py").write_text(code)
    (tmp_path / "torch_export_backend.py").write_text(TORCH_EXPORT)
    folder = tmp_path / "configs/backend"
    folder.mkdir(parents=True)
    (folder / "traced.yaml").write_text(config)
    (folder / "torch_export.yaml").write_text("_target_: torch_export_backend.TorchExport\nname: torch_export\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder.parent
    for name in ("traced_backend", "torch_export_backend"):
        sys.modules.pop(name, None)


@pytest.fixture(params=["traced", "torch_export"])
def config(request, user_configs):
    return compose([f"backend={request.param}", "model=rtmdet-tiny"], user_configs)


def exported(config, folder, **changes) -> Program:
    options = ExportOptions(config.exporter, config.export.opset, **{"axes": AXES, "outputs": OUTPUTS, **changes})
    torch.manual_seed(0)
    network = Pyramid().eval().requires_grad_(False)
    return network, export_traced(network, EXAMPLE, other_inputs(EXAMPLE, options), options, folder)


def built(config, program, folder) -> Engine:
    folder.mkdir()
    request = BuildRequest(program, folder, "fp32", (), folder.parent / "cache", lambda share, phase: None)
    return build_backend(config.backend).build(request)


def opened(engine):
    """Open an engine of a backend whose module the user names."""
    return backend_of(engine, ["traced_backend", "torch_export_backend"]).open(engine)


def test_the_page_has_every_attribute_of_the_class():
    (table,) = re.findall(r"\| Attribute of the class \|.*?\n\n", PAGE.read_text(), flags=re.DOTALL)
    attributes = {*BackendFacts.__annotations__, *Backend.__annotations__} - {field.name for field in fields(Backend)}
    assert "ENVIRONMENT" in attributes
    assert attributes == set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE))


def test_the_class_says_what_is_made_for_it(config):
    kind = {"traced": TorchScriptProgram, "torch_export": TorchExportProgram}[config.backend["name"]]
    assert config.backend_facts.PROGRAM is kind
    assert config.exporter == kind.EXPORTER
    assert (config.tail, config.model.tail["kind"]) == ("host", "host")


def test_an_engine_equals_the_network_at_every_batch_and_size(config, tmp_path):
    network, program = exported(config, tmp_path)
    assert isinstance(program, config.backend_facts.PROGRAM)
    built(config, Program.load(tmp_path), tmp_path / "engine")
    engine = Engine.load(tmp_path / "engine")
    session = opened(engine)
    for batch, height, width in ((1, 16, 24), (2, 8, 64), (7, 20, 12)):
        image = {"input": np.random.default_rng(batch).normal(size=(batch, 3, height, width)).astype(np.float32)}
        expected, found = run_network(network, image, OUTPUTS), session.run(image)
        for name in OUTPUTS:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_a_static_engine_has_the_batch_of_its_example(config, tmp_path):
    network, program = exported(config, tmp_path, axes={"input": ()})
    assert program.inputs[0].shape == (2, 3, 16, 24)
    engine = built(config, program, tmp_path / "engine")
    found = opened(engine).run(EXAMPLE)
    expected = run_network(network, EXAMPLE, OUTPUTS)
    np.testing.assert_allclose(found["means"], expected["means"], atol=1e-6)


def test_the_size_of_an_engine_is_that_of_its_archive(config, tmp_path):
    _, program = exported(config, tmp_path)
    assert built(config, program, tmp_path / "engine").size == program.path.stat().st_size


@pytest.mark.parametrize("damage", ["text", "half", "other"])
def test_a_foreign_archive_is_refused_with_one_message(config, tmp_path, damage, capfd):
    _, program = exported(config, tmp_path)
    engine = built(config, program, tmp_path / "engine")
    file = next(path for path in engine.folder.rglob("*.pt*"))
    other = tmp_path / "other"
    other.mkdir()
    torch.save({"weights": torch.zeros(3)}, other / "weights.pth")
    content = {"text": b"no archive", "half": file.read_bytes()[:999], "other": (other / "weights.pth").read_bytes()}
    file.write_bytes(content[damage])
    with pytest.raises(CompileError, match="is not the archive that it should be") as caught:
        opened(engine)
    assert caught.value.where == str(file)
    assert "\n" not in caught.value.why
    assert capfd.readouterr() == ("", "")


def test_an_exporter_that_makes_something_else_is_refused(user_configs):
    with pytest.raises(UsageError, match="does not make what traced reads"):
        compose(["backend=traced", "export.exporter=dynamo"], user_configs)


def test_what_the_class_knows_is_no_option(user_configs):
    node = {**compose(["backend=traced"], user_configs).backend, "tail": "native"}
    with pytest.raises(UsageError, match="'backend.tail' is no option") as caught:
        build_backend(node)
    assert "give it TAIL" in caught.value.fix


def test_its_options_are_checked(user_configs):
    node = compose(["backend=traced"], user_configs).backend
    assert node["threads"] is None
    with pytest.raises(UsageError, match="must be a whole number"):
        build_backend({**node, "threads": "many"})
