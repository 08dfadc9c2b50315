"""Where the network of a compile comes from: a model of ours, the user's own module, or an ONNX file."""

from compiler.sources.samples import Samples
from compiler.sources.source import Checkpoint, Network, Rewriting, Source, Weights, find_source

__all__ = ["Checkpoint", "Network", "Rewriting", "Samples", "Source", "Weights", "find_source"]
