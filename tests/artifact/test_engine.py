"""An engine and its sidecar: what it is made of, how large it is, and what a stranger may write into it."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.artifact import Engine, TensorSpec, read_json, write_json
from compiler.errors import CompileError

dimensions = st.integers(1, 999) | st.sampled_from(["batch", "height"])
specs = st.builds(
    TensorSpec,
    name=st.text(max_size=10),
    dtype=st.sampled_from(["float32", "int64", "bool", "float16", "uint8", "complex64"]),
    shape=st.lists(dimensions, max_size=4).map(tuple),
)


some_specs = st.lists(specs, min_size=1, max_size=3).map(tuple)
BACKEND = {"_target_": "compiler.backends.onnxruntime.OnnxRuntime", "name": "onnxruntime", "threads": None}
INPUT, OUTPUT = TensorSpec("input", "float32", ("batch", 3)), TensorSpec("output", "float32", ("batch",))


@given(some_specs, some_specs)
def test_an_engine_is_loaded_as_it_was_saved(tmp_path_factory, inputs, outputs):
    folder = tmp_path_factory.getbasetemp() / "saved"  # one for all examples, and for no other test
    folder.mkdir(exist_ok=True)
    engine = Engine(folder, ("model.onnx",), BACKEND, inputs, outputs)
    engine.save()
    assert Engine.load(folder) == engine
    assert engine.path == folder / "model.onnx"


def test_an_engine_may_be_moved(tmp_path):
    (tmp_path / "here").mkdir()
    made_of(tmp_path / "here", "model.onnx").save()
    (tmp_path / "here").rename(tmp_path / "there")
    assert Engine.load(tmp_path / "there").path == tmp_path / "there/model.onnx"


def test_a_folder_without_an_engine_is_refused(tmp_path):
    with pytest.raises(CompileError, match=r"engine\.json does not exist"):
        Engine.load(tmp_path)


@pytest.mark.parametrize("content", [{}, [], None, {"file": "a", "backend": {}, "inputs": [{}], "outputs": []}])
def test_a_sidecar_of_something_else_is_refused(tmp_path, content):
    write_json(tmp_path / Engine.SIDECAR, content)
    with pytest.raises(CompileError, match="does not describe an engine") as caught:
        Engine.load(tmp_path)
    assert caught.value.where == str(tmp_path / "engine.json")


def test_a_spec_is_shown_like_a_declaration():
    assert str(TensorSpec("input", "float32", ("batch", 3, 256, 192))) == "input float32[batch, 3, 256, 192]"


def made_of(folder, *files):
    return Engine(folder, files, BACKEND, (INPUT,), (OUTPUT,))


def test_its_size_is_that_of_its_file(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"12345")
    (tmp_path / "notes.txt").write_bytes(b"of something else")
    assert made_of(tmp_path, "model.onnx").size == 5


def test_an_engine_of_several_files_has_the_size_of_all(tmp_path):
    (tmp_path / "model.param").write_bytes(b"123")
    (tmp_path / "model.bin").write_bytes(b"4567")
    engine = made_of(tmp_path, "model.param", "model.bin")
    assert engine.path == tmp_path / "model.param"
    assert engine.size == 7


def test_an_engine_that_is_a_folder_has_the_size_of_what_is_in_it(tmp_path):
    (tmp_path / "model.mlpackage/Data").mkdir(parents=True)
    (tmp_path / "model.mlpackage/Manifest.json").write_bytes(b"12")
    (tmp_path / "model.mlpackage/Data/weights.bin").write_bytes(b"345")
    assert made_of(tmp_path, "model.mlpackage").size == 5


def test_an_engine_that_is_still_to_be_built_has_no_size(tmp_path):
    (tmp_path / "model.param").write_bytes(b"123")
    assert made_of(tmp_path, "model.param", "model.bin").size is None


def test_several_files_are_loaded_as_they_were_saved(tmp_path):
    engine = made_of(tmp_path, "model.param", "model.bin")
    engine.save()
    assert Engine.load(tmp_path) == engine
    assert read_json(tmp_path / "engine.json")["version"] == Engine.VERSION


FIRST_LAYOUT = {"file": "end2end.onnx", "backend": BACKEND, "inputs": [asdict(INPUT)], "outputs": [asdict(OUTPUT)]}


def test_a_sidecar_of_the_first_layout_still_loads(tmp_path):
    write_json(tmp_path / Engine.SIDECAR, FIRST_LAYOUT)
    assert Engine.load(tmp_path) == made_of(tmp_path, "end2end.onnx")


@pytest.mark.parametrize(
    "change",
    [
        *({"backend": node} for node in ([], "x", None, {}, {"name": "onnxruntime"}, {"_target_": 3})),
        *({"inputs": specs} for specs in ([], {}, "", None, [3], 3)),
        *({"outputs": specs} for specs in ([], {}, "", None, [3], 3)),
        *({"inputs": [{"name": "x", "dtype": "float32", "shape": [size, 4]}]} for size in (-1, 2.5, True, None, [1])),
        *({"inputs": [{"name": name, "dtype": "float32", "shape": [4]}]} for name in (["a"], {}, 3, None)),
        *({"outputs": [{"name": "x", "dtype": dtype, "shape": [4]}]} for dtype in (["a"], {}, 3, "float99", "O", "V8")),
    ],
)
def test_a_damaged_sidecar_is_refused(tmp_path, change):
    write_json(tmp_path / Engine.SIDECAR, {**FIRST_LAYOUT, **change})
    with pytest.raises(CompileError, match="does not describe an engine"):
        Engine.load(tmp_path)


@pytest.mark.parametrize("name", ["../elsewhere.onnx", "/etc/passwd", "a/../../b", "", "C:\\engine", 3])
@pytest.mark.parametrize("layout", [1, 2])
def test_a_file_outside_of_the_folder_is_refused(tmp_path, name, layout):
    files = {"file": name} if layout == 1 else {"version": 2, "files": ["model.param", name]}
    write_json(tmp_path / Engine.SIDECAR, {**FIRST_LAYOUT, **files})
    with pytest.raises(CompileError, match="does not describe an engine"):
        Engine.load(tmp_path)


@pytest.mark.parametrize("change", [{"version": 3}, {"version": 2, "files": []}, {"version": 2, "files": "model.onnx"}])
def test_a_layout_that_is_not_known_is_refused(tmp_path, change):
    write_json(tmp_path / Engine.SIDECAR, {**FIRST_LAYOUT, **change})
    with pytest.raises(CompileError, match="does not describe an engine"):
        Engine.load(tmp_path)
