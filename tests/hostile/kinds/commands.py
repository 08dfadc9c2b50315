"""Command lines and overrides of each verb, and config folders of somebody's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from tests.hostile import mutate
from tests.hostile.case import Case
from tests.hostile.seeds import REPOSITORY, Seeds

VERBS = (
    "compile",
    "plan",
    "build",
    "explain",
    "predict",
    "export",
    "import",
    "doctor",
    "help",
    "",
    "Compile",
    "x",
    "verify",
)
FLAGS = (
    *("--cfg", "job", "-c", "all", "--package", "-p", "model", "--resolve", "--info", "-i", "defaults", "--help", "-h"),
    *(
        "--hydra-help",
        "-m",
        "--multirun",
        "--shell-completion",
        "-sc",
        "install=bash",
        "--config-dir",
        "-cd",
    ),
    *("--version", "--", "-", "--cfg=job", "--x", "-1", "@x", "--info=plugins", "-cd=.", "query=bash"),
)
KEYS = (
    *(
        "model",
        "backend",
        "deploy",
        "shape",
        "precision",
        "tail",
        "box",
        "input",
        "image",
        "points",
        "arrays",
        "output",
    ),
    *("cache", "cache_limit", "checkpoint", "keep_fp32", "batch.largest", "batch.usual", "calibration.data", "verify"),
    *(
        "calibration.limit",
        "calibration.method",
        "verify.tolerance",
        "rewriters.disable",
        "rewriters.require",
        "export.opset",
    ),
    *(
        "export.exporter",
        "model.name",
        "model.file",
        "model.target",
        "model.inputs.x",
        "model.kwargs.a",
        "model.network",
    ),
    *("model.processing.input_size", "model.processing._target_", "model.input_shape", "model.config", "hydra.run.dir"),
    *(
        "hydra/launcher",
        "hydra.sweeper",
        "algos.x",
        "tasks",
        "input_kind",
        "model.official.url",
        "backend._target_",
        "defaults",
    ),
    *(
        "model.packages.mmdet",
        "classes@model.processing.classes",
        "keypoints",
        "model@x",
        "a.b.c",
        "",
        "_target_",
        "dictionaries",
    ),
)
VALUES = (
    *(
        "rtmpose",
        "rtmpose,rtmdet",
        "onnx",
        "torch",
        "openmmlab",
        "onnxruntime",
        "tensorrt",
        "dynamic",
        "static_256x192",
    ),
    *(
        "dynamic_320x320-640x640",
        "int8",
        "fp16",
        "native",
        "host",
        "{a:1}",
        "[1,2",
        "[]",
        "null",
        "1e999",
        "range(1,9)",
    ),
    *("choice(a,b)", "glob(*)", "int('x')", "sort(3,1)", "extend_list(a)", "$(touch called)", "nets:Net", "net.onnx"),
    *(
        "pose-detection_simcc_onnxruntime_dynamic_256x192",
        "shuffle(1,2)",
        "interval(0,1)",
        "json_str('{')",
        "1x3x16x16",
    ),
)


def command(random: Random, seeds: Seeds, folder: Path) -> Case:
    """Any words."""
    _lay_out(seeds, folder)
    words = [random.choice(VERBS)] if random.random() < 0.8 else []
    if not words or words[0] in ("compile", "plan"):
        words += ["model=onnx", "model.file=net.onnx"]  # the least that can be compiled
    for _ in range(random.choice((0, 1, 2, 2, 3, 4))):
        kind = random.randrange(5)
        if kind == 0:
            words.append(random.choice(FLAGS))
        elif kind == 1:
            words.append(random.choice(("bundle", "image.png", "net.onnx", "missing", ".", "config.py", "bundle/")))
        elif kind == 2:
            words.append(random.choice((*mutate.TEXTS, *mutate.PATHS)))
        else:
            words.append(override(random))
    return Case(_passable(words), reads_anywhere=True)


def overrides(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A few overrides, composed; or planned with a small network."""
    _lay_out(seeds, folder)
    given = [override(random) for _ in range(random.choice((1, 1, 2, 3)))]
    if random.random() < 0.6:
        how = random.choice((["--cfg", "job"], ["--cfg", "job", "--resolve"], ["--cfg", "all"], ["--info", "defaults"]))
        return Case(_passable([*how, *given]), reads_anywhere=True)
    return Case(_passable(["plan", "model=onnx", "model.file=net.onnx", *given]), reads_anywhere=True)


def override(random: Random) -> str:
    """One override, in Hydra's grammar or nearly so."""
    choices = (*VALUES, *VALUES, *mutate.TEXTS, *mutate.PATHS, *mutate.TARGETS, *map(str, mutate.NUMBERS))
    value = mutate.with_raw(random.choice(choices))
    form = random.choice(("{}={}", "{}={}", "{}={}", "+{}={}", "++{}={}", "~{}", "{}='{}'", "{}", "{}={}={}", "{}@{}"))
    key = random.choice(KEYS) if random.random() < 0.95 else random.choice(mutate.TEXTS)
    return form.replace("{}", key, 1).replace("{}", value)


def config_folder(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A folder of configs of somebody's own, by `--config-dir`."""
    import yaml

    _lay_out(seeds, folder)
    group = random.choice(("model", "model", "backend", "classes", "keypoints"))
    source = random.choice(sorted((REPOSITORY / "conf" / group).glob("*.yaml")))
    text = source.read_text()
    if random.random() < 0.6:
        text = mutate.as_yaml(mutate.tree(random, yaml.safe_load(text)))
    else:
        text = mutate.lines(random, text)
    data = text.encode("utf-8", "surrogatepass")
    target = folder / "conf" / group
    target.mkdir(parents=True)
    name = random.choice(("mine", "mine", "mine", source.stem, "a b", "é", "mine.x"))
    (target / f"{name}.yaml").write_bytes(mutate.content(random, data) if random.random() < 0.15 else data)
    chosen = f"{group}={name}"
    if group in ("classes", "keypoints"):
        chosen = f"{group}@model.processing.{group}={name}"
    how = random.choice((["--cfg", "job"], ["--cfg", "job", "--resolve"], ["doctor"], ["help"]))
    words = [*how, "--config-dir", "conf", *([] if how[0] in ("doctor", "help") else [chosen])]
    return Case(_passable(words), said=str(source.name))


def _lay_out(seeds: Seeds, folder: Path) -> None:
    shutil.copyfile(seeds.image, folder / "image.png")
    shutil.copyfile(seeds.onnx_files[0], folder / "net.onnx")
    shutil.copytree(seeds.bundle("pose"), folder / "bundle")
    (folder / "config.py").write_text("x = 1")
    (folder / "nets.py").write_text(
        "import torch\nclass Net(torch.nn.Linear):\n    def __init__(self): super().__init__(2, 2)\n"
    )


def _passable(words: list[str]) -> list[str]:
    """Words as a system passes them to a process: without null characters."""
    return [word.replace("\x00", "").encode("utf-8", "replace").decode() for word in words]
