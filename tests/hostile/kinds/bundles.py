"""Bundles from a stranger: one of their files changed, opened by each verb that opens one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import yaml

from tests.hostile import mutate
from tests.hostile.case import Case, Kind
from tests.hostile.kinds.onnx_graphs import changed_graph
from tests.hostile.seeds import DEFERRED, PREDICTING, Seeds, relock

Change = Callable[[Random, Path], None]
SIDECARS = ("deploy.json", "detail.json", "pipeline.json")
VERBS = ("predict", "predict", "predict", "explain", "build", "spot", "verify", "export")


def bundle_kind(change: Change) -> Kind:
    """A kind of bundles that a change makes; the lock fits what was changed, or it does not."""

    def make(random: Random, seeds: Seeds, folder: Path) -> Case:
        verb = random.choice(VERBS)
        name = DEFERRED if verb == "build" and random.random() < 0.8 else random.choice(PREDICTING)
        name = "text" if verb == "spot" else name
        bundle = folder / "bundle"
        shutil.copytree(seeds.bundle(name), bundle)
        change(random, bundle)
        locked = random.random() < 0.6
        if locked:
            relock(bundle)
        return Case(_words(verb, name, seeds, folder), said=f"{name}, lock {'fits' if locked else 'as it was'}")

    return make


def _words(verb: str, name: str, seeds: Seeds, folder: Path) -> list[str]:
    """What opens the bundle; the input is a copy in the folder."""
    if verb == "export":
        return [verb, "triton", "bundle", "models"]
    if verb in ("explain", "build", "verify"):
        return [verb, "bundle"]
    source = seeds.arrays if name == "arrays" else seeds.image
    shutil.copyfile(source, folder / source.name)
    if verb == "spot":
        shutil.copytree(seeds.bundle("reader"), folder / "reader")
        return ["predict", "bundle", "reader", source.name]
    return ["predict", "bundle", source.name]


def change_config(random: Random, bundle: Path) -> None:
    """Another config.yaml."""
    path = bundle / "config.yaml"
    text = path.read_text()
    if random.random() < 0.75:
        path.write_text(mutate.as_yaml(mutate.tree(random, yaml.safe_load(text))), "utf-8", "surrogatepass")
    else:
        _change_text(random, path)


def change_engine(random: Random, bundle: Path) -> None:
    """Another engine.json."""
    _change_json(random, bundle / "engine.json")


def change_sidecar(random: Random, bundle: Path) -> None:
    """Another of the files that MMDeploy's SDK reads."""
    path = bundle / random.choice(SIDECARS)
    if path.exists():
        _change_json(random, path)


def change_report(random: Random, bundle: Path) -> None:
    """Another report.json."""
    _change_json(random, bundle / "report.json")


def change_lock(random: Random, bundle: Path) -> None:
    """Another lock.json."""
    _change_json(random, bundle / "lock.json")


def change_model(random: Random, bundle: Path) -> None:
    """Another end2end.onnx."""
    path = bundle / "end2end.onnx"
    path.write_bytes(changed_graph(random, path.read_bytes(), bundle))


def change_recording(random: Random, bundle: Path) -> None:
    """Another recorded.npz."""
    path = bundle / "recorded.npz"
    if not path.exists():
        return
    if random.random() < 0.3:
        path.write_bytes(mutate.content(random, path.read_bytes()))
        return
    with np.load(path) as held:
        arrays = dict(held)
    for name in random.sample(sorted(arrays), random.choice((1, 1, 2))):
        kind, shape = (
            random.choice(("f4", "i8", "U3", "?", "O", "f8")),
            random.choice(((), (0,), (3,), arrays[name].shape)),
        )
        other = random.choice(
            (np.zeros(shape, kind), arrays[name] * np.nan if arrays[name].dtype.kind == "f" else None)
        )
        arrays[random.choice((name, "chosen/y/numbers", "output/..%2Fx", "candidates/0"))] = other
        if random.random() < 0.3:
            del arrays[name]
    np.savez(path, **arrays)


def recording(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A bundle that is proven again on what is no recording of it."""
    name = random.choice(PREDICTING)
    shutil.copytree(seeds.bundle(name), folder / "bundle")
    change_recording(random, folder / "bundle")
    relock(folder / "bundle")
    return Case(["verify", "bundle"], said=name)


def change_files(random: Random, bundle: Path) -> None:
    """Files that are links, folders, pipes, missing, huge or without rights."""
    path = random.choice(sorted(bundle.iterdir()))
    for change in random.sample(_FILE_CHANGES, random.choice((1, 1, 2))):
        change(random, path)


def _link_outside(random: Random, path: Path) -> None:
    _remove(path)
    path.symlink_to(
        random.choice(("../../outside/secret.txt", "/etc/passwd", "/dev/zero", path.name, "..", "/proc/self/mem"))
    )


def _link_inside(random: Random, path: Path) -> None:
    _remove(path)
    path.symlink_to(random.choice(("config.yaml", "engine.json", "end2end.onnx", "report.json")))


def _folder(random: Random, path: Path) -> None:
    _remove(path)
    path.mkdir()


def _pipe(random: Random, path: Path) -> None:
    _remove(path)
    os.mkfifo(path)


def _remove(path: Path, random: Random | None = None) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _empty(random: Random, path: Path) -> None:
    _remove(path)
    path.touch()


def _huge(random: Random, path: Path) -> None:
    _remove(path)
    with path.open("wb") as file:
        file.truncate(1 << 30)


def _locked_away(random: Random, path: Path) -> None:
    if path.exists() and not path.is_symlink():
        path.chmod(0)


def _renamed(random: Random, path: Path) -> None:
    if path.exists():
        path.rename(
            path.with_name(random.choice((path.name.upper(), path.name + " ", path.name + ".bak", "x\ny", "\udcff")))
        )


def _extra(random: Random, path: Path) -> None:
    folder = path.parent / random.choice(("a", ".git", "__pycache__", "compiler", "torch"))
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text("open('called', 'w')")
    (path.parent / random.choice(("sitecustomize.py", "onnxruntime.py", "cv2.py"))).write_text("open('called', 'w')")


def _outside_folder(random: Random, path: Path) -> None:
    """The bundle itself is a link."""
    moved = path.parent.with_name("moved")
    if path.parent.exists():
        path.parent.rename(moved)
        path.parent.symlink_to("moved")


_FILE_CHANGES = (
    *(_link_outside, _link_outside, _link_inside, _folder, _pipe, _empty, _huge, _locked_away, _renamed, _extra),
    *(_outside_folder, lambda random, path: _remove(path)),
)


def _change_json(random: Random, path: Path) -> None:
    text = path.read_text()
    if random.random() < 0.75:
        changed = mutate.as_json(mutate.tree(random, json.loads(text)))
        path.write_text(changed, "utf-8", "surrogatepass")
    else:
        _change_text(random, path)


def _change_text(random: Random, path: Path) -> None:
    if random.random() < 0.5:
        path.write_bytes(mutate.content(random, path.read_bytes()))
    else:
        path.write_text(mutate.lines(random, path.read_text()), "utf-8", "surrogatepass")
