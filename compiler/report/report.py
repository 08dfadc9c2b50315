"""What a run leaves to read: `report.json` for programs, `report.html` for people."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compiler.artifact import REPORT_FILE, inside, located, read_json, reading, write_json, write_text
from compiler.events import StageFinished
from compiler.printable import printable
from compiler.proof import StageProof, first_failure
from compiler.report.numbers import error_text
from compiler.report.outcome import Outcome
from compiler.report.speed import Speed, Tried
from compiler.report.types import mistyped
from rewriters import Entry

JSON_FILE = REPORT_FILE
HTML_FILE = "report.html"
FAULTS = 3
"""How many a message names."""
VERSION = 2
"""Of the layout of `report.json`; the first said none."""


@dataclass(frozen=True)
class Reduced:
    """A Program in a lower precision.

    Attributes:
        precision: `fp16`, `bf16` or `int8`.
        changed: How many nodes are in it.
        nodes: How many nodes there were.
        excluded: Those that stay in fp32: the name (`node`), the `operator`, and `why`.
    """

    precision: str
    changed: int
    nodes: int
    excluded: tuple[dict[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form, as `report.json` has always had it: there `excluded` is called `kept`."""
        return {"precision": self.precision, "changed": self.changed, "nodes": self.nodes, "kept": list(self.excluded)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Reduced:
        """Read what `to_dict` wrote."""
        excluded = ({key: one[key] for key in ("node", "operator", "why")} for one in values["kept"])
        return cls(values["precision"], values["changed"], values["nodes"], tuple(excluded))


@dataclass(frozen=True)
class Report:
    """Everything a run found out.

    Attributes:
        model: The model's name.
        name: The deploy name.
        unit: The task's unit, of decoded differences.
        checkpoint: The weights' file; empty where they were random.
        source: The real input's file.
        stages: Each stage with its time.
        proofs: Each stage behind the network, compared.
        ledger: Each rewriter: fired or skipped, with its effect.
        config: The whole config.
        versions: Of the libraries.
        engine_bytes: The size of the engine's file; None where it is still to be built.
        pictures: File names: of the original network's results, then of the engine's, or of the last stage before it.
        reduced: What is in a lower precision and what stays in fp32; None in fp32.
        unproven: Why the engine was not run; empty where it was.
        speed: Of a lower precision beside fp32; None in fp32, and where it was not measured.
        tried: The precisions that `precision=auto` tried; none where one was named.
    """

    model: str
    name: str
    unit: str
    checkpoint: str
    source: str
    stages: tuple[StageFinished, ...]
    proofs: tuple[StageProof, ...]
    ledger: tuple[Entry, ...]
    config: dict[str, Any]
    versions: dict[str, str]
    engine_bytes: int | None
    pictures: tuple[str, str]
    reduced: Reduced | None = None
    unproven: str = ""
    speed: Speed | None = None
    tried: tuple[Tried, ...] = ()

    @property
    def problem(self) -> str:
        """Why the engine is not proven: the first stage beyond its tolerance, broken contracts, what was not run."""
        broken = [
            f"the rewriter {entry.name} breaks its contract {entry.contract}: it changes the numbers by "
            f"{error_text(entry.max_absolute_error or 0.0)}"
            for entry in self.ledger
            if entry.holds is False
        ]
        failure = first_failure(self.proofs)
        if failure is not None:
            broken.insert(0, _described(failure, self.unit))
        return "; ".join([*broken, self.unproven] if self.unproven else broken)

    def outcome(self, bundle: Path, *, up_to_date: bool = False) -> Outcome:
        """The report as the end of a run."""
        return Outcome(
            model=self.model,
            name=self.name,
            bundle=bundle,
            unit=self.unit,
            engine_bytes=self.engine_bytes,
            picture=self.pictures[-1],
            proofs=self.proofs,
            problem=self.problem,
            up_to_date=up_to_date,
            speed=self.speed,
            tried=self.tried,
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form of the report."""
        values = {"version": VERSION, **asdict(self)}
        values["proofs"] = [proof.to_dict() for proof in self.proofs]
        values["ledger"] = [entry.to_dict() for entry in self.ledger]
        values["reduced"] = self.reduced and self.reduced.to_dict()
        values["problem"] = self.problem
        values["proven"] = not self.problem
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Read what `to_dict` wrote, now or in the first layout.

        Raises:
            ValueError: It is of another version, or is none.
        """
        if values.get("version", 1) not in (1, VERSION):
            raise ValueError(f"its version is {values['version']}, and 1 to {VERSION} are known here")
        plain = {key: value for key, value in values.items() if key not in ("version", "problem", "proven")}
        found = cls(
            **{
                **plain,
                "stages": tuple(StageFinished(**stage) for stage in values["stages"]),
                "proofs": tuple(map(StageProof.from_dict, values["proofs"])),
                "ledger": tuple(map(Entry.from_dict, values["ledger"])),
                "pictures": _pictures(values["pictures"]),
                "speed": Speed(**values["speed"]) if values.get("speed") else None,
                "tried": tuple(map(Tried.from_dict, values.get("tried", ()))),
                "reduced": values["reduced"] and Reduced.from_dict(values["reduced"]),
            }
        )
        if wrong := mistyped(found):
            raise ValueError(f"what it holds as '{wrong}' is of another kind")
        if not all(proof.comparisons for proof in found.proofs):
            raise ValueError("a stage in it was compared with nothing")
        return found

    @classmethod
    def load(cls, bundle: Path) -> Report:
        """Read a bundle's report.

        Raises:
            CompileError: The folder holds no report, or one of another version.
        """
        path = located(bundle, JSON_FILE)
        with reading(path, f"{JSON_FILE} is not a report of this version", fix="compile the bundle again"):
            return cls.from_dict(read_json(path))


def _pictures(names: Any) -> tuple[str, str]:
    """The names of the two pictures, which lie beside the report."""
    first, second = map(inside, names)
    return first, second


def _described(failure: StageProof, unit: str) -> str:
    """The first stage that is not proven, what it is off by, and what of that is too much."""
    worst, cosine = failure.worst, min(c.cosine_similarity for c in failure.comparisons)
    faults = [*failure.faults[:FAULTS], *(["and more"] if len(failure.faults) > FAULTS else [])]
    return (
        f"the first stage beyond its tolerance is '{failure.stage}': for the input {worst.input} its "
        f"{worst.output} is {error_text(worst.relative_error)} {worst.yardstick} from the {failure.reference}, "
        f"cosine {cosine:.4f} at worst, {error_text(failure.worst_decoded)} {unit} after decoding"
    ) + "".join(f"; {fault}" for fault in faults)


def write_report(folder: Path, report: Report) -> None:
    """Write `report.json`, and `report.html` with the pictures inside it, into a folder that holds the pictures."""
    write_json(folder / JSON_FILE, report.to_dict())
    write_text(folder / HTML_FILE, printable(render(folder, report)))


def render(folder: Path, report: Report) -> str:
    """The report as one self-contained page."""
    from compiler.config.plain_yaml import dump_yaml
    from compiler.report.pages import template

    return template("report.html.jinja").render(
        report=report,
        verdict=report.outcome(folder).verdict,
        pictures=[(name, _embedded(located(folder, name))) for name in report.pictures],
        config_yaml=dump_yaml(report.config),
    )


def _embedded(picture: Path) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture.read_bytes()).decode()}"
