"""What a user sees when something is wrong: what failed, where, why, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum

from compiler.printable import printable, shortened


class ExitCode(IntEnum):
    """The exit status of `python -m compiler`."""

    PROVEN = 0
    """Done, and every stage is within its tolerance."""
    FAILED = 1
    """Nothing usable was made, or the run was interrupted."""
    USAGE = 2
    """The command or the config is wrong; nothing was started."""
    NOT_PROVEN = 3
    """The engine was built, but a stage is beyond its tolerance or could not be checked."""


class CompileError(Exception):
    """A failure that a user can act on.

    Args:
        what: What failed, as one sentence without a full stop.
        where: The file, config key, stage or tensor it happened at.
        why: The cause.
        fix: What to do about it.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return self._laid_out(self.what, where=self.where, why=self.why, fix=self.fix)

    @property
    def summary(self) -> str:
        """The error as a terminal shows it: as it is, unless a part of it floods one."""
        parts = {"where": self.where, "why": self.why, "fix": self.fix}
        return self._laid_out(shortened(self.what), **{label: shortened(text) for label, text in parts.items()})

    @staticmethod
    def _laid_out(what: str, **details: str) -> str:
        """A line for each detail. What goes on in further lines is set in, so that no text passes for another line."""
        lines = {f"  {label + ':':6} ": printable(str(text)) for label, text in details.items() if text}
        told = (head + text.replace("\n", f"\n{' ' * len(head)}") for head, text in lines.items())
        return "\n".join([printable(what).replace("\n", "\n  "), *told])

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive Exception's own pickling, which multiprocessing relies on.
        return (_rebuild, (type(self), self.what, self.where, self.why, self.fix))


def one_line(error: BaseException) -> str:
    """All that an error of a library says, in one line: its first alone may break off before what it is about."""
    return " ".join(str(error).split()) or type(error).__name__


class UsageError(CompileError):
    """The command line or the config is wrong: found before any work is done."""

    exit_code = ExitCode.USAGE


def _rebuild(kind: type[CompileError], what: str, where: str, why: str, fix: str) -> CompileError:
    return kind(what, where=where, why=why, fix=fix)


class Interrupted(BaseException):
    """The run was asked to stop.

    Not a KeyboardInterrupt: once one has passed through code that a library generated, Python kills the process at its
    end with the signal instead of returning the exit status, even though it was handled.
    """


def was_interrupted(error: BaseException) -> bool:
    """Tell whether an error comes from an interruption: left half way, libraries such as OmegaConf raise their own."""
    before = error.__context__ or error.__cause__
    return isinstance(error, Interrupted) or (before is not None and was_interrupted(before))


_COMPILE_MODULES = (
    *("hydra", "onnx", "onnx_graphsurgeon", "onnx_ir", "onnxscript"),
    *("safetensors", "torch"),
)
"""What the extra `compile` brings, by the names that are imported."""
_TABLE_MODULES = ("jinja2", "rich")
"""What tables and pages are made with, which the extra `evaluate` brings too."""


_METRIC_MODULES = {
    **dict.fromkeys(("pycocotools", "rapidfuzz"), "'deploy-compiler[evaluate]'"),
    "faster_coco_eval": "faster-coco-eval",
}
"""What measures, and what brings it."""


def as_compile_error(error: Exception) -> CompileError:
    """An error as one that can be shown: what nobody foresaw is a defect, and says so."""
    if isinstance(error, CompileError):
        return error
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing in _TABLE_MODULES:
        return CompileError(
            f"{missing} is not installed",
            why="running a bundle does not need it; tables and pages do",
            fix="pip install 'deploy-compiler[evaluate]', or [compile]",
        )
    if missing in _METRIC_MODULES:
        return CompileError(
            f"{missing} is not installed",
            why="running a bundle does not need it; measuring does",
            fix=f"pip install {_METRIC_MODULES[missing]}",
        )
    if isinstance(error, ModuleNotFoundError) and missing in _COMPILE_MODULES:
        return CompileError(
            f"{error.name} is not installed",
            why="running a bundle does not need it; compiling does",
            fix="pip install 'deploy-compiler[compile]'",
        )
    advice = "this is a defect in the compiler: please report it, with what --debug shows"
    return CompileError(f"{type(error).__name__}: {error}", fix=advice)


def nearest(name: str, choices: Iterable[str]) -> str:
    """A sentence that offers the choices of which `name` is a misspelling, or all of them if it is of none."""
    known = sorted(choices)
    close = [choice for choice in difflib.get_close_matches(name, known, n=3, cutoff=0.6) if is_misspelt(name, choice)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"choose one of: {', '.join(known)}" if known else "there is none to choose from"


def is_misspelt(name: str, choice: str) -> bool:
    """Whether a name is a choice with a slip of the fingers in it; what has another number in it is another thing."""
    if same_letters(name) == same_letters(choice):
        return True
    if sorted(filter(str.isdigit, name)) != sorted(filter(str.isdigit, choice)):
        return False
    return _slips(name.lower(), choice.lower()) <= max(1, len(choice) // 4)


def same_letters(name: str) -> str:
    """A name in lower case and without punctuation: what differs in nothing else is the same name."""
    return "".join(filter(str.isalnum, name.lower()))


def _slips(first: str, second: str) -> int:
    """How many letters one text has more, less, other or exchanged with their neighbour (optimal string alignment)."""
    rows = [list(range(len(second) + 1))]
    for i, letter in enumerate(first, 1):
        row = [i]
        for j, other in enumerate(second, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


class Caution(UserWarning):
    """What a user has to know about a result, and that is no failure."""
