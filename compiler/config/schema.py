"""The schema of a compile config: what every key means, its type and its default; `checks` is what does not fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.config.deploy_name import DeployName, Shape
from compiler.config.limits import Limits
from compiler.config.ranges import between
from compiler.config.sizes import InputSize, Size, SizeRange

if TYPE_CHECKING:
    from compiler.config.backend_facts import BackendFacts

EXPORTERS = ("auto", "dynamo", "torchscript")
TAILS = ("native", "host", "raw")
CALIBRATION_METHODS = ("min_max", "percentile", "entropy")
LARGEST_BATCH = 4096


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
    the file where it leaves a length open. `1x16-4x128` are the smallest and the largest."""
    axes: dict[str, Any] = field(default_factory=dict)
    """How long the axes are that those shapes, or the file, name: `64`, `16-128`, or `16-64-128` with the usual length
    between."""


@dataclass(frozen=True)
class BatchConfig:
    """The batch sizes an engine is built for and proven at; a static engine has only the usual one."""

    smallest: int = between(1, LARGEST_BATCH, default=1)
    usual: int = between(1, LARGEST_BATCH, default=1)
    largest: int = between(1, LARGEST_BATCH, default=4)


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
    limit: int = between(1, 10**6, default=256)
    """Files that are read: spread evenly over the data."""
    auto: bool = False
    """Whether the layers that lose most stay in fp32, as few as the proof needs."""


@dataclass(frozen=True)
class VerifyConfig:
    """When a stage counts as proven."""

    tolerance: float = 1e-4
    """The largest absolute error that is allowed, in what suits the network's own output: its standard deviation, or
    the peak of probabilities."""
    decoded_tolerance: float | None = None
    """The largest difference after decoding, in the task's unit; nothing means what a user would not call wrong, which
    each task knows."""
    reduced_tolerance: float | None = None
    """The largest absolute error in fp16, bf16 and int8; nothing means 0.1 in fp16, 1 in bf16, no limit in int8."""
    reduced_typical: float = between(1e-9, 1e9, default=0.2)
    """The largest root of the mean squared error, in standard deviations, in fp16, bf16 and int8, and of what a lossy
    rewriter changes. It sees scale and offset, which a cosine does not."""
    reduced_cosine: float = between(-1, 1, default=0.99)
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
    class_names: Any = field(default=None, compare=False)
    """What the model's classes are called, and thereby how many there are: a list, a set in `conf/classes/`, or a file
    with a name in each line; nothing leaves the model as it is, which has the names either way."""
    keypoint_names: Any = field(default=None, compare=False)
    """The same of its key points."""
    shape: str = "dynamic"
    precision: str = "fp32"
    precision_asked: bool = field(default=False, compare=False)
    """Whether an override, or a deploy name, says the precision; what is kept of a config does not say it."""
    keep_fp32: tuple[str, ...] = ()
    """What stays in fp32 whatever the precision: names of nodes, types of operators, or patterns of either."""
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    tail: str = "native"
    """Where a detector's boxes are selected: `native`, `host` or `raw`; composed from nothing, where its backend
    selects them best. `plugin` is what `native` was called for TensorRT."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    rewriters: RewritersConfig = field(default_factory=RewritersConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    variant: str = field(default="", compare=False)
    """The digest of what the deploy name does not hold; see `compiler.config.variant`."""
    algos: dict[str, str] = field(default_factory=dict)
    """The model that each algorithm in a deploy name stands for."""
    tasks: dict[str, str] = field(default_factory=dict)
    """The model that a task stands for where a deploy name leaves the algorithm out."""
    output: str = field(default="outputs", compare=False)
    cache: str | None = field(default=None, compare=False)
    """Where finished stages are kept; nothing means `<output>/.cache`."""
    cache_limit: float = field(default=20.0, compare=False)
    """GiB that finished stages may take up; what was used longest ago goes first."""
    limits: Limits = field(default_factory=Limits, compare=False)

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
        # The user's own inputs have any number of sides: what is said of them is in the variant.
        shape = self._shape if model.inputs else self.resolved_shape
        return DeployName(model.task, algo, str(self.backend["name"]), self.precision, shape, self.variant)

    @property
    def bundle(self) -> Path:
        """Where the bundle goes: `<output>/<deploy name>`; below a folder of the model's, where the name has only its
        algorithm."""
        name, folder = self.deploy_name, Path(self.output)
        return folder / str(name) if name.algo == self.model.name else folder / self.model.name / str(name)

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
    def values(self) -> dict[str, Any]:
        """All of it as plain values, but how it was asked for and what is this machine's: see `BackendFacts.LOCAL`."""
        values = asdict(self)
        del values["precision_asked"]
        for option in self.backend_facts.LOCAL:
            values["backend"].pop(option, None)
        return values

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
        from compiler.config.checks import check_config  # which knows this schema

        check_config(self)


def _between(low: Size, size: Size, high: Size) -> Size:
    return tuple(min(max(side, least), most) for side, least, most in zip(size, low, high, strict=True))
