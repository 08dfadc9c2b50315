"""What a config says of the input that its model is tested with: where it comes from, and what is done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compiler.openmmlab.loaders import DatasetNode, dataset_chains
from compiler.openmmlab.translate.parts import Part, Parts, bare, each, fields, node, refuse

LOADERS = ("test_dataloader", "val_dataloader")
TRAINING_LOADERS = ("train_dataloader",)
UNCHANGED = Part(dropped=("*",))
"""A step that leaves the input as it is."""

STEPS: Parts = dict.fromkeys(
    ("LoadImage", "LoadImageFromFile", "LoadAnnotations", "PackPoseInputs", "PackDetInputs"), UNCHANGED
)
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
            parts: Those that change an input, beside `STEPS`.

        Returns:
            For the type of each step, without its package, what its part makes of it.

        Raises:
            CompileError: There is a step that we do not have.
        """
        known = {**STEPS, **parts}
        return {
            bare(str(step.get("type"))): node(step, known, f"{self.where}[{index}]")
            for index, step in enumerate(self.pipeline)
        }


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
