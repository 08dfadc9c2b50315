"""Translate the config of an OpenMMLab model, whatever its family."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.config.counts import check_counts
from compiler.config.known_classes import NETWORKS, TAILS, TASKS, unknown_classes
from compiler.config.plain_names import plain_name
from compiler.errors import CompileError
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate.parts import part_of, refuse

_FAMILIES = ("pose", "detection", "text", "voxels")
"""Each is a module beside this one: its MODELS are the types that its `translate(config, source)` takes."""

_PACKAGES = ("mmdet", "mmdet3d", "mmocr", "mmpose")
"""Whose models are here, where a config names its `default_scope`; others' may have the same names."""
_OF_MMYOLO = ("YOLODetector",)

_MISTAKES = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What becomes of a value that is not of the kind that OpenMMLab documents, where nothing checks it."""


def translate_file(file: Path, packages: Mapping[str, Path]) -> dict[str, Any]:
    """Read a config file, and translate it.

    Args:
        file: The config.
        packages: The `.mim/configs` folders of packages that its bases come from.

    Raises:
        CompileError: See `read_config` and `translate`.
    """
    return translate(read_config(file, packages), str(file))


def _refuse_foreign(config: Mapping[str, Any]) -> None:
    """Refuse configs of another generation, and of packages whose models are not here, as what they are."""
    data, model = config.get("data"), config.get("model")
    named = str(model.get("type", "")) if isinstance(model, Mapping) else ""
    scope = named.rpartition(".")[0].partition(".")[0] or str(config.get("default_scope") or "")
    loaders = ("train_dataloader", "val_dataloader", "test_dataloader")
    if isinstance(data, Mapping) and {"train", "val", "test"} & set(data) and not any(map(config.get, loaders)):
        refuse(
            "this is a config of OpenMMLab's first generation, such as MMDetection 2.x or MMPose 0.x",
            "data",
            why="its data sets are in `data`; those of MMDetection 3, MMPose 1 and MMOCR 1 are in `test_dataloader`",
            fix="bring it to the layout of today as OpenMMLab's migration guides say, or the network as model=onnx",
        )
    if scope == "mmyolo" or named in _OF_MMYOLO:
        refuse(
            "models of MMYOLO are not supported",
            "model.type",
            why="they are others than MMDetection's of nearly the same names",
            fix="export the network to ONNX, and bring it as model=onnx",
        )
    if scope and scope not in _PACKAGES:
        refuse(
            f"models of {scope} are not supported",
            "default_scope",
            why=f"what is supported are those of {', '.join(_PACKAGES)}",
            fix="bring the network as model=torch or model=onnx",
        )


def translate(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Translate a whole config.

    Args:
        config: As `read_config` gives it.
        source: The file it was read from, which names the model and stands in error messages.

    Returns:
        What a file in `conf/model/` holds, in which a `Reference` alone is left to resolve.

    Raises:
        CompileError: The config describes no model, or something that inference needs and we do not have, or it names
            a class of its own. It names the place in the config, and what we have.
    """
    check_counts(config.get("model", {}), f"{source}: model")
    families = [importlib.import_module(f"{__package__}.{name}") for name in _FAMILIES]
    models = {name: part for family in families for name, part in family.MODELS.items()}
    try:
        _refuse_foreign(config)
        part = part_of(config.get("model", {}), models, "model")
        family = next(family for family in families if part in family.MODELS.values())
        found: dict[str, Any] = family.translate(config, Path(source))
        _refuse_classes(found)
    except CompileError as error:
        where = f"{source}: {error.where}" if error.where else source
        raise CompileError(error.what, where=where, why=error.why, fix=error.fix) from error
    except _MISTAKES as error:
        raise CompileError(
            "the config cannot be understood",
            where=source,
            why=f"a value in it is of another kind than OpenMMLab takes there: {type(error).__name__}: {error!s:.200}",
            fix="compare model, test_dataloader and data_preprocessor with the published config that it comes from",
        ) from error
    return {"name": plain_name(Path(source).stem), **found, "openmmlab": source}


def _refuse_classes(model: Mapping[str, Any]) -> None:
    """Refuse what would be built of a class that we did not name: what is handed on as it is, such as norm_cfg."""
    for place, target in unknown_classes(model, (NETWORKS, TAILS, TASKS), "model"):
        raise CompileError(
            f"the class {str(target)!r:.100} is not one of ours, and is not imported",
            where=place,
            why="an OpenMMLab config names what it is made of by its type",
            fix="leave _target_ out",
        )
