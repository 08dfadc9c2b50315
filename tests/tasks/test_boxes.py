"""Boxes are read in every form that people write them, and wrong ones are explained."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from compiler.errors import CompileError
from compiler.tasks.boxes import read_boxes

SIZE = (640, 480)
BOX = [10.0, 20.0, 110.5, 220.25]
INSIDE = st.tuples(st.integers(0, 600), st.integers(0, 400), st.integers(1, 999), st.integers(1, 999)).map(
    lambda values: [values[0], values[1], values[0] + values[2], values[1] + values[3]]
)


def test_nothing_means_the_whole_image():
    boxes = read_boxes(None, SIZE)
    assert boxes.tolist() == [[0, 0, 640, 480]]
    assert boxes.dtype == np.float32


@pytest.mark.parametrize(
    "spec",
    [
        BOX,
        tuple(BOX),
        [BOX],
        np.array(BOX),
        np.array([BOX]),
        "10,20,110.5,220.25",
        " [10, 20, 110.5, 220.25] ",
        OmegaConf.create(BOX),
        OmegaConf.create([BOX]),
        {"boxes": [BOX]},
    ],
)
def test_one_box_in_every_form(spec):
    assert read_boxes(spec, SIZE).tolist() == [BOX]


@pytest.mark.parametrize(
    "content",
    [[BOX, BOX], {"boxes": [BOX, BOX]}, [{"bbox": [10, 20, 100.5, 200.25], "id": 1}] * 2],
)
def test_boxes_in_a_file(tmp_path, content):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    for spec in (path, str(path)):
        assert read_boxes(spec, SIZE).tolist() == [BOX, BOX]


@given(st.lists(INSIDE, min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_boxes_survive_a_file(tmp_path, boxes):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([{"bbox": [x1, y1, x2 - x1, y2 - y1]} for x1, y1, x2, y2 in boxes]))
    assert read_boxes(path, SIZE).tolist() == boxes


@given(st.lists(st.floats(), min_size=4, max_size=4))
def test_any_numbers_are_a_box_within_reach_or_an_error(numbers):
    try:
        ((x1, y1, x2, y2),) = read_boxes(numbers, SIZE)
    except CompileError:
        return
    assert np.isfinite([x1, y1, x2, y2]).all()
    assert x1 < x2
    assert y1 < y2
    assert x1 < 640
    assert y1 < 480
    assert x2 > 0
    assert y2 > 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["boxes", "bbox", "x"]), inner),
)


@given(json_values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_boxes_or_an_error(tmp_path, content):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    try:
        boxes = read_boxes(path, SIZE)
    except CompileError:
        return
    assert boxes.ndim == 2
    assert boxes.shape[1] == 4
    assert len(boxes)


def test_a_box_may_reach_beyond_the_image():
    assert read_boxes([-50, -50, 700, 500], SIZE).tolist() == [[-50, -50, 700, 500]]


@pytest.mark.parametrize(
    ("spec", "what", "detail"),
    [
        ([0, 0, float("nan"), 5], "not finite", "nan"),
        ([0, 0, float("inf"), 5], "not finite", "inf"),
        ([0, 0, 1e39, 5], "not finite", "inf"),
        ([10, 10, 10, 20], "no area", "x1=10"),
        ([100, 100, 50, 50], "no area", "not a width and a height"),
        ([640, 0, 700, 10], "outside the image", "the image is 640 wide and 480 high"),
        ([-20, 5, 0, 10], "outside the image", "x1=-20"),
        ([[0, 0, 9, 9], [0, 480, 9, 490]], "outside the image", "box 1"),
        ([], "no boxes", "empty"),
        ([[]], "cannot be understood", "[]"),
        ([1, 2, 3], "cannot be understood", "1"),
        ([True, 0, 5, 5], "cannot be understood", "True"),
        ([10**400, 0, 5, 5], "cannot be understood", "..."),
        ({"box": BOX}, "cannot be understood", "box"),
        (7, "cannot be understood", "7"),
        ("1,2,three,4", "does not exist", "x1,y1,x2,y2"),
    ],
)
def test_what_is_no_box_is_explained(spec, what, detail):
    with pytest.raises(CompileError) as caught:
        read_boxes(spec, SIZE)
    assert what in caught.value.what
    assert detail in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "are not JSON"),
        (b"3", "understood"),
        (b"[" * 99999, "not JSON"),
    ],
)
def test_what_is_no_file_of_boxes_is_explained(tmp_path, content, what):
    path = tmp_path / "boxes.json"
    path.write_bytes(content)
    with pytest.raises(CompileError, match=what) as caught:
        read_boxes(path, SIZE)
    assert str(path) in caught.value.where


def test_a_folder_is_not_boxes(tmp_path):
    with pytest.raises(CompileError, match="is a folder"):
        read_boxes(tmp_path, SIZE)
