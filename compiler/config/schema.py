"""The schema of a compile config: what every key means, its type, its default, and what does not go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler.config.deploy_name import PRECISIONS, DeployName, Shape
from compiler.config.moved import PLUGIN
from compiler.config.sizes import InputSize, Size, SizeRange, size_text
from compiler.errors import UsageError, nearest

if TYPE_CHECKING:
    from compiler.config.backend_facts import BackendFacts

EXPORTERS = ("auto", "dynamo", "torchscript")
TAILS = ("native", "host")
CALIBRATION_METHODS = ("min_max", "percentile", "entropy")
FIRST_DYNAMO_OPSET = 18
"""torch.export's translation to ONNX starts here; an older opset silently stays at it."""


@dataclass(frozen=True)
class Official:
    """The checkpoint that a model's authors publish."""

    url: str = ""
    sha256: str = ""
    """The digest of the file, or as many of its leading hex digits as were published."""


@dataclass(frozen=True)
class ModelConfig:
    """A model: one file in `conf/model/`."""

    name: str
    task: str
    algo: str
    input_shape: tuple[int, ...]
    """Height, width, or a number of voxels: the only size, or where there is a stride the usual one."""
    network: dict[str, Any]
    """The network as nested `_target_` nodes, with the argument names of the OpenMMLab config; empty where it is the
    user's own: a `target`, a `file` or a `config`."""
    processing: dict[str, Any]
    """The task's pre- and post-processing, as a `_target_` node."""
    tail: dict[str, Any] | None = None
    """What follows the network's raw outputs within the engine, as a `_target_` node; nothing where nothing does."""
    stride: tuple[int, ...] = ()
    """What each side may be a multiple of; nothing means that the network is built for one size."""
    smallest_shape: tuple[int, ...] = ()
    """Where a dynamic engine begins unless its shape says so; nothing for the input shape."""
    largest_shape: tuple[int, ...] = ()
    """Where it ends, likewise."""
    openmmlab: str = ""
    """The OpenMMLab config that this model equals."""
    config: str = ""
    """The same as the user gave it, for `model=openmmlab`."""
    packages: dict[str, str] = field(default_factory=dict)
    """Where that config's bases of other packages lie: the `.mim/configs` folder of each."""
    official: Official = field(default_factory=Official)
    exporter: str = "auto"
    """The exporter that this model needs, where the default one does not do."""
    target: str = ""
    """What makes the network, for `model=torch`: `package.module:callable`."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """What the target is called with."""
    file: str | None = field(default=None, compare=False)
    """The ONNX file that is the network, for `model=onnx`; None where it is none."""
    inputs: dict[str, str] = field(default_factory=dict)
    """The network's inputs and their shapes, such as `1x3x224x224`: the arguments of the target's forward, or those of
    the file where it leaves a length open."""


@dataclass(frozen=True)
class BatchConfig:
    """The batch sizes an engine is built for and proven at; a static engine has only the usual one."""

    smallest: int = 1
    usual: int = 1
    largest: int = 4


@dataclass(frozen=True)
class ExportConfig:
    """How the network becomes a Program."""

    exporter: str = "auto"
    """`dynamo`, `torchscript`, or `auto`: what the backend needs, else what the model needs, else dynamo."""
    opset: int = 18


@dataclass(frozen=True)
class RewritersConfig:
    """Which rewriters may, must and must not act."""

    require: tuple[str, ...] = ()
    """A rewriter named here that does not fire is an error."""
    disable: tuple[str, ...] = ()


@dataclass(frozen=True)
class CalibrationConfig:
    """What int8 takes its ranges from."""

    data: str | None = None
    """A folder of what the model looks at, a list of such files (.txt), COCO annotations (.json) with boxes, or an
    OpenMMLab config (.py) for what it validates on; nothing means the proof's input and variations of it."""
    method: str = "min_max"
    """`min_max`, `percentile` or `entropy`."""
    limit: int = 256
    """Files that are read: spread evenly over the data."""
    auto: bool = False
    """Whether the layers that lose most stay in fp32, as few as the proof needs."""


