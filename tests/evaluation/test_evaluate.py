"""Bundles on a data set: what they find is what they find one by one, and is measured as it is by hand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from compiler import runtime
from compiler.datasets import Dataset, Item, read_coco
from compiler.errors import CompileError, UsageError
from compiler.evaluation import Column, Evaluation, EvaluationOptions, Opening, costs, evaluate, subjects
from compiler.evaluation.kept_results import kept_results
from compiler.evaluation.options import with_keywords
from compiler.evaluation.subjects import open_subjects
from compiler.metrics.coco import CocoDetection
from compiler.metrics.coco_keypoints import CocoKeypoints
from compiler.runtime.chains import open_chain
from compiler.tasks.pose import Pose
from tests.bundles import lock_again
from tests.evaluation.conftest import BOX, quick_detector


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> EvaluationOptions:
    """With a folder of results that tests share: what one has run, the next one measures."""
    return EvaluationOptions(output=tmp_path_factory.mktemp("results"), workers=2)


@pytest.fixture
def fresh(tmp_path) -> EvaluationOptions:
    """With a folder of results of the test's own."""
    return EvaluationOptions(output=tmp_path / "results", workers=2)


def test_the_numbers_are_those_of_the_bundle_one_image_at_a_time(objects, images, object_annotations, options):
    dataset = read_coco(object_annotations, images)
    predictor = runtime.open(objects)
    expected = CocoDetection().score([predictor(item.path) for item in dataset.items], dataset)
    (column,) = evaluate([objects], object_annotations, options).columns
    assert column.numbers == pytest.approx(expected, nan_ok=True)
    assert 0.05 < column.numbers["coco/bbox_mAP"] < 0.95
    assert (column.name, column.backend, column.precision) == ("onnxruntime fp32", "onnxruntime", "fp32")


def test_bundles_stand_side_by_side(objects, images, object_annotations, options, tmp_path):
    other = quick_detector(tmp_path / "other")
    evaluation = evaluate([objects, other], object_annotations, options)
    first, second = evaluation.columns
    assert [first.name, second.name] == ["objects", "other"], (
        "where the backend is the same, the folders tell them apart"
    )
    told = [value for value in evaluation.differences(second).values() if not np.isnan(value)]
    assert "coco/bbox_mAP" in evaluation.differences(second)
    assert told
    assert set(told) == {0}
    assert first.numbers == pytest.approx(second.numbers, nan_ok=True)
    header, mean, *_ = evaluation.table().splitlines()
    assert header.split() == ["metric", "objects", "other"]
    value = f"{first.numbers['coco/bbox_mAP']:.4f}"
    assert mean.split() == ["coco/bbox_mAP", value, value, "(+0.0000)"]


def test_a_killed_run_goes_on_where_it_was(objects, object_annotations, fresh):
    heard: list[int] = []
    (column,) = evaluate([objects], object_annotations, fresh, lambda name, done, items: heard.append(done)).columns
    assert heard == [0, 1, 2, 3]
    whole = column.results.read_bytes()
    lines = whole.splitlines(keepends=True)
    column.results.write_bytes(b"".join(lines[:2]) + lines[2][:40])  # killed while it wrote the second image
    heard.clear()
    (again,) = evaluate([objects], object_annotations, fresh, lambda name, done, items: heard.append(done)).columns
    assert heard == [1, 2, 3], "the first image is not looked at again"
    assert again.results.read_bytes() == whole
    assert again.numbers == pytest.approx(column.numbers, nan_ok=True)


def test_results_are_not_taken_for_those_of_something_else(poses, images, pose_annotations, fresh):
    (column,) = evaluate([poses], pose_annotations, fresh).columns
    picture = images / "c.png"
    os.utime(picture, ns=(picture.stat().st_atime_ns, picture.stat().st_mtime_ns + 1_000_000_000))
    (touched,) = evaluate([poses], pose_annotations, fresh).columns
    assert touched.results != column.results, "an image may have changed"
    (flipped,) = evaluate([poses], pose_annotations, replace(fresh, flip_test=True)).columns
    assert flipped.results not in (column.results, touched.results)
    fewer = evaluate([poses], pose_annotations, replace(fresh, limit=2))
    assert fewer.items == 2
    assert fewer.columns[0].results not in (column.results, touched.results)


