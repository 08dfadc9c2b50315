"""A network whose sides vary, for the tests of backends that read what torch traced."""

import numpy as np
from torch import nn

from compiler.export import Axis


class Pyramid(nn.Module):
    """Halves its input twice and brings it back to its size: any multiple of 4 will do."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.SiLU(), nn.Conv2d(4, 3, 3, 2, 1))

    def forward(self, image):
        small = self.down(image)
        return image + nn.functional.interpolate(small, scale_factor=4.0, mode="nearest"), small.mean((2, 3))


AXES = {"input": (Axis(0, "batch"), Axis(2, "height", 4, 8, 64), Axis(3, "width", 4, 8, 64))}
OUTPUTS = ("image", "means")
EXAMPLE = {"input": np.random.default_rng(0).normal(size=(2, 3, 16, 24)).astype(np.float32)}
