"""At which inputs a bundle is measured, and what it looks at."""

from __future__ import annotations

import shutil

import pytest

from compiler import runtime
from compiler.config.sizes import InputSize
from compiler.errors import UsageError
from compiler.profiling.request import Request, files_in, inputs_of
from compiler.tasks.inputs import IMAGE
from tests.bundles import FIRST_LAYOUT
from tests.conftest import PHOTOGRAPH


def inputs(name, shapes=(), batches=()):
    folder = FIRST_LAYOUT / name
    opened = runtime.open(folder)
    request = Request(str(folder), shapes=shapes, batches=batches)
    return inputs_of(request, runtime.read_config(folder), opened.task, opened.engine)


def test_a_bundle_is_measured_at_the_input_that_it_is_best_at():
    assert inputs("pose") == (InputSize(1, (256, 192)),)


def test_every_batch_is_measured_at_every_shape():
    sizes = runtime.open(FIRST_LAYOUT / "text").sizes
    found = inputs("text", (sizes.smallest, sizes.largest), (1, 2))
    assert [str(one) for one in found] == [
        str(InputSize(batch, size)) for size in (sizes.smallest, sizes.largest) for batch in (1, 2)
    ]


@pytest.mark.parametrize("shape", [(255, 192), (512, 192), (1, 1)])
def test_a_shape_outside_of_what_the_engine_takes_is_refused(shape):
    with pytest.raises(UsageError, match="the engine takes no such input") as caught:
        inputs("pose", [shape])
    assert "was compiled for 256x192" in caught.value.why
    assert f"shape=static_{shape[0]}x{shape[1]}" in caught.value.fix


def test_a_shape_between_the_steps_of_a_dynamic_engine_is_refused():
    sizes = runtime.open(FIRST_LAYOUT / "text").sizes
    assert sizes.stride[0] > 1
    between = (sizes.smallest[0] + 1, sizes.smallest[1])
    with pytest.raises(UsageError, match="the engine takes no such input") as caught:
        inputs("text", [between])
    assert "its sides multiples of" in caught.value.why


@pytest.mark.parametrize(("name", "shape"), [("pose", (256,)), ("pose", (3, 256, 192)), ("arrays", (1, 2, 3, 4))])
def test_a_shape_of_other_sides_is_refused(name, shape):
    with pytest.raises(UsageError, match="the engine takes no such input"):
        inputs(name, [shape])


def test_a_batch_that_a_static_engine_does_not_take_is_refused():
    assert inputs("objects", batches=[1]) == (InputSize(1, (640, 640)),)
    with pytest.raises(UsageError, match="the engine takes no such batch") as caught:
        inputs("objects", batches=[2])
    assert "batches of 1" in caught.value.why


@pytest.mark.parametrize("batch", [0, 5])
def test_a_batch_that_a_dynamic_engine_was_not_proven_at_is_refused(batch):
    assert len(inputs("pose", batches=[1, 2, 4])) == 3
    with pytest.raises(UsageError, match="the engine takes no such batch") as caught:
        inputs("pose", batches=[batch])
    assert "batches from 1 to 4" in caught.value.why


def test_a_folder_stands_for_the_files_below_it_that_the_task_looks_at(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("b.jpg", "below/a.JPG", "notes.txt"):
        shutil.copy(PHOTOGRAPH, tmp_path / name)
    found = files_in([str(tmp_path), str(PHOTOGRAPH)], IMAGE)
    assert [one.name for one in found] == ["b.jpg", "a.JPG", PHOTOGRAPH.name]


def test_a_folder_without_such_files_is_refused(tmp_path):
    (tmp_path / "cloud.bin").write_bytes(b"0")
    with pytest.raises(UsageError, match="there is nothing to look at") as caught:
        files_in([str(tmp_path)], IMAGE)
    assert "looks at image" in caught.value.why


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no such file or folder"):
        files_in([str(tmp_path / "nowhere.jpg")], IMAGE)


def test_a_pattern_means_files_unless_one_is_called_so(tmp_path):
    for name in ("a/1.jpg", "a/b/2.jpg", "a/b/3.png", "[1].jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files_in([f"{tmp_path}/a/**/*.jpg"], IMAGE) == (tmp_path / "a/1.jpg", tmp_path / "a/b/2.jpg")
    assert files_in([f"{tmp_path}/[1].jpg"], IMAGE) == (tmp_path / "[1].jpg",)
    with pytest.raises(UsageError, match="no file is called so"):
        files_in([f"{tmp_path}/*.bmp"], IMAGE)
