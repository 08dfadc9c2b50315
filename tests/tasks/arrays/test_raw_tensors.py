"""Arrays as they are: what a config writes of an input, files that are read, items that are made, and what is shown."""

from urllib.parse import unquote
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from compiler.artifact.specs import TYPES
from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.tasks import Sample, build_task
from compiler.tasks.arrays.files import read_arrays, write_arrays
from compiler.tasks.arrays.lengths import Lengths
from compiler.tasks.arrays.pictures import CAPTION, TILE, tiles
from compiler.tasks.arrays.spec import InputSpec, quoted
from compiler.tasks.arrays.task import NamedArray, RawTensors

ONE_TO_FOUR, SIDES = Lengths(1, 2, 4), Lengths(16, 72, 128)
NO_SIZE = SizeRange.exactly(())


def task(outputs=("output",), **shapes) -> RawTensors:
    return RawTensors(shapes or {"x": "1x2x3"}, outputs)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1x3x224x224", InputSpec("x", ("batch", 3, 224, 224), "float32")),
        ("nx3", InputSpec("x", ("batch", 3), "float32")),
        ("1", InputSpec("x", ("batch",), "float32")),
        ("5x2", InputSpec("x", (5, 2), "float32")),
        ("1x77:int64", InputSpec("x", ("batch", 77), "int64")),
        ("1x77:int64:0-999", InputSpec("x", ("batch", 77), "int64", 0, 999)),
        ("1x2:float16:-1.5--0.5", InputSpec("x", ("batch", 2), "float16", -1.5, -0.5)),
        ("scalar:int64", InputSpec("x", (), "int64")),
        ("5x0", InputSpec("x", (5, 0), "float32")),
        ("1xnx64", InputSpec("x", (1, "batch", 64), "float32")),
        ("nxseq:int64", InputSpec("x", ("batch", "seq"), "int64")),
        ("1x16-4x128", InputSpec("x", ("batch", "x_1"), "float32", ranges={"batch": ONE_TO_FOUR, "x_1": SIDES})),
        ("1x16-2x72-4x128", InputSpec("x", ("batch", "x_1"), "float32", ranges={"batch": ONE_TO_FOUR, "x_1": SIDES})),
        ("1x3x16-1x3x128", InputSpec("x", (1, 3, "x_2"), "float32", ranges={"x_2": SIDES})),
        ("nx16-nx128", InputSpec("x", ("batch", "x_1"), "float32", ranges={"x_1": SIDES})),
    ],
)
def test_an_input_is_a_shape_a_type_and_a_range(text, spec):
    assert InputSpec.parse("x", text) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a shape is written"),
        (f"1x{9 * 10**19}", "has more than 268,435,456 numbers"),
        ("x3", "a shape is written"),
        ("1x-3", "a shape is written"),
        ("1x3:", "a shape is written"),
        ("1x3:int64:5", "a shape is written"),
        ("1x3:float8", "none of float32"),
        ("1x16-4", "different numbers of axes"),
        ("1x16-4x8", "does not run from small to large"),
        ("1x0-1x8", "begins at 0"),
        ("nx16-4x128", "an axis that is n and 4"),
        ("1x2-1x2-1x2-1x2", "a shape is written"),
        ("1x3:int8:0-200", "int8 does not hold"),
        ("nxseq", "how long the axis seq of inputs.x is"),
        ("1x3:int64:9-2", "upside down"),
    ],
)
def test_what_is_no_input_is_refused(text, why):
    with pytest.raises(UsageError, match="contradict") as caught:
        build_task({"_target_": "compiler.tasks.arrays.task.RawTensors", "shapes": {"x": text}})
    assert why in caught.value.why
    assert "inputs.x" in caught.value.why


def test_a_network_without_inputs_is_refused():
    with pytest.raises(UsageError) as caught:
        build_task({"_target_": "compiler.tasks.arrays.task.RawTensors", "shapes": {}})
    assert "model.inputs.x=1x3x224x224" in caught.value.why


@pytest.mark.parametrize("dtype", TYPES)
def test_an_item_is_random_and_the_same_whatever_the_batch(dtype):
    spec = InputSpec.parse("x", f"1x50:{dtype}")
    three, two = spec.random_items(3), spec.random_items(2)
    assert (three.dtype, three.shape) == (dtype, (3, 50))
    assert np.array_equal(three[:2], two)
    assert not np.array_equal(three[0], three[1])


def test_a_range_holds_all_random_items_and_is_used_to_its_ends():
    items = InputSpec.parse("ids", "1x1000:int64:3-5").random_items(1)
    assert set(items.ravel()) == {3, 4, 5}


