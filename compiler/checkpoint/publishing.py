"""A checkpoint as OpenMMLab publishes one: its weights and what they were trained to tell apart, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from compiler.artifact import file_digest
from compiler.artifact.reading import reason
from compiler.checkpoint.keys import PARALLEL, is_average, unwrapped
from compiler.checkpoint.plain_metadata import NOTHING, plain, standing_in
from compiler.checkpoint.reading import WEIGHTS, read_content, require_checkpoint, weights_in
from compiler.errors import CompileError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

AVERAGE = "ema_state_dict"
"""Where MMEngine's EMAHook puts the weights that it swapped for their average, which is in `state_dict`."""
META = ("dataset_meta", "CLASSES", "PALETTE", "epoch", "iter", "mmengine_version", "mmcv_version")
"""What is kept of the metadata: none of it is about the machine or the person that trained."""
DIGITS = 8
_PUBLISHED = re.compile(r"-[0-9a-f]{8}(_\d{8})?$")


@dataclass(frozen=True)
class Published:
    """A checkpoint that was published.

    Attributes:
        path: Its file.
        place: Where the weights were: a key of the checkpoint; empty where they were all of it.
        is_average: Whether they are the average that MMEngine's EMAHook kept.
        dropped: What was left out, by its keys.
        size_before: Of the file that was read, in bytes.
        size: Of the file that was written.
    """

    path: Path
    place: str
    is_average: bool
    dropped: tuple[str, ...]
    size_before: int
    size: int


def publish(source: Path, target: Path | None = None, place: str | None = None, day: date | None = None) -> Published:
    """Write the weights of a checkpoint into a file that is named after its content and the day.

    Args:
        source: What a trainer left; it is only read.
        target: What the file is called, without digest and date; None for the name of the source.
        place: Where the weights are, one of `WEIGHTS`; None for the first that is there.
        day: In the name; None for today.

    Raises:
        UsageError: There is no such place for weights, or the target is no `.pth`.
        CompileError: The checkpoint cannot be read or holds no weights there, or the file cannot be written or is there
            already.
    """
    stem = _stem(target or source.with_suffix(".pth"))
    if place is not None and place not in WEIGHTS:
        raise UsageError(f"no weights lie in '{place}'", where=f"weights={place}", fix=f"one of {', '.join(WEIGHTS)}")
    require_checkpoint(source, str(source), "give the path of a .pth or .safetensors file")
    content = read_content(source, standing_in())
    if place is not None and not (isinstance(content, Mapping) and isinstance(content.get(place), Mapping)):
        raise CompileError(f"{source.name} has no {place}", where=f"weights={place}", fix="leave weights= out")
    found, weights = weights_in(content, source, WEIGHTS if place is None else (place,))
    kept = _compact(
        {key: tensor for key, tensor in unwrapped(weights, wrappers=PARALLEL).items() if not is_average(key)}
    )
    path = _written({"state_dict": kept, "meta": _meta(content)}, stem, day or date.today())
    everything = content if isinstance(content, Mapping) and found else {}
    return Published(
        path=path,
        place=found,
        is_average=found == "state_dict" and AVERAGE in everything,
        dropped=tuple(str(key)[:80] for key in everything if key not in (found, "meta")),
        size_before=source.stat().st_size,
        size=path.stat().st_size,
    )


def _stem(target: Path) -> Path:
    """A target without its suffix, and without the digest and the date of an earlier publication."""
    if target.suffix != ".pth":
        raise UsageError(f"{target.name} is no name of a checkpoint", where=str(target), fix="let it end in .pth")
    stem = _PUBLISHED.sub("", target.stem)
    if not stem:
        fix = "name what is written: publish <in>.pth <out>.pth"
        raise UsageError(f"{target.name} has no name before its digest", where=str(target), fix=fix)
    return target.with_name(stem)


def _meta(content: object) -> dict[str, Any]:
    """What is kept of a checkpoint's metadata, as plain data."""
    meta = content.get("meta") if isinstance(content, Mapping) else None
    held = {name: plain(meta[name]) for name in META if name in meta} if isinstance(meta, Mapping) else {}
    return {name: value for name, value in held.items() if value is not NOTHING}


def _compact(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights without the rest of what they are a part of in memory, which would be saved too."""
    import torch

    def is_part(tensor: Tensor) -> bool:
        return tensor.layout == torch.strided and tensor.untyped_storage().nbytes() > tensor.nbytes

    return {key: tensor.clone() if is_part(tensor) else tensor for key, tensor in weights.items()}


def _written(content: Mapping[str, Any], stem: Path, day: date) -> Path:
    """Write a checkpoint beside its place, and give it its name, which nothing has yet.

    Raises:
        CompileError: It cannot be written, or something has that name.
    """
    import torch

    partial = stem.with_name(f".{token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:  # saved to a path, an archive would hold the path's name
            torch.save(content, file)
        path = stem.with_name(f"{stem.name}-{file_digest(partial)[:DIGITS]}_{day:%Y%m%d}.pth")
        _give_name(partial, path)
    except FileExistsError as error:
        raise CompileError(
            f"{path.name} is there already", where=str(path), fix="use it, or remove it first"
        ) from error
    except OSError as error:
        raise CompileError("the checkpoint cannot be written", where=str(stem.parent), why=reason(error)) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _give_name(partial: Path, path: Path) -> None:
    """Give a file its name; nothing that has it is replaced, even what came a moment ago.

    Raises:
        FileExistsError: Something has it.
    """
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        partial.rename(path)