@dataclass(frozen=True)
class VerifyConfig:
    """When a stage counts as proven."""

    tolerance: float = 1e-4
    """The largest absolute error that is allowed, in standard deviations of the network's own output."""
    decoded_tolerance: float | None = None
    """The largest difference after decoding, in the task's unit; also what a lossy rewriter is held to."""
    reduced_tolerance: float | None = None
    """The largest absolute error in fp16, bf16 and int8; nothing means 0.1 in fp16, 1 in bf16, no limit in int8."""
    reduced_cosine: float = 0.99
    """The smallest cosine similarity in fp16, bf16 and int8."""


@dataclass(frozen=True)
class CompileConfig:
    """A whole compile config, composed and checked.

    What says where and not what is not compared: the content of the files counts, wherever they lie.
    """

    model: ModelConfig
    backend: dict[str, Any]
    """The backend as a `_target_` node: one file in `conf/backend/`."""
    checkpoint: str | None = field(default=None, compare=False)
    """A path, `official`, or nothing: then weights are random deterministically."""
    input: str | None = field(default=None, compare=False)
    """The real input of the proof, a file of what the task looks at; nothing means the sample that ships with it."""
    input_kind: str | None = field(default=None, compare=False)
    """What the input has to be, where it was given by another name than `input`: `image`, `points` or `arrays`."""
    box: Any = None
    """Where the objects are: x1,y1,x2,y2 in pixels, a JSON file, or nothing for the whole image."""
    shape: str = "dynamic"
    precision: str = "fp32"
    keep_fp32: tuple[str, ...] = ()
    """What stays in fp32 whatever the precision: names of nodes, types of operators, or patterns of either."""
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    tail: str = "native"
    """Where a detector's boxes are selected: `native` or `host`; composed from nothing, where its backend selects them
    best. `plugin` is what `native` was called for TensorRT."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    rewriters: RewritersConfig = field(default_factory=RewritersConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    algos: dict[str, str] = field(default_factory=dict)
    """The model that each algorithm in a deploy name stands for."""
    tasks: dict[str, str] = field(default_factory=dict)
    """The model that a task stands for where a deploy name leaves the algorithm out."""
    output: str = field(default="outputs", compare=False)
    cache: str | None = field(default=None, compare=False)
    """Where finished stages are kept; nothing means `<output>/.cache`."""
    cache_limit: float = field(default=20.0, compare=False)
    """GiB that finished stages may take up; what was used longest ago goes first."""

    @property
    def resolved_shape(self) -> Shape:
        """The shape, with the model's own size filled in."""
        return self._shape.with_default(self.model.input_shape)

    @property
    def _shape(self) -> Shape:
        """The shape without a leading channel, which MMDeploy's names of text models have: `1x32x32-1x32x640`."""
        shape, sides = Shape.parse(self.shape), len(self.model.input_shape)
        sizes = [size[1:] if len(size) == sides + 1 and size[0] == 1 else size for size in (shape.usual, shape.largest)]
        return Shape(shape.dynamic, *sizes)

    @property
    def deploy_name(self) -> DeployName:
        """The name that rebuilds this config: the algorithm where it stands for this model, else the model itself."""
        model = self.model
        stands_for_algo = self.algos.get(model.algo) == model.name
        algo = model.algo if stands_for_algo else model.name
        return DeployName(model.task, algo, str(self.backend["name"]), self.precision, self.resolved_shape)

    @property
    def sizes(self) -> SizeRange:
        """The sizes that the engine takes."""
        model, shape = self.model, self._shape
        usual = shape.usual or model.input_shape
        if not model.stride or not shape.dynamic:
            return SizeRange(usual, usual, usual, model.stride or (1,) * len(usual))
        if shape.largest:
            return SizeRange(usual, _between(usual, model.input_shape, shape.largest), shape.largest, model.stride)
        smallest = tuple(map(min, usual, model.smallest_shape or usual))
        largest = tuple(map(max, usual, model.largest_shape or usual))
        return SizeRange(smallest, usual, largest, model.stride)

    @property
    def fixed_batch(self) -> int | None:
        """How many items a static engine takes at once; None where that varies."""
        return None if self.resolved_shape.dynamic else self.batch.usual

    @property
    def usual_input(self) -> InputSize:
        """The batch and size that the engine is best at."""
        return InputSize(self.batch.usual, self.sizes.usual)

    @property
    def proof_inputs(self) -> tuple[InputSize, ...]:
        """The batches and sizes to prove, smallest first, each once; a static engine has only the usual one."""
        if not self.resolved_shape.dynamic:
            return (self.usual_input,)
        batch, sizes = self.batch, self.sizes
        smallest, largest = InputSize(batch.smallest, sizes.smallest), InputSize(batch.largest, sizes.largest)
        return tuple(dict.fromkeys((smallest, self.usual_input, largest)))

    @property
    def backend_facts(self) -> type[BackendFacts]:
        """What the backend's class knows about itself.

        Raises:
            UsageError: There is no such class.
        """
        from compiler.config.backend_facts import backend_facts  # it knows Programs, and thereby numpy: --help does not

        return backend_facts(self.backend)

    @property
    def exporter(self) -> str:
        """The exporter after `auto` is resolved."""
        facts = self.backend_facts
        wishes = (self.export.exporter, facts.PROGRAM.EXPORTER, facts.EXPORTER, self.model.exporter)
        return next((wish for wish in wishes if wish != "auto"), "dynamo")

    def check(self) -> None:
        """Refuse what is typed correctly and still cannot be.

        Raises:
            UsageError: Naming the key, why it cannot be, and the nearest valid choice.
        """
        self._check_precision()
        self._check_shape()
        self._check_tail()
        self._check_batch()
        self._check_export()
        if not self.cache_limit >= 0:
            raise UsageError(
                f"a cache cannot be limited to {self.cache_limit} GiB",
                where="cache_limit",
                fix="give a number of GiB, 0 to keep nothing that is older than an hour",
            )
        self._check_verify()

    def _check_verify(self) -> None:
        verify = self.verify
        if verify.reduced_tolerance is not None and not verify.reduced_tolerance > 0:
            raise UsageError(
                f"the tolerance {verify.reduced_tolerance} is not positive",
                where="verify.reduced_tolerance",
                why="it is the largest error allowed in fp16, bf16 and int8, in standard deviations of the output",
                fix="leave it out, or give a positive number",
            )
        if not -1 <= verify.reduced_cosine <= 1:
            raise UsageError(
                f"{verify.reduced_cosine} is not a cosine", where="verify.reduced_cosine", fix="leave it at 0.99"
            )
        if not verify.tolerance > 0:
            raise UsageError(
                f"the tolerance {verify.tolerance} is not positive",
                where="verify.tolerance",
                why="it is the largest error allowed, in standard deviations of the output",
                fix="leave it at 1e-4, or give a positive number",
            )

    def _check_precision(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(
                f"there is no precision '{self.precision}'", where="precision", fix=nearest(self.precision, PRECISIONS)
            )
        able = self.backend_facts.PRECISIONS
        if self.precision not in able:
            raise UsageError(
                f"{self.backend['name']} cannot be built in {self.precision}",
                where=f"backend={self.backend['name']} precision={self.precision}",
                why=f"this backend takes {', '.join(able)}",
                fix=f"use precision={able[0]}",
            )
        if self.precision == "fp32" and self.keep_fp32:
            raise UsageError(
                "everything is in fp32 already",
                where=f"keep_fp32=[{', '.join(self.keep_fp32)}]",
                fix="leave it out, or choose precision=fp16, bf16 or int8",
            )
        if self.precision != "int8" and self.calibration != CalibrationConfig():
            raise UsageError(
                f"{self.precision} needs no calibration",
                where="calibration",
                why="ranges are what int8 is made of",
                fix="choose precision=int8, or leave calibration out",
            )
        if self.calibration.method not in CALIBRATION_METHODS:
            raise UsageError(
                f"there is no calibration method '{self.calibration.method}'",
                where="calibration.method",
                fix=nearest(self.calibration.method, CALIBRATION_METHODS),
            )
        if self.calibration.limit < 1:
            raise UsageError(
                f"{self.calibration.limit} files are nothing to calibrate on",
                where="calibration.limit",
                fix="give 1 at least; some hundred are usual",
            )

    def _check_shape(self) -> None:
        shape, own = self.resolved_shape, self.model.input_shape
        processed = self.model.processing.get("input_size")
        if not self.model.stride and processed is not None and tuple(processed) != own[::-1]:
            raise UsageError(
                f"the model takes {own[1]} x {own[0]} pixels, and its processing makes {processed[0]} x {processed[1]}",
                where="model.input_shape, model.processing.input_size",
                why="the first is height, width and the second width, height of one and the same input",
                fix="change both, and the network's head with them",
            )
        if self.model.stride:
            self._check_stride(shape, self.model.stride)
        elif shape.usual != own or shape.largest:
            own_shape = Shape(shape.dynamic, own)
            raise UsageError(
                f"{self.model.name} takes only {size_text(own)} (height x width), not {str(shape).partition('_')[2]}",
                where=f"shape={self.shape}",
                why="this network is built for one size",
                fix=f"use shape={own_shape}, or a model that was trained at another size",
            )

    def _check_stride(self, shape: Shape, stride: Size) -> None:
        model = self.model
        if len(shape.usual) != len(stride):
            raise UsageError(
                f"{size_text(shape.usual)} is not a size of {model.name}",
                where=f"shape={self.shape}",
                why=f"its own is {size_text(model.input_shape)}",
                fix=f"for example shape={Shape(shape.dynamic, model.input_shape)}",
            )
        sizes = [size for size in (shape.usual, shape.largest) if size]
        least, most = model.smallest_shape, model.largest_shape
        fixed = {index: side for index, side in enumerate(least) if most and most[index] == side}
        if any(size[index] != side for size in sizes for index, side in fixed.items()):
            raise UsageError(
                f"{model.name} cannot take the size {str(shape).partition('_')[2]}",
                where=f"shape={self.shape}",
                why=f"the network is built for sizes from {size_text(least)} to {size_text(most)}",
                fix=f"for example shape={Shape(shape.dynamic, model.input_shape)}",
            )
        if any(side % step for size in sizes for side, step in zip(size, stride, strict=True)):
            nearest_shape = Shape(shape.dynamic, _rounded(shape.usual, stride), _rounded(shape.largest, stride))
            raise UsageError(
                f"{model.name} cannot take the size {str(shape).partition('_')[2]}",
                where=f"shape={self.shape}",
                why=f"the network halves its input several times, so that sides are multiples of {size_text(stride)}",
                fix=f"the nearest that it can take is shape={nearest_shape}",
            )

    def _check_tail(self) -> None:
        if self.tail not in (*TAILS, PLUGIN):
            raise UsageError(f"there is no tail '{self.tail}'", where="tail", fix=nearest(self.tail, TAILS))

    def _check_batch(self) -> None:
        batch = self.batch
        if not 1 <= batch.smallest <= batch.usual <= batch.largest:
            raise UsageError(
                f"the batch sizes {batch.smallest}, {batch.usual}, {batch.largest} are not in order",
                where="batch.smallest, batch.usual, batch.largest",
                why="an engine is built for 1 <= smallest <= usual <= largest",
                fix="for example batch.smallest=1 batch.usual=1 batch.largest=8",
            )

    def _check_export(self) -> None:
        for where, exporter in (("export.exporter", self.export.exporter), ("model.exporter", self.model.exporter)):
            if exporter not in EXPORTERS:
                raise UsageError(f"there is no exporter '{exporter}'", where=where, fix=nearest(exporter, EXPORTERS))
        program = self.backend_facts.PROGRAM
        if program.EXPORTER not in ("auto", self.exporter):
            raise UsageError(
                f"the {self.exporter} exporter does not make what {self.backend['name']} reads",
                where=f"backend={self.backend['name']} export.exporter={self.export.exporter}",
                why=f"it reads {program.IR}, which is made by {program.EXPORTER}",
                fix="leave export.exporter out",
            )
        if program.IR == "onnx" and self.exporter == "dynamo" and self.export.opset < FIRST_DYNAMO_OPSET:
            raise UsageError(
                f"the dynamo exporter cannot write opset {self.export.opset}",
                where=f"export.opset={self.export.opset}",
                why=f"its operators start at opset {FIRST_DYNAMO_OPSET}",
                fix=f"use export.opset={FIRST_DYNAMO_OPSET}, or export.exporter=torchscript",
            )


def _between(low: Size, size: Size, high: Size) -> Size:
    return tuple(min(max(side, least), most) for side, least, most in zip(size, low, high, strict=True))


def _rounded(size: Size, stride: Size) -> Size:
    return tuple(max(round(side / step), 1) * step for side, step in zip(size, stride, strict=False))
