"""Where text is in an image.

The post-processors and their fields have the names of those in MMOCR's configs, and compute what MMOCR 1.0.1 does.
"""

from compiler.tasks.text_detection.db import DBPostprocessor
from compiler.tasks.text_detection.pan import PANPostprocessor
from compiler.tasks.text_detection.postprocessor import Postprocessor, Region
from compiler.tasks.text_detection.pse import PSEPostprocessor
from compiler.tasks.text_detection.task import TextDetection, TextInstance

__all__ = [
    "DBPostprocessor",
    "PANPostprocessor",
    "PSEPostprocessor",
    "Postprocessor",
    "Region",
    "TextDetection",
    "TextInstance",
]