def test_boxes_of_a_detector_go_with_the_numbers_of_images_as_they_are_now(poses, images, pose_annotations, fresh):
    """Renumbered, the same boxes are of other images: what was found of the old ones is not taken for theirs."""
    x1, y1, x2, y2 = BOX
    file = fresh.output.parent / "detections.json"
    box = {"category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 0.9}
    file.write_text(json.dumps([{"image_id": image, **box} for image in (4, 9, 2)]))
    chosen = replace(fresh, bbox_file=str(file))
    (column,) = evaluate([poses], pose_annotations, chosen).columns
    assert column.numbers["coco/AP"] == pytest.approx(1)
    content = json.loads(pose_annotations.read_text())
    for number, one in enumerate(content["images"], 100):
        one["id"] = number
    for one in content["annotations"]:
        one["image_id"] = {4: 100, 9: 101, 2: 102}[one["image_id"]]
    content["images"].append({"id": 4, "file_name": content["images"][0]["file_name"]})
    renumbered = images / "renumbered" / pose_annotations.name
    renumbered.parent.mkdir()
    renumbered.write_text(json.dumps(content))
    again = evaluate([poses], renumbered, replace(chosen, data=images, limit=None)).columns[0]
    assert again.results != column.results
    assert again.numbers["coco/AP"] == 0
    content["images"].pop()
    renumbered.write_text(json.dumps(content))
    with pytest.raises(CompileError, match="of other images"):
        evaluate([poses], renumbered, replace(chosen, data=images))


@pytest.mark.parametrize("changed", ["numpy", "onnxruntime", "processor"])
def test_results_of_other_libraries_or_another_machine_are_not_taken(poses, monkeypatch, changed):
    (before,) = open_subjects([poses], Opening(), flip_test=None)
    assert {"numpy", "opencv-python-headless", "onnxruntime", "processor"} <= before.tools.keys()
    tools = {**before.tools, changed: "another"}
    monkeypatch.setattr(subjects, "tools_of", lambda backend: tools)
    (after,) = open_subjects([poses], Opening(), flip_test=None)
    assert after.key != before.key
    monkeypatch.setattr(subjects, "tools_of", lambda backend: dict(before.tools))
    assert open_subjects([poses], Opening(), flip_test=None)[0].key == before.key


def test_results_go_with_the_code_of_ones_own(poses, tmp_path, monkeypatch):
    module = tmp_path / "backend_of_ones_own.py"
    module.write_text("FACTOR = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    opening = Opening(modules=frozenset(("backend_of_ones_own",)))
    (before,) = open_subjects([poses], opening, flip_test=None)
    assert open_subjects([poses], opening, flip_test=None)[0].key == before.key
    module.write_text("FACTOR = 2\n")
    assert open_subjects([poses], opening, flip_test=None)[0].key != before.key


def test_an_error_of_what_is_run_is_not_taken_for_one_of_the_results(poses, images, tmp_path):
    """Only what happens to the file itself is said to be its fault."""
    (subject,) = open_subjects([poses], Opening(), flip_test=None)
    dataset = Dataset((Item(images / "a.png"),))
    with pytest.raises(FileNotFoundError), kept_results(tmp_path, subject, dataset, Pose):
        raise FileNotFoundError("something else")
    with kept_results(tmp_path, subject, dataset, Pose) as results:
        assert results.missing == [0], "and the lock is given back"
    (tmp_path / "file").touch()
    with pytest.raises(CompileError, match="the results cannot be written"):
        kept_results(tmp_path / "file", subject, dataset, Pose).__enter__()


def test_people_are_looked_for_where_the_data_set_says(poses, pose_annotations, options):
    (column,) = evaluate([poses], pose_annotations, options).columns
    assert column.numbers["coco/AP"] == pytest.approx(1), "the annotations are what the model finds"
    results = [json.loads(line) for line in column.results.read_text().splitlines()[1:]]
    assert [len(one["results"]) for one in results] == [1, 1, 1]
    np.testing.assert_allclose(results[0]["results"][0]["box"], BOX)


def test_people_are_looked_for_where_a_detector_says(poses, images, pose_annotations, options, tmp_path):
    x1, y1, x2, y2 = BOX
    box = [x1, y1, x2 - x1, y2 - y1]
    detections = [
        {"image_id": 4, "category_id": 1, "bbox": box, "score": 0.9},
        {"image_id": 4, "category_id": 1, "bbox": [5, 5, 50, 50], "score": 0.2},
        {"image_id": 9, "category_id": 2, "bbox": box, "score": 0.9},
        {"image_id": 777, "category_id": 1, "bbox": box, "score": 0.9},
    ]
    file = tmp_path / "detections.json"
    file.write_text(json.dumps(detections))
    (column,) = evaluate([poses], pose_annotations, replace(options, bbox_file=str(file), bbox_thr=0.5)).columns
    first, second, third = (json.loads(line)["results"] for line in column.results.read_text().splitlines()[1:])
    assert [one["score"] for one in first] == [pytest.approx(0.9)], "and what scores below the threshold is left out"
    assert second == third == [], "a dog is no person, and in the third image nobody is found"
    assert column.numbers["coco/AR"] == pytest.approx(1 / 3)
    file.write_text(json.dumps(detections[3:]))
    with pytest.raises(CompileError, match="the detector's results are of other images"):
        evaluate([poses], pose_annotations, replace(options, bbox_file=str(file)))


def test_people_are_looked_for_where_a_detector_finds_them(objects, poses, images, pose_annotations, fresh, tmp_path):
    """As `predict` chains the two; the small detector finds motorcycles, which are called people here."""
    detector = quick_detector(tmp_path / "detector")
    config = detector / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("- person\n", "- human\n").replace("- motorcycle\n", "- person\n"))
    lock_again(detector)
    chained = open_chain(detector, poses)
    expected = [chained(images / f"{name}.png") for name in "abc"]
    assert sum(map(len, expected)) > 3
    options, heard = replace(fresh, detector=detector), []
    column = evaluate([poses], pose_annotations, options, lambda name, *_: heard.append(name)).columns[0]
    assert set(heard) == {"detector detector", "onnxruntime fp32"}
    found = [json.loads(line)["results"] for line in column.results.read_text().splitlines()[1:]]
    for ours, theirs in zip(found, expected, strict=True):
        assert [one["score"] for one in ours] == [one.detection.score for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(np.float32(one["box"]), other.detection.box)
            np.testing.assert_allclose(one["keypoints"], other.result.keypoints, atol=1e-3)
    with pytest.raises(UsageError, match="two things say where people are"):
        replace(options, bbox_file="boxes.json")
    with pytest.raises(CompileError, match="the second of two bundles looks at what the first finds"):
        evaluate([poses], pose_annotations, replace(options, detector=poses))


def test_a_detector_looks_into_no_boxes(objects, object_annotations, options):
    with pytest.raises(CompileError, match="looks at whole images, and into no boxes"):
        evaluate([objects], object_annotations, replace(options, detector=objects))


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("objects", {"bbox_thr": 0.5}, "bbox_thr changes nothing"),
        ("poses", {"bbox_thr": 0.5}, "bbox_thr changes nothing"),
        ("poses", {"bbox_thr": 0.5, "bbox_file": "none"}, "bbox_thr changes nothing"),
    ],
)
def test_what_would_change_nothing_is_refused(request, options, name, settings, said):
    annotations = request.getfixturevalue({"objects": "object_annotations", "poses": "pose_annotations"}[name])
    with pytest.raises(UsageError, match=said):
        evaluate(str(request.getfixturevalue(name)), annotations, replace(options, **settings))


