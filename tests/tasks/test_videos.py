"""Videos, frame by frame: those that FFmpeg and OpenCV read and write."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from compiler.config.limits import Limits
from compiler.errors import CompileError
from compiler.tasks.videos import USUAL_RATE, WRITTEN, opened_video, written_video


def frames(count=5, height=48, width=64):
    """Flat pictures, each of its own grey."""
    return [np.full((height, width, 3), 20 + 40 * index, np.uint8) for index in range(count)]


def write(path, given, rate=10.0):
    with written_video(path, rate) as video:
        for frame in given:
            video.write(frame)
    return path


def greys(path):
    with opened_video(path) as video:
        return [round(float(frame.mean())) for frame in video.frames()]


@pytest.mark.parametrize("suffix", WRITTEN)
def test_frames_come_back_as_they_were_written(tmp_path, suffix):
    path = write(tmp_path / f"clip{suffix}", frames())
    assert greys(path) == pytest.approx([20, 60, 100, 140, 180], abs=8)
    with opened_video(path) as video:
        assert video.rate == pytest.approx(10)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_video_of_opencvs_own_is_read(tmp_path):
    path = tmp_path / "theirs.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for frame in frames(3):
        writer.write(frame)
    writer.release()
    assert greys(path) == pytest.approx([20, 60, 100], abs=8)


def test_a_video_is_there_whole_or_not_at_all(tmp_path):
    def endless():
        yield from frames()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(tmp_path / "new/clip.mp4", endless())
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("name", ["clip.jpg", "clip", "clip.webm"])
def test_a_format_that_is_not_written_is_refused(tmp_path, name):
    with pytest.raises(CompileError, match="the video cannot be written") as caught:
        write(tmp_path / name, frames())
    assert ".mp4" in caught.value.fix


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CompileError, match="the video cannot be written"):
        write(tmp_path / "file/clip.mp4", frames())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the video does not exist"),
        (b"", "the video is empty"),
        (b"no video at all", "the video cannot be decoded"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "the video cannot be decoded"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "the video cannot be decoded"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(100), "the video cannot be decoded"),
        (b"\x1aE\xdf\xa3" + bytes(100), "the video cannot be decoded"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, content, said):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CompileError, match=said) as caught, opened_video(path) as video:
        list(video.frames())
    assert caught.value.where == str(path)


def test_a_playlist_is_never_given_to_ffmpeg(tmp_path, monkeypatch):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"#EXTM3U\n")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(CompileError, match="the video cannot be decoded"), opened_video(path):
        pass


def test_a_video_that_is_cut_off_gives_the_frames_that_are_there(tmp_path):
    path = write(tmp_path / "clip.avi", frames(5, 480, 640))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert 1 <= len(greys(path)) < 5


def test_frames_are_held_to_the_limits_before_one_is_decoded(tmp_path):
    path = write(tmp_path / "clip.mp4", frames(1, 100, 200))
    with pytest.raises(CompileError, match="the image is too large"), opened_video(path, Limits(megapixels=0.01)):
        pytest.fail("it was opened")
    with opened_video(path, Limits(megapixels=0.02)) as video:
        assert len(list(video.frames())) == 1


def test_a_video_that_does_not_say_its_rate_has_the_usual_one(tmp_path, monkeypatch):
    path = write(tmp_path / "clip.mp4", frames(1))
    original = cv2.VideoCapture

    class Timeless:
        def __init__(self, name):
            self.capture = original(name)

        def get(self, what):
            return 0.0 if what == cv2.CAP_PROP_FPS else self.capture.get(what)

        def __getattr__(self, name):
            return getattr(self.capture, name)

    monkeypatch.setattr(cv2, "VideoCapture", Timeless)
    with opened_video(path) as video:
        assert video.rate == USUAL_RATE
