"""The real files that hostile ones are made from."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from tests.bundles import record_own_outputs

REPOSITORY = Path(__file__).parents[2]
BUNDLES = REPOSITORY / "tests/data/first_layout"
PICTURE = REPOSITORY / "tests/tasks/example/sample.png"
PREDICTING = ("arrays", "objects", "pose", "reader", "text")
DEFERRED = "tensorrt"


@dataclass(frozen=True)
class Seeds:
    """Files that are right.

    Attributes:
        folder: Holds them.
    """

    folder: Path

    def bundle(self, name: str) -> Path:
        """A bundle of today's layout."""
        return self.folder / "bundles" / name

    @property
    def image(self) -> Path:
        """A small photograph."""
        return self.folder / "image.png"

    @property
    def arrays(self) -> Path:
        """What the bundle `arrays` takes."""
        return self.folder / "arrays.npz"

    @property
    def points(self) -> Path:
        """A scan of KITTI's."""
        return REPOSITORY / "compiler/tasks/pointclouds/kitti.bin"

    @property
    def onnx_files(self) -> list[Path]:
        """Small networks."""
        return sorted((self.folder / "onnx").glob("*.onnx"))

    @property
    def cache(self) -> Path:
        """Finished stages of a plan of the first of them."""
        return self.folder / "cache"


def make_seeds(folder: Path) -> Seeds:
    """Write them all."""
    seeds = Seeds(folder)
    for name in (*PREDICTING, DEFERRED):
        _write_bundle(BUNDLES / name, seeds.bundle(name))
    _write_inputs(seeds)
    _write_networks(folder / "onnx")
    _write_cache(seeds)
    return seeds


def _write_bundle(old: Path, new: Path) -> None:
    """A bundle of the first layout, written as it is today."""
    from compiler.artifact import Engine
    from compiler.pipeline.lock import write_lock
    from compiler.report import Report, write_report
    from compiler.runtime import read_config
    from compiler.stages.package import config_yaml

    shutil.copytree(old, new)
    (new / "predicted.json").unlink(missing_ok=True)
    (new / "config.yaml").write_text(config_yaml(read_config(old)))
    replace(Engine.load(old), folder=new).save()
    report = Report.load(old)
    for picture in report.pictures:
        shutil.copyfile(PICTURE, new / picture)
    write_report(new, report)
    write_lock(new, report, "0" * 64)
    if old.name in PREDICTING:
        record_own_outputs(new)


def _write_inputs(seeds: Seeds) -> None:
    import cv2
    import numpy as np

    image = cv2.imread(str(REPOSITORY / "compiler/tasks/photographs/grace_hopper.jpg"))
    cv2.imwrite(str(seeds.image), cv2.resize(image, (96, 128)))
    np.savez(seeds.arrays, input=np.zeros((1, 3, 256, 192), np.float32))


def _write_networks(folder: Path) -> None:
    from onnx import TensorProto, helper, save

    folder.mkdir()
    for name in PREDICTING:
        shutil.copyfile(BUNDLES / name / "end2end.onnx", folder / f"{name}.onnx")
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes_on"]),
            helper.make_node("Add", ["sum", "step"], ["larger"], name="/body/Add"),
        ],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("sum", TensorProto.FLOAT, None),
        ],
        [value("goes_on", TensorProto.BOOL, []), value("larger", TensorProto.FLOAT, None)],
        [helper.make_tensor("step", TensorProto.FLOAT, [1], [1.0])],
    )
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    graph = helper.make_graph(
        [
            helper.make_node("Twice", ["x"], ["twice"], domain="mine"),
            helper.make_node("Loop", ["count", "", "twice"], ["looped"], body=body, name="/Loop"),
            helper.make_node("Reshape", ["looped", "shape"], ["y"], name="/Reshape"),
        ],
        "loops",
        [value("x", TensorProto.FLOAT, ["n", 4])],
        [value("y", TensorProto.FLOAT, ["n", 2, 2])],
        [
            helper.make_tensor("count", TensorProto.INT64, [], [3]),
            helper.make_tensor("shape", TensorProto.INT64, [3], [-1, 2, 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    model = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=9)
    save(model, folder / "loops.onnx")


def _write_cache(seeds: Seeds) -> None:
    from compiler.__main__ import main

    words = ["plan", "model=onnx", f"model.file={seeds.onnx_files[0]}", f"cache={seeds.cache}"]
    code = main(words)
    if code:
        raise RuntimeError(f"the seed of the cache could not be made: exit status {code}")
    for lock in seeds.cache.glob("*.lock"):
        lock.unlink()


def relock(bundle: Path) -> None:
    """Write the digests that a bundle's files have now into its lock, as whoever made it would."""
    lock = bundle / "lock.json"
    if not _is_small_file(lock):
        return
    files = {path: path.relative_to(bundle).as_posix() for path in sorted(bundle.rglob("*")) if _is_small_file(path)}
    try:
        content = json.loads(lock.read_text())
        content["files"] = {name: sha256(path.read_bytes()).hexdigest() for path, name in files.items() if path != lock}
        lock.write_text(json.dumps(content, indent=2))
    except (OSError, ValueError, TypeError):  # the lock itself is what was changed
        return


def _is_small_file(path: Path) -> bool:
    """Tell whether a path, or what a link leads to, is a file that can be read at once: no pipe, no device."""
    real = os.path.realpath(path)  # which takes rings of links
    return path.is_file() and not real.startswith(("/proc/", "/dev/")) and path.stat().st_size < 1 << 30
