"""The stage cache: made once by whoever comes first, never half made, and made again when it was damaged."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compiler.artifact import file_digests
from compiler.pipeline.cache import DONE, Cache
from tests.unprivileged import read_only, run_unprivileged

KEY = {"network": "rtmpose", "opset": 18}

MAKER = """
import sys, time
from pathlib import Path
from compiler.pipeline.cache import Cache

root, seconds = Path(sys.argv[1]), float(sys.argv[2])

def make(folder):
    with (root / "made").open("a") as log:
        log.write("x")
    (folder / "half").write_text("half")
    time.sleep(seconds)
    (folder / "program.onnx").write_text("program")
    return "1 node"

finished = Cache(root).get("export", {"network": "rtmpose", "opset": 18}, make)
print(finished.cached, (finished.folder / "program.onnx").read_text())
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


class Maker:
    """Makes a stage of two files, and counts how often it had to."""

    def __init__(self):
        self.times = 0

    def __call__(self, folder: Path) -> str:
        self.times += 1
        assert list(folder.iterdir()) == []
        (folder / "sub").mkdir()
        (folder / "program.onnx").write_text("program")
        (folder / "sub/notes.json").write_text("{}")
        return f"made {self.times} times"


@pytest.fixture
def make() -> Maker:
    return Maker()


def start(root: Path, seconds: float) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", MAKER, str(root), str(seconds)], stdout=subprocess.PIPE, text=True)


def wait_for(path: Path, seconds: float = 20.0):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.01)


def test_a_stage_is_made_once(cache, make):
    first, second = cache.get("export", KEY, make), cache.get("export", KEY, make)
    assert (first.cached, second.cached) == (False, True)
    assert make.times == 1
    assert (first.folder, first.detail, first.seconds) == (second.folder, second.detail, second.seconds)
    assert second.detail == "made 1 times"
    assert (second.folder / "program.onnx").read_text() == "program"


def test_the_order_of_a_keys_parts_does_not_count(cache, make):
    cache.get("export", KEY, make)
    assert cache.get("export", dict(reversed(KEY.items())), make).cached


@pytest.mark.parametrize(("stage", "key"), [("export", {**KEY, "opset": 19}), ("export", {}), ("build", KEY)])
def test_another_key_or_stage_is_made_for_itself(cache, make, stage, key):
    first, other = cache.get("export", KEY, make), cache.get(stage, key, make)
    assert not other.cached
    assert first.folder != other.folder
    assert cache.get("export", KEY, make).detail == "made 1 times"


def test_another_process_finds_it(cache, make):
    cache.get("export", KEY, make)
    process = start(cache.root, 0.0)
    assert process.communicate(timeout=30)[0].split() == ["True", "program"]


def test_two_processes_at_once_make_it_once(cache):
    processes = [start(cache.root, 0.5) for _ in range(2)]
    printed = [process.communicate(timeout=30)[0].split() for process in processes]
    assert sorted(printed) == [["False", "program"], ["True", "program"]]
    assert (cache.root / "made").read_text() == "x"


def test_an_exception_leaves_nothing_behind(cache, make):
    def fail(folder: Path) -> str:
        (folder / "program.onnx").write_text("half a program")
        raise RuntimeError("the exporter failed")

    with pytest.raises(RuntimeError, match="the exporter failed"):
        cache.get("export", KEY, fail)
    assert [path for path in cache.root.iterdir() if path.suffix != ".lock"] == []
    assert not cache.get("export", KEY, make).cached
    assert cache.get("export", KEY, make).cached


def damage_content(folder: Path):
    (folder / "program.onnx").write_text("Program")


def truncate(folder: Path):
    (folder / "program.onnx").write_bytes(b"")


def remove(folder: Path):
    (folder / "sub/notes.json").unlink()


def add(folder: Path):
    (folder / "stray.txt").touch()


def remove_record(folder: Path):
    (folder / DONE).unlink()


def link_content_out(folder: Path):
    (folder / "program.onnx").rename(folder.parent / "elsewhere.onnx")
    (folder / "program.onnx").symlink_to("../elsewhere.onnx")


