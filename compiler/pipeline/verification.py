"""Proving a bundle again where it lies now: its engine, against what the network gave for an input that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from compiler.artifact import installed_version, reading, require_files
from compiler.artifact.machine import elsewhere
from compiler.backends import Probe, Session, measurements_folder
from compiler.config.schema import VerifyConfig
from compiler.errors import CompileError, ExitCode
from compiler.graphs import RuntimeOptions, run_until_selection
from compiler.pipeline.deferred_build import why_unproven
from compiler.pipeline.tolerances import proof_tolerance
from compiler.proof import AnyProof, Comparison, Run, StageProof, Tolerance, proof_of
from compiler.proof.recording import NOT_FITTING, RECORDED_FILE, Recording, recorded_in
from compiler.proof.verdicts import Stage
from compiler.report import Report
from compiler.report.report import JSON_FILE
from compiler.runtime.contents import BundleContents
from compiler.runtime.opening import OPENING, Opening
from compiler.stages.open_selection import open_graph
from compiler.stages.tools import versions
from compiler.stages.verify import ENGINE, engine_stage
from compiler.tasks import Prepared

LIBRARIES = ("python", "numpy", "opencv-python-headless", "pyclipper")
"""Those that take part in running any bundle, beside the backend's own."""


@dataclass(frozen=True)
class Verification:
    """What proving a bundle again came to.

    Attributes:
        bundle: Where it lies.
        proof: Of its engine, on this machine.
        unit: The task's, of decoded differences.
        then: The worst comparison of the same input when the bundle was made; None where its engine was not run then.
        tolerance: What the engine is held to, by the bundle's own config.
        usual: What it would be held to where a config says nothing.
        proven_on: The machine that the bundle was proven on, by name; nothing where that was not kept.
        here: This one.
        libraries: Versions that are others here: when it was made, and now.
        unproven: Why it was not the engine that was run; empty where it was.
    """

    bundle: Path
    proof: StageProof
    unit: str
    then: Comparison | None
    tolerance: Tolerance
    usual: Tolerance
    proven_on: Mapping[str, str]
    here: Mapping[str, str]
    libraries: Mapping[str, tuple[str, str]]
    unproven: str

    @property
    def is_looser(self) -> bool:
        """Whether the bundle is held to less than is usual."""
        return self.tolerance.is_looser_than(self.usual)

    @property
    def problem(self) -> str:
        """Why the engine is not proven here; empty where it is."""
        return "; ".join([*self.proof.faults, *filter(None, [self.unproven])])

    @property
    def difference(self) -> str:
        """What of the machine is other than where the bundle was proven, in words; empty where nothing is."""
        return elsewhere(self.proven_on, self.here)

    @property
    def exit_code(self) -> ExitCode:
        """Proven here, or not."""
        return ExitCode.NOT_PROVEN if self.problem else ExitCode.PROVEN

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        values = {**asdict(self), "bundle": str(self.bundle), "proof": self.proof.to_dict()}
        derived = {"looser": self.is_looser, "difference": self.difference, "problem": self.problem}
        return {**values, **derived, "proven": not self.problem}


def verify_bundle(bundle: Path, opening: Opening = OPENING) -> Verification:
    """Run the engine of a bundle on the input that the bundle keeps, and hold it to what was kept beside it.

    Args:
        bundle: Its folder; nothing is written into it.
        opening: How it is opened.

    Raises:
        CompileError: The folder is no bundle, was changed, keeps no input, or its engine cannot be opened here.
    """
    found = opening.contents(bundle)
    recording = _recording_in(found)
    require_files(bundle, (JSON_FILE,), found.lock)
    report = Report.load(bundle)
    before, tolerance = _engine_proof(report), proof_tolerance(found.config)
    _require_same_comparison(found, recording, before)
    proof = proof_of(found.task)
    prepared = _prepared(found, recording, proof)
    usual = proof_tolerance(replace(found.config, verify=VerifyConfig()))
    probe = found.backend.probe()
    session = _open(found, probe, opening)
    own = found.backend.machine()
    return Verification(
        bundle=bundle,
        proof=replace(
            _prove(found, recording, prepared, proof, session.run, tolerance),
            stage=engine_stage(found.backend, stands_in=bool(probe.run_problem)),
            reference=recording.reference,
        ),
        unit=report.unit,
        then=_worst(before, str(recording.size)),
        tolerance=tolerance,
        usual=replace(usual, decoded=proof.allowed(prepared)),
        proven_on=found.engine.machine,
        here=own,
        libraries=_other_libraries(report, own),
        unproven=why_unproven(found.backend, probe, bundle),
    )