@pytest.mark.parametrize("name", ["output", "show_dir"])
def test_no_results_and_no_pictures_go_into_a_bundle(objects, object_annotations, fresh, tmp_path, name):
    with pytest.raises(UsageError, match="the folder would lie in a bundle"):
        evaluate(objects, object_annotations, replace(fresh, **{name: objects / "below"}))
    assert not (objects / "below").exists()
    (tmp_path / "file").touch()
    with pytest.raises(CompileError, match="the results cannot be written"):
        evaluate(objects, object_annotations, replace(fresh, **{name: tmp_path / "file/below"}))


def test_engines_are_timed_below_what_they_reach(objects, object_annotations, options, monkeypatch):
    monkeypatch.setattr(costs, "ITERATIONS", 5)
    monkeypatch.setattr(costs, "WARMUP", 1)
    (column,) = evaluate(objects, object_annotations, replace(options, latency=True)).columns
    *_, size, latency = column.numbers
    assert column.numbers["coco/bbox_mAP"] > 0
    assert size == "size (MB)"
    assert column.numbers[size] == pytest.approx((objects / "end2end.onnx").stat().st_size / 1e6)
    assert re.fullmatch(r"latency at \d+x\d+x\d+ \(ms\)", latency)
    assert column.numbers[latency] > 0
    with pytest.raises(UsageError, match="a latency is that of one engine"):
        replace(options, latency=True, detector=objects)


