"""Which of a detector's candidates become its detections: the settings, and what selects by them. Imports no torch.

What selects is here once for each place where it may happen: in NumPy (`nms`), as operators of torch (`operators`), and
in ONNX (`translations`); and as the end of a network (`tail`).
"""

from compiler.selection.config import SelectionConfig
from compiler.selection.outputs import output_names

__all__ = ["SelectionConfig", "output_names"]
