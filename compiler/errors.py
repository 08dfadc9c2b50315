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
    *("hydra", "jinja2", "onnx", "onnx_graphsurgeon", "onnx_ir", "onnxscript"),
    *("packaging", "rich", "safetensors", "torch"),
)
"""What the extra `compile` brings, by the names that are imported."""


def as_compile_error(error: Exception) -> CompileError:
    """An error as one that can be shown: what nobody foresaw is a defect, and says so."""
    if isinstance(error, CompileError):
        return error
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _COMPILE_MODULES:
        return CompileError(
            f"{error.name} is not installed",
            why="running a bundle does not need it; compiling does",
            fix="pip install 'deploy-compiler[compile]'",
        )
    advice = "this is a defect in the compiler: please report it, with what --debug shows"
    return CompileError(f"{type(error).__name__}: {error}", fix=advice)


def nearest(name: str, choices: Iterable[str]) -> str:
    """A sentence that offers the choices closest to a misspelt `name`, or all of them if none is close."""
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"choose one of: {', '.join(known)}" if known else "there is none to choose from"