def test_a_number_that_the_first_has_not_stands_alone(tmp_path):
    plain = Column("PyTorch", tmp_path, "pytorch", "fp32", {"AP": 0.5, "AP_s": float("nan")}, tmp_path)
    other = replace(plain, name="engine", numbers={"AP": 0.25, "AP_s": 0.5, "latency (ms)": 2.0})
    told = Evaluation("cups", 3, {}, (plain, other)).table().splitlines()
    assert [line.split() for line in told[1:]] == [
        ["AP", "0.5000", "0.2500", "(-0.2500)"],
        ["AP_s", "-", "0.5000"],
        ["latency", "(ms)", "-", "2.0000"],
    ]


def test_keywords_are_those_of_the_command_line(objects, object_annotations, options):
    keywords = {"output": str(options.output), "metric": "voc", "metric_settings": {"iou_thrs": [0.7]}, "limit": 2}
    evaluation = evaluate(objects, object_annotations, **keywords, workers=1)
    assert (evaluation.items, evaluation.metrics["VocDetection"]["iou_thrs"]) == (2, (0.7,))
    assert evaluation.columns[0].results.is_relative_to(options.output)
    assert with_keywords(options, {"trust_changes": True}).opening == Opening(trust_changes=True)
    with pytest.raises(UsageError, match="evaluate takes no option 'limits_'") as caught:
        evaluate(objects, object_annotations, limits_=3)
    assert "limits" in caught.value.fix
    with pytest.raises(UsageError, match="limit is at least 1"):
        evaluate(objects, object_annotations, limit=0)


def test_options_that_need_others_are_refused_without_them():
    with pytest.raises(UsageError, match="show_score_thr= says what is drawn"):
        EvaluationOptions(show_score_thr=0.5)
    with pytest.raises(UsageError, match="no network is run"):
        EvaluationOptions(opening=Opening(network_code=True))
    assert EvaluationOptions(reference=True, opening=Opening(network_code=True)).reference


def test_a_flip_test_is_chosen_where_there_is_one(poses, objects, pose_annotations, object_annotations, options):
    plain = evaluate([poses], pose_annotations, options).columns[0]
    flipped = evaluate([poses], pose_annotations, replace(options, flip_test=True)).columns[0]
    assert flipped.results != plain.results
    assert flipped.numbers["coco/AP"] <= plain.numbers["coco/AP"]
    with pytest.raises(UsageError, match="detection has no flip test"):
        evaluate([objects], object_annotations, replace(options, flip_test=False))


