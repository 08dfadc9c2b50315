"""Every leaf of a config, changed: a stage has another key then, or makes the same bytes.

That is what a stage's fields promise. Whatever changes no key is changed all at once, and the stages run from nothing.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import pytest

from compiler.artifact import OnnxProgram, file_digests, read_json
from compiler.config import CompileConfig, compose
from compiler.config.instantiate import instantiate
from compiler.config.limits import Limits
from compiler.errors import CompileError, UsageError
from compiler.pipeline.cache import DONE, Cache
from compiler.pipeline.composition import (
    build_stage,
    calibration_data,
    export_stage,
    half_stage,
    make_program,
    quantize_stage,
    rewriting_of,
    selection_for,
)
from compiler.pipeline.job import Job, read_job
from compiler.pipeline.line import Line
from compiler.stages import Artifact, Calibrate, Load, LoadedNetwork, ProgramArtifact, Rewrite, Rewriters, Stage
from tests.conftest import PHOTOGRAPH

MODEL = "model=simcc-mobilenetv2"
NOWHERE = Artifact("made before", Path("nowhere"))
PROGRAM = ProgramArtifact("made before", OnnxProgram(Path("nowhere"), (), (), 18, 0))

Leaf = tuple[str, ...]

OTHER_VALUES: dict[str, Any] = {
    "shape": "static_256x192",
    "precision": "fp16",
    "export.exporter": "torchscript",
    "export.opset": 19,
    "keep_fp32": ("MatMul",),
    "rewriters.disable": ("fuse_batch_norm",),
    "rewriters.require": ("fuse_batch_norm",),
    "box": [10, 20, 150, 220],
    "cache": "elsewhere",
    "calibration.method": "percentile",
    "verify.decoded_tolerance": 5.0,
    "verify.reduced_tolerance": 0.5,
    "backend.optimization": "basic",
    "backend.threads": 1,
}
"""For leaves of which not every value of their type can be."""
INPUT = "input"
ORDER = ("load", "export", "rewrite", "calibrate", "precision", "build")


def leaves(node: Any, path: Leaf = ()) -> Iterator[Leaf]:
    """Yield the path of every leaf."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, (list, tuple)) and node and isinstance(node[0], dict):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, str(index)))
    else:
        yield path


def with_leaf(values: dict[str, Any], leaf: Leaf) -> dict[str, Any] | None:
    """Return the values with another one at a leaf; None where there is no other."""
    changed = copy.deepcopy(values)
    node: Any = changed
    for key in leaf[:-1]:
        node = node[int(key)] if isinstance(node, (list, tuple)) else node[key]
    present = node[leaf[-1]]
    other = OTHER_VALUES.get(".".join(leaf), another(present))
    if other is None or other == present:
        return None
    node[leaf[-1]] = other
    return changed


def another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value * 1.5 + 0.1
        case str():
            return f"{value}_other"
        case list() | tuple() if len(value) > 1:
            return type(value)(reversed(value)) if list(reversed(value)) != list(value) else None
    return None


def job_of(values: dict[str, Any]) -> Job | None:
    """Return the job of a config; None where the config is refused."""
    try:
        config = instantiate(values, CompileConfig)
        config.check()
        return read_job(config)
    except (UsageError, CompileError):
        return None


def stages_of(job: Job) -> dict[str, Stage]:
    """Return the stages of a job, each as if those before it had made what they make."""
    selection = selection_for(job)
    network = LoadedNetwork(NOWHERE, rewriting_of(job, selection), job.source, job.task)
    stages: dict[str, Stage] = {
        "load": Load(job.source, job.weights),
        "export": export_stage(job, network, selection),
        "rewrite": Rewrite(PROGRAM, Rewriters.of_graph(selection)),
    }
    if job.config.precision == "int8":
        stages["calibrate"] = Calibrate(PROGRAM, job.config.calibration.method, calibration_data(job))
        stages["precision"] = quantize_stage(job, PROGRAM, NOWHERE, job.backend.quantization)
    elif job.config.precision != "fp32":
        stages["precision"] = half_stage(job, PROGRAM)
    stages["build"] = build_stage(job, PROGRAM, lambda event: None)
    return stages


def unchanged(job: Job, changed: Job, read: dict[str, dict[str, Any]]) -> frozenset[str]:
    """Return the stages that a changed job takes from the cache: their own keys are the same, and all before them.

    Args:
        job: As it was run.
        changed: The other one.
        read: What the stages of `job` read beside their keys.
    """
    others = stages_of(changed)
    same = []
    for name, stage in stages_of(job).items():
        other = others.get(name)
        if other is None or other.key != stage.key:
            break
        if other.observations and not other.observations.still_holds(read[name]):
            break
        same.append(name)
    return frozenset(same)


