"""The stage cache, damaged between two runs: records that are other, files that are other, links and leftovers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from random import Random

from tests.hostile import mutate
from tests.hostile.case import Case
from tests.hostile.seeds import Seeds


def cache(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A plan that finds its stages finished, and damaged."""
    shutil.copytree(seeds.cache, folder / "cache")
    for _ in range(random.choice((1, 1, 2))):
        stage = random.choice(sorted(path for path in (folder / "cache").iterdir() if path.is_dir()))
        random.choice((_record, _record, _file, _file, _odd))(random, stage)
    words = ["plan", "model=onnx", f"model.file={seeds.onnx_files[0]}", "cache=cache"]
    return Case(words, reads_anywhere=True)


def _record(random: Random, stage: Path) -> None:
    path = stage / "done.json"
    if not path.is_file():
        return
    data = path.read_bytes()
    try:
        record = json.loads(data)
    except ValueError:  # damaged already
        record = None
    if record is not None and random.random() < 0.7:
        path.write_text(mutate.as_json(mutate.tree(random, record)), "utf-8", "surrogatepass")
    else:
        path.write_bytes(mutate.content(random, data))


def _file(random: Random, stage: Path) -> None:
    for path in sorted(path for path in stage.rglob("*") if path.is_file() and path.name != "done.json")[-1:]:
        path.write_bytes(mutate.content(random, path.read_bytes()))


def _odd(random: Random, stage: Path) -> None:
    """What lies there is of another kind."""
    match random.randrange(7):
        case 0:
            shutil.rmtree(stage)
            stage.touch()
        case 1:
            stage.with_name(f"{stage.name}.partial").touch()
        case 2:
            stage.with_name(f"{stage.name.rpartition('-')[0]}.lock").mkdir()
        case 3:
            (stage / "done.json").unlink()
            os.mkfifo(stage / "done.json")
        case 4:
            (stage / "done.json").unlink()
            (stage / "done.json").symlink_to("done.json")
        case 5:
            (stage / "more").symlink_to(random.choice(("..", "missing", "more")))
        case _:
            stage.chmod(0)
