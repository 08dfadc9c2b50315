"""A window that shows pictures, where there is a display and an OpenCV that opens windows."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from compiler.errors import UsageError

if TYPE_CHECKING:
    from compiler.tasks.images import Image

TITLE = "deploy-compiler"
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
"""The variables of which one is set where there is a display, on systems other than Windows and macOS."""
STOPPING = frozenset(map(ord, "qQ\x1b"))
"""The keys that close the window: q and Escape."""
FIX = "draw into a file instead: picture=<file>, or for several inputs picture=<folder>/"


class Window:
    """A window, which opens with its first picture.

    Attributes:
        closed: Whether whoever looks at it wants no more.

    Raises:
        UsageError: No window can be opened here.
    """

    def __init__(self) -> None:
        _require_windows()
        self.closed = False

    def show(self, picture: Image, *, wait: bool) -> None:
        """Show a picture, until a key is pressed if it is to wait; q, Escape and the window's own button close it.

        Args:
            picture: `[h, w, 3]`, BGR.
            wait: Whether it stays until then, as a photograph does and a frame of a video does not.
        """
        import cv2

        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL)
        cv2.imshow(TITLE, picture)
        while not self.closed:
            key = cv2.waitKey(50 if wait else 1)
            self.closed = key in STOPPING or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1
            if key != -1 or not wait:
                break
        if self.closed:
            cv2.destroyAllWindows()


def _require_windows() -> None:
    """Refuse to go on where OpenCV raises, or Qt ends the process, once a window is asked for."""
    import cv2

    where = "show=true"
    if not cv2.currentUIFramework():
        why = "the OpenCV that is installed has none: opencv-python-headless is for servers"
        fix = f"pip uninstall opencv-python-headless, then pip install opencv-python; or {FIX}"
        raise UsageError("no window can be opened", where=where, why=why, fix=fix)
    if sys.platform not in ("win32", "darwin") and not any(map(os.environ.get, DISPLAYS)):
        why = f"there is no display: neither {' nor '.join(DISPLAYS)} is set"
        raise UsageError("no window can be opened", where=where, why=why, fix=FIX)
