"""`predict` on many inputs: a line of JSON for each, a picture for each, and one that fails loses no other."""

from __future__ import annotations

import io
import json
import shutil
import sys

import cv2
import numpy as np
import pytest

from compiler import runtime
from compiler.errors import CompileError, UsageError
from tests.bundles import lock_again, small_bundle
from tests.cli.running import run_verb
from tests.conftest import PHOTOGRAPH, REPOSITORY
from tests.tasks.test_videos import frames, greys, write

WORD = REPOSITORY / "compiler/tasks/photographs/word.png"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Small bundles, of random weights: what the detector takes for a cup is a person."""
    folder = tmp_path_factory.mktemp("bundles")
    bundles = {name: small_bundle(folder / name, name) for name in ("arrays", "objects", "pose", "reader", "text")}
    config = bundles["objects"] / "config.yaml"
    names = config.read_text().replace("- person\n", "- nobody\n").replace("- cup\n", "- person\n")
    config.write_text(names)
    lock_again(bundles["objects"])
    return bundles


@pytest.fixture
def pose(bundles):
    return str(bundles["pose"])


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    shutil.copy(PHOTOGRAPH, folder / "a.jpg")
    shutil.copy(WORD, folder / "below/a.png")
    return folder


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_file_prints_as_it_did(pose, capsys):
    assert run_verb("predict", pose, str(PHOTOGRAPH)) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("[\n  {\n")
    (person,) = json.loads(printed)
    assert len(person["keypoints"]) == 17


@pytest.mark.parametrize("how", ["words", "folder", "pattern"])
def test_several_inputs_print_a_line_each_with_the_files_name(pose, photos, capsys, how):
    files = [photos / "a.jpg", photos / "below/a.png"]
    words = {"words": files, "folder": [photos], "pattern": [photos / "**/a.*"]}[how]
    assert run_verb("predict", pose, *map(str, words)) == 0
    found = lines(capsys)
    assert [line["input"] for line in found] == list(map(str, files))
    for line in found:
        assert run_verb("predict", pose, line["input"]) == 0
        assert json.loads(capsys.readouterr().out) == line["results"]


@pytest.mark.parametrize("how", [(), ("batch=2",)])
def test_several_streams_print_what_one_prints_in_the_order_of_the_inputs(pose, photos, tmp_path, capsys, how):
    (photos / "b.jpg").write_bytes(b"no image")
    clip = write(tmp_path / "clip.avi", frames(3))
    words = [str(photos), str(clip), str(photos / "a.jpg")]
    assert run_verb("predict", pose, *words) == 1
    expected = lines(capsys)
    assert run_verb("predict", pose, *words, "streams=2", *how) == 1
    found = lines(capsys)
    for one, other in zip(found, expected, strict=True):
        assert {**one, "results": None} == {**other, "results": None}
        for person, same in zip(one.get("results", []), other.get("results", []), strict=True):
            np.testing.assert_allclose(person["keypoints"], same["keypoints"], rtol=1e-3, atol=1e-3)
    assert [line.get("frame") for line in found] == [None, None, None, 0, 1, 2, None]


@pytest.mark.parametrize("word", ["streams=0", "streams=many", "streams=1000"])
def test_a_number_of_streams_that_cannot_be_is_refused(pose, photos, word):
    with pytest.raises(UsageError, match="is no value of streams"):
        run_verb("predict", pose, str(photos), word)


def test_a_folder_of_one_file_prints_a_line_all_the_same(pose, photos, capsys):
    assert run_verb("predict", pose, str(photos / "below")) == 0
    (line,) = lines(capsys)
    assert line.keys() == {"input", "results"}


def test_one_that_fails_loses_no_other_and_the_run_has_failed(pose, photos, capsys):
    (photos / "b.jpg").write_bytes(b"no image")
    (photos / "empty.png").write_bytes(b"")
    assert run_verb("predict", pose, str(photos)) == 1
    printed = capsys.readouterr()
    found = {line["input"]: line for line in map(json.loads, printed.out.splitlines())}
    assert [len(line.get("results", [])) for line in found.values()] == [1, 0, 1, 0]
    error = found[str(photos / "b.jpg")]["error"]
    assert (error["what"], error["where"]) == ("the image cannot be decoded", str(photos / "b.jpg"))
    assert printed.err.count("error: the image cannot be decoded\n") == 1
    assert printed.err.count("error: the image is empty\n") == 1
    assert printed.err.endswith("2 of 4 inputs failed\n")


def test_pictures_go_into_a_folder_under_the_names_of_their_inputs(pose, photos, tmp_path, capsys):
    drawn = tmp_path / "drawn"
    words = [photos, photos / "a.jpg", photos / "below/a.png"]
    assert run_verb("predict", pose, *map(str, words), f"picture={drawn}/") == 0
    pictures = [line["picture"] for line in lines(capsys)]
    names = ["a.jpg", "below/a.png", "a-2.jpg", "a.png"]
    assert pictures == [str(drawn / name) for name in names]
    for picture, source in zip(pictures, [PHOTOGRAPH, WORD, PHOTOGRAPH, WORD], strict=True):
        assert cv2.imread(picture).shape == cv2.imread(str(source)).shape


def test_one_picture_goes_into_a_folder_too(pose, photos, tmp_path):
    assert run_verb("predict", pose, str(photos / "a.jpg"), f"picture={tmp_path / 'new'}/") == 0
    assert (tmp_path / "new/a.jpg").is_file()


@pytest.mark.parametrize("words", [("a.jpg", "picture=a.jpg"), ("a.jpg", "picture=./"), (".", "picture=.")])
def test_no_input_is_drawn_over(pose, photos, monkeypatch, words):
    monkeypatch.chdir(photos)
    before = (photos / "a.jpg").read_bytes()
    with pytest.raises(UsageError, match="would be written over it") as caught:
        run_verb("predict", pose, *words)
    assert caught.value.where == "a.jpg"
    assert (photos / "a.jpg").read_bytes() == before


def test_several_pictures_are_not_drawn_into_one_file(pose, photos):
    with pytest.raises(UsageError, match="several inputs need a folder for picture=") as caught:
        run_verb("predict", pose, str(photos), "picture=drawn.jpg")
    assert caught.value.fix == "name a folder: picture=drawn/"


def test_a_video_prints_a_line_for_each_frame_and_is_drawn_into_a_video(pose, tmp_path, capsys):
    clip = write(tmp_path / "clip.avi", frames(3))
    drawn = tmp_path / "drawn.mp4"
    assert run_verb("predict", pose, str(clip), "box=10,5,50,40", f"picture={drawn}") == 0
    found = lines(capsys)
    assert [(line["frame"], line["time"]) for line in found] == [(0, 0.0), (1, 0.1), (2, 0.2)]
    assert all(line["results"][0]["box"] == [10, 5, 50, 40] for line in found)
    assert len(greys(drawn)) == 3
    with_box = cv2.VideoCapture(str(drawn)).read()[1]
    assert with_box[5, 10:50].mean() > with_box[45, :].mean() + 50  # the box is drawn


def test_a_video_in_a_folder_is_drawn_beside_the_pictures(pose, photos, tmp_path, capsys):
    write(photos / "clip.mov", frames(2))
    drawn = tmp_path / "drawn"
    assert run_verb("predict", pose, str(photos), f"picture={drawn}") == 0
    assert sorted(path.name for path in drawn.iterdir()) == ["a.jpg", "below", "clip.mov"]
    assert len(greys(drawn / "clip.mov")) == 2
    assert [line.get("frame") for line in lines(capsys)] == [None, None, 0, 1]


def test_a_video_is_not_drawn_into_an_image(pose, tmp_path, capsys):
    clip = write(tmp_path / "clip.avi", frames(1))
    assert run_verb("predict", pose, str(clip), f"picture={tmp_path / 'drawn.jpg'}") == 1
    assert "the video cannot be written" in capsys.readouterr().err


def test_standard_input_is_answered_line_by_line(pose, photos, capsys, monkeypatch):
    box = [[80, 20, 310, 460], [20, 10, 200, 300]]
    asked = [str(photos / "a.jpg"), json.dumps({"input": str(photos / "a.jpg"), "box": box}), "{}", "missing.jpg"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(asked)))
    assert run_verb("predict", pose, "-", "box=0,0,50,60") == 1
    whole, boxed, broken, missing = lines(capsys)
    assert [one["box"] for one in whole["results"]] == [[0, 0, 50, 60]]
    assert [one["box"] for one in boxed["results"]] == box
    assert broken["input"] is None
    assert broken["error"]["what"] == "the line names no input"
    assert missing["error"]["what"] == "the image does not exist"


def test_a_program_that_asks_line_by_line_gets_each_answer_at_once(pose, command_line):
    process = command_line.start_with_input("predict", pose, "-")
    for _ in range(2):
        process.stdin.write(f"{PHOTOGRAPH}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["input"] == str(PHOTOGRAPH)
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_inputs_go_through_the_engine_together_where_that_is_asked_for(pose, photos, capsys, monkeypatch, batch):
    words = [photos / "a.jpg", photos / "a.jpg", write(photos / "clip.avi", frames(1)), *[photos / "below/a.png"] * 3]
    assert run_verb("predict", pose, *map(str, words)) == 0
    alone, counts = lines(capsys), []
    original = runtime.Predictor.run

    def run(self, tensors):
        counts.append(len(tensors["input"]))
        return original(self, tensors)

    monkeypatch.setattr(runtime.Predictor, "run", run)
    assert run_verb("predict", pose, *map(str, words), f"batch={batch}") == 0
    together = lines(capsys)
    assert [line["input"] for line in together] == [line["input"] for line in alone]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one["results"][0]["keypoints"], other["results"][0]["keypoints"], rtol=1e-3)
    assert counts == {2: [2, 1, 2, 1], 3: [2, 1, 3], 8: [2, 1, 3]}[batch]


def test_one_that_fails_in_a_batch_loses_no_other(pose, photos, capsys):
    (photos / "b.jpg").write_bytes(b"no image")
    assert run_verb("predict", pose, str(photos), "batch=3") == 1
    assert ["error" in line for line in lines(capsys)] == [False, True, False]


@pytest.mark.parametrize("batch", ["0", "many", "-1", "1.5", "5000", "²"])
def test_a_batch_that_is_none_is_refused(pose, photos, batch):
    with pytest.raises(UsageError, match="is no value of batch"):
        run_verb("predict", pose, str(photos), f"batch={batch}")


def test_nothing_that_compiles_is_imported(bundles, photos, command_line):
    write(photos / "clip.mp4", frames(1))
    words = (str(bundles["objects"]), str(bundles["pose"]), str(photos), "picture=drawn/")
    run = command_line("predict", *words, "--debug", PYTHONPROFILEIMPORTTIME="1")
    assert run.returncode == 0, run.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in run.stderr.splitlines()}
    assert "compiler.runtime.chains" in imported
    assert not imported & {"torch", "hydra", "omegaconf", "onnx", "compiler.networks"}


def test_results_are_printed_before_a_picture_fails(pose, capsys):
    with pytest.raises(CompileError, match="the image cannot be encoded"):
        run_verb("predict", pose, str(PHOTOGRAPH), "picture=drawn.txt")
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_arrays_of_several_inputs_go_into_a_folder(bundles, tmp_path, capsys):
    shape = json.loads((bundles["arrays"] / "engine.json").read_text())["inputs"][0]["shape"]
    item = np.ones([1 if isinstance(side, str) else side for side in shape], "f4")
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, item)
    assert run_verb("predict", str(bundles["arrays"]), str(tmp_path), f"arrays={tmp_path / 'out'}/") == 0
    assert [line["arrays"] for line in lines(capsys)] == [str(tmp_path / "out" / name) for name in ("a.npz", "b.npz")]
    assert len(np.load(tmp_path / "out/a.npz").files) == 2


def test_a_detector_and_a_pose_bundle_are_chained(bundles, photos, tmp_path, capsys):
    two = str(bundles["objects"]), str(bundles["pose"])
    drawn = tmp_path / "drawn.png"
    options = ("chain.score_threshold=0.01", "chain.iou_threshold=0.1", f"picture={drawn}")
    assert run_verb("predict", *two, str(photos / "a.jpg"), *options) == 0
    people = json.loads(capsys.readouterr().out)
    assert people
    assert all(one["detection"]["name"] == "person" and len(one["keypoints"]) == 17 for one in people)
    assert (cv2.imread(str(drawn)) != cv2.imread(str(PHOTOGRAPH))).any()
    assert run_verb("predict", *two, str(photos), "chain.label=chair") == 0
    assert {one["detection"]["name"] for line in lines(capsys) for one in line["results"]} <= {"chair"}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("{objects}", "{pose}", "a.jpg", "chain.label=persn"), "the detector finds no 'persn'"),
        (("{objects}", "{pose}", "a.jpg", "chain.score_threshold=2"), "'chain.score_threshold' must be from 0 to 1"),
        (("{objects}", "{pose}", "a.jpg", "box=0,0,5,5"), "the detector finds the boxes itself"),
        (("{objects}", "{pose}"), "predict takes an input"),
        (("{text}", "{reader}", "a.jpg", "chain.label=person"), "every text that is found is read"),
        (("{pose}", "a.jpg", "chain.label=person"), "there is one bundle, and no chain"),
        (("{pose}", "a.jpg", "show=yes"), "'yes' is no value of show"),
    ],
)
def test_a_chain_takes_what_it_can_use(bundles, words, what):
    with pytest.raises(UsageError, match=what):
        run_verb("predict", *(word.format(**bundles) for word in words))


def test_boxes_of_a_line_are_refused_where_a_detector_finds_them(bundles, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"input": str(PHOTOGRAPH), "box": [0, 0, 5, 5]})))
    assert run_verb("predict", str(bundles["objects"]), str(bundles["pose"]), "-") == 1
    (line,) = lines(capsys)
    assert line["error"]["what"] == "the detector finds the boxes itself"


def test_two_bundles_the_wrong_way_round_are_refused(bundles):
    with pytest.raises(CompileError, match="the second of two bundles looks at what the first finds"):
        run_verb("predict", str(bundles["pose"]), str(bundles["objects"]), "a.jpg")


def test_inputs_are_held_to_the_limits_of_the_command_line(pose, photos, tmp_path, capsys):
    write(photos / "clip.mp4", frames(1, 800, 800))
    assert run_verb("predict", pose, str(photos), "limits.megapixels=0.35") == 1
    found = lines(capsys)
    assert [line["error"]["what"] for line in found if "error" in line] == ["the image is too large"]
    assert found[-1]["input"].endswith("clip.mp4")


def test_what_is_cautioned_of_every_input_is_told_once(bundles, photos, capsys, monkeypatch):
    squeezed = np.zeros((32, 4000, 3), np.uint8)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(photos / "below" / name), squeezed)
    assert run_verb("predict", str(bundles["reader"]), str(photos / "below")) == 0
    assert capsys.readouterr().err.count("squeezed") == 1
