"""Simulate what a spinning laser scanner sees of a street: the sample scans, `python -m tests.tasks.scans` writes them.

Rays of known directions meet the ground and boxes. What they meet first is measured with noise, and some of it is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[2] / "compiler/tasks/pointclouds"
CAR, PEDESTRIAN, CYCLIST = (4.1, 1.7, 1.5), (0.6, 0.6, 1.75), (1.8, 0.5, 1.7)


@dataclass(frozen=True)
class Solid:
    """A box that stands on the ground, or above it.

    Attributes:
        x: Of its middle, forward, in metres.
        y: Of its middle, to the left.
        size: Length, width, height.
        yaw: Angle in radians.
        lift: Of its bottom above the ground.
        reflectivity: From 0 to 1.
    """

    x: float
    y: float
    size: tuple[float, float, float]
    yaw: float = 0.0
    lift: float = 0.0
    reflectivity: float = 0.4


@dataclass(frozen=True)
class Scanner:
    """A spinning scanner.

    Attributes:
        elevations: Highest and lowest of its beams, in degrees.
        beams: How many there are.
        azimuths: First and last direction, in degrees; 0 is forward.
        steps: How many directions there are.
        height: Above the ground, in metres.
        reach: How far it sees, in metres.
    """

    elevations: tuple[float, float]
    beams: int
    azimuths: tuple[float, float]
    steps: int
    height: float
    reach: float = 80.0

    def rays(self) -> np.ndarray:
        """Return unit vectors, `[beams * steps, 3]`."""
        up, around = np.meshgrid(
            np.radians(np.linspace(*self.elevations, self.beams)),
            np.radians(np.linspace(*self.azimuths, self.steps, endpoint=False)),
            indexing="ij",
        )
        directions = [np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)]
        return np.stack(directions, axis=-1).reshape(-1, 3)

    def scan(self, solids: list[Solid], seed: int) -> np.ndarray:
        """Return `[n, 4]`: x forward, y left, z up from the scanner, and intensity from 0 to 1."""
        generator = np.random.default_rng(seed)
        rays = self.rays()
        with np.errstate(divide="ignore"):
            ranges = np.where(rays[:, 2] < 0, -self.height / rays[:, 2], np.inf)
        reflectivity = np.full(len(rays), 0.25)
        for solid in solids:
            meets = self._meets(rays, solid)
            reflectivity[meets < ranges] = solid.reflectivity
            ranges = np.minimum(ranges, meets)
        # What is far and dark is lost more often.
        survives = generator.random(len(rays)) < 0.97 - 0.5 * (ranges / self.reach) ** 2 * (1 - reflectivity)
        kept = (ranges < self.reach) & survives
        measured = ranges[kept] + generator.normal(0, 0.02, kept.sum())
        intensity = np.clip(reflectivity[kept] + generator.normal(0, 0.06, kept.sum()), 0, 1)
        return np.column_stack([rays[kept] * measured[:, None], intensity])

    def _meets(self, rays: np.ndarray, solid: Solid) -> np.ndarray:
        """Return how far along each ray the solid begins; infinity where the ray misses it."""
        cosine, sine = np.cos(solid.yaw), np.sin(solid.yaw)
        turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        half = np.array(solid.size) / 2
        middle = np.array([solid.x, solid.y, solid.lift + half[2] - self.height])
        with np.errstate(divide="ignore", invalid="ignore"):
            slabs = (turn @ middle + np.stack([-half, half]))[:, None] / (rays @ turn.T)
        near, far = slabs.min(axis=0).max(axis=1), slabs.max(axis=0).min(axis=1)
        return np.where((near < far) & (near > 0), near, np.inf)


def car(x: float, y: float, yaw: float = 0.0, reflectivity: float = 0.5) -> list[Solid]:
    """Return the body of a car and its cabin."""
    body, cabin = (CAR[0], CAR[1], 0.75), (2.2, 1.5, 0.6)
    return [Solid(x, y, body, yaw, 0.2, reflectivity), Solid(x - 0.2, y, cabin, yaw, 0.95, 0.15)]


def cyclist(x: float, y: float, yaw: float = 0.0) -> list[Solid]:
    """Return a bicycle and who rides it."""
    return [Solid(x, y, (1.8, 0.15, 1.0), yaw), Solid(x - 0.1, y, (0.5, 0.5, 0.95), yaw, 0.8, 0.6)]


def street(behind: float) -> list[Solid]:
    """Return a street that goes from `behind` metres behind the scanner to 75 metres in front of it."""
    generator = np.random.default_rng(7)
    solids: list[Solid] = []
    for side in (-1, 1):
        for x in np.arange(-behind, 75, 14.0):
            depth, height = generator.uniform(6, 10), generator.uniform(6, 12)
            solids.append(Solid(x + 6.5, side * (12.5 + depth / 2), (13.0, depth, height), reflectivity=0.45))
        for x in np.arange(-behind + 3, 75, 17.0):
            solids.append(Solid(x, side * 8.2, (0.2, 0.2, 6.0), reflectivity=0.7))  # a lamp
        for x in np.arange(-behind + 10, 75, 23.0):
            solids.append(Solid(x, side * 10.2, (0.4, 0.4, 2.5), reflectivity=0.3))  # a tree, and its crown
            solids.append(Solid(x, side * 10.2, (2.6, 2.6, 2.4), 0.6, 2.2, 0.3))
        for x in np.arange(-behind + 4, 75, 6.5):
            if generator.random() < 0.6:
                solids += car(
                    x + generator.uniform(-0.4, 0.4), side * 6.0, generator.normal(0, 0.03) + (side > 0) * np.pi
                )
        for x in generator.uniform(-behind, 45, 5):
            solids.append(Solid(x, side * generator.uniform(8.6, 11), PEDESTRIAN, reflectivity=0.55))
    solids += [*car(14, -1.9), *car(31, -1.7, 0.05), *car(23, 1.9, np.pi), *car(48, 2.0, np.pi), *car(18.5, 9, 1.4)]
    solids += [*cyclist(9.5, 3.6, np.pi), *cyclist(21, -4.1), Solid(12, 6.9, PEDESTRIAN, reflectivity=0.55)]
    solids.append(Solid(38, -1.9, (8.0, 2.5, 3.2), 0.0, 0.4, 0.6))  # a lorry
    return solids


def kitti() -> np.ndarray:
    """Return a scan as KITTI's are where its camera sees: 64 beams, x, y, z, intensity."""
    scanner = Scanner((2.0, -24.8), 64, (-41, 41), 285, height=1.73)
    return _rounded(scanner.scan(street(0), seed=0))


def nuscenes() -> np.ndarray:
    """Return a scan as nuScenes' are: 32 beams, x to the right, y forward, z, intensity to 255, time."""
    scanner = Scanner((10.67, -30.67), 32, (-180, 180), 960, height=1.84)
    forward, left, up, intensity = scanner.scan(street(60), seed=1).T
    return _rounded(np.column_stack([-left, forward, up, np.rint(intensity * 255), np.zeros_like(up)]))


def _rounded(scan: np.ndarray) -> np.ndarray:
    """Return millimetres, as KITTI has them."""
    return np.round(scan, 3).astype("<f4")


SCANS = {"kitti": kitti, "nuscenes": nuscenes}

if __name__ == "__main__":
    for name, scan in SCANS.items():
        scan().tofile(FOLDER / f"{name}.bin")
