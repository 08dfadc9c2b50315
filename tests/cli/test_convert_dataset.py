"""`convert-dataset` on the command line: what is said, what is printed, and how it ends."""

from __future__ import annotations

import json

import numpy as np

from compiler.cli.convert_dataset import FORMATS, OPTIONS
from compiler.datasets.conversion import CONVERSIONS
from compiler.tasks.images import write_image


def test_the_file_is_printed_and_what_is_in_it_said(command_line):
    folder = command_line.folder / "balloon"
    write_image(folder / "a.jpg", np.zeros((50, 100, 3), np.uint8))
    shape = {"name": "polygon", "all_points_x": [10, 40, 40], "all_points_y": [5, 5, 25]}
    point = {"name": "point", "cx": 1, "cy": 2}
    regions = [{"shape_attributes": one, "region_attributes": {}} for one in (shape, point)]
    content = {"a.jpg12": {"filename": "a.jpg", "size": 12, "regions": regions}}
    (folder / "via_region_data.json").write_text(json.dumps(content))
    words = ("convert-dataset", "via", "balloon", "balloon/val.json", "class=balloon")
    run = command_line(*words)
    assert (run.returncode, run.stdout) == (0, "balloon/val.json\n")
    assert run.stderr.splitlines() == [
        "warning: points and lines have no area: 1 left out",
        "images: 1; labels: 1, of which are ignored: 0; classes: balloon",
    ]
    again = command_line(*words)
    assert again.returncode == 2
    assert again.stderr.startswith("error: this is no file to write\n")


def test_the_formats_and_options_of_the_help_are_those_that_there_are():
    """The help is made without reading data sets, which needs NumPy and OpenCV."""
    assert tuple(CONVERSIONS) == FORMATS
    assert {option for one in CONVERSIONS.values() for option in one.options} == OPTIONS.keys()
    for option, (_, text) in OPTIONS.items():
        takes = {name for name, one in CONVERSIONS.items() if option in one.options}
        assert set(text.partition(":")[0].split(", ")) == takes, option
