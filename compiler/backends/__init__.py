"""Backends: what turns a Program into an Engine and runs it. One file or folder each; they never import each other."""

from compiler.backends.backend import (
    PROGRAM_FILE,
    Backend,
    BuildRequest,
    LayerTime,
    Obstacle,
    Probe,
    Profile,
    Session,
    backend_of,
    build_backend,
    measurements_folder,
    run_in_batches,
    with_threads,
)

__all__ = [
    "PROGRAM_FILE",
    "Backend",
    "BuildRequest",
    "LayerTime",
    "Obstacle",
    "Probe",
    "Profile",
    "Session",
    "backend_of",
    "build_backend",
    "measurements_folder",
    "run_in_batches",
    "with_threads",
]
