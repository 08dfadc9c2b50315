"""Write the models of a bundle into a repository that Triton and OpenVINO Model Server read."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from compiler.artifact import Engine, Tensors, copy_files, located, reading, replace_folder, write_text
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.plain_names import require_plain_name
from compiler.errors import Caution
from compiler.printable import on_one_line
from compiler.runtime.contents import CONFIG_FILE, BundleContents, read_bundle
from compiler.serving.mark import CONFIG, name_of, require_ours, write_mark
from compiler.serving.model_config import (
    LABELS_FILE,
    WARM_UP,
    engine_config,
    largest_batch,
    pipeline_config,
    warm_up,
    warm_up_file,
)
from compiler.serving.servers import TritonBackend, triton_backend, type_name
from compiler.serving.text_format import text_format
from compiler.tasks import AnySample, AnyTask, Prepared
from compiler.tasks.inputs import ARRAYS

VERSION = "1"
"""Of every model: its folder, which servers look for the files in."""
ENGINE_SUFFIX = "_engine"
PIPELINE_FOLDER = "bundle"
MODEL = '''"""What surrounds the engine of a bundle; needs deploy-compiler in Triton's Python, without torch."""

from pathlib import Path

from compiler.serving.bundle_model import BundleModel


class TritonPythonModel(BundleModel):
    FOLDER = Path(__file__).parent / "bundle"
