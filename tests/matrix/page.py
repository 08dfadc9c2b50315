"""The matrix as docs/backends.md has it, written from the results: `python -m tests.matrix --write`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.conftest import REPOSITORY
from tests.matrix.grid import COLUMNS, MODELS, SHAPES, Cell, Column, Model
from tests.matrix.mmdeploy import BACKENDS, YES
from tests.matrix.results import BUILT, NOT_PROVEN, PROVEN, Attempt, Result, read_results
from tests.models_page import replaced

PAGE = REPOSITORY / "docs/backends.md"
PLACE = "matrix"
KINDS = {"usual": "fp32", "best": "the best precision"}
NOT_RUN = "not run"
NOWHERE = "-"
LONGEST = 260
"""Characters of a reason on the page; the file has all of it."""

Results = Mapping[Cell, Result]


@dataclass
class Notes:
    """The reasons, numbered as they come."""

    numbers: dict[str, int] = field(default_factory=dict)

    def __call__(self, reason: str) -> str:
        """The mark of a reason, such as `[3]`; the same for the same words."""
        return f"[{self.numbers.setdefault(reason, len(self.numbers) + 1)}]" if reason else ""

    def lines(self) -> Iterator[str]:
        """Yield each reason with its mark."""
        for reason, number in self.numbers.items():
            text = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
            yield f"- [{number}] {text.replace('|', '/').replace('<', '&lt;')}"


def write_page() -> None:
    """Write the page anew."""
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), PLACE, content(read_results())), "utf-8")


def content(results: Results) -> str:
    """Everything that is written from the results."""
    notes = Notes()
    parts = [
        part
        for kind, title in KINDS.items()
        for shape in SHAPES
        for part in _section(kind, title, shape, results, notes)
    ]
    parts += ["What MMDeploy's table of supported models says `Y` of:", "", *_mmdeploy(results, notes), ""]
    made = _made_with(results)
    return "\n".join([*parts, "Why not:", "", *notes.lines(), *([""] if made else []), *made])


def _section(kind: str, title: str, shape: str, results: Results, notes: Notes) -> Iterator[str]:
    columns = [column for column in COLUMNS if column.precision(kind)]
    yield f"**{shape.capitalize()}, {title}**"
    yield ""
    yield from table(
        ("Model", *(_heading(column, kind) for column in columns)),
        [
            (_named(model, shape), *(place(model, column, shape, kind, results, notes) for column in columns))
            for model in MODELS
        ],
    )
    yield ""


def _heading(column: Column, kind: str) -> str:
    precision = column.precision(kind)
    return column.backend if precision == "fp32" else f"{column.backend}, {precision}"


def _named(model: Model, shape: str) -> str:
    size = model.shapes[shape].partition("_")[2]
    return f"{model.variant} {size}".rstrip()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    for row in (header, ("---",) * len(header), *rows):
        yield f"| {' | '.join(row)} |"


def place(model: Model, column: Column, shape: str, kind: str, results: Results, notes: Notes) -> str:
    """What a place of the grid says: a value, `not run`, or that the backend has no such thing."""
    if shape not in column.shapes:
        return NOWHERE
    result = results.get(Cell(model.family, column.backend, shape, column.precision(kind)))
    return NOT_RUN if result is None else said(result, notes)


def said(result: Result, notes: Notes) -> str:
    """A result in a few words."""
    attempt = result.attempt
    error = "" if attempt.error is None else f"{attempt.error:.1e} {attempt.yardstick}"
    mark = notes(attempt.reason)
    if attempt.outcome == PROVEN:
        return ", ".join(filter(None, (error, _speed(result.cell, attempt)))) + (f" {mark}" if mark else "")
    if attempt.outcome == NOT_PROVEN:
        return " ".join(filter(None, ("not proven:", error, mark)))
    if attempt.outcome == BUILT:
        instead = attempt.stage.rpartition(", ")[2].rstrip(")") if "," in attempt.stage else ""
        return " ".join(filter(None, (f"built, {instead} {error}" if instead else "built", mark)))
    return f"no {mark}"


def _speed(cell: Cell, attempt: Attempt) -> str:
    if attempt.milliseconds is None or not attempt.reference:
        return ""
    if cell == cell.reference:
        return f"{attempt.milliseconds:.3g} ms"
    return f"{attempt.milliseconds / attempt.reference:.2f}x"


def _mmdeploy(results: Results, notes: Notes) -> Iterator[str]:
    rows = [
        (
            family,
            *(
                _yes(family, backend, results, notes) if theirs in YES[family] else ""
                for theirs, backend in BACKENDS.items()
            ),
        )
        for family in YES
    ]
    yield from table(("Model", *BACKENDS), rows)


def _yes(family: str, backend: str, results: Results, notes: Notes) -> str:
    """Whether what MMDeploy says yes of is proven here, in either shape; or else why not."""
    if not backend:
        return "[no such backend](#mmdeploys-backends)"
    column = next(column for column in COLUMNS if column.backend == backend)
    found = [results.get(Cell(family, backend, shape, column.usual)) for shape in column.shapes]
    known = [result for result in found if result]
    if not known:
        return NOT_RUN
    best = next((one for one in known if one.attempt.outcome == PROVEN), known[0])
    return "yes" if best.attempt.outcome == PROVEN else said(best, notes)


def _made_with(results: Results) -> list[str]:
    """On which processors, and with which versions, the results came about."""
    machines = sorted({result.attempt.machine for result in results.values()} - {""})
    versions: dict[str, set[str]] = {}
    for result in results.values():
        for name, version in result.attempt.versions.items():
            versions.setdefault(name, set()).add(version)
    told = ", ".join(
        f"{name} {' and '.join(sorted(filter(None, found)))}" for name, found in sorted(versions.items()) if any(found)
    )
    return [f"Made on {' and '.join(machines)}, with {told}."] if machines and told else []
