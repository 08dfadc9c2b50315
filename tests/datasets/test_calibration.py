"""What int8 is calibrated on: files of a folder, a list or COCO annotations, in batches as the network takes them."""

import json
import os
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from compiler.config import compose
from compiler.datasets import Item, ObjectTruth, calibration
from compiler.datasets.calibration import VARIATIONS, batches, find_items
from compiler.errors import CompileError
from compiler.proof import proof_of
from compiler.tasks import build_task

POSE, DETECTOR = "model=rtmpose-t", "model=rtmdet-tiny"


@cache
def composed(overrides: tuple[str, ...]):
    """A config of int8, composed once for all tests."""
    return compose([*overrides, "backend=tensorrt", "precision=int8"])


def configured(*overrides: str, **calibration: Any):
    """Return a config of int8, with settings of its calibration, and its task."""
    config = composed(overrides)
    config = replace(config, calibration=replace(config.calibration, **calibration))
    return config, build_task(config.model.processing)


def found(data: Path, *overrides: str, model: str = POSE, **calibration: Any) -> list[str]:
    """Return what is found, as paths relative to where the data lies."""
    items = find_items(*configured(model, *overrides, data=str(data), **calibration))
    folder = data if data.is_dir() else data.parent
    return [os.path.relpath(item.path, folder) for item in items]


def read(items, *overrides: str, model: str = POSE) -> list[np.ndarray]:
    """Return the one input of each batch."""
    config, task = configured(model, *overrides)
    sample = task.read(task.sample_source())
    return [
        tensors["input"] for tensors in batches(items, proof_of(task), config.usual_input, None if items else sample)
    ]


def image(path: Path, grey: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((40, 60, 3), grey, np.uint8))
    return path


def coco(folder: Path, *annotations: dict, **content) -> Path:
    """Write annotations of a.png, which is image 1, and b.png, which is image 2."""
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "images/b.png"}]
    for one in images:
        image(folder / one["file_name"])
    path = folder / "annotations.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, **content}))
    return path


def test_a_folder_is_searched_to_the_bottom_for_what_the_task_reads(tmp_path):
    (tmp_path / "below/deeper.png").mkdir(parents=True)  # a folder, whatever its name
    for name in ("b.JPG", "a.png", "below/deeper.png/c.bmp", "notes.txt", "cloud.bin", "array.npy", "jpg"):
        (tmp_path / name).touch()
    assert found(tmp_path) == ["a.png", "b.JPG", "below/deeper.png/c.bmp"]


def test_point_clouds_and_arrays_are_searched_for_their_own_files(tmp_path):
    for name in ("a.png", "cloud.bin", "one.npy", "several.npz"):
        (tmp_path / name).touch()
    assert found(tmp_path, model="model=pointpillars") == ["cloud.bin"]
    arrays = ("model.target=nets:build", "model.inputs.x=1x3x8x8")
    assert found(tmp_path, *arrays, model="model=torch") == ["one.npy", "several.npz"]


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [(256, range(10)), (10, range(10)), (9, range(0, 10, 2)), (5, range(0, 10, 2)), (3, range(0, 10, 4)), (1, [0])],
)
def test_a_limit_spreads_evenly_over_the_data(tmp_path, limit, chosen):
    for index in range(10):
        (tmp_path / f"{index}.png").touch()
    assert found(tmp_path, limit=limit) == [f"{index}.png" for index in chosen]


def test_a_list_is_relative_to_itself_and_may_have_comments(tmp_path):
    image(tmp_path / "lists/near.png")
    image(tmp_path / "far.png")
    absolute = image(tmp_path / "absolute.png")
    listed = tmp_path / "lists/data.txt"
    listed.write_text(f"# what we see most\n  near.png \n\n../far.png\n{absolute}\n")
    assert found(listed) == ["near.png", "../far.png", "../absolute.png"]


def test_annotations_give_each_image_its_boxes(tmp_path):
    data = coco(
        tmp_path,
        {"image_id": 1, "bbox": [5, 6, 20, 10]},
        {"image_id": 1, "bbox": [0, 0, 10, 10]},
        {"image_id": 1, "bbox": [9, 9, 0, 7]},  # of no width: nothing to look at
        {"image_id": 7, "bbox": [0, 0, 4, 4]},  # of an image that is not there
    )
    first, second = find_items(*configured(POSE, data=str(data)))
    assert (first.path, first.boxes) == (tmp_path / "a.png", ((5, 6, 25, 16), (0, 0, 10, 10)))
    assert second.path == tmp_path / "images/b.png"
    assert second.boxes is None, "an image without annotations is looked at as a whole"


def test_an_image_in_which_no_box_has_an_area_is_left_out_unless_the_model_looks_at_whole_images(tmp_path):
    data = coco(tmp_path, {"image_id": 1, "bbox": [9, 9, 0, 7]})
    (only,) = find_items(*configured(POSE, data=str(data)))
    assert only.path == tmp_path / "images/b.png"
    assert len(find_items(*configured(DETECTOR, data=str(data)))) == 2


