"""Proving a bundle again where it lies now: its engine, against what the network gave for an input that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.artifact import installed_version, reading, require_files
from compiler.artifact.machine import elsewhere
from compiler.backends import Probe, Session, measurements_folder
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.errors import CompileError, ExitCode
from compiler.graphs import RuntimeOptions, run_until_selection
from compiler.pipeline.deferred_build import why_unproven
from compiler.pipeline.tolerances import proof_tolerance
from compiler.proof import AnyProof, Comparison, Run, StageProof, proof_of
from compiler.proof.recording import RECORDED_FILE, Recording
from compiler.proof.verdicts import Stage
from compiler.report import Report
from compiler.report.report import JSON_FILE
from compiler.runtime.contents import BundleContents, read_bundle
from compiler.stages.open_selection import open_graph
from compiler.stages.tools import versions
from compiler.stages.verify import ENGINE, engine_stage

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
        proven_on: The machine that the bundle was proven on, by name; nothing where that was not kept.
        here: This one.
        libraries: Versions that are others here: when it was made, and now.
        unproven: Why it was not the engine that was run; empty where it was.
    """

    bundle: Path
    proof: StageProof
    unit: str
    then: Comparison | None
    proven_on: Mapping[str, str]
    here: Mapping[str, str]
    libraries: Mapping[str, tuple[str, str]]
    unproven: str

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


def verify_bundle(
    bundle: Path,
    modules: Collection[str] = (),
    *,
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    cache: Path | None = None,
) -> Verification:
    """Run the engine of a bundle on the input that the bundle keeps, and hold it to what was kept beside it.

    Args:
        bundle: Its folder; nothing is written into it.
        modules: See `compiler.runtime.open`, as the rest.

    Raises:
        CompileError: The folder is no bundle, was changed, keeps no input, or its engine cannot be opened here.
    """
    found = read_bundle(bundle, modules, engine_code=engine_code, trust_changes=trust_changes, limits=limits)
    _require_recording(found)
    require_files(bundle, (RECORDED_FILE, JSON_FILE), found.lock)
    recording, report = Recording.load(bundle), Report.load(bundle)
    probe = found.backend.probe()
    session = _open(found, probe, limits, cache)
    own = found.backend.machine()
    return Verification(
        bundle=bundle,
        proof=_prove(found, recording, session.run, bool(probe.run_problem)),
        unit=report.unit,
        then=_then(report, str(recording.size)),
        proven_on=found.engine.machine,
        here=own,
        libraries=_other_libraries(report, own),
        unproven=why_unproven(found.backend, probe, bundle),
    )


def _require_recording(found: BundleContents) -> None:
    """Refuse a bundle that never had a recording; one that lacks it is told of as of any file.

    Raises:
        CompileError: It has none.
    """
    if (found.lock and RECORDED_FILE in found.lock.files) or (found.folder / RECORDED_FILE).exists():
        return
    raise CompileError(
        "the bundle keeps no input that it could be proven on again",
        where=str(found.folder / RECORDED_FILE),
        why="it was compiled before inputs were kept, or on an input that is too large to keep",
        fix="compile it again, on this machine: that proves it here, and keeps what verify needs",
    )


def _open(found: BundleContents, probe: Probe, limits: Limits, cache: Path | None) -> Session:
    """The engine, or what is computed in its place on a machine that cannot run it."""
    if probe.run_problem and found.backend.STAND_IN:
        return found.backend.stand_in(found.engine)
    return found.backend.open_within(found.engine, limits, None if cache is None else measurements_folder(cache))


def _prove(found: BundleContents, recording: Recording, run: Run, stands_in: bool) -> StageProof:
    """The proof of the engine.

    Raises:
        CompileError: The recording and the bundle do not belong to each other.
    """
    proof, config = proof_of(found.task), found.config
    stage = Stage(run, _graph_run(found, proof, open_graph), _graph_run(found, proof, run_until_selection))
    with reading(found.folder / RECORDED_FILE, "the recording does not fit the bundle", fix="compile it again"):
        if recording.size not in config.proof_inputs:
            raise ValueError(f"no proof of it is made on {recording.size}")
        given = {spec.name for spec in found.engine.outputs}
        if not {*recording.outputs, *recording.chosen} <= given:
            raise ValueError(f"its outputs are not those of the engine, {', '.join(sorted(given))}")
        sample = found.task.read(found.task.sample_source())
        prepared = recording.prepared(proof, sample)
        proven = recording.prove(stage, prepared, proof, proof_tolerance(config))
    return replace(proven, stage=engine_stage(found.backend, stands_in), reference=recording.reference)


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


def _then(report: Report, size: str) -> Comparison | None:
    """What the engine was worst by, on the same input, when the bundle was made."""
    engines = [proof for proof in report.proofs if proof.stage.startswith(ENGINE)]
    compared = [one for one in engines[-1].comparisons if one.input == size] if engines else []
    return replace(engines[-1], comparisons=tuple(compared)).worst if compared else None


def _other_libraries(report: Report, machine: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Versions that are others here, of what takes part in running the bundle."""
    here, then = versions(), report.versions
    names = [*LIBRARIES, *(name for name in then if name in machine)]
    pairs = {name: (then.get(name, ""), here.get(name) or installed_version(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] and pair[0] != pair[1]}
