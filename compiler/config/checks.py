"""What does not go together in a config although every type is right: each error names the key and a valid choice."""

from __future__ import annotations

import math

from compiler.config.consistency import check_consistency
from compiler.config.deploy_name import AUTO, PRECISIONS, Shape
from compiler.config.moved import PLUGIN
from compiler.config.plain_names import require_plain_name
from compiler.config.schema import CALIBRATION_METHODS, EXPORTERS, TAILS, CalibrationConfig, CompileConfig
from compiler.config.sizes import Size, size_text
from compiler.errors import UsageError, nearest

FIRST_DYNAMO_OPSET = 18
"""torch.export's translation to ONNX starts here; an older opset silently stays at it."""


def check_config(config: CompileConfig) -> None:
    """Refuse what cannot be.

    Raises:
        UsageError: Naming the key, why it cannot be, and the nearest valid choice.
    """
    _check_names(config)
    _check_precision(config)
    _check_calibration(config)
    _check_input(config)
    _check_sides(config)
    _check_shape(config)
    _check_tail(config)
    _check_model(config)
    _check_batch(config)
    _check_export(config)
    _check_cache(config)
    _check_verify(config)


def _check_names(config: CompileConfig) -> None:
    model = config.model
    names = {"model.name": model.name, "model.task": model.task, "model.algo": model.algo}
    for key, name in {**names, "backend.name": str(config.backend["name"])}.items():
        require_plain_name(name, key)


def _check_precision(config: CompileConfig) -> None:
    if config.precision not in (*PRECISIONS, AUTO):
        raise UsageError(
            f"there is no precision '{config.precision}'",
            where="precision",
            fix=nearest(config.precision, (*PRECISIONS, AUTO)),
        )
    able = config.backend_facts.PRECISIONS
    if config.precision == AUTO:
        _check_timed(config)
        return
    if config.precision not in able:
        raise UsageError(
            f"{config.backend['name']} cannot be built in {config.precision}",
            where=f"backend={config.backend['name']} precision={config.precision}",
            why=config.backend_facts.REFUSED_PRECISIONS.get(config.precision, f"this backend takes {', '.join(able)}"),
            fix=f"use precision={able[0]}",
        )
    if config.precision == "fp32" and config.keep_fp32:
        raise UsageError(
            "everything is in fp32 already",
            where=f"keep_fp32=[{', '.join(config.keep_fp32)}]",
            fix="leave it out, or choose precision=fp16, bf16 or int8",
        )


def _check_timed(config: CompileConfig) -> None:
    """Refuse to choose the fastest precision of a backend of which that is not known."""
    if not config.backend_facts.TIMED:
        able = config.backend_facts.PRECISIONS
        raise UsageError(
            f"the fastest precision of {config.backend['name']} is not measured",
            where=f"backend={config.backend['name']} precision={AUTO}",
            why="its engines run elsewhere, or building several of them takes too long",
            fix=f"choose one: {', '.join(able)}",
        )


def _check_calibration(config: CompileConfig) -> None:
    if config.precision not in ("int8", AUTO) and config.calibration != CalibrationConfig():
        raise UsageError(
            f"{config.precision} needs no calibration",
            where="calibration",
            why="ranges are what int8 is made of",
            fix="choose precision=int8, or leave calibration out",
        )
    if config.calibration.method not in CALIBRATION_METHODS:
        raise UsageError(
            f"there is no calibration method '{config.calibration.method}'",
            where="calibration.method",
            fix=nearest(config.calibration.method, CALIBRATION_METHODS),
        )


def _check_input(config: CompileConfig) -> None:
    if config.input_kind is not None and config.input is None:
        raise UsageError(
            "there is no input to be of a kind",
            where=f"input_kind={config.input_kind}",
            why="it says what the input has to be",
            fix="leave it out, or give input=<file> too",
        )
    box = config.box
    if isinstance(box, list) and all(isinstance(number, int | float) for number in box) and len(box) != 4:
        raise UsageError(
            f"{len(box)} numbers are no box",
            where=f"box={','.join(map(str, box))}",
            fix="give box=x1,y1,x2,y2 in pixels, or a JSON file with several boxes",
        )


