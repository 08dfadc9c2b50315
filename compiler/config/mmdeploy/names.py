"""Deploy names of MMDeploy's: what each means in our words, or why it means nothing here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NoReturn

from compiler.config.mmdeploy.facts import facts
from compiler.errors import UsageError

PAGE = "docs/mmdeploy.md"
_KINDS = ("dynamic", "static")


@dataclass(frozen=True)
class Here:
    """What can be composed here.

    Attributes:
        backends: Names of configs in `conf/backend/`, the user's among them.
        models: Names of configs in `conf/model/`, likewise.
        algos: The algorithms in deploy names, each with the model that it stands for.
        tasks: The tasks, likewise.
        model: The model that is given beside the name; empty where none is.
    """

    backends: Collection[str]
    models: Collection[str]
    algos: Mapping[str, str]
    tasks: Mapping[str, str]
    model: str = ""


@dataclass(frozen=True)
class Meaning:
    """What a deploy name says, in our words.

    Attributes:
        name: The name in our spelling.
        overrides: What it says beyond what a name of ours holds.
        claims: What it says of the model, by the model's keys: whichever model is composed has to agree.
    """

    name: str
    overrides: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Parts:
    """A name of MMDeploy's, taken apart; what it leaves out is empty."""

    whole: str
    head: str
    backend: str
    precision: str
    kind: str
    hyphen: bool
    shape: str


def meaning(name: str, here: Here) -> Meaning:
    """What a deploy name says; one that is none of MMDeploy's is given back as it is.

    Raises:
        UsageError: It is one of MMDeploy's and means nothing here, with the reason.
    """
    if name.endswith(".py") or "/" in name:
        _refuse_file(name)
    parts = _parts(name, here)
    if parts is None or name.startswith("base_"):
        _refuse_task(name, name, here)
        _refuse_base(name)
        return Meaning(name)
    head = facts("names")["heads"].get(parts.head, {"ours": parts.head})
    if not _is_ours(parts.head, here):
        _refuse_task(name, parts.head, here)
        _refuse_model(parts, here)
    if parts.backend not in here.backends:
        raise backend_not_here(parts.backend, here.backends, where=f"deploy={name}")
    task, _, algo = head["ours"].partition("_")
    algo = facts("names")["algos"].get(algo, algo)
    shape, model, claims = _input(parts, task, here)
    if head.get("one_size") and parts.kind == "dynamic" and shape and "-" not in shape:
        shape = f"{shape}-{shape}"
    first = algo or ("" if here.model else model)
    precision = f"-{parts.precision}" if parts.precision else ""
    kind = f"{parts.kind}_{shape}" if shape else parts.kind
    ours = "_".join(part for part in (task, first, f"{parts.backend}{precision}", kind) if part)
    return Meaning(ours, tuple(head.get("overrides", ())), claims)


def backend_not_here(backend: str, backends: Collection[str], where: str) -> UsageError:
    """The error over a backend of MMDeploy's that is not here: what is known of it, and what is nearest."""
    name = known_backend(backend)
    if name == "sdk":
        return _sdk(where)
    known = facts("names")["backends"][name]
    nearest = known.get("for", known["nearest"])
    return UsageError(
        f"there is no backend {name} here: {known['title']}",
        where=where,
        why=known["is"],
        fix=f"the nearest is {nearest}; there are {', '.join(sorted(backends))} (docs/backends.md)",
    )


def known_backend(backend: str) -> str:
    """The backend of MMDeploy's that goes by a name; empty where none does."""
    known = facts("names")["backends"]
    if backend in known or backend == "sdk":
        return backend
    return next((name for name, one in known.items() if backend in one.get("also", ())), "")


def _parts(name: str, here: Here) -> _Parts | None:
    """The parts of a name; None where no backend is in it that is known."""
    known = facts("names")["backends"]
    backends = {*here.backends, *known, "sdk", *(other for one in known.values() for other in one.get("also", ()))}
    precisions = {**facts("names")["precisions"], **{name: name for name in ("fp32", "fp16", "bf16", "int8")}}
    methods = facts("names")["methods"]
    match = re.fullmatch(
        r"(?P<head>[a-z0-9+.-]+(?:_[a-z0-9+.-]+)*?)"
        rf"_(?P<backend>{_one_of(backends)})"
        rf"(?:[-_](?P<precision>{_one_of([*precisions, *methods])}))?"
        rf"(?:_(?P<kind>{_one_of(_KINDS)})(?:(?P<mark>[-_])(?P<shape>.+))?)?",
        name,
    )
    if match is None:
        return None
    return _Parts(
        whole=name,
        head=match["head"],
        backend=match["backend"],
        precision=precisions.get(match["precision"] or "", ""),
        kind=match["kind"] or "static",  # what is traced without axes of its own has one size
        hyphen=match["mark"] == "-",
        shape=match["shape"] or "",
    )


