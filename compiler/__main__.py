"""The command line: `python -m compiler [verb] [overrides...]`; no verb means compile."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import FrameType

from compiler.errors import ExitCode, Interrupted, UsageError, as_compile_error, nearest, was_interrupted

VERBS = {
    "compile": "compile",
    "plan": "plan",
    "build": "build",
    "explain": "explain",
    "predict": "predict",
    "doctor": "doctor",
    "import": "import_config",
}
"""The module of `compiler.cli` for each; its `run(arguments)` returns the exit status."""

INTERRUPTED = "interrupted: an older bundle is untouched and finished stages are kept; run the same command to go on"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return _run([argument for argument in given if argument != "--debug"])
    except Interrupted:
        return _interrupted()
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough. Python must not try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:
        if was_interrupted(error):
            return _interrupted()
        if debug:
            raise
        shown = as_compile_error(error)
        print(f"error: {shown}", file=sys.stderr)
        return shown.exit_code


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(f"deploy-compiler {version('deploy-compiler')}")
        return ExitCode.PROVEN
    has_verb = bool(arguments) and not _is_override(arguments[0])
    verb, rest = (arguments[0], arguments[1:]) if has_verb else ("compile", arguments)
    if verb not in VERBS:
        raise UsageError(f"there is no verb '{verb}'", where="command line", fix=nearest(verb, VERBS))
    status: int = importlib.import_module(f"compiler.cli.{VERBS[verb]}").run(rest)
    return status


def _is_override(argument: str) -> bool:
    return "=" in argument or argument.startswith(("-", "+", "~"))


def _interrupted() -> int:
    print(INTERRUPTED, file=sys.stderr)
    return ExitCode.FAILED


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    # The cyclic garbage collector takes a quarter of a compile and frees a tenth of its memory; at the end it would
    # walk over all that torch has made once more. A sweep collects between its jobs.
    gc.disable()
    status = main()
    gc.freeze()
    sys.exit(status)
