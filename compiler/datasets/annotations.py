"""Files of annotations, by the names of their formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from compiler.datasets.coco import FORM, KIND, coco_dataset, read_coco
from compiler.datasets.dataset import Dataset
from compiler.datasets.files import expected, parse_json
from compiler.datasets.mmocr import FORM as MMOCR_FORM
from compiler.datasets.mmocr import KIND as MMOCR_KIND
from compiler.datasets.mmocr import mmocr_dataset, read_mmocr, read_mmocr_lines
from compiler.datasets.voc import read_voc
from compiler.errors import CompileError


def read_annotations(annotations: Path, images: Path) -> Dataset:
    """The data set in a JSON file of COCO's or of MMOCR's, which tells by itself which of the two it is.

    Args:
        annotations: The file.
        images: The folder that the images' names are seen from.

    Raises:
        CompileError: The file cannot be read, or holds something else.
    """
    with expected(annotations, KIND, FORM):
        content = parse_json(annotations)
        if "data_list" in content:
            with expected(annotations, MMOCR_KIND, MMOCR_FORM):
                return mmocr_dataset(content, images)
        return coco_dataset(content, images)


def _refuse_pickle(annotations: Path, images: Path) -> Dataset:
    raise CompileError(
        f"{annotations.name} is a pickle",
        where=str(annotations),
        why="reading one can run code, and data from strangers runs nothing",
        fix="name the folder of the data set's own files, or a list of them (.txt)",
    )


FORMATS: Mapping[str, Callable[[Path, Path], Dataset]] = {
    "coco": read_coco,
    "json": read_annotations,
    "mmocr": read_mmocr,
    "mmocr_lines": read_mmocr_lines,
    "pickle": _refuse_pickle,
    "voc": lambda annotations, images: read_voc(images, annotations),
}
"""What reads annotations of a format, given the file and the folder that the names in it are seen from."""
