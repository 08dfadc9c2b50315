"""A small nuScenes that is drawn by chance, the same on every machine: its tables, and what a detector finds in it.

It needs the standard library alone, so that nuScenes' own kit can read it in an environment without ours.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random

SCENES, SAMPLES, OBJECTS = ("scene-0103", "scene-0916", "scene-0061"), 5, 34
"""The first two are those that nuScenes' small version is validated on."""
CATEGORIES = {
    "vehicle.car": ((1.9, 4.5, 1.6), ("vehicle.moving", "vehicle.parked", "vehicle.stopped")),
    "vehicle.truck": ((2.5, 7.0, 3.0), ("vehicle.moving", "vehicle.parked")),
    "vehicle.bus.rigid": ((2.9, 11.0, 3.4), ("vehicle.moving", "vehicle.stopped")),
    "vehicle.trailer": ((2.9, 12.0, 3.9), ("vehicle.parked",)),
    "vehicle.construction": ((2.8, 6.4, 3.2), ("vehicle.parked",)),
    "human.pedestrian.adult": ((0.7, 0.7, 1.8), ("pedestrian.moving", "pedestrian.standing")),
    "vehicle.motorcycle": ((0.8, 2.1, 1.5), ("cycle.with_rider", "cycle.without_rider")),
    "vehicle.bicycle": ((0.6, 1.7, 1.3), ("cycle.with_rider", "cycle.without_rider")),
    "movable_object.trafficcone": ((0.4, 0.4, 1.1), ()),
    "movable_object.barrier": ((2.5, 0.5, 1.0), ()),
    "static_object.bicycle_rack": ((4.0, 9.0, 2.0), ()),
    "animal": ((0.5, 1.0, 0.8), ()),
}
DETECTED = {
    "vehicle.car": "car",
    "vehicle.truck": "truck",
    "vehicle.bus.rigid": "bus",
    "vehicle.trailer": "trailer",
    "vehicle.construction": "construction_vehicle",
    "human.pedestrian.adult": "pedestrian",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.bicycle": "bicycle",
    "movable_object.trafficcone": "traffic_cone",
    "movable_object.barrier": "barrier",
}
MIDDLE = (600.0, 1600.0)
Quaternion = tuple[float, float, float, float]


def turned(axis: tuple[float, float, float], angle: float) -> Quaternion:
    half = angle / 2
    return (math.cos(half), *(math.sin(half) * one for one in axis))


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    w, x, y, z = a
    p, q, r, s = b
    return (
        w * p - x * q - y * r - z * s,
        w * q + x * p + y * s - z * r,
        w * r - x * s + y * p + z * q,
        w * s + x * r - y * q + z * p,
    )


def rotated(rotation: Quaternion, vector: tuple[float, ...]) -> tuple[float, float, float]:
    w, x, y, z = rotation
    _, *moved = product(product(rotation, (0.0, *vector)), (w, -x, -y, -z))
    return tuple(moved)


def tables(seed: int = 0) -> dict[str, list[dict]]:
    """Everything stands on a slope, so that vehicles are inclined and objects are not."""
    random = Random(seed)
    drawn: dict[str, list[dict]] = {
        "sensor": [{"token": "lidar", "channel": "LIDAR_TOP", "modality": "lidar"}],
        "calibrated_sensor": [
            {
                "token": "mounted",
                "sensor_token": "lidar",
                "translation": [0.94, 0.0, 1.84],
                "rotation": list(product(turned((0, 0, 1), -1.57), turned((1, 0, 0), 0.02))),
                "camera_intrinsic": [],
            }
        ],
        "category": [{"token": name, "name": name} for name in CATEGORIES],
        "attribute": [
            {"token": one, "name": one} for one in sorted({a for _, all in CATEGORIES.values() for a in all})
        ],
        **{name: [] for name in ("scene", "sample", "sample_data", "ego_pose", "instance", "sample_annotation")},
        **{name: [] for name in ("visibility", "log")},
        "map": [{"token": "map", "log_tokens": [], "filename": "map.png"}],
    }
    for scene in SCENES:
        _add_scene(drawn, scene, random)
    return drawn


def _add_scene(drawn: dict[str, list[dict]], scene: str, random: Random) -> None:
    drawn["scene"].append({"token": scene, "name": scene, "log_token": ""})
    heading, slope = random.uniform(-3, 3), random.uniform(0.02, 0.06)
    for index in range(SAMPLES):
        token, seconds = f"{scene}-{index}", 0.5 * index
        place = [MIDDLE[0] + 4 * seconds * math.cos(heading), MIDDLE[1] + 4 * seconds * math.sin(heading), 0.0]
        rotation = product(turned((0, 0, 1), heading), turned((0, 1, 0), slope))
        time = 1_500_000_000_000_000 + SCENES.index(scene) * 10**9 + int(seconds * 1e6)
        drawn["sample"].append({"token": token, "scene_token": scene, "timestamp": time, "prev": "", "next": ""})
        drawn["ego_pose"].append({"token": token, "timestamp": time, "translation": place, "rotation": list(rotation)})
        drawn["sample_data"].append(
            {
                "token": token,
                "sample_token": token,
                "ego_pose_token": token,
                "calibrated_sensor_token": "mounted",
                "timestamp": time,
                "is_key_frame": True,
                "filename": f"samples/LIDAR_TOP/{token}.pcd.bin",
                "prev": "",
                "next": "",
                "fileformat": "pcd",
            }
        )
    for number in range(OBJECTS):
        _add_object(drawn, scene, number, random)


