"""Translate the config of an OpenMMLab model, whatever its family."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.config.known_classes import NETWORKS, TAILS, TASKS, unknown_classes
from compiler.config.numbers import check_counts
from compiler.errors import CompileError
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate.parts import part_of

_FAMILIES = ("pose", "detection", "text", "voxels")
"""Each is a module beside this one: its MODELS are the types that its `translate(config, source)` takes."""

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
    name = re.sub(r"[^a-z0-9]+", "-", Path(source).stem.lower()).strip("-")
    return {"name": name, **found, "openmmlab": source}


def _refuse_classes(model: Mapping[str, Any]) -> None:
    """Refuse what would be built of a class that we did not name: what is handed on as it is, such as norm_cfg."""
    for place, target in unknown_classes(model, (NETWORKS, TAILS, TASKS), "model"):
        raise CompileError(
            f"the class {str(target)!r:.100} is not one of ours, and is not imported",
            where=place,
            why="an OpenMMLab config names what it is made of by its type",
            fix="leave _target_ out",
        )
