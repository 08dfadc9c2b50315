"""Open a bundle and run it; chain bundles. Needs no torch."""

from compiler.config.limits import Limits
from compiler.runtime.bundle import MOST_STREAMS, Predictor, batch_runner, open
from compiler.runtime.chains import ChainedResult, ChainOptions, DetectionChain, chain, open_chain
from compiler.runtime.contents import CONFIG_FILE, read_config, task_of

__all__ = [
    "CONFIG_FILE",
    "MOST_STREAMS",
    "ChainOptions",
    "ChainedResult",
    "DetectionChain",
    "Limits",
    "Predictor",
    "batch_runner",
    "chain",
    "open",
    "open_chain",
    "read_config",
    "task_of",
]