def _add_object(drawn: dict[str, list[dict]], scene: str, number: int, random: Random) -> None:
    category = list(CATEGORIES)[number % len(CATEGORIES)]
    (width, length, height), attributes = CATEGORIES[category]
    instance = f"{scene}-object-{number}"
    drawn["instance"].append({"token": instance, "category_token": category})
    speed = random.uniform(-1.2, 1.2) if attributes else 0.0
    yaw, x, y = random.uniform(-3, 3), random.uniform(-45, 45), random.uniform(-45, 45)
    if category == "static_object.bicycle_rack":
        x, y = 8.0, 9.0
    if number in (6, 7):  # in the rack
        x, y, speed = 8.5, 9.5, 0.0
    grow = random.uniform(0.8, 1.2)
    seen = [index for index in range(SAMPLES) if random.random() < 0.85]
    for order, index in enumerate(seen):
        moved = 0.5 * index * speed
        drawn["sample_annotation"].append(
            {
                "token": f"{instance}-{index}",
                "sample_token": f"{scene}-{index}",
                "instance_token": instance,
                "translation": [
                    MIDDLE[0] + x + moved * math.cos(yaw),
                    MIDDLE[1] + y + moved * math.sin(yaw),
                    0.9 + 0.1 * moved,
                ],
                "size": [width * grow, length * grow, height * grow],
                "rotation": list(turned((0, 0, 1), yaw)),
                "num_lidar_pts": 0 if random.random() < 0.1 else 7,
                "num_radar_pts": 0,
                "attribute_tokens": [attributes[random.randrange(len(attributes))]] * (random.random() < 0.9)
                if attributes
                else [],
                "visibility_token": "",
                "prev": f"{instance}-{seen[order - 1]}" if order else "",
                "next": f"{instance}-{seen[order + 1]}" if order + 1 < len(seen) else "",
            }
        )


def detections(drawn: dict[str, list[dict]], seed: int = 1) -> dict[str, list[dict]]:
    """For each sample boxes in the frame of its scanner: most of what is true, displaced, and some of nothing."""
    random = Random(seed)
    mounted = drawn["calibrated_sensor"][0]
    poses = {one["token"]: one for one in drawn["ego_pose"]}
    found: dict[str, list[dict]] = {one["token"]: [] for one in drawn["sample"]}
    for one in drawn["sample_annotation"]:
        category = one["instance_token"].rpartition("-")[2]
        name = DETECTED.get(list(CATEGORIES)[int(category) % len(CATEGORIES)])
        if name is None or random.random() < 0.2:
            continue
        for _ in range(1 + (random.random() < 0.3)):
            found[one["sample_token"]].append(_detection(one, name, poses[one["sample_token"]], mounted, random))
    for boxes in found.values():
        for _ in range(8):
            name = list(DETECTED.values())[random.randrange(len(DETECTED))]
            center = [random.uniform(-60, 60), random.uniform(-60, 60), random.uniform(-3, 0)]
            boxes.append(_record(name, center, (4.0, 1.8, 1.5), random.uniform(-3, 3), (0.3, 0.1), random))
    return found


def _detection(annotation: dict, name: str, pose: dict, mounted: dict, random: Random) -> dict:
    at = list(annotation["translation"])
    at[0] += random.uniform(-0.9, 0.9)
    at[1] += random.uniform(-0.7, 0.7)
    rotation = tuple(annotation["rotation"])
    for frame in (pose, mounted):
        w, x, y, z = frame["rotation"]
        back = (w, -x, -y, -z)
        at = list(rotated(back, [a - b for a, b in zip(at, frame["translation"], strict=True)]))
        rotation = product(back, rotation)
    ahead = rotated(rotation, (1.0, 0.0, 0.0))
    width, length, height = (side * random.uniform(0.8, 1.2) for side in annotation["size"])
    yaw = math.atan2(ahead[1], ahead[0]) + random.uniform(-0.4, 0.4)
    speed = random.uniform(-1.2, 1.2) if random.random() < 0.7 else 0.1
    return _record(name, at, (length, width, height), yaw, (speed * ahead[0], speed * ahead[1]), random)


def _record(
    name: str,
    center: list[float],
    size: tuple[float, float, float],
    yaw: float,
    velocity: tuple[float, float],
    random: Random,
) -> dict:
    score = round(random.uniform(0.05, 1), 2)  # so that some are the same
    return {"name": name, "center": center, "size": size, "yaw": yaw, "velocity": velocity, "score": score}


def write_tables(folder: Path, drawn: dict[str, list[dict]], version: str = "v1.0-mini") -> Path:
    (folder / version).mkdir(parents=True)
    for name, records in drawn.items():
        (folder / f"{version}/{name}.json").write_text(json.dumps(records))
    return folder
