"""The verb `import`: an OpenMMLab config, written as a file for `conf/model/`."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from compiler.cli.arguments import Parser
from compiler.cli.verb import Verb
from compiler.errors import ExitCode

PACKAGES = (
    *("mmaction", "mmcls", "mmcv", "mmdet", "mmdet3d", "mmengine"),
    *("mmocr", "mmpose", "mmpretrain", "mmrotate", "mmseg", "mmyolo"),
)
"""Those of OpenMMLab, in whose configs the bases of another may lie."""


def add_arguments(parser: Parser) -> None:
    """Add the config, and the packages of its bases."""
    parser.add_argument(
        "config", type=Path, metavar="<config.py>", help="of MMPose, MMDetection, MMOCR or MMDetection3D"
    )
    parser.add_option(
        *PACKAGES,
        spelling="<package>=<folder>",
        text="where the config's bases of another package lie, such as mmdet=<site-packages>/mmdet/.mim/configs",
    )


def run(given: Namespace) -> int:
    """Print the model that a config describes, as YAML."""
    from compiler.openmmlab.model_file import as_yaml
    from compiler.openmmlab.translate import translate_file
    from compiler.openmmlab.translated_model import package_folders

    sys.stdout.write(as_yaml(translate_file(given.config, package_folders(given.options))))
    return ExitCode.PROVEN


VERB = Verb(
    name="import",
    help="write an OpenMMLab config as a model of yours: put what it prints into conf/model/",
    usage="<config.py> [<package>=<folder> ...]",
    takes="one config",
    examples=("import work_dirs/mine/mine.py > conf/model/mine.yaml",),
    add_arguments=add_arguments,
    run=run,
)
