"""The command line: `python -m compiler [verb] [overrides...]`; no verb means compile."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from types import FrameType

from compiler.cli.streams import encode_everything, libraries_silenced, tell
from compiler.cli.verbs import understood
from compiler.errors import ExitCode, Interrupted, as_compile_error, was_interrupted
from compiler.printable import printable

INTERRUPTED = "interrupted: an older bundle is untouched and finished stages are kept; run the same command to go on"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of a command line, once it has run."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    encode_everything()
    with nullcontext() if debug else libraries_silenced():
        return _run(given, debug)


def _run(given: Sequence[str], debug: bool) -> int:
    try:
        if "--version" in given:
            from importlib.metadata import version  # beside what takes long to import: --help does not

            print(f"deploy-compiler {version('deploy-compiler')}")
            return ExitCode.PROVEN
        verb, given_to_it = understood([word for word in given if word != "--debug"])
        return verb.run(given_to_it)
    except Interrupted:
        return _interrupted()
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough. Python must not try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:
        if was_interrupted(error):
            return _interrupted()
        shown = as_compile_error(error)
        tell(_traceback() if debug else f"error: {shown.summary}")
        return shown.exit_code


def _traceback() -> str:
    """That of the exception that is handled."""
    import traceback

    return printable(traceback.format_exc())


def _interrupted() -> int:
    tell(INTERRUPTED)
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