def test_an_input_that_does_not_count_items_stays_one_and_differs_with_their_number():
    spec = InputSpec.parse("x", "5x2")
    assert spec.random_items(3).shape == spec.random_items(1).shape == (5, 2)
    assert not np.array_equal(spec.random_items(3), spec.random_items(1))


def test_items_may_be_counted_by_any_axis():
    spec = InputSpec.parse("x", "4xnx2")
    assert spec.random_items(3).shape == (4, 3, 2)
    assert np.array_equal(spec.random_items(3)[:, :2], spec.random_items(2))
    assert (spec.items_axis, spec.batched) == (1, False)


def test_axes_of_one_name_are_equally_long_and_within_their_lengths():
    sentence = RawTensors(
        {"ids": "nxseq:int64", "mask": "nxseq:int64", "k": "scalar:int64"}, ("y",), axis_lengths={"seq": "4-8-16"}
    )
    assert (sentence.sides, sentence.axes["mask"]) == (("seq",), {0: "batch", 1: "seq"})
    given = {"ids": np.ones((2, 5), int), "mask": np.ones((2, 5), int), "k": np.array(3)}
    assert sentence.read(given).source["k"].shape == ()
    for wrong, what in (
        ({"mask": np.ones((2, 6), int)}, "different lengths of their axis seq"),
        ({"mask": np.ones((3, 5), int)}, "different numbers of items"),
        (dict.fromkeys(("ids", "mask"), np.ones((2, 17), int)), "the axis seq cannot be that long"),
        ({"k": np.array([3])}, "the input 'k' has another shape"),
    ):
        with pytest.raises(CompileError, match=what):
            sentence.read({**given, **wrong})


@pytest.mark.parametrize("name", ["seq", "max_len", "x", "2h", "a-b", "past + 1", "s.0~1:%", "größe"])
def test_any_name_of_an_axis_can_be_written(name):
    assert InputSpec.parse("x", f"n{'x'}{quoted(name)}x3:int64").shape == ("batch", name, 3)


def test_a_folder_holds_the_inputs_as_onnx_keeps_test_data(tmp_path):
    arrays = {"x": np.ones((2, 3), np.float32), "ids": np.array([4, 5])}
    for index, array in enumerate(arrays.values()):
        (tmp_path / f"input_{index}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    both = task(x="nx3", ids="n:int64")
    assert {name: array.tolist() for name, array in both.read(tmp_path).source.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    assert task(x="nx3").read(tmp_path / "input_0.pb").source["x"].shape == (2, 3)
    with pytest.raises(CompileError, match="the input 'z' is missing"):
        task(x="nx3", ids="n:int64", z="n").read(tmp_path)
    (tmp_path / "input_0.pb").write_bytes(b"no tensor")
    with pytest.raises(CompileError, match="the tensor cannot be read"):
        both.read(tmp_path)
    with pytest.raises(CompileError, match="the folder holds no arrays"):
        both.read(tmp_path.parent)


def test_a_file_holds_the_inputs_by_name(tmp_path):
    two = task(x="1x2", ids="1x3:int64")
    np.savez(tmp_path / "inputs.npz", ids=np.ones((4, 3), np.int32), x=np.ones((4, 2)))
    arrays = two.read(tmp_path / "inputs.npz").source
    assert {name: (array.dtype, array.shape) for name, array in arrays.items()} == {
        "x": (np.float32, (4, 2)),
        "ids": (np.int64, (4, 3)),
    }


def test_one_array_is_enough_for_one_input_and_one_item_needs_no_first_axis(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    assert task().read(tmp_path / "x.npy").source["x"].shape == (1, 2, 3)
    assert task().read(np.ones((7, 2, 3))).source["x"].shape == (7, 2, 3)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"y": np.ones((1, 2))}, "no input 'y'"),
        ({"x": np.ones((1, 2))}, "the input 'ids' is missing"),
        ({"x": np.ones((1, 3)), "ids": np.ones((1, 3), int)}, "the input 'x' has another shape"),
        ({"x": np.ones((0, 2)), "ids": np.ones((1, 3), int)}, "the input 'x' has another shape"),
        ({"x": np.ones((1, 2)), "ids": np.ones((1, 3))}, "the input 'ids' has another type"),
        ({"x": np.array([["a", "b"]]), "ids": np.ones((1, 3), int)}, "the input 'x' has another type"),
        ({"x": np.full((1, 2), np.nan), "ids": np.ones((1, 3), int)}, "the input 'x' is not finite"),
        ({"x": np.full((1, 2), 1e300), "ids": np.ones((1, 3), int)}, "the input 'x' is not finite"),
        ({"x": np.ones((1, 2)), "ids": np.ones((2, 3), int)}, "different numbers of items"),
        (np.ones((1, 2)), "one array is given for several inputs"),
    ],
)
def test_arrays_that_the_network_cannot_take_are_refused(given, what):
    with pytest.raises(CompileError, match=what):
        task(x="1x2", ids="1x3:int64").read(given)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"not arrays", None])
