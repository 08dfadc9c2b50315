"""Which axes of an ONNX file's inputs count items, which vary, and how long they are, as a config has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compiler.artifact import Dimension
from compiler.config import CompileConfig
from compiler.errors import UsageError, nearest
from compiler.graphs import OnnxModelFile
from compiler.sources.onnx_inputs import KEY, FileInput, read_inputs
from compiler.tasks.arrays.lengths import Lengths
from compiler.tasks.arrays.spec import BATCH, ITEMS, SCALAR, quoted

AXES = "model.axes"
BATCH_NAMES = (*ITEMS, "batch_size", "batchsize", "batch_dim", "num_batch", "nbatch", "bs", "b")
"""What exporters and their users call the axis that counts items, in small letters."""


@dataclass(frozen=True)
class InputSettings:
    """A file's inputs, as the task of a config has them.

    Attributes:
        shapes: As `InputSpec.parse` reads them.
        axis_lengths: Of the axes that they name, as `Lengths.parse` reads them.
    """

    shapes: Mapping[str, str]
    axis_lengths: Mapping[str, str]


def input_settings(file: OnnxModelFile, config: CompileConfig) -> InputSettings:
    """A file's inputs, with what the user says of them.

    Raises:
        UsageError: A length is left open or is another than the file's, or the file takes another batch.
        CompileError: An input is no tensor, or of a type that NumPy does not have.
    """
    given = config.model.inputs
    for name in given:
        if name not in (names := [value.name for value in file.inputs]):
            raise UsageError(f"the file has no input '{name}'", where=f"{KEY}.{name}", fix=nearest(name, names))
    inputs = read_inputs(file, given)
    lengths = _said_lengths(inputs, config)
    counting = _counting(inputs, lengths)
    shapes = {one.name: _settled(one, lengths, counting) for one in inputs}
    for one in inputs:
        _check_known(one, shapes[one.name], lengths)
    varies = any(isinstance(axis, str) for shape in shapes.values() for axis in shape)
    if not varies:
        _check_fixed(shapes, config)
    named = {axis for shape in shapes.values() for axis in shape}
    return InputSettings(
        {one.name: f"{_text(shapes[one.name], varies=varies)}:{one.numbers}" for one in inputs},
        {axis: str(one) for axis, one in lengths.items() if axis in named},
    )


def _said_lengths(inputs: Sequence[FileInput], config: CompileConfig) -> dict[str, Lengths]:
    """What the user says of the lengths of axes, by the names that the file has for them; `BATCH` for the items."""
    said: dict[str, Lengths] = {}
    names = {axis for one in inputs for axis in (*one.shape, *(one.given.shape if one.given else ()))}
    for axis, text in config.model.axes.items():
        if axis not in names and axis not in ITEMS:
            known = [str(name) for name in names if isinstance(name, str)]
            raise UsageError(f"the file has no axis '{axis}'", where=f"{AXES}.{axis}", fix=nearest(axis, known))
        try:
            said[BATCH if axis.lower() in BATCH_NAMES else axis] = Lengths.parse(str(text))
        except ValueError as error:
            raise UsageError("the lengths cannot be read", where=f"{AXES}.{axis}={text}", why=str(error)) from error
    for one in inputs:
        for axis, lengths in _lengths_of(one):
            if said.setdefault(axis, lengths) != lengths:
                raise UsageError(
                    f"the dimension {axis} has two lengths",
                    where=f"{KEY}.{one.name}",
                    why=f"it is {said[axis]} and {lengths}",
                    fix="give the same length wherever the file has the same name",
                )
    return said


def _lengths_of(one: FileInput) -> Iterable[tuple[str, Lengths]]:
    """Yield what the shape that the user gives for an input says of its axes."""
    given = one.given
    if given is None:
        return
    fits = given.dtype == one.dtype and len(one.shape) == len(given.shape)
    for axis, asked in zip(one.shape, given.shape, strict=False):
        if isinstance(axis, int):
            fits &= asked == axis or (asked == BATCH and axis == 1 and BATCH not in given.ranges)
        elif isinstance(asked, int):
            yield axis, Lengths(asked, asked, asked)
        elif asked in given.ranges:
            yield (BATCH if asked == BATCH else axis), given.ranges[asked]
    if not fits:
        raise one.refuse(given.text.partition(":")[0])


def _counting(inputs: Sequence[FileInput], said: Mapping[str, Lengths]) -> set[str]:
    """The names of the axes that count items.

    They are those that are called so, and those that the user says are. Where none is, the first axis of each input is
    one; and so is a first axis without a name of an input that has no other.
    """
    named = {
        axis
        for one in inputs
        for position, axis in enumerate(one.shape)
        if isinstance(axis, str)
        and axis not in said
        and (axis.lower() in BATCH_NAMES or (one.given is not None and one.given.shape[position] == BATCH))
    }
    first = {
        axis
        for one in inputs
        for axis in one.shape[:1]
        if isinstance(axis, str)
        and axis not in said
        and (not named or (axis in one.unnamed and not named & set(one.shape)))
        and not _is_renamed(one)
    }
    return named | first


def _is_renamed(one: FileInput) -> bool:
    """Whether the user has a name for the first axis of an input."""
    return one.given is not None and isinstance(one.given.shape[0], str) and one.given.shape[0] != BATCH


def _settled(one: FileInput, said: Mapping[str, Lengths], counting: set[str]) -> tuple[Dimension, ...]:
    """The shape of an input: numbers, and the names of what varies."""
    given = one.given
    axes: list[Dimension] = []
    for position, axis in enumerate(one.shape):
        asked = given.shape[position] if given else None
        if isinstance(axis, int):
            axes.append(axis)
        elif axis in said and not said[axis].varies:
            axes.append(said[axis].usual)
        elif axis in counting:
            axes.append(BATCH)
        else:
            is_other_name = isinstance(asked, str) and given is not None and asked not in given.ranges
            axes.append(asked if is_other_name and asked is not None else axis)
    return tuple(axes)


def _check_known(one: FileInput, shape: Sequence[Dimension], said: Mapping[str, Lengths]) -> None:
    """Refuse an input of which a length is open that nobody gives."""
    unknown = [axis for axis in shape if isinstance(axis, str) and axis != BATCH and axis not in said]
    if unknown:
        by_name = next((axis for axis in unknown if axis not in one.unnamed), None)
        range_ = f", or from how long to how long: {AXES}.{by_name}=16-128" if by_name else ""
        raise UsageError(
            f"the file leaves lengths of the input '{one.name}' open",
            where=f"{KEY}.{one.name}",
            why=f"it is {one.described}, and an engine is built and proven for lengths that are known",
            fix=f"say how long they are{range_}; for example {one.example}",
        )


def _check_fixed(shapes: Mapping[str, Sequence[Dimension]], config: CompileConfig) -> None:
    """Refuse a batch that varies, or another than a file of one item takes, where nothing in the file varies."""
    first = {name: shape[0] for name, shape in shapes.items() if shape}
    name, length = next(iter(first.items()), ("", 1))
    if config.resolved_shape.dynamic:
        raise UsageError(
            f"the file takes a batch of {length} only" if first else "nothing varies in the file",
            where="shape=dynamic",
            why=f"the first axis of the input {name} is {length} long, and no axis is open"
            if first
            else "its inputs have no axes",
            fix="use shape=static, or export it with a first axis that varies",
        )
    single = [name for name, length in first.items() if length == 1]
    if single and config.batch.usual != 1:
        raise UsageError(
            "the file takes a batch of 1 only",
            where=f"batch.usual={config.batch.usual}",
            why=f"the first axis of the input {single[0]} is 1 long",
            fix="use batch.usual=1, or export it with a first axis that varies",
        )


def _text(shape: Sequence[Dimension], *, varies: bool) -> str:
    """A shape as `InputSpec.parse` reads it. A first axis of 1 counts items only where nothing in the file varies."""
    axes = ["n" if axis == BATCH else quoted(axis) if isinstance(axis, str) else str(axis) for axis in shape]
    text = "x".join(axes) or SCALAR
    is_fixed_one = shape[:1] == (1,) and BATCH not in shape and varies
    return f"{text}-{text}" if is_fixed_one else text
