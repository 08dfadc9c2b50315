"""`predict ... show=true`: a window where there are such things, and a message where there are none."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from compiler.cli import windows
from compiler.cli.windows import Window
from compiler.errors import UsageError
from tests.bundles import small_bundle
from tests.cli.running import run_verb
from tests.conftest import PHOTOGRAPH
from tests.tasks.test_videos import frames, write

PICTURE = np.zeros((4, 4, 3), np.uint8)


class Screen:
    """What OpenCV does with windows, without a screen: keys are pressed in turn, and pictures kept."""

    def __init__(self, monkeypatch, *keys, visible=1.0):
        self.keys, self.shown, self.visible, self.destroyed = list(keys), [], visible, 0
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT5")
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda _, picture: self.shown.append(picture))
        monkeypatch.setattr(cv2, "waitKey", lambda _: self.keys.pop(0) if self.keys else -1)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)
        monkeypatch.setattr(cv2, "destroyAllWindows", self.destroy)

    def destroy(self):
        self.destroyed += 1


@pytest.fixture(scope="module")
def pose(tmp_path_factory):
    return str(small_bundle(tmp_path_factory.mktemp("bundle") / "pose", "pose"))


def test_an_opencv_without_windows_is_told_before_a_bundle_is_opened(monkeypatch):
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    with pytest.raises(UsageError, match="no window can be opened") as caught:
        run_verb("predict", "nothing", "street.jpg", "show=true")
    assert "opencv-python-headless" in caught.value.why
    assert "picture=" in caught.value.fix


def test_the_opencv_that_we_install_has_none(command_line):
    if cv2.currentUIFramework():
        pytest.skip("this OpenCV opens windows")
    run = command_line("predict", "nothing", "street.jpg", "show=true")
    assert run.returncode == 2
    assert run.stderr.startswith("error: no window can be opened\n")


@pytest.mark.parametrize(("platform", "opens"), [("linux", False), ("win32", True), ("darwin", True)])
def test_a_machine_without_a_display_is_told(monkeypatch, platform, opens):
    Screen(monkeypatch)
    for name in windows.DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    if opens:
        assert not Window().closed
        return
    with pytest.raises(UsageError, match="no window can be opened") as caught:
        Window()
    assert caught.value.why == "there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set"


def test_a_photograph_stays_until_a_key_is_pressed(monkeypatch):
    screen = Screen(monkeypatch, -1, -1, ord(" "))
    window = Window()
    window.show(PICTURE, wait=True)
    assert (screen.keys, window.closed, screen.destroyed) == ([], False, 0)


def test_a_frame_does_not_wait(monkeypatch):
    screen = Screen(monkeypatch)
    Window().show(PICTURE, wait=False)
    assert len(screen.shown) == 1


@pytest.mark.parametrize("key", ["q", "Q", "\x1b"])
@pytest.mark.parametrize("wait", [True, False])
def test_q_and_escape_close_it(monkeypatch, key, wait):
    screen = Screen(monkeypatch, ord(key))
    window = Window()
    window.show(PICTURE, wait=wait)
    assert (window.closed, screen.destroyed) == (True, 1)


def test_its_own_button_closes_it(monkeypatch):
    Screen(monkeypatch, visible=0.0)
    window = Window()
    window.show(PICTURE, wait=True)
    assert window.closed


def test_predict_shows_what_it_draws_and_stops_where_it_is_closed(monkeypatch, pose, capsys):
    screen = Screen(monkeypatch, ord(" "), ord("q"))
    assert run_verb("predict", pose, *[str(PHOTOGRAPH)] * 3, "show=true") == 0
    assert len(screen.shown) == 2
    assert screen.shown[0].shape == (600, 512, 3)
    assert (screen.shown[0] != cv2.imread(str(PHOTOGRAPH))).any()
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_predict_shows_a_video_as_it_is_looked_at(monkeypatch, pose, tmp_path, capsys):
    screen = Screen(monkeypatch, -1, ord("q"))
    clip = write(tmp_path / "clip.avi", frames(4))
    assert run_verb("predict", pose, str(clip), "show=true") == 0
    assert len(screen.shown) == 2
    assert len(capsys.readouterr().out.splitlines()) == 2
