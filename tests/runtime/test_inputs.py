"""What words of a command line name: files, folders, patterns, and the lines of standard input."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from compiler.errors import CompileError, UsageError
from compiler.runtime.inputs import LONGEST_LINE, Input, find_inputs, is_single, is_video
from compiler.tasks.inputs import ARRAYS, IMAGE, POINTS


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in ("b.jpg", "a.PNG", "notes.txt", "clip.mp4", "scan.bin", "below/b.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def names(*words, kind=IMAGE, lines=""):
    return [one.name.as_posix() for one in find_inputs(list(map(str, words)), kind, io.StringIO(lines))]


def listed(text):
    return list(find_inputs(["-"], IMAGE, io.StringIO(text)))


def test_a_folder_is_all_of_its_kind_below_it_in_order(photos):
    assert names(photos) == ["a.PNG", "b.jpg", "below/b.jpg", "clip.mp4"]
    assert names(photos, kind=POINTS) == ["scan.bin"]


def test_a_video_is_one_where_images_are_looked_at(photos):
    for kind, expected in ((IMAGE, True), (POINTS, False)):
        (one,) = find_inputs([str(photos / "clip.mp4")], kind, io.StringIO())
        assert one.is_video == expected


def test_words_are_taken_in_their_order(photos):
    assert names(photos / "b.jpg", photos / "below", photos / "a.PNG") == ["b.jpg", "b.jpg", "a.PNG"]


def test_a_pattern_that_the_shell_has_left_is_matched(photos):
    assert names(photos / "*.jpg") == ["b.jpg"]
    assert names(photos / "**/*.jpg") == ["b.jpg", "b.jpg"]
    (photos / "c[1].jpg").write_bytes(b"x")
    assert names(photos / "c[1].jpg") == ["c[1].jpg"]  # there is a file that is called so


@pytest.mark.parametrize("word", ["*.webp", "empty"])
def test_a_folder_or_a_pattern_without_anything_of_the_kind_is_refused(photos, word):
    (photos / "empty").mkdir()
    with pytest.raises(UsageError) as caught:
        names(photos / word)
    assert ".jpg" in caught.value.why
    assert ".mp4" in caught.value.why


def test_a_file_that_is_missing_is_an_input_that_fails_by_itself(tmp_path):
    assert names(tmp_path / "missing.jpg") == ["missing.jpg"]


def test_a_folder_of_onnxs_test_data_is_one_input_of_arrays(tmp_path):
    assert not is_single([str(tmp_path)], ARRAYS)
    (tmp_path / "input_0.pb").write_bytes(b"x")
    assert is_single([str(tmp_path)], ARRAYS)
    assert names(tmp_path, kind=ARRAYS) == [tmp_path.name]
    assert not is_single([str(tmp_path)], IMAGE)


@pytest.mark.parametrize(
    ("words", "single", "video"),
    [
        (["b.jpg"], True, False),
        (["missing.jpg"], True, False),
        (["clip.mp4"], False, True),
        (["clip.MP4"], False, True),
        (["b.jpg", "a.PNG"], False, False),
        (["*.jpg"], False, False),
        (["*.mp4"], False, False),
        (["-"], False, False),
        (["."], False, False),
        (["\0"], True, False),
        (["x" * 300], True, False),
    ],
)
def test_one_file_is_told_from_a_list_of_them(photos, monkeypatch, words, single, video):
    monkeypatch.chdir(photos)
    assert is_single(words, IMAGE) == single
    assert is_video(words, IMAGE) == video
    assert not is_video(words, POINTS)


def test_lines_are_paths_or_json_with_boxes():
    box = [[80, 20, 310, 460]]
    text = f'a.jpg\n\n  spaced name.jpg \n"quoted.jpg"\n{json.dumps({"input": "b/c.jpg", "box": box})}\n'
    assert listed(text) == [
        Input(Path("a.jpg"), Path("a.jpg")),
        Input(Path("spaced name.jpg"), Path("spaced name.jpg")),
        Input(Path("quoted.jpg"), Path("quoted.jpg")),
        Input(Path("b/c.jpg"), Path("c.jpg"), box),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"input": "a.jpg", ', "JSONDecodeError"),
        ('{"image": "a.jpg"}', "it has the key 'image'"),
        ('{"input": 3}', "its 'input' is a path, not 3"),
        ("{}", "its 'input' is a path, not None"),
        ('{"input": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_names_nothing_loses_no_other(line, why):
    first, wrong, last = listed(f"a.jpg\n{line}\nb.jpg\n")
    assert (first.path, last.path) == (Path("a.jpg"), Path("b.jpg"))
    assert isinstance(wrong, CompileError)
    assert wrong.where == "standard input, line 2"
    assert why in wrong.why


def test_a_line_without_an_end_is_not_read_whole():
    class Endless:
        def readline(self, limit):
            assert limit == LONGEST_LINE + 1
            return "x" * limit

    with pytest.raises(CompileError, match="the line is too long"):
        list(find_inputs(["-"], IMAGE, Endless()))


def test_a_line_is_taken_once_it_is_there():
    asked = []

    class Slow(io.StringIO):
        def readline(self, limit):
            asked.append(limit)
            return super().readline(limit)

    inputs = find_inputs(["-"], IMAGE, Slow("a.jpg\nb.jpg\n"))
    next(inputs)
    assert len(asked) == 1
