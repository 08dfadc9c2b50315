"""What a user has to know about a result, in lines of the error stream: standard output is JSON."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from compiler.cli.streams import tell
from compiler.errors import Caution, CompileError
from compiler.printable import on_one_line


def warn(text: str) -> None:
    """Print what a user has to know, in a line."""
    tell(f"warning: {on_one_line(text)}")


def warn_unless_proven(bundle: Path, trust_changes: bool) -> None:
    """Tell that an engine is not proven, where its bundle says so."""
    from compiler.artifact import REPORT_FILE, located, lock_of, read_json, require_files

    with suppress(CompileError, OSError):  # what opens the bundle says what is wrong with it
        require_files(bundle, (REPORT_FILE,), lock_of(bundle, trust_changes))
        if _has_no_problem(read_json(located(bundle, REPORT_FILE))):
            return
        from compiler.report import Report  # whose proofs and rewriters take longer to import than a prediction takes

        report = Report.load(bundle)
        if report.problem:
            warn(f"{bundle} is not proven: {report.problem}")


def _has_no_problem(report: Any) -> bool:
    """Whether each stage and each rewriter in what is written in a report is within its bounds, and the engine ran."""
    try:
        within = all(proof["within"] is True for proof in report["proofs"])
        return within and report["unproven"] == "" and all(entry["holds"] is not False for entry in report["ledger"])
    except (LookupError, TypeError):  # it is no report: whoever reads it whole says so
        return False


@contextmanager
def cautions_shown() -> Iterator[None]:
    """Print what is cautioned of meanwhile, each text once: many inputs may have it in common."""
    shown: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", Caution)
        plain = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, Caution):
                plain(message, category, *place, **more)
            elif str(message) not in shown:
                shown.add(str(message))
                warn(str(message))

        warnings.showwarning = show
        yield