CONFIG = """
data_root = 'data/street/'
dataset = dict(type='CocoDataset', data_root=data_root, ann_file='annotations.json', data_prefix=dict(img=''))
val_dataloader = dict(batch_size=1, dataset={dataset})
"""


@pytest.mark.parametrize(
    "dataset",
    ["dataset", "dict(type='RepeatDataset', dataset=dataset)", "dict(type='ConcatDataset', datasets=[dataset])"],
)
def test_a_config_of_openmmlab_is_read_for_what_it_validates_on(tmp_path, monkeypatch, dataset):
    coco(tmp_path / "data/street", {"image_id": 1, "bbox": [5, 6, 20, 10]})
    (tmp_path / "work_dirs").mkdir()
    (tmp_path / "work_dirs/mine.py").write_text(CONFIG.format(dataset=dataset))
    monkeypatch.chdir(tmp_path)
    first, second = find_items(*configured(POSE, data="work_dirs/mine.py"))
    assert (first.path, first.boxes) == (Path("data/street/a.png"), ((5, 6, 25, 16),))
    assert second.path.is_file()


def test_words_of_mmocrs_annotations_are_read_whole(tmp_path, monkeypatch):
    image(tmp_path / "words/images/one.png")
    entries = [{"img_path": "images/one.png", "instances": [{"text": "one"}]}]
    (tmp_path / "words/test.json").write_text(json.dumps({"metainfo": {}, "data_list": entries}))
    (tmp_path / "crnn.py").write_text(
        "test_dataloader = dict(dataset=dict(type='OCRDataset', data_root='words', ann_file='test.json'))"
    )
    monkeypatch.chdir(tmp_path)
    (word,) = find_items(*configured("model=crnn", data="crnn.py"))
    assert (word.path, word.boxes) == (Path("words/images/one.png"), None)
    assert find_items(*configured("model=crnn", data="words/test.json"))[0].path.is_file()


def test_without_data_there_is_nothing_to_find():
    assert find_items(*configured(POSE)) == ()


def missing(folder: Path) -> Path:
    return folder / "nowhere"


def empty(folder: Path) -> Path:
    (folder / "notes.md").touch()
    return folder


def of_another_task(folder: Path) -> Path:
    (folder / "cloud.bin").touch()
    return folder


def empty_list(folder: Path) -> Path:
    (folder / "data.txt").write_text("# nothing yet\n")
    return folder / "data.txt"


def binary_list(folder: Path) -> Path:
    (folder / "data.txt").write_bytes(b"\xff\xfe\x00")
    return folder / "data.txt"


def list_of_a_missing_file(folder: Path) -> Path:
    (folder / "data.txt").write_text("gone.png\n")
    return folder / "data.txt"


def broken_json(folder: Path) -> Path:
    (folder / "a.json").write_text('{"images": [')
    return folder / "a.json"


def other_json(folder: Path) -> Path:
    (folder / "a.json").write_text('["a.png"]')
    return folder / "a.json"


def json_without_images(folder: Path) -> Path:
    (folder / "a.json").write_text('{"annotations": []}')
    return folder / "a.json"


def config_without_annotations(folder: Path) -> Path:
    (folder / "a.py").write_text("val_dataloader = dict(dataset=dict(type='KittiDataset', data_root='data/kitti'))")
    return folder / "a.py"


def config_of_pickled_annotations(folder: Path) -> Path:
    (folder / "infos.pkl").write_bytes(b"\x80\x04}.")
    (folder / "a.py").write_text(f"val_dataloader = dict(dataset=dict(ann_file='{folder}/infos.pkl'))")
    return folder / "a.py"


def config_of_annotations_elsewhere(folder: Path) -> Path:
    (folder / "a.py").write_text("val_dataloader = dict(dataset=dict(data_root='nowhere', ann_file='a.json'))")
    return folder / "a.py"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.txt")
    return folder / "a.txt"


def json_with_a_short_box(folder: Path) -> Path:
    return coco(folder, {"image_id": 1, "bbox": [1, 2, 3]})


@pytest.mark.parametrize(
    ("prepare", "what", "said"),
    [
        (missing, "the calibration data does not exist", "seen from the current folder"),
        (empty, "holds nothing that the model looks at", "reads .bmp, .jpeg, .jpg, .png"),
        (of_another_task, "holds nothing that the model looks at", "OpenMMLab config (.py)"),
        (empty_list, "holds nothing that the model looks at", "a list of them"),
        (binary_list, "the list of files cannot be read", "it is not text in utf-8, from its byte 0 on"),
        (pipe, "the list of files cannot be read", "a.txt is a pipe"),
        (list_of_a_missing_file, "names a file that does not exist", "gone.png"),
        (broken_json, "holds no COCO annotations", "JSONDecodeError"),
        (other_json, "holds no COCO annotations", "file_name and id"),
        (json_without_images, "holds no COCO annotations", "KeyError: 'images'"),
        (config_of_pickled_annotations, "infos.pkl is a pickle", "data from strangers runs nothing"),
        (config_of_annotations_elsewhere, "a.json holds no COCO annotations", "nowhere/a.json"),
        (json_with_a_short_box, "holds no COCO annotations", "ValueError: not enough values"),
    ],
)
def test_data_that_cannot_be_used_is_refused_with_its_place(tmp_path, prepare, what, said):
    data = prepare(tmp_path)
    with pytest.raises(CompileError, match=what) as caught:
        find_items(*configured(POSE, data=str(data)))
    assert caught.value.where == f"calibration.data={data}"
    assert said in str(caught.value)


