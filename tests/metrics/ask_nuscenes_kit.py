"""Ask nuScenes' own kit what `tests/data/nuscenes_scores.json` holds, in an environment of its own.

python -m venv /tmp/kit
/tmp/kit/bin/pip install nuscenes-devkit==1.2.0
PYTHONPATH=. /tmp/kit/bin/python tests/metrics/ask_nuscenes_kit.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from nuscenes import NuScenes
from nuscenes.eval.detection.config import config_factory
from nuscenes.eval.detection.evaluate import DetectionEval
from nuscenes.utils.data_classes import Box
from pyquaternion import Quaternion

from tests.metrics.nuscenes_tables import detections, tables, write_tables

GOLDEN = Path(__file__).parents[1] / "data/nuscenes_scores.json"
VEHICLES = ("car", "construction_vehicle", "bus", "truck", "trailer")
DEFAULT = {
    "car": "vehicle.parked",
    "pedestrian": "pedestrian.moving",
    "trailer": "vehicle.parked",
    "truck": "vehicle.parked",
    "bus": "vehicle.moving",
    "motorcycle": "cycle.without_rider",
    "construction_vehicle": "vehicle.parked",
    "bicycle": "cycle.without_rider",
    "barrier": "",
    "traffic_cone": "",
}


def attribute(name: str, velocity: np.ndarray) -> str:
    """Return what MMDetection3D's `NuScenesMetric._format_lidar_bbox` writes."""
    if np.hypot(*velocity[:2]) > 0.2:
        if name in VEHICLES:
            return "vehicle.moving"
        return "cycle.with_rider" if name in ("bicycle", "motorcycle") else DEFAULT[name]
    return {"pedestrian": "pedestrian.standing", "bus": "vehicle.stopped"}.get(name, DEFAULT[name])


def results(kit: NuScenes, found: dict, ranges: dict) -> dict:
    """Return what MMDetection3D writes: boxes in the world, of those within the range of their class."""
    written = {}
    for token, boxes in found.items():
        data = kit.get("sample_data", kit.get("sample", token)["data"]["LIDAR_TOP"])
        frames = [
            kit.get("calibrated_sensor", data["calibrated_sensor_token"]),
            kit.get("ego_pose", data["ego_pose_token"]),
        ]
        written[token] = []
        for one in boxes:
            length, width, height = one["size"]
            turn = Quaternion(axis=[0, 0, 1], radians=one["yaw"])
            box = Box(one["center"], [width, length, height], turn, velocity=(*one["velocity"], 0.0))
            distances = []
            for frame in frames:
                box.rotate(Quaternion(frame["rotation"]))
                box.translate(np.array(frame["translation"]))
                distances.append(np.linalg.norm(box.center[:2]))
            if distances[0] > ranges[one["name"]]:
                continue
            written[token].append(
                {
                    "sample_token": token,
                    "translation": box.center.tolist(),
                    "size": box.wlh.tolist(),
                    "rotation": box.orientation.elements.tolist(),
                    "velocity": box.velocity[:2].tolist(),
                    "detection_name": one["name"],
                    "detection_score": one["score"],
                    "attribute_name": attribute(one["name"], box.velocity),
                }
            )
    return {
        "meta": {f"use_{one}": False for one in ("camera", "lidar", "radar", "map", "external")},
        "results": written,
    }


def main() -> None:
    """Write what the kit says."""
    config = config_factory("detection_cvpr_2019")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = tables()
        (folder / "map.png").touch()
        kit = NuScenes("v1.0-mini", str(write_tables(folder, drawn)), verbose=False)
        found = {token: boxes for token, boxes in detections(drawn).items() if "scene-0061" not in token}
        (folder / "results.json").write_text(json.dumps(results(kit, found, config.class_range)))
        evaluation = DetectionEval(kit, config, str(folder / "results.json"), "mini_val", str(folder), verbose=False)
        scores, _ = evaluation.evaluate()
    kept = ("label_aps", "label_tp_errors", "tp_errors", "mean_ap", "nd_score")
    said = {key: value for key, value in scores.serialize().items() if key in kept}
    GOLDEN.write_text(json.dumps(said, indent=1) + "\n")
    print(said["mean_ap"], said["nd_score"], said["tp_errors"])


if __name__ == "__main__":
    main()
