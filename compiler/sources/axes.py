"""The axes of a network's inputs, in the words that the rest of a config has for what varies: a batch, and sizes."""

from __future__ import annotations

from dataclasses import replace

from compiler.config import CompileConfig
from compiler.config.schema import BatchConfig
from compiler.errors import UsageError
from compiler.tasks.arrays.lengths import Lengths
from compiler.tasks.arrays.task import RawTensors


def with_axes(config: CompileConfig, task: RawTensors) -> CompileConfig:
    """The config with the sizes and the batch that the inputs of its task are to have.

    Raises:
        UsageError: The engine is static and there is more than one length, or the batch is said twice and differs.
    """
    varying, batch = task.varying, task.batch_lengths
    if not config.resolved_shape.dynamic:
        _check_static({**varying, **({"n": batch} if batch else {})})
    if batch:
        config = replace(config, batch=_batch(config, batch))
    lengths = varying.values()
    model = replace(
        config.model,
        input_shape=tuple(one.usual for one in lengths),
        smallest_shape=tuple(one.smallest for one in lengths),
        largest_shape=tuple(one.largest for one in lengths),
        stride=(1,) * len(lengths),
    )
    return replace(config, model=model)


def _check_static(lengths: dict[str, Lengths]) -> None:
    for axis, one in lengths.items():
        if one.varies:
            raise UsageError(
                "a static engine has exactly one shape",
                where=f"shape=static, axis {axis}",
                why=f"its lengths are {one}",
                fix=f"give one length, such as {one.usual}; or use shape=dynamic",
            )


def _batch(config: CompileConfig, lengths: Lengths) -> BatchConfig:
    said = BatchConfig(lengths.smallest, lengths.usual, lengths.largest)
    if config.batch not in (BatchConfig(), said):
        batch = config.batch
        raise UsageError(
            "the batch is said twice",
            where="model.inputs, batch",
            why=f"the inputs have {lengths} items, and batch.smallest, usual and largest are "
            f"{batch.smallest}, {batch.usual} and {batch.largest}",
            fix="leave one of them out: a first axis of n leaves the batch to batch.*",
        )
    return said
