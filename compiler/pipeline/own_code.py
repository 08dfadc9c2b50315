"""A network that the user's own code makes: what only running it can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compiler.config import CompileConfig
from compiler.errors import CompileError
from compiler.tasks import AnyTask

if TYPE_CHECKING:
    from torch import Tensor

Outputs = list[tuple[str, "Tensor"]]


def complete(config: CompileConfig, task: AnyTask, source: Any) -> tuple[CompileConfig, str]:
    """Make the network, run it, and fill in what its outputs are called and whether they count items.

    Args:
        config: With a `model.target`.
        task: Takes raw tensors; without its outputs.
        source: What it looks at.

    Returns:
        The config, and the digest of the code that the network is made by.

    Raises:
        UsageError: The network cannot be made, or takes other inputs.
        CompileError: It fails on its inputs, or what it returns cannot be the outputs of an engine.
    """
    from compiler.networks.targets import source_digest_of, split_target

    target = config.model.target
    split_target(target)
    counts = (1, 2) if config.resolved_shape.dynamic else (config.batch.usual,)
    found = [_outputs(config, task.samples(source, None, count, ()).tensors) for count in counts]
    names = _names(found, set(task.inputs))
    counted = all(tensor.shape[0] == count for run, count in zip(found, counts, strict=True) for _, tensor in run)
    processing = {**config.model.processing, "outputs": names, "counted": counted}
    return replace(config, model=replace(config.model, processing=processing)), source_digest_of(target)


def _outputs(config: CompileConfig, tensors: Any) -> Outputs:
    import torch

    from compiler.networks.torch_module import TorchModule

    model = config.model
    network = TorchModule(model.target, model.inputs, model.kwargs).eval()
    shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
    try:
        with torch.no_grad():
            return network.named_outputs(*(torch.from_numpy(tensor) for tensor in tensors.values()))
    except CompileError:
        raise
    except Exception as error:  # whatever the user's forward raises
        raise CompileError(
            "the network fails on its inputs",
            where=f"model.target={model.target}",
            why=f"{type(error).__name__}: {_first_line(error)}, given {shapes}",
            fix="correct model.inputs; or where it takes no batch of another size, use shape=static",
        ) from error


def _names(found: Sequence[Outputs], inputs: set[str]) -> list[str]:
    first, *others = [[name for name, _ in run] for run in found]
    for other in others:
        if other != first:
            raise CompileError(
                "the network returns other outputs from one run to the next",
                where="output",
                why=f"first {', '.join(first)}, then {', '.join(other)}",
                fix="return the same outputs in the same order for every input",
            )
    if not first:
        raise CompileError("the network returns nothing", where="output", fix="return at least one tensor")
    names = [f"output_{name}" if name in inputs else name for name in first]
    for name, (_, tensor) in zip(names, found[0], strict=True):
        if names.count(name) > 1:
            raise CompileError(f"two outputs are called {name}", where=f"output {name}", fix="give them other keys")
        if tensor.ndim == 0:
            raise CompileError(
                f"the output {name} is a single number",
                where=f"output {name}",
                why="the first axis of an output counts items",
                fix="return one number for each item, or leave it out",
            )
    return names


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