def test_results_are_written_for_a_server_that_has_the_annotations(
    objects, images, object_annotations, options, tmp_path
):
    content = json.loads(object_annotations.read_text())
    unlabelled = images / "test-dev.json"
    unlabelled.write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(CompileError, match="nothing is annotated") as caught:
        evaluate([objects], unlabelled, options)
    assert "format_only=true" in caught.value.fix
    (column,) = evaluate([objects], unlabelled, replace(options, format_only=True)).columns
    assert column.numbers == {}
    (path,) = column.written
    assert {one["image_id"] for one in json.loads(path.read_text())} == {4, 9, 2}


def test_the_worst_are_drawn(objects, object_annotations, options, tmp_path):
    drawn = replace(options, show_dir=tmp_path / "shown", worst=2, show_score_thr=0.9)
    (column,) = evaluate([objects], object_annotations, drawn).columns
    names = sorted(path.name for path in (tmp_path / "shown/onnxruntime_fp32").iterdir())
    assert [name[:3] for name in names] == ["001", "002"]
    assert {name.split("_")[2] for name in names} == {"a", "b"}, "in the third nothing is annotated"
    losses = [float(name.split("_")[1]) for name in names]
    assert losses == sorted(losses, reverse=True)
    assert cv2.imread(str(column.pictures[0])).shape == (600, 512, 3)
    everything = evaluate([objects], object_annotations, replace(drawn, worst=None)).columns[0]
    assert len(everything.pictures) == 3


def test_all_numbers_and_settings_are_saved(objects, object_annotations, options, tmp_path):
    evaluation = evaluate([objects], object_annotations, replace(options, settings={"iou_thrs": [0.5]}))
    evaluation.save(tmp_path / "numbers.json")
    saved = json.loads((tmp_path / "numbers.json").read_text())
    assert saved["items"] == 3
    assert saved["metrics"]["CocoDetection"]["iou_thrs"] == [0.5]
    (column,) = saved["columns"]
    assert column["numbers"]["coco/bbox_mAP"] == evaluation.columns[0].numbers["coco/bbox_mAP"]
    assert column["differences"]["coco/bbox_mAP"] == 0


def test_another_metric_can_be_asked_for(objects, object_annotations, options):
    (column,) = evaluate([objects], object_annotations, replace(options, metrics=("voc", "coco"))).columns
    assert {"pascal_voc/mAP", "coco/bbox_mAP"} <= column.numbers.keys()
    with pytest.raises(UsageError, match="there is no metric 'cocoo'"):
        evaluate([objects], object_annotations, replace(options, metrics=("cocoo",)))
    with pytest.raises(UsageError, match="no metric has a setting 'claswise'") as caught:
        evaluate([objects], object_annotations, replace(options, settings={"claswise": True}))
    assert "classwise" in caught.value.fix
    with pytest.raises(CompileError, match="CocoKeypoints does not measure detection"):
        evaluate([objects], object_annotations, replace(options, metrics=("coco_keypoints",)))


def test_an_engine_that_drops_what_scores_little_is_told_of(tmp_path, object_annotations, options):
    bundle = quick_detector(tmp_path / "sure")
    config = bundle / "config.yaml"
    config.write_text(config.read_text().replace("score_thr: 0.001", "score_thr: 0.25"))
    opening = Opening(trust_changes=True)
    (caution,) = evaluate([bundle], object_annotations, replace(options, opening=opening)).cautions
    assert caution.startswith("onnxruntime fp32 drops what scores less than 0.25")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content["images"].append({"id": 5, "file_name": "gone.png"}), "1 of the 4 files"),
        (lambda content: content.pop("images"), "holds no COCO annotations"),
        (lambda content: content["categories"].pop(), "does not know toothbrush, which the model looks for"),
        (lambda content: content.update(images=[], annotations=[]), "the data set is empty"),
    ],
)
def test_a_data_set_that_does_not_fit_is_refused(objects, images, object_annotations, fresh, change, said):
    content = json.loads(object_annotations.read_text())
    change(content)
    path = images / "changed.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CompileError, match=said) as caught:
        evaluate([objects], path, fresh)
    assert caught.value.fix
    assert not list(fresh.output.rglob("*.jsonl")), "it is said before anything runs"