def test_a_file_that_holds_no_arrays_is_refused(tmp_path, content):
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CompileError, match="cannot be read|does not exist|is empty") as caught:
        task().read(path)
    assert caught.value.where == str(path)


def test_a_pickle_in_a_file_is_not_opened(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(CompileError, match="cannot be read"):
        task().read(tmp_path / "x.npy")


def test_without_a_file_there_is_noise():
    arrays = read_arrays(task().sample_source(), task().specs)
    assert arrays == {}
    assert task().preprocess(Sample(arrays), NO_SIZE).tensors["x"].shape == (1, 2, 3)


def test_boxes_are_refused():
    with pytest.raises(CompileError, match="not boxes"):
        task().read({}, [0, 0, 1, 1])


def test_only_what_counts_items_varies():
    mixed = task(x="1x2", anchors="5x2")
    assert mixed.axes == {"x": {0: "batch"}, "anchors": {}}
    assert mixed.inputs == ("x", "anchors")
    assert not mixed.batched
    assert task(x="1x2").batched


def results(**arrays):
    return [NamedArray(name, np.asarray(array, np.float32)) for name, array in arrays.items()]


def test_a_result_is_summed_up():
    (result,) = task().decode({"output": np.array([[1.0, 3.0]], np.float32)}, None)
    assert result.to_dict() == {
        "name": "output",
        "shape": [1, 2],
        "dtype": "float32",
        "smallest": 1.0,
        "largest": 3.0,
        "mean": 2.0,
        "deviation": 1.0,
    }


def test_what_json_cannot_hold_is_left_out_of_the_sum():
    (result,) = results(x=[[np.nan, 1]])
    assert result.to_dict()["mean"] is None
    assert results(x=[])[0].to_dict()["mean"] is None


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 10), (3,), (), (0, 4), (1, 0), (1, 2, 3, 4, 5)])
def test_an_output_of_any_shape_has_a_picture(shape):
    assert tiles({"x": np.ones(shape)}).shape == (TILE + CAPTION, TILE, 3)


def test_a_picture_runs_from_black_to_white_and_pictures_fill_rows():
    picture = tiles({"x": np.array([[0.0, 1.0]])})
    assert (picture[-1, 0, 0], picture[-1, -1, 0]) == (0, 255)
    assert tiles({f"x{index}": np.ones((1, 2)) for index in range(5)}).shape == (2 * (TILE + CAPTION), 4 * TILE, 3)
    assert tiles({"x": np.array([[np.nan, np.inf]])}).shape == (TILE + CAPTION, TILE, 3)


@pytest.mark.parametrize(
    "name",
    [
        "y",
        "allow_pickle",
        "file",
        "args",
        "head/cls",
        "/head/cls",
        "../../evil",
        "a\\b",
        "c:x",
        "y.npy",
        "50%",
        "\x1b",
        ".",
    ],
)
def test_an_array_is_written_under_its_name_whatever_that_is(tmp_path, name):
    arrays = {name: np.arange(3), "other": np.zeros((2, 0))}
    write_arrays(tmp_path / "out.npz", arrays)
    with np.load(tmp_path / "out.npz") as written:
        assert {unquote(key): written[key].tolist() for key in written.files} == {name: [0, 1, 2], "other": [[], []]}


def test_a_plain_name_is_written_as_it_is_and_nothing_unpacks_elsewhere(tmp_path):
    write_arrays(tmp_path / "out.npz", dict.fromkeys(["scores", "head/cls", "../x", "/y", "a\0b"], np.zeros(1)))
    names = ZipFile(tmp_path / "out.npz").namelist()
    assert names == ["scores.npy", "head/cls.npy", "..%2Fx.npy", "%2Fy.npy", "a%00b.npy"]


@given(names=st.sets(st.text(st.characters(), min_size=1), max_size=4))
def test_no_two_names_become_one(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "names.npz"
    write_arrays(path, {name: np.array(index) for index, name in enumerate(names)})
    with np.load(path) as written:
        found = {unquote(key, errors="surrogatepass"): int(written[key]) for key in written.files}
    assert found == {name: index for index, name in enumerate(names)}


def test_arrays_that_cannot_be_written_are_one_error(tmp_path):
    with pytest.raises(CompileError, match="the arrays cannot be written"):
        write_arrays(tmp_path / "missing" / "out.npz", {"y": np.zeros(1)})


def test_a_tile_is_named_whatever_its_name_is():
    assert tiles({"\ud800\0\n" + "n" * 200_000: np.zeros((1, 4, 4))}).shape[1] == TILE
