"""Videos that a bundle looks at, frame by frame."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from tests.hostile import mutate
from tests.hostile.case import Case
from tests.hostile.seeds import Seeds

ENCODINGS = {"avi": "MJPG", "mkv": "mp4v", "mov": "mp4v", "mp4": "mp4v"}
PLAYLISTS = (
    b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/called\n",
)
"""What FFmpeg would follow."""


def video(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A video that is damaged, or a playlist that is called as one."""
    suffix = random.choice((*ENCODINGS, "webm"))
    path = folder / f"clip.{suffix}"
    if random.random() < 0.15:
        path.write_bytes(random.choice(PLAYLISTS))
    else:
        path.write_bytes(mutate.content(random, _encoded(seeds, folder, ENCODINGS.get(suffix, "mp4v"))))
    shutil.copytree(seeds.bundle("pose"), folder / "bundle")
    drawn = ["picture=drawn.mp4"] if random.random() < 0.3 else []
    return Case(["predict", "bundle", path.name, "limits.megapixels=1", *drawn])


def _encoded(seeds: Seeds, folder: Path, encoding: str) -> bytes:
    """Three frames of the photograph."""
    import cv2

    image = cv2.resize(cv2.imread(str(seeds.image)), (64, 48))
    path = folder / f"made.{'avi' if encoding == 'MJPG' else 'mp4'}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*encoding), 10, (64, 48))
    for _ in range(3):
        writer.write(image)
    writer.release()
    content = path.read_bytes()
    path.unlink()
    return content
