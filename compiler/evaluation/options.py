"""How bundles are evaluated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from compiler.errors import UsageError, nearest
from compiler.runtime.opening import Opening

MOST_THREADS = 8
"""Unless the user asks for more: each holds what it prepared until its turn comes."""
OUTPUT = "outputs/evaluation"
NO_FILE = "none"
"""In the place of a file of boxes: the data set's own."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How bundles are evaluated.

    Attributes:
        data: Where the data set lies; None for where its config or its annotations say.
        reference: Whether the PyTorch network of the first bundle is evaluated too.
        checkpoint: Its weights, a path or `official`; None for where the bundle says that they lie, or beside it.
        file: The ONNX file of `model=onnx`, likewise.
        metrics: The names of metrics, those of `METRICS`, or dotted paths of classes of the user's own; none for what
            the data set calls for.
        settings: Of the metrics' fields, by name.
        bbox_file: What a detector found, in which a pose model looks for people: COCO's results in JSON. `none` for the
            data set's own boxes, where an OpenMMLab config names such a file.
        detector: The bundle of a detector, in whose people a pose model looks: the two are measured as a chain.
        bbox_thr: What scores less is left out; None for all that is in a file, and what scores 0.3 of a detector.
        flip_test: Whether a pose model looks at mirrored crops too; None for what the bundle was compiled with.
        limit: How many items are looked at, spread evenly; None for all.
        workers: Threads that read and prepare images; None for one a processor, and 8 at most.
        format_only: Whether results are only written, as the data set's test server reads them.
        latency: Whether the engines are timed too, after all results are there.
        output: The folder that results are kept in.
        show_dir: The folder that pictures go to; None for none.
        worst: How many items are drawn, the worst first; None for all.
        show_score_thr: What is drawn scores as much; None for 0.3, as in OpenMMLab's visualizers.
        opening: How bundles are opened.
        config_dir: A config folder of the user's, with a `dataset/` in it.
    """

    data: Path | None = None
    reference: bool = False
    checkpoint: str | None = None
    file: str | None = None
    metrics: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    bbox_file: str | None = None
    detector: Path | None = None
    bbox_thr: float | None = None
    flip_test: bool | None = None
    limit: int | None = None
    workers: int | None = None
    format_only: bool = False
    latency: bool = False
    output: Path = Path(OUTPUT)
    show_dir: Path | None = None
    worst: int | None = None
    show_score_thr: float | None = None
    opening: Opening = field(default_factory=Opening)
    config_dir: Path | None = None

    @property
    def worker_count(self) -> int:
        """How many read and prepare images."""
        return self.workers or min(os.cpu_count() or 1, MOST_THREADS)

    def __post_init__(self) -> None:
        for name in ("limit", "workers", "worst"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is at least 1", where=f"{name}={value}", fix="leave it out for all")
        if self.latency and self.detector is not None:
            what = "a latency is that of one engine, and two are measured as one"
            raise UsageError(what, where="latency, detector", fix="leave one of them out")
        for name in ("checkpoint", "file"):
            if getattr(self, name) is not None and not self.reference:
                raise UsageError(
                    "a bundle has its weights in it", where=name, fix="add reference=true, or leave it out"
                )
        if self.detector is not None and self.bbox_file is not None:
            raise UsageError(
                "two things say where people are", where="detector, bbox_file", fix="leave one of them out"
            )
        for name in ("worst", "show_score_thr"):
            if getattr(self, name) is not None and self.show_dir is None:
                raise UsageError(f"{name}= says what is drawn", where=name, fix="add show_dir=<folder>")
        if self.opening.network_code and not self.reference:
            raise UsageError("no network is run", where="--network-code", fix="add reference=true, or leave it out")
        if self.worst is not None and self.format_only:
            raise UsageError("nothing is measured with format_only=true", where="worst", fix="leave one of them out")


FOLDERS = frozenset(("data", "detector", "output", "show_dir", "config_dir", "cache"))
"""Options that are paths, which may be given as text."""
METRIC_KEYWORDS: Mapping[str, str] = {"metric": "metrics", "metric_settings": "settings"}
"""Fields by the keywords that set them, which are the command line's `metric=` and `metric.<setting>=`."""


def with_keywords(options: EvaluationOptions, given: Mapping[str, Any]) -> EvaluationOptions:
    """Options with others by keywords, which are those of the command line: fields of these, and of their `Opening`.

    Raises:
        UsageError: There is no such option, or it does not go with the others.
    """
    own = {one.name for one in fields(EvaluationOptions)} - {"opening", *METRIC_KEYWORDS.values()} | {*METRIC_KEYWORDS}
    of_opening = {one.name for one in fields(Opening)}
    for name in given:
        if name not in own | of_opening:
            what = f"evaluate takes no option '{name}'"
            raise UsageError(what, where=f"{name}=", fix=nearest(name, own | of_opening))
    values = {name: _as_field(name, value) for name, value in given.items()}
    opening = replace(options.opening, **{name: value for name, value in values.items() if name in of_opening})
    chosen = {METRIC_KEYWORDS.get(name, name): value for name, value in values.items() if name in own}
    return replace(options, **chosen, opening=opening)


def _as_field(name: str, value: Any) -> Any:
    if name in FOLDERS and isinstance(value, str):
        return Path(value)
    if name in ("bbox_file", "checkpoint", "file") and value is not None:
        return os.fspath(value)
    if name == "metric":
        return (value,) if isinstance(value, str) else tuple(value)
    return value
