"""What is measured of a bundle, and at which of the inputs that its engine takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from compiler.artifact import Engine
from compiler.config import CompileConfig
from compiler.config.limits import Limits
from compiler.config.sizes import InputSize, Size, SizeRange, size_text
from compiler.datasets.files import find_files
from compiler.errors import UsageError
from compiler.runtime.inputs import is_pattern, matching
from compiler.tasks import AnyTask, InputKind


@dataclass(frozen=True)
class Request:
    """What is measured of one bundle.

    Attributes:
        bundle: Its folder.
        sources: Files of what its task looks at, and folders of such; nothing for the task's own sample.
        shapes: Sizes of the engine's input; nothing for the one that it is best at.
        batches: Likewise.
        threads: That the engine may use; None for as many as it was compiled with.
        modules: See `compiler.runtime.open`.
        engine_code: See `compiler.runtime.open`.
        trust_changes: See `compiler.runtime.open`.
        limits: See `compiler.runtime.open`.
    """

    bundle: str
    sources: tuple[str, ...] = ()
    shapes: tuple[Size, ...] = ()
    batches: tuple[int, ...] = ()
    threads: int | None = None
    modules: tuple[str, ...] = ()
    engine_code: bool = False
    trust_changes: bool = False
    limits: Limits = field(default_factory=Limits)


def inputs_of(request: Request, config: CompileConfig, task: AnyTask, engine: Engine) -> tuple[InputSize, ...]:
    """The inputs that are asked for, each batch at each shape.

    Raises:
        UsageError: The engine does not take one of them.
    """
    shapes, batches = request.shapes or (config.sizes.usual,), request.batches or (config.batch.usual,)
    for shape in shapes:
        _require_shape(shape, config.sizes, request.bundle, task.sides)
    for batch in batches:
        _require_batch(batch, _batches(config, task, engine), request.bundle)
    return tuple(InputSize(batch, shape) for shape, batch in product(shapes, batches))


def _batches(config: CompileConfig, task: AnyTask, engine: Engine) -> tuple[int, int]:
    """The smallest and the largest batch that an engine takes."""
    first = engine.inputs[0].shape[:1]
    fixed = first[0] if task.batched and first and isinstance(first[0], int) else config.fixed_batch
    return (config.batch.smallest, config.batch.largest) if fixed is None else (fixed, fixed)


def _require_shape(shape: Size, sizes: SizeRange, bundle: str, sides: Sequence[str]) -> None:
    where, told = f"shape={size_text(shape)}", size_text(sizes.smallest)
    if len(shape) != len(sizes.smallest):
        why = f"a shape of {bundle} is {' x '.join(sides)}, such as {told}" if sides else f"no side of {bundle} varies"
        raise UsageError(
            "the engine takes no such input", where=where, why=why, fix="leave it out, or give those sides"
        )
    bounds = zip(shape, sizes.smallest, sizes.largest, sizes.stride, strict=True)
    if any(not low <= side <= high or (low < high and side % step) for side, low, high, step in bounds):
        if not sizes.fixed:
            told = f"{told} to {size_text(sizes.largest)}, its sides multiples of {size_text(sizes.stride)}"
        raise UsageError(
            "the engine takes no such input",
            where=where,
            why=f"{bundle} was compiled for {told}",
            fix=f"give one of those, or compile it for another: shape=static_{size_text(shape)}",
        )


def _require_batch(batch: int, known: tuple[int, int], bundle: str) -> None:
    smallest, largest = known
    if not smallest <= batch <= largest:
        told = f"batches of {smallest}" if smallest == largest else f"batches from {smallest} to {largest}"
        raise UsageError(
            "the engine takes no such batch",
            where=f"batch={batch}",
            why=f"{bundle} was compiled for {told}",
            fix="give one of those, or compile it for more: batch.usual where its shape is static, else batch.largest",
        )


def files_in(sources: Sequence[str], kind: InputKind) -> tuple[Path, ...]:
    """The files of one kind that are named, those that patterns mean, and those below the folders that are named.

    Raises:
        UsageError: There is no such file or folder, or a folder has none.
    """
    files: list[Path] = []
    for word in sources:
        if is_pattern(word):
            files.extend(one.path for one in matching(word, kind))
            continue
        source = Path(word)
        if not source.exists():
            raise UsageError("there is no such file or folder", where=str(source), fix="check the path")
        found = find_files(source, kind.suffixes) if source.is_dir() else [source]
        if not found:
            raise UsageError(
                f"there is nothing to look at in {source}",
                where=str(source),
                why=f"the model looks at {kind.name}, and no file below it ends in {', '.join(kind.suffixes)}",
                fix="name a folder that holds some, or a file",
            )
        files.extend(found)
    return tuple(files)
