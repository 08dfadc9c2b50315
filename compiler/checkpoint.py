"""Checkpoints: read safely, slimmed to their weights, matched to the network, or drawn where there is none."""

from __future__ import annotations

import http.client
import math
import pickle
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.artifact import file_digest, written_whole
from compiler.errors import CompileError

if TYPE_CHECKING:
    from torch import Tensor, nn

PRIOR_LOGIT = math.log(0.01 / 0.99)
"""Where classifiers of detectors start (focal loss, arXiv:1708.02002): few of many candidates are objects."""
OFFICIAL = "official"
"""What stands for the checkpoint that a model's authors publish."""
FORMER_HEAD = "keypoint_head."
SHOWN = 5
"""How many keys an error lists before it only counts."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the weights in a `.pth` file, without running any code that is in it.

    Args:
        path: A file with a state dict, alone or under `state_dict` as OpenMMLab saves it.

    Raises:
        CompileError: The file is missing, truncated, would run code when unpickled, or holds no weights.
    """
    import torch

    require_checkpoint(path)
    try:
        with torch.serialization.safe_globals(_harmless_globals()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file leads torch to raise has no common base class
        raise _unsafe(path, error) if isinstance(error, pickle.UnpicklingError) else _unreadable(path, error) from error
    return _weights_in(content, path)


def require_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that is not there.

    Raises:
        CompileError: It does not exist, or is no file.
    """
    if not path.is_file():
        raise CompileError(
            f"the checkpoint {path} does not exist",
            where=f"checkpoint={path}",
            fix=f"give the path of a .pth file, checkpoint={OFFICIAL}, or nothing to draw weights",
        )


def match(
    network: nn.Module, weights: Mapping[str, Tensor], *, source: str, candidates: Callable[[], Iterable[str]] = tuple
) -> None:
    """Load weights into a network, every key and every shape.

    Args:
        network: Changed in place.
        weights: By state-dict key. Counters of batches that only training reads may be missing.
        source: Where the weights come from, for the error.
        candidates: Gives the names of models that fit these weights, for the error's advice.

    Raises:
        CompileError: Keys are missing or left over, or shapes differ; says how many, the first few, and what to try.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in weights and not key.endswith("num_batches_tracked")]
    foreign = [key for key in weights if key not in own]
    shapes = [
        f"{key} is {_size(weights[key])}, not {_size(tensor)}"
        for key, tensor in own.items()
        if key in weights and weights[key].shape != tensor.shape
    ]
    if missing or foreign or shapes:
        findings = {"missing": missing, "not in the network": foreign, "of another shape": shapes}
        likely = list(candidates())
        raise CompileError(
            "the checkpoint does not fit the network",
            where=source,
            why="; ".join(f"{len(found)} keys {kind}: {_few(found)}" for kind, found in findings.items() if found)
            + f" (the network has {len(own)} keys)",
            fix=f"these weights fit model={' or model='.join(likely)}"
            if likely
            else "name the model that this checkpoint was trained for",
        )
    network.load_state_dict({key: weights.get(key, tensor) for key, tensor in own.items()}, strict=True)


