"""Builds RKNN engines, and simulates them, in an environment that has rknn-toolkit2 and nothing of the compiler.

    python -I toolkit.py build '{"program": …}'       # writes the engine
    python -I toolkit.py simulate '{"program": …}'    # answers arrays with arrays

The simulator runs what was just built and nothing that is read from an engine's file: it builds again, in int8 from
what the first build measured. What the toolkit writes on its screen goes to a log.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy

Settings = Mapping[str, Any]

LENGTH = struct.Struct("<q")
"""Of what follows, in bytes; negative where it is the words of an error."""
MEASURED = (".model", ".data", ".quantization.cfg")
"""What the first half of a build in int8 leaves, by the ends of the files' names."""


def main(task: str, text: str) -> int:
    """Do what is asked; a status."""
    settings = json.loads(text)
    answers, errors = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(2), "w")
    log = os.open(settings["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        {"build": build, "simulate": simulate}[task](settings, answers)
    except Exception as error:
        words = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        errors.write(f"failed:\nthe toolkit refuses this\n{words[-1]}\n")
        errors.flush()
        return 1
    return 0


def build(settings: Settings, answers: IO[bytes]) -> None:
    """Write the engine, and in int8 what a simulation needs of the calibration data."""
    if settings["calibration"]:
        told(answers, 10, "calibrate")
        measure(settings)
    told(answers, 40, "build")
    rknn = built(settings)
    checked(rknn.export_rknn(settings["engine"]), "export_rknn")
    told(answers, 100, "built")


def simulate(settings: Settings, answers: IO[bytes]) -> None:
    """Build again, and answer each archive of inputs with one of outputs."""
    rknn = built(settings)
    checked(rknn.init_runtime(), "init_runtime")
    sent(answers, b"")
    while True:
        header = sys.stdin.buffer.read(LENGTH.size)
        if not header:
            return
        given = numpy.load(io.BytesIO(sys.stdin.buffer.read(*LENGTH.unpack(header))), allow_pickle=False)
        arrays = [given[name] for name in settings["inputs"]]
        try:
            found = rknn.inference(inputs=arrays, data_format=["nchw"] * len(arrays))
            archive = io.BytesIO()
            numpy.savez(archive, **dict(zip(settings["outputs"], found, strict=True)))
        except Exception as error:
            sent(answers, str(error).strip().encode(), -1)
        else:
            sent(answers, archive.getvalue())


def measure(settings: Settings) -> None:
    """Take the ranges of int8 from the calibration data."""
    dataset, program = Path(settings["dataset"]), Path(settings["program"])
    os.chdir(dataset.parent)  # where the toolkit writes, whatever it is told; the paths that it is told, it keeps
    shutil.copyfile(program, program.name)
    rknn = loaded({**settings, "program": program.name})
    checked(rknn.hybrid_quantization_step1(dataset=dataset.name, proposal=False), "hybrid_quantization_step1")
    for end in MEASURED:
        shutil.move(program.stem + end, settings["measured"] + end)


def built(settings: Settings) -> Any:
    """A toolkit's object that holds an engine."""
    if not settings["measured"]:
        rknn = loaded(settings)
        checked(rknn.build(do_quantization=False), "build")
        return rknn
    from rknn.api import RKNN  # type: ignore[import-not-found,unused-ignore]

    rknn = RKNN(verbose=False)
    model, data, config = (settings["measured"] + end for end in MEASURED)
    given = {"model_input": model, "data_input": data, "model_quantization_cfg": config}
    checked(rknn.hybrid_quantization_step2(**given), "hybrid_quantization_step2")
    return rknn


def loaded(settings: Settings) -> Any:
    """A toolkit's object that has read the Program."""
    from rknn.api import RKNN  # type: ignore[import-not-found,unused-ignore]

    rknn = RKNN(verbose=False)
    checked(rknn.config(**settings["config"]), "config")
    checked(rknn.load_onnx(model=settings["program"]), "load_onnx")
    return rknn


def checked(status: int, step: str) -> None:
    """Take the status of a step of the toolkit for what it says."""
    if status:
        raise RuntimeError(f"{step} failed: see the log")


def told(answers: IO[bytes], percent: float, phase: str) -> None:
    """Say how far a build is."""
    answers.write(f"{percent:5.1f}%  {phase}\n".encode())
    answers.flush()


def sent(answers: IO[bytes], content: bytes, sign: int = 1) -> None:
    """Answer."""
    answers.write(LENGTH.pack(sign * len(content)) + content)
    answers.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