def test_a_data_set_of_another_task_is_refused(objects, poses, images, object_annotations, options, tmp_path):
    words = images / "textdet_test.json"
    text = {"polygon": [0, 0, 9, 0, 9, 9, 0, 9], "text": "a", "ignore": False}
    words.write_text(json.dumps({"data_list": [{"img_path": "a.png", "instances": [text]}]}))
    with pytest.raises(CompileError, match="the data set is one of another task than detection"):
        evaluate([objects], words, options)
    with pytest.raises(CompileError, match="the data set has no key points"):
        evaluate([poses], object_annotations, options)
    (tmp_path / "clouds/velodyne").mkdir(parents=True)
    (tmp_path / "clouds/label_2").mkdir()
    (tmp_path / "clouds/calib").mkdir()
    (tmp_path / "clouds/velodyne/000000.bin").touch()
    (tmp_path / "clouds/label_2/000000.txt").touch()
    (tmp_path / "clouds/calib/000000.txt").write_text(
        "R0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 1 0 0 0 0 1 0 0 0 0 1 0\n"
    )
    with pytest.raises(CompileError, match="another task"):
        evaluate([objects], tmp_path / "clouds", options)


def test_what_is_no_set_of_bundles_is_refused(objects, poses, object_annotations, options, tmp_path):
    with pytest.raises(UsageError, match="there is no bundle"):
        evaluate([], object_annotations, options)
    with pytest.raises(UsageError, match="a bundle stands there twice"):
        evaluate([objects, objects], object_annotations, options)
    with pytest.raises(CompileError, match="the bundles do different things"):
        evaluate([objects, poses], object_annotations, options)
    changed = quick_detector(tmp_path / "changed")
    with (changed / "end2end.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(CompileError, match="the bundle is not as it was made"):
        evaluate([objects, changed], object_annotations, options)


def test_an_unreadable_image_stops_the_run_and_what_was_found_is_kept(objects, object_annotations, fresh, tmp_path):
    content = json.loads(object_annotations.read_text())
    broken = object_annotations.parent / "broken.png"
    broken.write_bytes(b"no image")
    content["images"].append({"id": 77, "file_name": "broken.png"})
    path = object_annotations.parent / "with_broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CompileError, match="image"):
        evaluate([objects], path, fresh)
    (results,) = fresh.output.rglob("*.jsonl")
    assert len(results.read_text().splitlines()) == 1 + 3
    broken.unlink()


def test_a_bundle_names_no_code_that_its_reference_runs(objects, object_annotations, options):
    """The small detector's network is made of a class that nobody registered."""
    with pytest.raises(CompileError, match=r"tinynets\.TinyDetector"):
        evaluate([objects], object_annotations, replace(options, reference=True))


def test_bundles_are_evaluated_without_torch(objects, object_annotations, tmp_path):
    blocked = "torch", "hydra", "onnx", "rich"
    words = ["evaluate", str(objects), f"dataset={object_annotations}", "limit=1", "out=numbers.json"]
    code = (
        f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
        "from compiler.__main__ import main\n"
        f"sys.exit(main({words!r}))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "coco/bbox_mAP" in run.stdout
    assert json.loads((tmp_path / "numbers.json").read_text())["columns"]
    assert "\x1b" not in run.stderr, "no bar is drawn where nobody looks"


def test_key_points_are_measured_as_mmpose_does(poses, images, pose_annotations, options):
    """The fitted metric knows the crop of the model."""
    evaluation = evaluate([poses], pose_annotations, options)
    settings = evaluation.metrics["CocoKeypoints"]
    assert (settings["score_mode"], settings["nms_mode"]) == ("bbox_keypoint", "oks_nms")
    assert settings["aspect"] == 0.75
    dataset = read_coco(pose_annotations, images)
    predictor = runtime.open(poses)
    expected = CocoKeypoints().score([predictor(item.path, list(BOX)) for item in dataset.items], dataset)
    assert evaluation.columns[0].numbers == pytest.approx(expected, nan_ok=True)
