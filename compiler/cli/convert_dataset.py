"""The verb `convert-dataset`: what is labelled in another format, as COCO's or MMOCR's annotations."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.arguments import Parser
from compiler.cli.cautions import cautions_shown
from compiler.cli.streams import tell
from compiler.cli.verb import Verb
from compiler.errors import ExitCode
from compiler.printable import on_one_line

if TYPE_CHECKING:
    from compiler.datasets import Dataset

FORMATS = ("via", "icdar2013", "icdar2015", "labelme", "yolo", "kitti", "voc")
OPTIONS = {
    "class": ("<name>", "via: the class of regions that do not say theirs"),
    "attribute": ("<name>", "via: which attribute of a region is its class, where there are several"),
    "split": ("<name>", "yolo, voc: the images of this split; without it val of yolo, and all of voc"),
    "frames": ("<file>.txt", "kitti: the images of this list; without it all"),
}


def add_arguments(parser: Parser) -> None:
    """Add the format, the data set and the file to write."""
    parser.add_argument("format", metavar="<format>", help=", ".join(FORMATS))
    text = "the folder of the data set; of via its JSON, and of icdar a list of words, too"
    parser.add_argument("source", type=Path, metavar="<in>", help=text)
    text = "the file to write: COCO's annotations, and of icdar MMOCR's; images are named from where it lies"
    parser.add_argument("target", type=Path, metavar="<out>.json", help=text)
    for name, (value, text) in OPTIONS.items():
        parser.add_option(name, spelling=f"{name}={value}", text=text)


def run(given: Namespace) -> int:
    """Print the file that was written, and say what is in it."""
    from compiler.datasets.conversion import convert

    with cautions_shown():
        dataset = convert(given.format, given.source, given.target, given.options)
    tell(on_one_line(_summary(dataset)))
    print(given.target)
    return ExitCode.PROVEN


def _summary(dataset: Dataset) -> str:
    """How much there is of what."""
    labels = sum(len(item.truth) for item in dataset.items)
    ignored = sum(one.ignore for item in dataset.items for one in item.truth)
    kinds = f"; classes: {', '.join(dataset.classes)}" if dataset.classes else ""
    return f"images: {len(dataset.items)}; labels: {labels}, of which are ignored: {ignored}{kinds}"


VERB = Verb(
    name="convert-dataset",
    help="write a data set in another format as what evaluate and calibration read",
    usage="<format> <in> <out>.json [class=|attribute=|split=|frames=<value>]",
    takes="a format, a data set and a file to write",
    examples=(
        "convert-dataset via balloon/val balloon/val/annotations.json class=balloon",
        "convert-dataset icdar2015 data/icdar2015/test data/icdar2015/textdet_test.json",
        "convert-dataset yolo data/coco8 data/coco8/val.json split=val",
    ),
    add_arguments=add_arguments,
    run=run,
)
