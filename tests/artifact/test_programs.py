"""Programs of every kind and their sidecar, which is read without torch and without onnx."""

import subprocess
import sys

import pytest

from compiler.artifact import (
    OnnxProgram,
    Program,
    TensorSpec,
    TorchExportProgram,
    TorchScriptProgram,
    TracedProgram,
    read_json,
    write_json,
)
from compiler.errors import CompileError

SPECS = ((TensorSpec("input", "float32", ("batch", 3)),), (TensorSpec("output", "float32", ("batch", 5)),))


def programs(folder):
    return [
        OnnxProgram(folder / "after_fold.onnx", *SPECS, opset=18, nodes=7),
        TorchExportProgram(folder / TorchExportProgram.FILE, *SPECS),
        TorchScriptProgram(folder / TorchScriptProgram.FILE, *SPECS),
    ]


@pytest.mark.parametrize("kind", range(3))
def test_a_program_is_loaded_as_it_was_saved(tmp_path, kind):
    program = programs(tmp_path)[kind]
    program.save()
    assert Program.load(tmp_path) == program
    assert type(Program.load(tmp_path)) is type(program)


def test_a_program_may_be_moved(tmp_path):
    (tmp_path / "here").mkdir()
    programs(tmp_path / "here")[1].save()
    (tmp_path / "here").rename(tmp_path / "there")
    assert Program.load(tmp_path / "there").path == tmp_path / "there/program.pt2"


def test_the_sidecar_has_a_version_and_the_form(tmp_path):
    programs(tmp_path)[0].save()
    written = read_json(tmp_path / "program.json")
    assert (written["version"], written["ir"], written["file"]) == (1, "onnx", "after_fold.onnx")


def test_a_folder_without_a_program_is_refused(tmp_path):
    with pytest.raises(CompileError, match=r"program\.json does not exist"):
        Program.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"ir": "tflite"}, {"file": "../program.pt"}, {"inputs": [{}]}, {"opset": 18}, {"outputs": None}],
)
def test_a_sidecar_of_something_else_is_refused(tmp_path, change):
    programs(tmp_path)[2].save()
    write_json(tmp_path / "program.json", {**read_json(tmp_path / "program.json"), **change})
    with pytest.raises(CompileError, match="does not describe a Program") as caught:
        Program.load(tmp_path)
    assert caught.value.where == str(tmp_path / "program.json")


def test_a_program_of_another_kind_is_refused_where_it_is_read(tmp_path):
    onnx_program, exported, scripted = programs(tmp_path)
    assert OnnxProgram.of(onnx_program) is onnx_program
    assert TracedProgram.of(exported) is exported
    for kind, program in ((OnnxProgram, scripted), (TracedProgram, onnx_program), (TorchScriptProgram, exported)):
        with pytest.raises(CompileError, match=f"a Program in {program.IR} is not what is read here"):
            kind.of(program)


def test_reading_a_traced_program_needs_no_torch(tmp_path):
    programs(tmp_path)[1].save()
    code = (
        "import sys; from pathlib import Path; from compiler.artifact import Program; "
        "print(Program.load(Path(sys.argv[1])).inputs[0]); assert not {'torch', 'onnx'} & set(sys.modules)"
    )
    read = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert read.stdout.strip() == "input float32[batch, 3]"
