"""The verb `import`: an OpenMMLab config, written as a file for `conf/model/`."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser
from compiler.cli.verb import Verb
from compiler.errors import ExitCode
from compiler.openmmlab.translated_model import KNOWN_PACKAGES, PACKAGES


def add_arguments(parser: Parser) -> None:
    """Add the config, and the packages of its bases."""
    parser.add_argument(
        "config", type=Path, metavar="<config.py>", help="of MMPose, MMDetection, MMOCR or MMDetection3D"
    )
    parser.add_option(
        *(f"{PACKAGES}{package}" for package in KNOWN_PACKAGES),
        spelling=f"{PACKAGES}<package>=<folder>",
        text=f"where its bases of another package lie: {PACKAGES}mmdet=<site-packages>/mmdet/.mim/configs",
    )


def run(given: Namespace) -> int:
    """Print the model that a config describes, as YAML."""
    from compiler.openmmlab.model_file import as_yaml
    from compiler.openmmlab.translate import translate_file
    from compiler.openmmlab.translated_model import folders_of_packages

    packages = {key.removeprefix(PACKAGES): folder for key, folder in given.options.items()}
    sys.stdout.write(as_yaml(translate_file(given.config, folders_of_packages(packages))))
    return ExitCode.PROVEN


VERB = Verb(
    name="import",
    help="write an OpenMMLab config as a model of yours: put what it prints into conf/model/",
    usage=f"<config.py> [{PACKAGES}<package>=<folder> ...]",
    takes="one config",
    examples=("import work_dirs/mine/mine.py > conf/model/mine.yaml",),
    add_arguments=add_arguments,
    run=run,
)