def run(job: Job, cache: Path) -> dict[str, Path]:
    """Run the stages of a job up to the engine; return their folders."""
    made: dict[str, Path] = {}

    class NotingLine(Line):
        def run(self, stage: Stage) -> Artifact:
            artifact = super().run(stage)
            made[stage.NAME] = artifact.folder
            return artifact

    line = NotingLine(Cache(cache), lambda event: None)
    steps = make_program(job, line)
    line.run(build_stage(job, steps.program, lambda event: None))
    return made


def digests(folders: dict[str, Path]) -> dict[str, dict[str, str]]:
    return {name: file_digests(folder, exclude=(DONE,)) for name, folder in folders.items()}


@dataclass(frozen=True)
class Walk:
    """What changing each leaf of a config comes to.

    Attributes:
        values: The config.
        made: The folders of the stages that were run with it.
        jobs: The job of the config in which a leaf is changed, by that leaf.
        same: The stages that are found again where a leaf is changed, by that leaf.
    """

    values: dict[str, Any]
    made: dict[str, Path]
    jobs: dict[Leaf, Job]
    same: dict[Leaf, frozenset[str]]

    def first_changed(self, leaf: str) -> str:
        """Return the first stage that is made anew where a leaf is changed."""
        same = self.same[tuple(leaf.split("."))]
        return next((name for name in ORDER if name in self.made and name not in same), "none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where both walks keep their stages: they have the network in common, and its export."""
    return tmp_path_factory.mktemp("walk")


@pytest.fixture(scope="module", params=["fp32", "int8"])
def walk(request, folder) -> Walk:
    photograph = folder / "photograph.png"
    cv2.imwrite(str(photograph), cv2.imread(str(PHOTOGRAPH))[:, ::-1])
    values = asdict(compose([MODEL, f"precision={request.param}", f"cache={folder / 'cache'}"]))
    job = job_of(values)
    made = run(job, folder / "cache")
    read = {name: read_json(made[name] / DONE)["read"] for name in made}
    jobs = {}
    for leaf in leaves(values):
        changed = {**values, leaf[0]: str(photograph)} if leaf == (INPUT,) else with_leaf(values, leaf)
        if changed and (other := job_of(changed)):
            jobs[leaf] = other
    return Walk(values, made, jobs, {leaf: unchanged(job, other, read) for leaf, other in jobs.items()})


def test_most_of_a_config_can_be_changed(walk):
    assert len(walk.same) > 60
    assert {leaf[0] for leaf in walk.same} >= {"model", "backend", "batch", "export", "rewriters", "verify", "shape"}


def test_what_changes_no_key_changes_no_byte(walk, tmp_path):
    """All such leaves at once, from nothing, in another cache."""
    free = [leaf for leaf, same in walk.same.items() if same == walk.made.keys()]
    assert {("output",), ("cache_limit",), ("verify", "tolerance"), ("model", "openmmlab")} <= set(free)
    assert digests(run(changed_together(walk.values, free), tmp_path)) == digests(walk.made)


def changed_together(values: dict[str, Any], free: list[Leaf]) -> Job:
    """Return the job of a config in which leaves are changed: all of them, or as many as go with each other."""
    changed = functools.reduce(lambda before, leaf: with_leaf(before, leaf) or before, free, values)
    if job := job_of(changed):
        return job
    for leaf in free:
        candidate = with_leaf(values, leaf)
        if candidate and (found := job_of(candidate)):
            values, job = candidate, found
    assert job is not None
    return job


def test_each_leaf_counts_from_the_stage_that_it_is_about(walk):
    about = {
        "model.network.backbone.widen_factor": "load",
        "export.exporter": "export",
        "export.opset": "export",
        "rewriters.disable": "export",
        INPUT: "export",
        "backend.optimization": "build",
        "backend.threads": "build",
    }
    assert {leaf: walk.first_changed(leaf) for leaf in about} == about


def test_a_bundle_counts_every_leaf_but_those_that_say_where_or_what_it_may_cost(walk):
    limits = {f"limits.{field.name}" for field in fields(Limits)}
    key = job_of(walk.values).key
    free = {".".join(leaf) for leaf, job in walk.jobs.items() if job.key == key and leaf != (INPUT,)}
    assert free - limits == {"output", "cache", "cache_limit", "variant", "precision_asked"}
