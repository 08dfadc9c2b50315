"""Models as they are compiled for a backend, up to the Program, with real inputs of every shape of the profile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from compiler.artifact import Program, Tensors
from compiler.backends import Backend, BuildRequest, Profile, Session
from compiler.config import compose
from compiler.pipeline.cache import Cache
from compiler.pipeline.composition import export_stage, real_input, rewriting_of, selection_for
from compiler.pipeline.job import read_job
from compiler.pipeline.line import Line
from compiler.sources.torch_network import TorchNetwork
from compiler.stages import Load, LoadedNetwork


@dataclass(frozen=True)
class Subject:
    """What is compared.

    Attributes:
        model: Its name.
        backend: What it is compiled for.
        network: The original and the rewritten one.
        program: Exported from the rewritten one.
        inputs: Of the profile's smallest, usual and largest shape.
    """

    model: str
    backend: Backend
    network: TorchNetwork
    program: Program
    inputs: tuple[Tensors, Tensors, Tensors]

    def original(self, tensors: Tensors) -> Tensors:
        """Run the network as its paper draws it, on the GPU where PyTorch has one."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        network = self.network.original.to(device).eval()
        with torch.inference_mode():
            outputs = network(*(torch.tensor(tensors[spec.name], device=device) for spec in self.program.inputs))
        return {spec.name: output.cpu().numpy() for spec, output in zip(self.program.outputs, outputs, strict=True)}

    def request(self, folder: Path) -> BuildRequest:
        """Ask for an engine for these shapes, in a new folder."""
        folder.mkdir()
        profile = Profile(*({name: tensor.shape for name, tensor in tensors.items()} for tensors in self.inputs))
        return BuildRequest(
            self.program, folder, "fp32", (profile,), folder.parent / "cache", lambda share, phase: None
        )

    def engine(self, folder: Path) -> Session:
        """Build the engine, and open it."""
        return self.backend.open(self.backend.build(self.request(folder)))


def subject(folder: Path, *overrides: str) -> Subject:
    """Export a model with random weights as a compile with these overrides does."""
    job = read_job(compose(overrides))
    line, selection = Line(Cache(folder), lambda event: None), selection_for(job)
    loaded = line.run(Load(job.source, job.weights))
    rewriting = rewriting_of(job, selection)
    exported = line.run_program(export_stage(job, LoadedNetwork(loaded, rewriting, job.source, job.task), selection))
    given = real_input(job.config, job.proof, job.sample)
    sizes = (given.inputs[0], given.usual, given.inputs[-1])
    smallest, usual, largest = (given.prepared(size).tensors for size in sizes)
    network = job.source.network(loaded.folder, rewriting, job.task)
    assert isinstance(network, TorchNetwork)
    return Subject(job.config.model.name, job.backend, network, exported.program, (smallest, usual, largest))