def _recording_in(found: BundleContents) -> Recording:
    """The recording of a bundle.

    Raises:
        CompileError: It has none, or one that was changed or is not its own.
    """
    recording = recorded_in(found.folder, found.lock, found.config.proof_inputs)
    if recording is not None:
        return recording
    raise CompileError(
        "the bundle keeps no input that it could be proven on again",
        where=str(found.folder / RECORDED_FILE),
        why="it was compiled before inputs were kept, or on an input that is too large to keep",
        fix="compile it again, on this machine: that proves it here, and keeps what verify needs",
    )


def _require_same_comparison(found: BundleContents, recording: Recording, before: StageProof | None) -> None:
    """Refuse a recording with which less would be compared than when the bundle was made.

    Raises:
        CompileError: It lacks outputs of the engine, or has others, or lacks the candidates that were compared.
    """
    given, kept = {spec.name for spec in found.engine.outputs}, {*recording.outputs, *recording.chosen}
    basis = before.bases.get(str(recording.size)) if before else None
    lacks_candidates = basis is not None and (
        (basis.opened and recording.candidates is None) or (basis.tied and recording.tied is None)
    )
    if kept != given:
        why = f"it is of {', '.join(sorted(kept))}, and the engine gives {', '.join(sorted(given))}"
    elif lacks_candidates:
        why = "it lacks the candidates that the engine was compared by when the bundle was made"
    else:
        return
    raise CompileError(NOT_FITTING, where=str(found.folder / RECORDED_FILE), why=why, fix="compile it again")


def _open(found: BundleContents, probe: Probe, opening: Opening) -> Session:
    """The engine, or what is computed in its place on a machine that cannot run it."""
    if probe.run_problem and found.backend.STAND_IN:
        return found.backend.stand_in(found.engine)
    cache = None if opening.cache is None else measurements_folder(opening.cache)
    return found.backend.open_within(found.engine, opening.limits, cache)


def _prepared(found: BundleContents, recording: Recording, proof: AnyProof) -> Prepared:
    """The input of the proof.

    Raises:
        CompileError: The task of the bundle prepares no such input.
    """
    with reading(found.folder / RECORDED_FILE, NOT_FITTING, fix="compile it again"):
        return recording.prepared(proof, found.task.read(found.task.sample_source()))


def _prove(
    found: BundleContents, recording: Recording, prepared: Prepared, proof: AnyProof, run: Run, tolerance: Tolerance
) -> StageProof:
    """The proof of the engine, which has no name yet.

    Raises:
        CompileError: The recording and the bundle do not belong to each other.
    """
    stage = Stage(run, _graph_run(found, proof, open_graph), _graph_run(found, proof, run_until_selection))
    with reading(found.folder / RECORDED_FILE, NOT_FITTING, fix="compile it again"):
        return recording.prove(stage, prepared, proof, tolerance)


def _graph_run(
    found: BundleContents, proof: AnyProof, opened: Callable[[Path, Sequence[float], RuntimeOptions], Run | None]
) -> Callable[[], Run | None]:
    """A way to open the graph that an engine is; it gives none where the engine is something else, and where onnx is
    not installed: running a bundle does not need it."""

    def open_if_possible() -> Run | None:
        graph = found.backend.graph_of(found.engine)
        try:
            return None if graph is None else opened(graph, proof.thresholds, found.backend.simulation)
        except ModuleNotFoundError:
            return None

    return open_if_possible


def _engine_proof(report: Report) -> StageProof | None:
    """What was compared of the engine when the bundle was made; None where it was not run then."""
    return next((proof for proof in reversed(report.proofs) if proof.stage.startswith(ENGINE)), None)


def _worst(proof: StageProof | None, size: str) -> Comparison | None:
    """What a stage was worst by, on one input."""
    compared = [one for one in proof.comparisons if one.input == size] if proof else []
    return replace(proof, comparisons=tuple(compared)).worst if proof and compared else None


def _other_libraries(report: Report, machine: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Versions that are others here, of what takes part in running the bundle."""
    here, then = versions(), report.versions
    names = [*LIBRARIES, *(name for name in then if name in machine)]
    pairs = {name: (then.get(name, ""), here.get(name) or installed_version(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] and pair[0] != pair[1]}
