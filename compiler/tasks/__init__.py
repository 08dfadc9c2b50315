"""What lies around a network: from images and point clouds to its inputs, and from its outputs to results.

Tasks need NumPy, OpenCV and pyclipper only, so that a bundle runs where PyTorch is not installed.
"""

from compiler.tasks.sample import AnySample, Sample
from compiler.tasks.task import AnyTask, ImageTask, Prepared, Result, Task, build_task

__all__ = [
    "AnySample",
    "AnyTask",
    "ImageTask",
    "Prepared",
    "Result",
    "Sample",
    "Task",
    "build_task",
]