def _check_sides(config: CompileConfig) -> None:
    model = config.model
    is_picture = model.processing.get("input_size") is not None
    sides = len(model.stride) or (2 if is_picture else len(model.input_shape))
    if len(model.input_shape) != sides:
        raise UsageError(
            f"{len(model.input_shape)} numbers are no input shape of {model.name}",
            where="model.input_shape",
            why=f"its input has {sides}: height, width, or a number of voxels",
            fix="leave it out",
        )


def _check_shape(config: CompileConfig) -> None:
    shape, own = config.resolved_shape, config.model.input_shape
    processed = config.model.processing.get("input_size")
    if not config.model.stride and processed is not None and tuple(processed) != own[::-1]:
        raise UsageError(
            f"the model takes {own[1]} x {own[0]} pixels, and its processing makes {processed[0]} x {processed[1]}",
            where="model.input_shape, model.processing.input_size",
            why="the first is height, width and the second width, height of one and the same input",
            fix="change both, and the network's head with them",
        )
    check_area(config)
    if config.model.stride:
        _check_stride(config, shape, config.model.stride)
    elif shape.usual != own or shape.largest:
        own_shape = Shape(shape.dynamic, own)
        raise UsageError(
            f"{config.model.name} takes only {size_text(own)} (height x width), not {str(shape).partition('_')[2]}",
            where=f"shape={config.shape}",
            why="this network is built for one size",
            fix=f"use shape={own_shape}, or a model that was trained at another size",
        )


def check_area(config: CompileConfig) -> None:
    """Refuse an engine's input that is larger than the limits.

    Raises:
        UsageError: It is.
    """
    made = config.model.processing.get("input_size") or ()
    largest = max(config.sizes.largest, tuple(made), key=math.prod)
    most = config.limits.megapixels * 1e6 if len(largest) > 1 else config.limits.points
    if math.prod(largest) > most:
        key = "limits.megapixels" if len(largest) > 1 else "limits.points"
        raise UsageError(
            f"an input of {size_text(largest)} is larger than any image or cloud may be",
            where=f"shape={config.shape}",
            why=f"{key} is {getattr(config.limits, key.partition('.')[2]):g}",
            fix=f"choose a smaller shape; or where this one is meant, raise {key}",
        )


def _check_stride(config: CompileConfig, shape: Shape, stride: Size) -> None:
    model = config.model
    if len(shape.usual) != len(stride):
        raise UsageError(
            f"{size_text(shape.usual)} is not a size of {model.name}",
            where=f"shape={config.shape}",
            why=f"its own is {size_text(model.input_shape)}",
            fix=f"for example shape={Shape(shape.dynamic, model.input_shape)}",
        )
    sizes = [size for size in (shape.usual, shape.largest) if size]
    least, most = model.smallest_shape, model.largest_shape
    fixed = {index: side for index, side in enumerate(least) if most and most[index] == side}
    if any(size[index] != side for size in sizes for index, side in fixed.items()):
        raise UsageError(
            f"{model.name} cannot take the size {str(shape).partition('_')[2]}",
            where=f"shape={config.shape}",
            why=f"the network is built for sizes from {size_text(least)} to {size_text(most)}",
            fix=f"for example shape={Shape(shape.dynamic, model.input_shape)}",
        )
    if any(side % step for size in sizes for side, step in zip(size, stride, strict=True)):
        nearest_shape = Shape(shape.dynamic, _rounded(shape.usual, stride), _rounded(shape.largest, stride))
        raise UsageError(
            f"{model.name} cannot take the size {str(shape).partition('_')[2]}",
            where=f"shape={config.shape}",
            why=f"the network halves its input several times, so that sides are multiples of {size_text(stride)}",
            fix=f"the nearest that it can take is shape={nearest_shape}",
        )


