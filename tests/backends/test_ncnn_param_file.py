"""The text of an ncnn network, as a stranger may have written it."""

import pytest

from compiler.backends.ncnn.param_file import Layer, read_param, renamed, write_param
from compiler.errors import CompileError

INPUT = Layer("Input", "in0", (), ("in0",))
SPLIT = Layer("Split", "split", ("in0",), ("1", "2"))
ADD = Layer("BinaryOp", "add", ("1", "2"), ("out0",), ("0=0", "-23303=1,1", '6="0w,-1"'))
LAYERS = (INPUT, SPLIT, ADD)


@pytest.fixture
def file(tmp_path):
    write_param(tmp_path / "end2end.param", LAYERS)
    return tmp_path / "end2end.param"


def test_what_was_written_is_read_again(file):
    assert read_param(file) == LAYERS


def test_ncnn_reads_what_was_written(file):
    ncnn = pytest.importorskip("ncnn")
    net = ncnn.Net()
    assert net.load_param(str(file)) == 0
    assert (list(net.input_names()), list(net.output_names())) == (["in0"], ["out0"])


def test_blobs_are_renamed_wherever_they_are_read_or_written():
    _, split, add = renamed(LAYERS, {"in0": "input", "out0": "output"})
    assert (split.inputs, add.outputs, add.inputs) == (("input",), ("output",), ("1", "2"))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("7767517", "7767518", "does not begin with 7767517"),
        ("3 4", "3 1000000000", "says 3 1000000000"),
        ("2 1 1 2 out0", "1000000000 1 1 2 out0", "says 1000000000 and 1"),
        ("2 1 1 2 out0", "-2 1 1 2 out0", "-2 is no number of blobs"),
        ("2 1 1 2 out0", "2 1 1 3 out0", "reads 3, which is not there"),
        ("2 1 1 2 out0", "2 1 1 1 out0", "reads 1, which is not there"),
        ("2 1 1 2 out0", "2 1 1 2 in0", "writes in0, which is there already"),
        ("0=0", "x", "x in add is no parameter of a layer"),
        ("Split", "Split\x00é", ""),
        ("0=0", "0=0\x1cx", r"it holds '\x1c'"),
        ("0=0", "0=0\u2003x", ""),
        ("0=0", "0=0\tx", r"it holds '\t'"),
        ("0=0", "0=0\rSplit 7 0 1 y", r"it holds '\r'"),
        ("0=0", "0=0\n7=1 Split 0 1 y", "7=1 is no type of a layer"),
        ("0=0", "0=1234567890123456", "0=1234567890123456 in add is no parameter"),
        ("0=0", "-5=0", "-5=0 in add is no parameter"),
        (" add ", f" {'a' * 256} ", "is longer than 255 characters"),
    ],
)
def test_what_contradicts_itself_is_refused(file, old, new, why):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CompileError, match=r"end2end\.param is no network of ncnn's") as caught:
        read_param(file)
    assert why in caught.value.why


def test_ends_of_lines_of_windows_and_the_longest_name_are_read(file):
    text = file.read_text().replace(" add ", f" {'a' * 255} ")
    file.write_bytes(text.replace("\n", "\r\n").encode())
    assert read_param(file)[2].name == "a" * 255


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(CompileError):
        read_param(tmp_path / "end2end.param")
