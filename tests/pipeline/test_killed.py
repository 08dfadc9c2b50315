"""Kill a compile at random moments: the bundle is always the old one whole or the new one whole."""

from __future__ import annotations

import json
import random
import shutil
import time

import cv2
import pytest

from compiler import runtime
from compiler.artifact import file_digests, recover_folder
from tests.conftest import NAME, PHOTOGRAPH

KILLS = 20
MODEL = "model=rtmpose-t"
OLD, NEW = f"image={PHOTOGRAPH}", "image=mirrored.png"
"""Another picture is proven on in the same bundle."""


@pytest.mark.slow
def test_twenty_kills_leave_a_whole_bundle_and_a_rerun_succeeds(command_line):
    cv2.imwrite(str(command_line.folder / "mirrored.png"), cv2.imread(str(PHOTOGRAPH))[:, ::-1])
    assert command_line(MODEL, OLD).returncode == 0
    folder = command_line.folder / "outputs"
    bundle = folder / NAME.replace("simcc", "rtmpose-t")
    old = json.loads((bundle / "lock.json").read_text())["key"]
    shutil.rmtree(folder / ".cache")

    start = time.monotonic()
    assert command_line(MODEL, NEW).returncode == 0
    cold_seconds = time.monotonic() - start
    new = json.loads((bundle / "lock.json").read_text())["key"]
    assert new != old

    moments = random.Random(0)
    seen = []
    for kill in range(KILLS):
        wanted = (OLD, NEW)[kill % 2]
        if kill % 5 == 0:
            shutil.rmtree(folder / ".cache")
        process = command_line.start(MODEL, wanted)
        # Finished stages are kept, so that later runs are shorter: aim at all of a run, however long it will be.
        time.sleep(moments.uniform(0.0, cold_seconds / (1 + kill % 5)))
        process.kill()
        process.wait()
        recover_folder(bundle)
        lock = json.loads((bundle / "lock.json").read_text())
        assert lock["key"] in (old, new), kill
        assert file_digests(bundle, exclude=("lock.json",)) == lock["files"], kill
        assert runtime.open(bundle)(PHOTOGRAPH), kill
        seen.append(lock["key"])

    last = command_line(MODEL, NEW)
    assert last.returncode == 0, last.stdout + last.stderr
    assert json.loads((bundle / "lock.json").read_text())["key"] == new
    leftovers = [path for path in bundle.parent.iterdir() if path.suffix in (".partial", ".old")]
    assert leftovers == []