'''


def export_triton(
    bundle: str | PathLike[str],
    repository: str | PathLike[str],
    name: str = "",
    modules: Collection[str] = (),
    *,
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    replace: bool = False,
) -> tuple[Path, ...]:
    """Write the models of a bundle: the engine, as it is, and what surrounds it, unless it takes arrays as they are.

    Args:
        bundle: The folder that a compile left behind.
        repository: The folder of the server's models; made where it is not there.
        name: Of the model; that of the bundle's folder where it is empty.
        modules: See `compiler.runtime.open`.
        engine_code: Likewise; it is the server that runs it.
        trust_changes: Likewise.
        limits: What an input of a request may cost.
        replace: Whether models of ours may go that were changed since they were exported, or are of another bundle.

    Returns:
        The folders of the models, the one that clients ask first.

    Raises:
        CompileError: The bundle cannot be read (see `compiler.runtime.open`), Triton does not run its engine, or
            something lies where a model is written that would be lost.
        UsageError: The name is none.
    """
    folder, target = Path(bundle), Path(repository)
    contents = read_bundle(folder, modules, engine_code=engine_code, trust_changes=trust_changes, limits=limits)
    name = name or folder.resolve().name
    require_plain_name(name, "name")
    served = triton_backend(contents.backend, contents.engine.files, str(folder))
    for caution in _cautions(contents, served):
        warnings.warn(caution, Caution, stacklevel=2)
    alone = contents.task.looks_at == ARRAYS
    engine_name = name if alone else f"{name}{ENGINE_SUFFIX}"
    writers = {engine_name: partial(write_engine, name=engine_name, contents=contents, served=served)}
    if not alone:
        settings = {**({"modules": ",".join(modules)} if modules else {}), **_limit_settings(limits)}
        around = partial(write_pipeline, name=name, engine_name=engine_name, contents=contents, settings=settings)
        writers = {name: around, **writers}
    source = name_of(contents)
    for model in writers:
        require_ours(target / model, source, replace)
    with reading(target, "the repository cannot be written"):
        target.mkdir(parents=True, exist_ok=True)
        for model, write in writers.items():
            with tempfile.TemporaryDirectory(prefix=f".{model}.", dir=target) as place:
                made = Path(place) / model
                (made / VERSION).mkdir(parents=True)
                write(made)
                write_mark(made, source)
                replace_folder(made, target / model)
    return tuple(target / model for model in writers)


def _cautions(contents: BundleContents, served: TritonBackend) -> Iterator[str]:
    """Yield what a server has to be told, or cannot be told, of an engine."""
    backend, smallest = contents.backend, contents.config.batch.smallest
    if getattr(backend, "version_compatible", False):
        yield "start Triton with --backend-config=tensorrt,version-compatible=true: the engine brings code"
    if backend.PROFILED and smallest > 1 and largest_batch(contents, served):
        yield (
            f"Triton waits for no second request, and the engine takes {smallest} items at the least: send as many in "
            "a request, or compile with batch.smallest=1"
        )


def write_engine(folder: Path, name: str, contents: BundleContents, served: TritonBackend) -> None:
    """Write the model that is the engine.

    Args:
        folder: Of the model, with its version's in it.
        name: Of the model.
        contents: Of the bundle.
        served: What runs it.
    """
    engine, labels = contents.engine, labels_of(contents.task)
    files = contents.backend.files(engine)  # which begin with what Triton takes, whatever the sidecar calls it
    for ours, theirs in zip(files, served.files, strict=False):
        shutil.copyfile(located(engine.folder, ours), folder / VERSION / theirs)
    config = engine_config(name, contents, served, bool(labels))
    batch = largest_batch(contents, served)
    tensors = warm_up_tensors(contents, batch)
    names = {spec.name: served.tensor_name(engine.inputs, index) for index, spec in enumerate(engine.inputs)}
    types = {spec.name: type_name(spec, str(engine.folder)) for spec in engine.inputs}
    config["model_warmup"] = warm_up(tensors, names, types, batch, contents.config.batch.smallest)
    (folder / WARM_UP).mkdir()
    for index, tensor in enumerate(tensors.values()):
        (folder / WARM_UP / warm_up_file(index)).write_bytes(tensor.tobytes())
    if labels:
        write_text(folder / LABELS_FILE, "".join(f"{on_one_line(label)}\n" for label in labels))
    write_text(folder / CONFIG, text_format(config))


def write_pipeline(
    folder: Path, name: str, engine_name: str, contents: BundleContents, settings: Mapping[str, str]
) -> None:
    """Write the model that surrounds the engine.

    Args:
        folder: Of the model, with its version's in it.
        name: Of the model.
        engine_name: Of the engine's.
        contents: Of the bundle.
        settings: Of `BundleModel`.
    """
    write_text(folder / VERSION / "model.py", MODEL)
    files = {one: located(contents.engine.folder, one) for one in (CONFIG_FILE, Engine.SIDECAR)}
    copy_files(files, folder / VERSION / PIPELINE_FOLDER)
    config = pipeline_config(name, engine_name, contents.task, settings)
    write_text(folder / CONFIG, text_format(config))


def warm_up_tensors(contents: BundleContents, batch: int) -> Tensors:
    """The engine's inputs, of one item: what the bundle was proven on; where it keeps none, its task's sample.

    Args:
        contents: Of the bundle.
        batch: See `largest_batch`.
    """
    task = contents.task
    sample = task.read(task.sample_source())
    prepared = _recorded(contents, sample) or task.preprocess(sample, contents.config.sizes)
    tensors = {spec.name: prepared.tensors[spec.name] for spec in contents.engine.inputs}
    fixed = contents.engine.inputs[0].shape[:1]
    if batch:
        count = 1
    elif task.batched and fixed and isinstance(fixed[0], int):
        count = fixed[0]
    else:
        return tensors
    return {name: np.repeat(tensor[:1], count, axis=0) for name, tensor in tensors.items()}


def _recorded(contents: BundleContents, sample: AnySample) -> Prepared | None:
    """What a bundle was proven on; None where it keeps no such thing.

    Raises:
        CompileError: It was changed, or does not fit the bundle.
    """
    from compiler.proof import proof_of
    from compiler.proof.recording import NOT_FITTING, RECORDED_FILE, recorded_in

    recording = recorded_in(contents.folder, contents.lock, contents.config.proof_inputs)
    if recording is None:
        return None
    with reading(contents.folder / RECORDED_FILE, NOT_FITTING, fix="compile it again"):
        return recording.prepared(proof_of(contents.task), sample)


def labels_of(task: AnyTask) -> tuple[str, ...]:
    """The names of what a task tells apart: classes, key points or characters; nothing where it has none."""
    told: Any = getattr(task, "classes", None) or getattr(task, "keypoints", None)
    names = getattr(told, "names", told) or getattr(getattr(task, "dictionary", None), "characters", ())
    return tuple(map(str, names))


def _limit_settings(limits: Limits) -> dict[str, str]:
    return {f"limits.{name}": repr(getattr(limits, name)) for name in ("megapixels", "points")}
