"""The stages of a compile: frozen dataclasses whose fields are all that their results depend on."""

from compiler.stages.build import Build
from compiler.stages.calibrate import Calibrate, CalibrationData
from compiler.stages.compare import Compare
from compiler.stages.export import Export
from compiler.stages.load import Load, LoadedNetwork
from compiler.stages.package import Package
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import read_proof
from compiler.stages.real_input import RealInput
from compiler.stages.reduce import Quantize, ReduceToHalf, read_reduced
from compiler.stages.reference import RunReference
from compiler.stages.rewrite import Rewrite
from compiler.stages.rewriters import Rewriters, select_rewriters
from compiler.stages.speed import MeasureSpeed, read_speed
from compiler.stages.stage import Artifact, Stage
from compiler.stages.verify import Pictures, Verify
from compiler.stages.verify_engine import VerifyEngine

__all__ = [
    "Artifact",
    "Build",
    "Calibrate",
    "CalibrationData",
    "Compare",
    "Export",
    "Load",
    "LoadedNetwork",
    "MeasureSpeed",
    "Package",
    "Pictures",
    "ProgramArtifact",
    "Quantize",
    "RealInput",
    "ReduceToHalf",
    "Rewrite",
    "Rewriters",
    "RunReference",
    "Stage",
    "Verify",
    "VerifyEngine",
    "read_proof",
    "read_reduced",
    "read_speed",
    "select_rewriters",
]
