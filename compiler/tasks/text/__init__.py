"""How networks say where text is, and how to read it.

The classes and their fields have the names of the post-processors in MMOCR's configs, and compute what MMOCR 1.0.1
does.
"""

from compiler.tasks.text.db import DBPostprocessor
from compiler.tasks.text.pan import PANPostprocessor
from compiler.tasks.text.postprocessor import Postprocessor, Region
from compiler.tasks.text.pse import PSEPostprocessor

__all__ = ["DBPostprocessor", "PANPostprocessor", "PSEPostprocessor", "Postprocessor", "Region"]
