"""Engines of tails, and what the host's tail leaves to do."""

import numpy as np
import torch

from compiler.config.schema import TAILS
from compiler.export import ExportOptions
from compiler.graphs import OnnxRuntimeSession
from compiler.selection import output_names
from compiler.selection.nms import select
from tests.exporting import export


def finished(outputs, config, extras=()):
    """What each tail of a network found, by name; what the host's leaves to do is done."""
    remaining = iter(outputs)
    found = {kind: {name: np.asarray(next(remaining)) for name in output_names(kind, extras)} for kind in TAILS}
    return {**found, **{kind: select(found[kind], config) for kind in ("host", "raw")}}


def to_engine(network, tensors, axes, folder):
    """Export a network that takes and gives tuples, and open the engine, which does too."""
    inputs = tuple(f"input_{index}" for index in range(len(tensors)))
    outputs = tuple(f"output_{index}" for index in range(len(network(*map(torch.from_numpy, tensors)))))
    options = ExportOptions("dynamo", 18, dict.fromkeys(inputs, axes), outputs)
    example = dict(zip(inputs, tensors, strict=True))
    # What the engine gives is compared by each test.
    program = export(network.eval(), example, options, folder, comparable=lambda outputs, like: {})
    session = OnnxRuntimeSession(program.path)
    return lambda *arrays: tuple(session.run(dict(zip(inputs, arrays, strict=True))).values())