def _input(parts: _Parts, task: str, here: Here) -> tuple[str, str, dict[str, Any]]:
    """The shape in our words, the model that it stands for where it stands for one, and what it says of the model."""
    data, sizes = facts("names")["data"], facts("names")["sizes"]
    if parts.shape in data:
        return _point_clouds(parts, data[parts.shape], here)
    if task == "text-recognition" and parts.hyphen and not parts.shape.startswith(("1x", "3x")):
        sides = len(parts.shape.partition("-")[0].split("x"))
        return parts.shape, "", {"network.backbone.input_channels": 3} if sides == 2 else {}
    return parts.shape, sizes.get(task, {}).get(parts.shape, ""), {}


def _point_clouds(parts: _Parts, data: Mapping[str, Any], here: Here) -> tuple[str, str, dict[str, Any]]:
    if data["model"] is None and not here.model:
        raise UsageError(
            f"no model here has voxels of {data['points']} points with {data['numbers']} numbers each",
            where=f"deploy={parts.whole}",
            why=f"that is {data['is']}; {', '.join(_models_with_voxels())}",
            fix="add model=openmmlab model.config=<its config> checkpoint=<its checkpoint>",
        )
    points = {"processing.voxelization.max_num_points": data["points"], "processing.used_dimensions": data["numbers"]}
    return data["voxels"] if parts.backend.startswith("tensorrt") else "", data["model"] or "", points


def _models_with_voxels() -> list[str]:
    known = (one for one in facts("names")["data"].values() if one["model"])
    return list(dict.fromkeys(f"{one['model']} has {one['points']}x{one['numbers']}" for one in known))


def _is_ours(head: str, here: Here) -> bool:
    """Whether a model of the user's goes by what a name begins with, whatever MMDeploy calls so."""
    task, _, algo = head.partition("_")
    return algo in here.models or algo in here.algos or (task in here.tasks and not algo)


def _refuse_task(name: str, head: str, here: Here) -> None:
    tasks = facts("names")["tasks"]
    task = next((tasks[word] for word in (head, head.partition("_")[0]) if word in tasks), None)
    if task is not None and not _is_ours(head, here):
        raise UsageError(
            f"there is no such task here: {task}",
            where=f"deploy={name}",
            why=f"the tasks here are {', '.join(sorted(here.tasks))}",
            fix="any other network compiles with arrays in and out: model=torch or model=onnx (docs/bring-your-own.md)",
        )


def _refuse_model(parts: _Parts, here: Here) -> None:
    model = facts("names")["models"].get(parts.head)
    if model is not None and not here.model:
        raise UsageError(
            f"there is no such model here: {model['is']}",
            where=f"deploy={parts.whole}",
            why=model.get("why", ""),
            fix=f"the nearest is model={model['nearest']}; docs/models.md has them all",
        )


def _refuse_file(name: str) -> NoReturn:
    raise UsageError(
        "a deploy config is chosen by its name here, and its file is not read",
        where=f"deploy={name}",
        why="what such a file holds is in its name, in the model, or a key of ours",
        fix=f"deploy={PurePath(name).stem}, and what you changed in the file as overrides ({PAGE})",
    )


def _refuse_base(name: str) -> None:
    """Refuse what MMDeploy's deploy configs are put together from: a task without a backend, or a backend alone."""
    known = facts("names")
    words = name.removeprefix("base_").split("_")
    heads = (*known["tasks"], *known["heads"], *known["bases"])
    is_task = words[-1].partition("-")[0] in _KINDS and "_".join(words[:-1]) in heads
    if not (is_task or name.startswith("base_") or name in known["parts"]):
        return
    raise UsageError(
        f"'{name}' is a part of MMDeploy's deploy configs, and none itself",
        where=f"deploy={name}",
        why="it names no backend" if name not in known["parts"] else "it names no task",
        fix="for example deploy=detection_onnxruntime_dynamic",
    )


def _sdk(where: str) -> UsageError:
    return UsageError(
        "the sdk is no backend: such a config says how MMDeploy evaluates what its SDK runs",
        where=where,
        why="nothing is built from it",
        fix="name the backend instead; the files that the SDK opens a bundle by are in it, where the SDK has its task",
    )


def _one_of(words: Collection[str]) -> str:
    """A pattern of any of the words, the longest first."""
    return "|".join(map(re.escape, sorted(words, key=lambda word: (-len(word), word))))
