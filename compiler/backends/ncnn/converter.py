"""pnnx, the converter: a program of its own, run with limits, since it may crash or never end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from compiler.artifact import TensorSpec, TorchScriptProgram
from compiler.config.sizes import Size
from compiler.errors import CompileError

IGNORED = re.compile(r"^ignore (?P<operator>\S+) (?P<name>\S+)(?P<details>.*)$", re.MULTILINE)
"""What pnnx says of an operator that ncnn has no layer for; it goes on, and ends well."""
BATCHED = re.compile(r"^ +ex\.input\(\"(\w+)\", ncnn\.Mat\(.*(?:batch_index=0|squeeze\(0\)).*$", re.MULTILINE)
"""In the example that pnnx writes of how the result is run: an input that is given without its batch, or as one."""
LIMITED = (
    "import os, sys\n"
    "try:\n"
    "    import resource\n"
    "    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)\n"
    "    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    "except (ImportError, ValueError, OSError):\n"  # another system, or a limit that is lower already
    "    pass\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)
LAST_WORDS = 5
"""Lines of the output that an error repeats."""


@dataclass(frozen=True)
class ConversionLimits:
    """What a conversion may take.

    Attributes:
        seconds: Of time.
        memory: GiB of address space.
    """

    seconds: float
    memory: float


@dataclass(frozen=True)
class Converted:
    """What pnnx made of a Program.

    Attributes:
        param: The layers, as text.
        weights: Their numbers.
        batched: The inputs that ncnn takes without their batch, as pnnx calls them.
        output: What it said.
    """

    param: Path
    weights: Path
    batched: frozenset[str]
    output: str

    @property
    def ignored(self) -> tuple[tuple[str, str], ...]:
        """The operators that ncnn has no layer for, each with its name in the output."""
        return tuple((found["operator"], found["name"]) for found in IGNORED.finditer(self.output))


def pnnx_file() -> Path | None:
    """The program; None where it is not installed. Its Python package is not imported: that imports torch."""
    found = find_spec("pnnx")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("pnnx.exe" if sys.platform == "win32" else "pnnx")


def convert(
    program: TorchScriptProgram,
    shapes: Sequence[Mapping[str, Size]],
    half: bool,
    limits: ConversionLimits,
    folder: Path,
) -> Converted:
    """Run pnnx on a Program.

    Args:
        program: What is converted.
        shapes: Of its inputs: one set; or two, which differ where a length varies.
        half: Whether weights are stored in fp16.
        limits: What that may take.
        folder: Empty; what pnnx writes goes there.

    Raises:
        CompileError: It fails, crashes, or meets a limit.
    """
    executable = pnnx_file()
    if executable is None:
        raise CompileError("pnnx is not installed", where="backend=ncnn", fix="pip install 'deploy-compiler[ncnn]'")
    param, weights, example = folder / "ncnn.param", folder / "ncnn.bin", folder / "ncnn.py"
    files = {"ncnnparam": param, "ncnnbin": weights, "ncnnpy": example}
    files |= {f"pnnx{kind}": folder / f"pnnx.{kind}" for kind in ("param", "bin", "py", "onnx")}
    given = {
        f"inputshape{place or ''}": _shapes(program.inputs, one) for place, one in zip(("", 2), shapes, strict=False)
    }
    options = {**files, **given, "fp16": int(half), "optlevel": 2, "device": "cpu"}
    command = [str(executable), str(program.path.absolute()), *(f"{key}={value}" for key, value in options.items())]
    output = _run(command, limits, folder)
    if not all(file.is_file() for file in (param, weights, example)):
        raise _failure("pnnx wrote no network", program.path, output)
    return Converted(param, weights, frozenset(BATCHED.findall(example.read_text(encoding="utf-8"))), output)


def _shapes(inputs: Sequence[TensorSpec], shapes: Mapping[str, Size]) -> str:
    return ",".join(f"[{','.join(map(str, shapes[spec.name]))}]f32" for spec in inputs)


def _run(command: Sequence[str], limits: ConversionLimits, folder: Path) -> str:
    """The output of pnnx, which ended well."""
    # Windows has no limits of this kind, and its `exec` leaves nothing to wait for.
    limited = [sys.executable, "-I", "-c", LIMITED, str(int(limits.memory * 2**30))]
    launcher = [] if sys.platform == "win32" else limited
    try:
        done = subprocess.run(
            [*launcher, *command],
            cwd=folder,
            timeout=limits.seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise CompileError(
            "pnnx does not come to an end",
            where=command[1],
            why=f"it runs for longer than backend.pnnx_seconds, which is {limits.seconds:g}",
            fix=f"give it more: backend.pnnx_seconds={limits.seconds * 4:g}; or a smaller shape",
        ) from error
    if done.returncode:
        code = done.returncode
        ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        raise _failure(f"pnnx {ended}", Path(command[1]), done.stdout)
    return done.stdout


def _failure(what: str, program: Path, output: str) -> CompileError:
    lines = [line for line in output.splitlines() if line.strip()]
    fix = "the log of the run has all that it said; write a rewriter for what it stopped at"
    return CompileError(what, where=str(program), why="\n".join(lines[-LAST_WORDS:]), fix=fix)
