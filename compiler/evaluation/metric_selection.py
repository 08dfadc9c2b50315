"""Which metrics a model is measured by on a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from compiler.config.instantiate import instantiate
from compiler.datasets.dataset import Dataset, GroundTruth, ObjectTruth, SolidTruth, TextTruth
from compiler.errors import CompileError, UsageError, nearest
from compiler.metrics import Metric
from compiler.metrics.text_recognition import SYMBOLS
from compiler.openmmlab.evaluators import Evaluator
from compiler.tasks import AnyTask

METRICS: Mapping[str, str] = {
    "coco": "compiler.metrics.coco.CocoDetection",
    "coco_keypoints": "compiler.metrics.coco_keypoints.CocoKeypoints",
    "voc": "compiler.metrics.voc.VocDetection",
    "hmean": "compiler.metrics.text_detection.HmeanIou",
    "word_accuracy": "compiler.metrics.text_recognition.WordAccuracy",
    "edit_distance": "compiler.metrics.text_recognition.NormalizedEditDistance",
    "characters": "compiler.metrics.text_recognition.CharacterAccuracy",
    "spotting": "compiler.metrics.text_spotting.SpottingHmean",
    "kitti": "compiler.metrics.kitti.Kitti",
    "nuscenes": "compiler.metrics.nuscenes.NuScenes",
}
"""The classes of metrics, by the names that `metric=` takes."""
USUAL: Mapping[str, tuple[str, ...]] = {
    "detection": ("coco",),
    "pose-detection": ("coco_keypoints",),
    "text-detection": ("hmean",),
    "text-recognition": ("word_accuracy", "edit_distance"),
    "text-spotting": ("spotting",),
    "voxel-detection": ("nuscenes",),
}
"""What each task is measured by, unless the format of the data set has a metric of its own."""
OF_FORMATS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("detection", "voc"): ("voc",),
    ("voxel-detection", "kitti"): ("kitti",),
}
OF_OPENMMLAB: Mapping[tuple[str, str], str] = {
    ("detection", "CocoMetric"): "coco",
    ("detection", "VOCMetric"): "voc",
    ("pose-detection", "CocoMetric"): "coco_keypoints",
    ("text-detection", "HmeanIOUMetric"): "hmean",
    ("text-recognition", "WordMetric"): "word_accuracy",
    ("text-recognition", "OneMinusNEDMetric"): "edit_distance",
    ("text-recognition", "CharMetric"): "characters",
    ("text-spotting", "E2EHmeanIOUMetric"): "spotting",
    ("voxel-detection", "KittiMetric"): "kitti",
    ("voxel-detection", "NuScenesMetric"): "nuscenes",
}
"""The metric that equals a class of OpenMMLab's, for each task."""
BESIDE = frozenset(
    (
        *("ann_file", "data_root", "backend_args", "file_client_args", "collect_device", "sort_categories"),
        *("prefix", "outfile_prefix", "jsonfile_prefix", "pklfile_prefix", "submission_prefix", "format_only"),
        *("use_mp_eval", "default_cam_key"),
    )
)
"""Settings of OpenMMLab's metrics that change no number."""
AS_MEASURED: Mapping[str, tuple[Any, ...]] = {
    "metric": ("bbox", ["bbox"], "mAP", ["mAP"]),
    "iou_type": ("keypoints",),
    "valid_symbol": (SYMBOLS.pattern,),
    "eval_version": ("detection_cvpr_2019",),
    "modality": ({"use_camera": False, "use_lidar": True},),
}
"""Settings that ours do not have, by what they say of what ours measure."""
TRUTHS: Mapping[str, type[GroundTruth]] = {
    "detection": ObjectTruth,
    "pose-detection": ObjectTruth,
    "text-detection": TextTruth,
    "text-recognition": TextTruth,
    "voxel-detection": SolidTruth,
}
"""What has to be annotated for each task."""


def find_metrics(
    task: str,
    data_format: str,
    nodes: Sequence[Mapping[str, Any]],
    chosen: Sequence[str],
    settings: Mapping[str, Any],
) -> tuple[Metric, ...]:
    """The metrics of a model on a data set.

    Args:
        task: Name of the model's, or of what two bundles do together.
        data_format: Of the data set.
        nodes: What the data set's config measures; none for what the task and the format call for.
        chosen: The names of metrics that the user asks for instead, or dotted paths of classes of the user's own; none
            for those.
        settings: Of their fields, by name.

    Raises:
        UsageError: There is no such metric, or no such setting.
        CompileError: It measures another task.
    """
    unknown = next((name for name in chosen if name not in METRICS and "." not in name), None)
    if unknown:
        raise UsageError(f"there is no metric '{unknown}'", where=f"metric={unknown}", fix=nearest(unknown, METRICS))
    usual = OF_FORMATS.get((task, data_format)) or USUAL.get(task, ())
    nodes = nodes if nodes and not chosen else [{"_target_": METRICS.get(name, name)} for name in chosen or usual]
    if not nodes:
        what = f"no metric is known for the task {task}"
        raise UsageError(what, where="metric", fix="name a class of your own: metric=package.module.Class")
    classes = [type(_built(node)) for node in nodes]
    known = {field.name for kind in classes for field in fields(kind)}  # type: ignore[arg-type]
    for name in settings:
        if name not in known:
            raise UsageError(f"no metric has a setting '{name}'", where=f"metric.{name}", fix=nearest(name, known))
    metrics = tuple(_built({**node, **_own(kind, settings)}) for kind, node in zip(classes, nodes, strict=True))
    for metric in metrics:
        if task not in metric.TASKS:
            raise CompileError(
                f"{type(metric).__name__} does not measure {task}",
                where="dataset, metric",
                why=f"it measures {', '.join(metric.TASKS)}",
                fix="evaluate on a data set of the model's own task",
            )
    return metrics


