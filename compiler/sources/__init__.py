"""Where the network of a compile comes from: a model of ours, the user's own module, or an ONNX file."""

from compiler.sources.source import Network, Origin, find_origin, first_line, refuse_single_number, with_processing

__all__ = [
    "Network",
    "Origin",
    "find_origin",
    "first_line",
    "refuse_single_number",
    "with_processing",
]
