"""What a config says of the input that its model is tested with: where it comes from, and what is done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compiler.openmmlab.loaders import DatasetNode, dataset_chains
from compiler.openmmlab.translate.parts import Part, Parts, bare, each, expect, fields, node, refuse

LOADERS = ("test_dataloader", "val_dataloader")
TRAINING_LOADERS = ("train_dataloader",)
UNCHANGED = Part(dropped=("*",))
"""A step that leaves the input as it is."""

_AS_IT_LIES = "color_ignore_orientation"


def orientation(value: Any, where: str) -> bool:
    """Whether a way to read images leaves them as their pixels lie, whatever their EXIF orientation says."""
    expect(value, ("color", _AS_IT_LIES), where)
    return bool(value == _AS_IT_LIES)


READING = ("*backend_args", "file_client_args", "ignore_empty")
"""Keys of where files come from."""
PIXELS: Mapping[str, tuple[Any, ...]] = {"to_float32": (False,), "imdecode_backend": ("cv2",)}
"""How pixels are read from a file."""
LOAD_IMAGE = Part(
    convert={"color_type": orientation},
    rename={"color_type": "ignore_orientation"},
    assumed=PIXELS,
    dropped=READING,
)
STEPS: Parts = {
    **dict.fromkeys(("LoadImage", "LoadImageFromFile"), LOAD_IMAGE),
    **dict.fromkeys(
        ("LoadAnnotations", "FilterAnnotations", "GenerateTarget", "PackPoseInputs", "PackDetInputs"), UNCHANGED
    ),
    "RandomFlip": Part(assumed={"prob": (0,)}, dropped=("direction", "swap_seg_labels"), theirs={"prob": None}),
}
"""Steps of every pipeline."""


@dataclass(frozen=True)
class Described:
    """A data set, as it says what a model finds.

    Attributes:
        kind: The type of the innermost data set, such as `CocoDataset`; empty where there is none.
        metainfo: What the config says that its classes or key points are.
        where: Its place in the config.
    """

    kind: str
    metainfo: Mapping[str, Any]
    where: str


@dataclass(frozen=True)
class TestData:
    """What a model is tested with.

    Attributes:
        described: The data sets that say what the model finds, in the order in which OpenMMLab's own inference asks
            them: what it was trained on, then what it is tested on.
        pipeline: What happens to an input before the network sees it.
        where: The pipeline's place in the config.
    """

    described: tuple[Described, ...]
    pipeline: tuple[Mapping[str, Any], ...]
    where: str

    def steps(self, parts: Parts) -> dict[str, dict[str, Any]]:
        """Translate the steps of the pipeline.

        Args:
            parts: Those that change an input, beside `STEPS`, in the order in which ours are done.

        Returns:
            For the type of each step, without its package, what its part makes of it.

        Raises:
            CompileError: There is a step that we do not have, or one that ours do at another time.
        """
        known = {**STEPS, **parts}
        order = list(known)
        found: dict[str, dict[str, Any]] = {}
        last = ""
        for index, step in enumerate(self.pipeline):
            place = f"{self.where}[{index}]"
            settings = node(step, known, place)
            name = bare(str(step["type"]))
            if settings:  # it does something
                if last and order.index(name) <= order.index(last):
                    _refuse_order(name, last, parts, place)
                last = name
            found[name] = settings or found.get(name, {})
        return found


def _refuse_order(name: str, last: str, parts: Parts, where: str) -> None:
    order = ", ".join(key for key, part in parts.items() if part != UNCHANGED)
    refuse(
        f"{name} is there twice" if name == last else f"{name} comes after {last}",
        where,
        why=f"ours does each step once, in this order: {order}",
        fix="test the model with a pipeline in that order",
    )


def reading(steps: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    """The setting of our tasks that says how files are read; nothing where it is the usual one."""
    ignored = any(steps.get(name, {}).get("ignore_orientation") for name in ("LoadImage", "LoadImageFromFile"))
    return {"ignore_orientation": True} if ignored else {}


def test_data(config: Mapping[str, Any]) -> TestData:
    """Find what a model is tested with.

    Raises:
        CompileError: There is no pipeline in the config.
    """
    sets = _datasets(config)
    pipelines = [(one.node.get("pipeline"), f"{one.where}.pipeline") for one in sets]
    pipelines += [(config.get(name), name) for name in ("test_pipeline", "val_pipeline")]
    pipeline, where = next(((found, where) for found, where in pipelines if found), ((), ""))
    if not pipeline:
        refuse("the config does not say what happens to an input", "test_dataloader.dataset.pipeline")
    if not isinstance(pipeline, list | tuple) or not all(isinstance(step, Mapping) for step in pipeline):
        refuse("the pipeline is no list of steps", where, why=f"it is {pipeline!r:.60}")
    trained = next(dataset_chains(config, TRAINING_LOADERS), ())
    alone = DatasetNode({"type": config.get("dataset_type", ""), "metainfo": config.get("metainfo")}, "config")
    return TestData(tuple(_described(chain) for chain in (trained, sets, (alone,)) if chain), tuple(pipeline), where)


def _described(chain: tuple[DatasetNode, ...]) -> Described:
    """What a data set and those that wrap it say; the outermost that says something counts."""
    saying = next((one for one in chain if one.node.get("metainfo")), chain[-1])
    metainfo = saying.node.get("metainfo") or {}
    if not isinstance(metainfo, Mapping):
        refuse("metainfo is no mapping of names to values", f"{saying.where}.metainfo", why=f"it is {metainfo!r:.60}")
    return Described(bare(str(chain[-1].node.get("type", ""))), metainfo, f"{saying.where}.metainfo")


def _datasets(config: Mapping[str, Any]) -> tuple[DatasetNode, ...]:
    """The data set of the test and, where it wraps others, the first of each; outermost first.

    Raises:
        CompileError: The loader is no mapping.
    """
    where = next((name for name in LOADERS if config.get(name)), "")
    loader = config.get(where) or {}
    for one in loader if isinstance(loader, list | tuple) else [loader]:
        if not isinstance(one, Mapping):
            refuse(f"{where} is no mapping of names to values", where, why=f"it is {one!r:.60}")
    return next(dataset_chains(config, LOADERS), ())


def preprocessor(config: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """Translate `model.data_preprocessor`, which may also stand beside the model.

    Raises:
        CompileError: It has a key or value that we do not have.
    """
    inner = config["model"].get("data_preprocessor")
    where = "data_preprocessor" if inner is None else "model.data_preprocessor"
    return fields(inner or config.get("data_preprocessor") or {}, part, where)


def normalisation(config: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """The `mean`, `std` and `to_rgb` that our tasks take; see `preprocessor`."""
    found = preprocessor(config, part)
    given = {key: found[key] for key in ("mean", "std") if found.get(key)}
    return {**given, "to_rgb": found.get("bgr_to_rgb", False)}


def level(value: Any, where: str) -> int:
    """The one level of a colour that is grey.

    Raises:
        CompileError: Its channels differ.
    """
    levels = each(float)(value if isinstance(value, list | tuple) else [value], where)
    if len(set(levels)) != 1:
        refuse(f"the colour {value} is not grey", where, why="our tasks pad with one level")
    return int(levels[0])
