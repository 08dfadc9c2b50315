"""Read a checkpoint's weights, without running any code that is in it."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.artifact import LARGEST_WEIGHTS, require_file
from compiler.artifact.reading import reason
from compiler.checkpoint.inert_metadata import allowed
from compiler.errors import CompileError

if TYPE_CHECKING:
    from torch import Tensor

OFFICIAL = "official"
"""What stands for the checkpoint that a model's authors publish."""
GIVE_ONE = f"give the path of a .pth file, checkpoint={OFFICIAL}, or nothing to draw weights"
SAFETENSORS = ".safetensors"
LARGEST_CODE = 1 << 20
"""In bytes: what the code of a TorchScript archive may unpack to, which is compressed and refused by its own name."""
WEIGHTS = ("state_dict", "model_state_dict", "model", "ema_state_dict")
"""Where trainers put the weights, the first found counts. MMEngine's EMAHook saves the average as `state_dict`, which
is what it tests with, and the weights that it goes on training from as `ema_state_dict`."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights in a `.pth` or `.safetensors` file, by the names that they have in it.

    Args:
        path: A file with a state dict, alone or as a trainer saves it: under one of `WEIGHTS`.

    Raises:
        CompileError: The file is missing, truncated, would run code when unpickled, claims to unpack to more than it
            holds, or holds no weights.
    """
    require_checkpoint(path)
    return weights_in(read_content(path), path)[1]


def read_content(path: Path, standing_in: Sequence[tuple[Any, str]] | None = None) -> object:
    """All that is in a checkpoint that is there; of `.safetensors` that is a state dict.

    Args:
        path: The file.
        standing_in: What stands for the classes of its metadata, in the place of `inert_metadata.allowed`.

    Raises:
        CompileError: See `read_checkpoint`.
    """
    if path.suffix == SAFETENSORS:
        return _read_safetensors(path)
    try:
        return load_content(path, standing_in=standing_in)
    except CompileError:
        raise
    except Exception as error:  # what a damaged file leads torch to raise has no common base class
        raise _unsafe(path, error) if isinstance(error, pickle.UnpicklingError) else _unreadable(path, error) from error


def load_content(path: Path, *, mapped: bool = False, standing_in: Sequence[tuple[Any, str]] | None = None) -> object:
    """All that is in a `.pth` file, without running any code that is in it.

    Args:
        path: The file.
        mapped: Leave the weights on the disk until they are looked at, where the file allows it.
        standing_in: See `read_content`.

    Raises:
        CompileError: It claims to unpack to more than it holds.
        Exception: Whatever torch raises for a damaged file.
    """
    import torch

    _check_unpacked_size(path)
    known = list(allowed() if standing_in is None else standing_in)
    with torch.serialization.safe_globals(known), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged file makes torch guess at what it is
        mmap = mapped and zipfile.is_zipfile(path)
        content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    return content


def require_checkpoint(path: Path, where: str = "", fix: str = GIVE_ONE) -> None:
    """Refuse a checkpoint that is not there.

    Args:
        path: Of the file.
        where: How the user named it; as a compile has it where it is empty.
        fix: What the user can do, likewise.

    Raises:
        CompileError: It does not exist, is no file, or is larger than any checkpoint.
    """
    # An empty one is a truncated one, which is said where it is read.
    where = where or f"checkpoint={path}"
    require_file(path, f"the checkpoint {path}", where=where, fix=fix, largest=LARGEST_WEIGHTS, may_be_empty=True)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except Exception as error:  # torch's own errors, where a header contradicts itself
        raise _unreadable(path, error, "a safetensors file") from error
    if not weights:
        raise _unreadable(path, ValueError("it holds no tensors"), "a safetensors file")
    return weights


def _check_unpacked_size(path: Path) -> None:
    """Refuse a zip file that unpacks to much more than its own size: PyTorch compresses no weights, a zip bomb does."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        unpacked = sum(entry.file_size for entry in file.infolist())
    if unpacked > path.stat().st_size + LARGEST_CODE:
        raise CompileError(
            f"the checkpoint {path.name} cannot be read",
            where=str(path),
            why=f"its {path.stat().st_size} bytes claim to unpack to {unpacked}, and PyTorch does not compress",
            fix="do not trust this file; where it is yours, save it again with torch.save",
        )


def _unreadable(path: Path, error: Exception, kind: str = "a PyTorch checkpoint") -> CompileError:
    # What torch adds is advice to read the file without the safety.
    own = str(error).rpartition("WeightsUnpickler error: ")[2].partition(" In PyTorch")[0]
    first = next((line for line in own.splitlines() if line.strip()), "")
    damaged = f"it is truncated or not {kind} ({type(error).__name__}{f': {first}' if first else ''})"
    return CompileError(
        f"the checkpoint {path.name} cannot be read",
        where=str(path),
        why=reason(error) if isinstance(error, PermissionError) else damaged,
        fix="download or copy it again, and compare its size and SHA-256 with the original's",
    )


def _unsafe(path: Path, error: pickle.UnpicklingError) -> CompileError:
    text = str(error)
    if "Unsupported global" not in text and "GLOBAL" not in text:
        return _unreadable(path, error)
    name = text.partition("GLOBAL ")[2].partition(" ")[0] or "an unknown global"
    return CompileError(
        f"the checkpoint {path.name} holds more than weights",
        where=str(path),
        why=f"reading it would call {name}, which can run any code; nothing was run",
        fix="where you trust it, keep its weights only: torch.save({'state_dict': model.state_dict()}, 'weights.pth')",
    )


def weights_in(content: object, path: Path, names: Sequence[str] = WEIGHTS) -> tuple[str, dict[str, Tensor]]:
    """Where in a checkpoint the weights are, which is empty where they are all of it, and the weights.

    Args:
        content: Of the checkpoint.
        path: It was read from there.
        names: Where they may be, the first found counts.

    Raises:
        CompileError: It holds none.
    """
    import torch

    places = {name: content.get(name) for name in names} if isinstance(content, Mapping) else {}
    for name, place in {**places, "": content}.items():
        if isinstance(place, Mapping):
            weights = {str(key): value for key, value in place.items() if _is_weight(key, value, torch.Tensor)}
            if weights:
                _require_numbers(weights, path)
                return name, weights
    raise CompileError(
        f"the checkpoint {path.name} holds no weights",
        where=str(path),
        why=f"it holds a {type(content).__name__}{_named(content)}, and no state dict",
        fix="give a file that was saved by torch.save(model.state_dict()) or by an OpenMMLab runner",
    )


def _require_numbers(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that were saved from a device that has only their shapes."""
    empty = next((key for key, tensor in weights.items() if tensor.is_meta), None)
    if empty is not None:
        raise CompileError(
            f"the checkpoint {path.name} holds no numbers",
            where=f"{path}, {empty}",
            why="it was saved from the device meta, which keeps shapes alone",
            fix="load the weights before saving them",
        )


def _is_weight(key: object, value: object, kind: type) -> bool:
    return isinstance(key, str) and isinstance(value, kind)


def _named(content: object, shown: int = 5) -> str:
    """A few of a dictionary's keys; a hostile file's keys can be as long as all memory when they are written."""
    keys = [key if isinstance(key, str) else type(key).__name__ for key in content] if isinstance(content, dict) else []
    return f" with {', '.join(key[:80] for key in keys[:shown])}{', …' if len(keys) > shown else ''}" if keys else ""
