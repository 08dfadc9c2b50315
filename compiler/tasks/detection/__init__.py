"""Objects of known classes, in images."""

from compiler.tasks.detection.task import Detection, ObjectDetection

__all__ = [
    "Detection",
    "ObjectDetection",
]