def test_a_config_that_names_no_annotations_is_refused_with_the_place_in_it(tmp_path):
    data = config_without_annotations(tmp_path)
    with pytest.raises(CompileError, match="names no annotations") as caught:
        find_items(*configured(POSE, data=str(data)))
    assert caught.value.where == f"{data}: val_dataloader.dataset.ann_file"


def test_an_image_that_cannot_be_decoded_is_named(tmp_path):
    good, bad = image(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(good.read_bytes()[:20])
    with pytest.raises(CompileError, match="the image cannot be decoded") as caught:
        read([Item(good), Item(bad)])
    assert caught.value.where == str(bad)


def test_each_file_is_one_batch_of_the_usual_size(tmp_path):
    dark, bright = read([Item(image(tmp_path / "a.png", 20)), Item(image(tmp_path / "b.png", 220))])
    assert dark.shape == bright.shape == (1, 3, 256, 192)
    assert dark.max() < bright.max()


def test_every_box_of_an_image_is_looked_at(tmp_path):
    truth = ObjectTruth((0.0, 0.0, 30.0, 40.0)), ObjectTruth((30.0, 0.0, 60.0, 40.0))
    left, right = read([Item(image(tmp_path / "a.png"), truth)])
    assert left.shape == right.shape == (1, 3, 256, 192)


@pytest.mark.parametrize(("boxes", "expected"), [(1, 1), (3, 1), (5, 1), (6, 2)])
def test_a_static_batch_is_given_whole_batches(tmp_path, boxes, expected):
    item = Item(image(tmp_path / "a.png"), tuple(ObjectTruth((0.0, 0.0, 30.0 + index, 40.0)) for index in range(boxes)))
    given = read([item], "shape=static", "batch.usual=3")
    assert [tensor.shape for tensor in given] == [(3, 3, 256, 192)] * expected


def test_without_data_the_input_of_the_proof_is_varied():
    given = read(())
    assert len(given) == VARIATIONS
    assert len({tensor.tobytes() for tensor in given}) == VARIATIONS
    assert [len(tensor) for tensor in read((), "shape=static", "batch.usual=3")] == [3, 3]
    assert [len(tensor) for tensor in read((), "batch.usual=9", "batch.largest=9")] == [9]


def test_a_detector_ignores_the_boxes_and_looks_at_the_whole_image(tmp_path):
    photograph = image(tmp_path / "a.png")
    (with_boxes,) = read([Item(photograph, (ObjectTruth((0.0, 0.0, 9.0, 9.0)),))], model=DETECTOR)
    (without,) = read([Item(photograph)], model=DETECTOR)
    np.testing.assert_array_equal(with_boxes, without)
    assert with_boxes.shape == (1, 3, 640, 640)


def test_a_cloud_of_points_is_one_input(tmp_path):
    config, task = configured("model=pointpillars")
    sample = task.sample_source()
    shutil.copy(sample, tmp_path / "street.bin")
    (given,) = batches([Item(tmp_path / "street.bin")], proof_of(task), config.usual_input, None)
    (varied,) = batches((), proof_of(task), config.usual_input, task.read(sample))
    assert list(given) == list(varied) == list(task.inputs)
    for name, tensor in given.items():
        np.testing.assert_array_equal(tensor, varied[name])


def test_arrays_are_given_as_they_are(tmp_path):
    config, task = configured("model=torch", "model.target=nets:build", "model.inputs.x=1x3x8x8")
    values = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    (given,) = batches([Item(tmp_path / "a.npy")], proof_of(task), config.usual_input, None)
    np.testing.assert_array_equal(given["x"], values)


def test_many_boxes_of_one_image_are_prepared_a_few_at_a_time_and_give_the_same(tmp_path, monkeypatch):
    boxes = tuple((float(place), 0.0, place + 9.0, 9.0) for place in range(7))
    truth = tuple(ObjectTruth(box, "") for box in boxes)
    item = Item(image(tmp_path / "a.png"), truth)
    together = read([item], "batch.usual=2")
    monkeypatch.setattr(calibration, "BATCHES_AT_ONCE", 1)
    apart = read([item], "batch.usual=2")
    assert [len(batch) for batch in apart] == [2, 2, 2]  # a rest that fills no batch is left out
    np.testing.assert_array_equal(np.concatenate(apart), np.concatenate(together))