def replace_by_file(folder: Path):
    shutil.rmtree(folder)
    folder.write_text("a file")


def replace_by_link(folder: Path):
    folder.rename(folder.parent / "elsewhere")
    (folder.parent / "elsewhere" / DONE).unlink()
    folder.symlink_to("elsewhere")


def leave_file_of_a_killed_run(folder: Path):
    remove_record(folder)
    folder.with_name(f"{folder.name}.partial").write_text("a file")


def leave_link_of_a_killed_run(folder: Path):
    remove_record(folder)
    folder.with_name(f"{folder.name}.partial").symlink_to("nowhere")


DAMAGES = [
    *(damage_content, truncate, remove, add, link_content_out, remove_record, replace_by_file, replace_by_link),
    *(leave_file_of_a_killed_run, leave_link_of_a_killed_run),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_stage_is_made_again(cache, make, damage):
    folder = cache.get("export", KEY, make).folder
    damage(folder)
    again = cache.get("export", KEY, make)
    assert (again.cached, again.folder, make.times) == (False, folder, 2)
    assert sorted(file_digests(again.folder, exclude=(DONE,))) == ["program.onnx", "sub/notes.json"]
    assert cache.get("export", KEY, make).cached


def changed(**values):
    """Give the text of a record with other values."""
    return lambda record: json.dumps({**record, **values})


def without(key):
    return lambda record: json.dumps({name: value for name, value in record.items() if name != key})


RECORDS = {
    "half": lambda record: '{"seconds"',
    "an object": lambda record: "{}",
    "null": lambda record: "null",
    "a list": lambda record: "[]",
    "a number": lambda record: "3",
    "deep": lambda record: "[" * 100_000,
    "seconds as a text": changed(seconds="3"),
    "seconds without end": lambda record: json.dumps({**record, "seconds": 1.5}).replace("1.5", "1e999"),
    "no seconds": without("seconds"),
    "detail as a number": changed(detail=3),
    "no detail": without("detail"),
    "read as a list": changed(read=[]),
    "files as a list": changed(files=[]),
    "files as null": changed(files=None),
    "a file that leads out": changed(files={"../secret": "0"}),
}


@pytest.mark.parametrize("write", RECORDS.values(), ids=RECORDS)
def test_a_stage_with_a_damaged_record_is_made_again(cache, make, write):
    record = cache.get("export", KEY, make).folder / DONE
    record.write_text(write(json.loads(record.read_text())))
    assert (cache.get("export", KEY, make).cached, make.times) == (False, 2)
    assert cache.get("export", KEY, make).cached


READER = """
import sys
from pathlib import Path
from compiler.pipeline.cache import Cache

def make(folder):
    raise AssertionError("it is there")

print(Cache(Path(sys.argv[1])).get("export", {"network": "rtmpose", "opset": 18}, make).cached)
"""


def test_a_cache_that_may_only_be_read_is_used(cache, make):
    finished = cache.get("export", KEY, make)
    used = (finished.folder / DONE).stat().st_mtime_ns
    read_only(cache.root)
    run = run_unprivileged(READER, cache.root)
    assert run.stdout.split() == ["True"], run.stderr
    if os.geteuid() == 0:  # of another's file the time of the last use cannot be written
        for path in (cache.root, *cache.root.rglob("*")):
            os.chown(path, 65534, 65534)
        run = run_unprivileged(READER, cache.root)
        assert run.stdout.split() == ["True"], run.stderr
        assert (finished.folder / DONE).stat().st_mtime_ns >= used


TRIMMER = """
import sys
from pathlib import Path
from compiler.pipeline import cache

cache.IN_USE_SECONDS = -1
cache.Cache(Path(sys.argv[1])).trim(0)
"""


def test_a_stage_that_is_read_only_is_trimmed_all_the_same(cache, make):
    folder = cache.get("export", KEY, make).folder
    read_only(folder)
    run = run_unprivileged(TRIMMER, cache.root)
    assert run.returncode == 0, run.stderr
    assert not folder.exists()


def test_a_stage_that_was_only_touched_is_not_damaged(cache, make):
    folder = cache.get("export", KEY, make).folder
    (folder / "program.onnx").touch()
    assert cache.get("export", KEY, make).cached


def test_a_process_that_is_killed_half_way_leaves_nothing_in_the_way(cache, make):
    process = start(cache.root, 60.0)
    wait_for(cache.root / "made")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    finished = cache.get("export", KEY, make)
    assert not finished.cached
    assert not (finished.folder / "half").exists()
    assert not list(cache.root.glob("*.partial"))


def test_the_record_says_what_was_made(cache, make):
    finished = cache.get("export", KEY, make)
    record = json.loads((finished.folder / DONE).read_text())
    assert record["detail"] == "made 1 times"
    assert record["files"] == file_digests(finished.folder, exclude=(DONE,))
    assert 0 <= record["seconds"] == finished.seconds


def test_the_cache_may_be_moved(cache, make, tmp_path):
    cache.get("export", KEY, make)
    cache.root.rename(tmp_path / "moved")
    assert Cache(tmp_path / "moved").get("export", KEY, make).cached


def age(finished, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(finished.folder / DONE, (then, then))


def test_the_stages_used_longest_ago_make_room(cache, make):
    stages = {name: cache.get(name, KEY, make) for name in ("load", "export", "build")}
    for hours, name in enumerate(("build", "load", "export"), start=2):
        age(stages[name], hours)
    size = sum(path.stat().st_size for path in stages["build"].folder.rglob("*") if path.is_file())
    cache.trim(2.5 * size)
    assert {name for name, stage in stages.items() if stage.folder.exists()} == {"build", "load"}
    assert not cache.get("export", KEY, make).cached


def test_a_stage_that_was_used_just_now_is_kept_however_large(cache, make):
    old, new = cache.get("load", KEY, make), cache.get("export", KEY, make)
    for finished in (old, new):
        age(finished, 5)
    assert cache.get("export", KEY, make).cached  # that is a use
    cache.trim(0)
    assert new.folder.exists()
    assert not old.folder.exists()


def test_what_is_no_stage_is_left_alone(cache, make):
    checkpoint = cache.root / "checkpoints" / "model.pth"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    cache.trim(0)
    assert checkpoint.exists()


def test_an_empty_cache_has_nothing_to_trim(cache):
    cache.trim(0)
    assert not cache.root.exists()


class Batch:
    """Something that a stage may read while it is made: what it is now, and whether it was read."""

    def __init__(self, size: int, reads: bool = True):
        self.size, self.reads = size, reads
        self.read = {}

    def make(self, folder: Path) -> str:
        if self.reads:
            self.read["batch"] = self.size
        (folder / "program.onnx").write_text(f"{self.size}" if self.reads else "any")
        return ""

    def still_holds(self, read) -> bool:
        return read.get("batch", self.size) == self.size


def get(cache, batch: Batch):
    return cache.get("export", KEY, batch.make, batch)


def test_what_was_read_counts_like_the_key(cache):
    one, other = get(cache, Batch(1)), get(cache, Batch(2))
    assert (one.cached, other.cached) == (False, False)
    assert one.digest != other.digest, "what is made from the one is not made from the other"
    for batch, made in ((1, one), (2, other)):
        again = get(cache, Batch(batch))
        assert (again.cached, again.folder, again.digest) == (True, made.folder, made.digest)


def test_what_was_not_read_does_not_count(cache):
    first, second = get(cache, Batch(1, reads=False)), get(cache, Batch(2, reads=False))
    assert (second.cached, second.digest) == (True, first.digest)


def test_a_damaged_result_is_made_again_and_the_others_stay(cache):
    one, other = get(cache, Batch(1)), get(cache, Batch(2))
    damage_content(one.folder)
    assert not get(cache, Batch(1)).cached
    assert get(cache, Batch(2)).folder == other.folder
