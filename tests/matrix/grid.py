"""What the matrix is made of: models, backends, and the compiles that each of them stands for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

REFERENCE = "onnxruntime"
"""What every other backend's speed is a ratio to."""
SHAPES = ("static", "dynamic")
BATCH = "batch.largest=2"
"""Of what is dynamic: a batch of two shows that items are not mixed up, and costs half of one of four."""


@dataclass(frozen=True)
class Model:
    """A row of the matrix: a light variant of a family of models, at a small size.

    Attributes:
        family: As the row is called.
        variant: Of `conf/model`.
        shapes: What `shape=` is for a static and for a dynamic engine, by these words.
    """

    family: str
    variant: str
    shapes: Mapping[str, str]


def _own_size(family: str, variant: str) -> Model:
    """A model that has one size; only its batch is dynamic."""
    return Model(family, variant, {"static": "static", "dynamic": "dynamic"})


def _small(family: str, variant: str) -> Model:
    """A model that takes many sizes, at small ones."""
    return Model(family, variant, {"static": "static_256x256", "dynamic": "dynamic_256x256-320x320"})


def _voxels(family: str, count: int) -> Model:
    """A model of point clouds, with as many voxels as its sample has."""
    return Model(family, family, {"static": f"static_{count}", "dynamic": f"dynamic_1-{count}"})


MODELS = (
    _own_size("rtmpose", "rtmpose-t"),
    _own_size("simcc", "simcc-mobilenetv2"),
    _own_size("hrnet", "hrnet-w32"),
    _own_size("litehrnet", "litehrnet-18"),
    _own_size("mspn", "mspn-1x"),
    _own_size("hourglass", "hourglass-52"),
    _small("yoloxpose", "yoloxpose-tiny"),
    _small("rtmdet", "rtmdet-tiny"),
    _small("retinanet", "retinanet-r18"),
    _small("yolov3", "yolov3-mobilenetv2-320"),
    _small("dbnet", "dbnet-r18"),
    _small("psenet", "psenet-r50"),
    _small("panet", "panet-r18"),
    _own_size("crnn", "crnn"),
    _voxels("pointpillars", 2055),
    _voxels("centerpoint", 1866),
)


@dataclass(frozen=True)
class Column:
    """A backend of the matrix.

    Attributes:
        backend: Of `conf/backend`.
        usual: The precision that it is built in unless told: fp32, where it has that.
        best: The one below it that it is fastest in; empty where it has none.
        shapes: Those that it has.
    """

    backend: str
    usual: str = "fp32"
    best: str = ""
    shapes: tuple[str, ...] = SHAPES

    def precision(self, kind: str) -> str:
        """The precision that a kind of it, `usual` or `best`, stands for."""
        return self.usual if kind == "usual" else self.best


COLUMNS = (
    Column("onnxruntime", best="int8"),
    Column("openvino", best="int8"),
    Column("torchscript"),
    Column("ncnn", best="fp16"),
    Column("coreml", best="fp16"),
    Column("rknn", usual="fp16", best="int8", shapes=("static",)),
    Column("tensorrt", best="fp16"),
    Column("tensorrt_rtx", best="fp16"),
    Column("aotinductor"),
)
FIRST = ("onnxruntime", "openvino", "torchscript", "ncnn")
"""The backends that run anywhere, which are tried before the others."""


@dataclass(frozen=True)
class Cell:
    """One compile.

    Attributes:
        family: Of its model.
        backend: Of `conf/backend`.
        shape: `static` or `dynamic`.
        precision: Of the engine.
    """

    family: str
    backend: str
    shape: str
    precision: str

    @property
    def model(self) -> Model:
        """The row that it is in."""
        return next(model for model in MODELS if model.family == self.family)

    @property
    def overrides(self) -> tuple[str, ...]:
        """What is compiled."""
        model = self.model
        batch = (BATCH,) if self.shape == "dynamic" else ()
        own = f"backend={self.backend}", f"precision={self.precision}"
        return f"model={model.variant}", f"shape={model.shapes[self.shape]}", *batch, *own

    @property
    def reference(self) -> Cell:
        """What its speed is compared with."""
        return Cell(self.family, REFERENCE, self.shape, "fp32")


def cells(families: Sequence[str] = (), backends: Collection[str] = ()) -> Iterator[Cell]:
    """Yield every cell, the ones that say most first.

    Args:
        families: Of these models alone, in this order; of all where there are none.
        backends: Of these backends alone; of all where there are none.
    """
    models = sorted(MODELS, key=lambda model: families.index(model.family) if model.family in families else 0)
    first = [column for column in COLUMNS if column.backend in FIRST]
    others = [column for column in COLUMNS if column.backend not in FIRST]
    for columns in (first, others):
        for kind in ("usual", "best"):
            for shape in SHAPES:
                found = (_cell(model, column, shape, kind) for model in models for column in columns)
                for cell in filter(None, found):
                    if (not families or cell.family in families) and (not backends or cell.backend in backends):
                        yield cell


def _cell(model: Model, column: Column, shape: str, kind: str) -> Cell | None:
    """A place of the grid; None where its backend has no such thing."""
    precision = column.precision(kind)
    has_it = precision and shape in column.shapes
    return Cell(model.family, column.backend, shape, precision) if has_it else None