def openmmlab_nodes(task: str, evaluators: Sequence[Evaluator]) -> list[dict[str, Any]]:
    """The metrics that an OpenMMLab config names, with their settings; none where it names none.

    Those that are not known are left out where another one is known; see `unknown_evaluators`.

    Raises:
        CompileError: None of them is known, or one has a setting that ours has not: another thing would be measured.
    """
    known = [one for one in evaluators if (task, one.kind) in OF_OPENMMLAB]
    if evaluators and not known:
        raise CompileError(
            f"what the config measures is not measured here: {', '.join(one.kind for one in evaluators)}",
            where="evaluator",
            why=f"of {task}, OpenMMLab's {', '.join(kind for name, kind in OF_OPENMMLAB if name == task)} are",
            fix=_instead(task),
        )
    return [_openmmlab_node(task, one) for one in known]


def _openmmlab_node(task: str, evaluator: Evaluator) -> dict[str, Any]:
    node: dict[str, Any] = {"_target_": METRICS[OF_OPENMMLAB[task, evaluator.kind]]}
    given = {key: value for key, value in evaluator.settings.items() if value is not None and key not in BESIDE}
    own = _own(type(_built(node)), given)
    for key, value in given.items():
        if key not in own and value not in AS_MEASURED.get(key, ()):
            raise CompileError(
                f"{evaluator.kind} is not known here with {key}={value!r}",
                where=f"evaluator.{key}",
                why="it changes what is measured",
                fix=_instead(task),
            )
    return {**node, **{key: _as_ours(key, value) for key, value in own.items()}}


def _instead(task: str) -> str:
    names = " or ".join(
        f"metric={name}" for name in dict.fromkeys(OF_OPENMMLAB[one] for one in OF_OPENMMLAB if one[0] == task)
    )
    return f"say what is measured instead: {names or 'metric=<name>'}"


def unknown_evaluators(task: str, evaluators: Sequence[Evaluator]) -> list[str]:
    """What one has to know where some of an OpenMMLab config's metrics are left out."""
    return [
        f"the config measures {one.kind} too, which is not measured here"
        for one in evaluators
        if (task, one.kind) not in OF_OPENMMLAB
    ]


def _as_ours(name: str, value: Any) -> Any:
    """A setting as ours has it: OpenMMLab's take one of a list in its place, and a range by the names of its parts."""
    if name in ("iou_thrs", "mode") and isinstance(value, float | str):
        return [value]
    if name == "pred_score_thrs" and isinstance(value, Mapping):
        return [value.get("start", 0.0), value.get("stop", 1.0), value.get("step", 1.0)]
    return value


def require_truth(task: AnyTask, dataset: Dataset, name: str) -> None:
    """Refuse a data set in which nothing is annotated that a task finds.

    Raises:
        CompileError: It is unlabelled, or a data set of another task.
    """
    kinds = {type(one) for item in dataset.items for one in item.truth}
    wanted = TRUTHS.get(task.name)
    if not kinds:
        raise CompileError(
            "nothing is annotated in the data set",
            where=f"dataset={name}",
            fix="name annotations; format_only=true writes results for a server that has them",
        )
    if wanted and wanted not in kinds:
        raise _of_another_task(task, name)


def require_files(task: AnyTask, dataset: Dataset, name: str) -> None:
    """Refuse a data set whose files are missing, or are none that a task looks at.

    Raises:
        CompileError: See above.
    """
    if not any(item.path.suffix.lower() in task.looks_at.suffixes for item in dataset.items):
        raise _of_another_task(task, name)
    missing = [item.path for item in dataset.items if not item.path.is_file()]
    if missing:
        raise CompileError(
            f"{len(missing)} of the {len(dataset.items)} files of the data set are missing",
            where=f"dataset={name}",
            why=f"the first is {missing[0]}",
            fix="give data=<the folder that their names are seen from>",
        )


def _built(node: Mapping[str, Any]) -> Metric:
    return instantiate(node, Metric, "metric")  # type: ignore[type-abstract]


def _own(kind: type[Metric], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a class of metrics has."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return {name: value for name, value in settings.items() if name in names}


def _of_another_task(task: AnyTask, name: str) -> CompileError:
    return CompileError(
        f"the data set is one of another task than {task.name}",
        where=f"dataset={name}",
        why=f"a model of {task.name} reads {', '.join(task.looks_at.suffixes)}, and its data set says what is in them",
        fix="evaluate on a data set of the model's own task",
    )