def _check_tail(config: CompileConfig) -> None:
    if config.tail not in (*TAILS, PLUGIN):
        raise UsageError(f"there is no tail '{config.tail}'", where="tail", fix=nearest(config.tail, TAILS))
    model = config.model
    kind, expected = (model.tail or {}).get("kind"), model.processing.get("tail")
    if None not in (kind, expected) and kind != expected:
        raise UsageError(
            f"the network ends in the tail '{kind}', and its processing expects '{expected}'",
            where="model.tail.kind, model.processing.tail",
            why="both are about the same outputs",
            fix=f"leave both out: {' or '.join(f'tail={tail}' for tail in TAILS)} sets both",
        )


def _check_model(config: CompileConfig) -> None:
    model = config.model
    check_consistency(model.name, {"network": model.network, "tail": model.tail, "processing": model.processing})


def _check_batch(config: CompileConfig) -> None:
    batch = config.batch
    if not batch.smallest <= batch.usual <= batch.largest:
        raise UsageError(
            f"the batch sizes {batch.smallest}, {batch.usual}, {batch.largest} are not in order",
            where="batch.smallest, batch.usual, batch.largest",
            why="an engine is built for smallest <= usual <= largest",
            fix="for example batch.smallest=1 batch.usual=1 batch.largest=8",
        )


def _check_export(config: CompileConfig) -> None:
    for where, exporter in (("export.exporter", config.export.exporter), ("model.exporter", config.model.exporter)):
        if exporter not in EXPORTERS:
            raise UsageError(f"there is no exporter '{exporter}'", where=where, fix=nearest(exporter, EXPORTERS))
    program = config.backend_facts.PROGRAM
    if program.EXPORTER not in ("auto", config.exporter):
        raise UsageError(
            f"the {config.exporter} exporter does not make what {config.backend['name']} reads",
            where=f"backend={config.backend['name']} export.exporter={config.export.exporter}",
            why=f"it reads {program.IR}, which is made by {program.EXPORTER}",
            fix="leave export.exporter out",
        )
    if program.IR == "onnx" and config.exporter == "dynamo" and config.export.opset < FIRST_DYNAMO_OPSET:
        raise UsageError(
            f"the dynamo exporter cannot write opset {config.export.opset}",
            where=f"export.opset={config.export.opset}",
            why=f"its operators start at opset {FIRST_DYNAMO_OPSET}",
            fix=f"use export.opset={FIRST_DYNAMO_OPSET}, or export.exporter=torchscript",
        )


def _check_cache(config: CompileConfig) -> None:
    if not config.cache_limit >= 0:
        raise UsageError(
            f"a cache cannot be limited to {config.cache_limit} GiB",
            where="cache_limit",
            fix="give a number of GiB, 0 to keep nothing that is older than an hour",
        )


def _check_verify(config: CompileConfig) -> None:
    verify = config.verify
    if verify.reduced_tolerance is not None and not verify.reduced_tolerance > 0:
        raise UsageError(
            f"the tolerance {verify.reduced_tolerance} is not positive",
            where="verify.reduced_tolerance",
            why="it is the largest error allowed in fp16, bf16 and int8, in standard deviations of the output",
            fix="leave it out, or give a positive number",
        )
    if not verify.tolerance > 0:
        raise UsageError(
            f"the tolerance {verify.tolerance} is not positive",
            where="verify.tolerance",
            why="it is the largest error allowed, in standard deviations of the output",
            fix="leave it at 1e-4, or give a positive number",
        )
    if verify.decoded_tolerance is not None and not verify.decoded_tolerance >= 0:
        raise UsageError(
            f"the tolerance {verify.decoded_tolerance} is negative",
            where="verify.decoded_tolerance",
            why="it is the largest difference allowed after decoding, in the task's unit",
            fix="leave it out, or give 0 or a positive number",
        )


def _rounded(size: Size, stride: Size) -> Size:
    return tuple(max(round(side / step), 1) * step for side, step in zip(size, stride, strict=False))
