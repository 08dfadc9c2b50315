"""Ask MMDetection3D's own evaluation what `tests/data/kitti_scores.json` holds, in an environment of its own.

    python -m venv /tmp/kit
    /tmp/kit/bin/pip install numpy shapely
    pip download --no-deps mmdet3d==1.4.0 && unzip mmdet3d-1.4.0-*.whl -d /tmp/mmdet3d
    PYTHONPATH=. /tmp/kit/bin/python tests/metrics/ask_mmdetection3d.py /tmp/mmdet3d

It is compiled by Numba and measures overlaps on a GPU; here it is run as the Python that it is, and Shapely measures.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
from shapely import affinity
from shapely.geometry import box as rectangle

from tests.metrics.kitti_files import SIZE, detections, in_image, labels, projected, to_scanner

GOLDEN = Path(__file__).parents[1] / "data/kitti_scores.json"
LIMITS = ((0, -40, -3), (70.4, 40, 0.0))


def rotated_overlaps(boxes: np.ndarray, others: np.ndarray, criterion: int = -1) -> np.ndarray:
    """Return what `rotate_iou_gpu_eval` does: x, z, length, width and an angle that turns clockwise."""
    first, second = ([_polygon(one) for one in side] for side in (boxes, others))
    found = np.zeros((len(first), len(second)))
    for row, one in enumerate(first):
        for column, other in enumerate(second):
            shared = one.intersection(other).area
            found[row, column] = shared / (one.area + other.area - shared) if criterion == -1 else shared
    return found


def _polygon(values: np.ndarray):
    x, z, length, width, angle = values
    shape = rectangle(-length / 2, -width / 2, length / 2, width / 2)
    return affinity.translate(affinity.rotate(shape, -angle, origin=(0, 0), use_radians=True), x, z)


def evaluation(root: Path):
    """Return the module, with what is compiled left as it is."""

    def jit(*arguments, **_):
        return arguments[0] if arguments and callable(arguments[0]) else lambda function: function

    sys.modules["numba"] = types.SimpleNamespace(jit=jit, prange=range)
    package = types.ModuleType("kitti_utils")
    package.__path__ = []
    sys.modules["kitti_utils"] = package
    sys.modules["kitti_utils.rotate_iou"] = types.SimpleNamespace(rotate_iou_gpu_eval=rotated_overlaps)
    path = root / "mmdet3d/evaluation/functional/kitti_utils/eval.py"
    spec = importlib.util.spec_from_file_location("kitti_utils.eval", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def annotated(objects: list[dict]) -> dict:
    """Return what `KittiMetric` hands to the evaluation."""
    boxes = np.array([one["box"] for one in objects]).reshape(-1, 7)
    return {
        "name": np.array([one["name"] for one in objects]),
        "truncated": np.array([one.get("truncation", 0.0) for one in objects]),
        "occluded": np.array([one.get("occlusion", 0) for one in objects]),
        "alpha": np.full(len(objects), -10.0),
        "bbox": np.array([one["image_box"] for one in objects]).reshape(-1, 4),
        "location": boxes[:, :3],
        "dimensions": boxes[:, 3:6],
        "rotation_y": boxes[:, 6],
        "score": np.array([one.get("score", 0.0) for one in objects]),
    }


def seen(found: list[dict]) -> list[dict]:
    """Return what `KittiMetric.convert_valid_bboxes` keeps."""
    kept = []
    for one in found:
        x1, y1, x2, y2 = projected(one["box"])
        place = to_scanner(one["box"])[:3]
        is_within = all(low < at < high for low, at, high in zip(LIMITS[0], place, LIMITS[1], strict=True))
        if is_within and x1 < SIZE[0] and y1 < SIZE[1] and x2 > 0 and y2 > 0:
            kept.append({**one, "image_box": in_image(one["box"])})
    return kept


def main() -> None:
    """Write what MMDetection3D says."""
    module = evaluation(Path(sys.argv[1]))
    true = [annotated(frame) for frame in labels()]
    found = [annotated(seen(frame)) for frame in detections()]
    _, scores = module.kitti_eval(true, found, ["Pedestrian", "Cyclist", "Car"])
    GOLDEN.write_text(json.dumps({key: float(value) for key, value in scores.items()}, indent=1) + "\n")
    print({key: value for key, value in scores.items() if "moderate" in key})


if __name__ == "__main__":
    main()
