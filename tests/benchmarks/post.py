"""What it costs to prepare a network's input, and to read its output, beside the network itself."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from rich.table import Table

from compiler import runtime
from compiler.artifact import Tensors
from compiler.config import compose
from compiler.config.sizes import Size, size_text
from compiler.tasks import AnyTask, build_task
from tests.benchmarks.measure import seconds_in_onnxruntime, seconds_of, timed_compile
from tests.conftest import REPOSITORY, CommandLine
from tests.models_page import named_size
from tests.tasks.raw_maps import raw_maps
from tests.tasks.text_maps import embedded_logits, kernel_logits, probabilities, words

PAGE = 640
WORD = "benchmark"
ROUNDS = 30
TURNS = 3

Maps = Callable[[AnyTask], Tensors]
"""What a trained network might say: random weights say noise, which takes another time to read."""


def post_table() -> Table:
    """Time each model's network, and what lies around it, on its task's sample: in turns, within one process."""
    title = f"pre- and post-processing as a share of the network's time, one sample, medians of {ROUNDS} runs"
    table = Table("model", "input", title=title, title_justify="left")
    for header in ("network ms", "preprocessing ms", "decoding ms", "found", "share"):
        table.add_column(header, justify="right")
    for name, maps in MODELS.items():
        table.add_row(name, *_cells(name, maps))
    return table


def _cells(name: str, maps: Maps) -> Iterable[str]:
    size = _size(name)
    with tempfile.TemporaryDirectory() as folder:
        bundle = timed_compile(CommandLine(Path(folder)), f"model={name}", f"shape=static_{size_text(size)}").bundle
        predictor = runtime.open(bundle)
        task, sizes = predictor.task, predictor.sizes
        del predictor  # and its session's threads
        source, outputs = task.read(task.sample_source()), maps(task)
        prepare = partial(task.preprocess, source, None, sizes)
        prepared = prepare()
        decode = partial(task.decode, outputs, prepared)
        times: tuple[list[float], ...] = ([], [], [])
        rounds = ROUNDS // TURNS
        for _ in range(TURNS):
            times[0].extend(seconds_in_onnxruntime(bundle, prepared.tensors, rounds))
            times[1].extend(seconds_of(prepare) for _ in range(rounds))
            times[2].extend(seconds_of(decode) for _ in range(rounds))
    network, before, after = (statistics.median(seconds) * 1000 for seconds in times)
    share = (before + after) / network
    return named_size(task, size), f"{network:.1f}", f"{before:.2f}", f"{after:.2f}", f"{len(decode())}", f"{share:.1%}"


def _size(name: str) -> Size:
    """Return the size of a page or a word, or how many voxels the sample has."""
    model = compose([f"model={name}"]).model
    task = build_task(model.processing)
    if task.looks_at.name == "points":
        return (len(task.preprocess(task.read(task.sample_source())).tensors["voxels"]),)
    return (PAGE, PAGE) if model.task == "text-detection" else model.input_shape


def _of_page(draw: Callable[[list[np.ndarray], int], np.ndarray], task: AnyTask) -> Tensors:
    return {"output": draw(words(PAGE), PAGE)[None]}


def _of_word(task: AnyTask) -> Tensors:
    """Return the columns of CRNN at its own width: a blank after every character, and at the end."""
    dictionary = task.dictionary
    classes = np.full(26, dictionary.blank)
    classes[: 2 * len(WORD) : 2] = [dictionary.characters.index(character) for character in WORD]
    return {"output": np.eye(dictionary.num_classes, dtype=np.float32)[classes][None]}


def _of_cloud(reference: str, task: AnyTask) -> Tensors:
    return raw_maps(REPOSITORY / "tests/parity", reference, task.outputs)


MODELS: dict[str, Maps] = {
    "dbnet": partial(_of_page, probabilities),
    "psenet": partial(_of_page, kernel_logits),
    "panet": partial(_of_page, embedded_logits),
    "crnn": _of_word,
    "pointpillars": partial(_of_cloud, "pointpillars_kitti3"),
    "centerpoint": partial(_of_cloud, "centerpoint_pillar02"),
}