def draw_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return deterministic weights for a network without a checkpoint.

    Every tensor depends on its key and shape alone. Kernels are scaled by their fan-in. Normalisations expect inputs of
    a variance near 1, and amplify: where an activation is all but linear, a network forgets its input.
    """
    import torch

    return {
        key: torch.from_numpy(_draw(key, tuple(tensor.shape))).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor.clone()
        for key, tensor in state_dict.items()
    }


def download(url: str, sha256: str, folder: Path) -> Path:
    """Download a published checkpoint, once, and check its digest.

    Args:
        url: Its address.
        sha256: Its digest, or as many leading hex digits as were published.
        folder: Where downloads are kept.

    Returns:
        The file's path.

    Raises:
        CompileError: The model has no published checkpoint, the download fails, or the digest differs.
    """
    if not url:
        raise CompileError(
            "this model has no published checkpoint", where="model.official.url", fix="give a file: checkpoint=<path>"
        )
    if not sha256:
        raise CompileError(
            "the published checkpoint has no digest to check it with",
            where="model.official.sha256",
            fix="add its SHA-256, or download it and give checkpoint=<path>",
        )
    target = folder / url.rsplit("/", 1)[-1]
    if target.is_file() and file_digest(target).startswith(sha256):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as partial:
        _fetch(url, partial)
        found = file_digest(partial)
        if not found.startswith(sha256):
            raise CompileError(
                "the downloaded checkpoint is not the published one",
                where=url,
                why=f"its SHA-256 starts with {found[: len(sha256)]}, not with {sha256}",
                fix="download it by hand, compare it, and give checkpoint=<path>",
            )
    return target


def _fetch(url: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as response, path.open("wb") as file:
            for block in iter(lambda: response.read(1 << 20), b""):
                file.write(block)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CompileError(
            "the published checkpoint cannot be downloaded",
            where=url,
            why=str(getattr(error, "reason", error)),
            fix="check the network, or download it elsewhere and give checkpoint=<path>",
        ) from error


def _harmless_globals() -> list[Any]:
    """Return what OpenMMLab's metadata holds beside tensors: numpy arrays and scalars, which run nothing."""
    multiarray = np._core.multiarray  # type: ignore[attr-defined]
    dtypes = [getattr(np.dtypes, name) for name in np.dtypes.__all__ if name.endswith("DType")]
    # Checkpoints written with numpy 1 name the module by its old path.
    old_names = [(multiarray._reconstruct, "numpy.core.multiarray._reconstruct")]
    old_names.append((multiarray.scalar, "numpy.core.multiarray.scalar"))
    return [multiarray._reconstruct, multiarray.scalar, *old_names, np.ndarray, np.dtype, *dtypes]


def _unreadable(path: Path, error: Exception) -> CompileError:
    # What torch adds is advice to read the file without the safety.
    own = str(error).rpartition("WeightsUnpickler error: ")[2].partition(" In PyTorch")[0]
    first = next((line for line in own.splitlines() if line.strip()), "")
    return CompileError(
        f"the checkpoint {path.name} cannot be read",
        where=str(path),
        why=f"it is truncated or not a PyTorch checkpoint ({type(error).__name__}{f': {first}' if first else ''})",
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


def _weights_in(content: object, path: Path) -> dict[str, Tensor]:
    import torch

    inner = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if isinstance(inner, Mapping):
        weights = {_present_key(str(key)): value for key, value in inner.items() if isinstance(value, torch.Tensor)}
        if weights:
            return weights
    keys = _few(content) if isinstance(content, Mapping) else ""
    held = f"a {type(content).__name__}" + (f" with {keys}" if keys else "")
    raise CompileError(
        f"the checkpoint {path.name} holds no weights",
        where=str(path),
        why=f"it holds {held}, and no state dict",
        fix="give a file that was saved by torch.save(model.state_dict()) or by an OpenMMLab runner",
    )


def _present_key(key: str) -> str:
    """Return what OpenMMLab calls a weight today: MMPose before 1.0, and what was published then, names its head so."""
    return f"head.{key.removeprefix(FORMER_HEAD)}" if key.startswith(FORMER_HEAD) else key


def _draw(key: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    generator = np.random.default_rng(zlib.crc32(key.encode()))
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "running_var":
        values = generator.uniform(0.5, 1.5, shape)
    elif leaf == "running_mean":
        values = generator.normal(0.0, 0.1, shape)
    elif len(shape) > 1:
        fan_in = int(np.prod(shape[1:])) or 1
        values = generator.normal(0.0, fan_in**-0.5, shape)
    elif "bias" in leaf:
        is_among_many = "_cls." in key and shape[0] > 1
        values = generator.normal(PRIOR_LOGIT if is_among_many else 0.0, 0.05, shape)
    else:
        values = generator.uniform(1.0, 2.0, shape)
    return np.asarray(values, dtype=np.float32)


def _few(items: Iterable[object]) -> str:
    names = [str(item) for item in items]
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"
