"""From the config of an OpenMMLab model to the one that a file in `conf/model/` holds."""

from compiler.openmmlab.translate.translate import translate, translate_file

__all__ = [
    "translate",
    "translate_file",
]
