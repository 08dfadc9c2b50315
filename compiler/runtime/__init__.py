"""Open a bundle and run it; chain bundles. Needs no torch."""

from compiler.config.limits import Limits
from compiler.runtime.bundle import CONFIG_FILE, Predictor, batch_runner, open, read_config, task_of

__all__ = [
    "CONFIG_FILE",
    "Limits",
    "Predictor",
    "batch_runner",
    "open",
    "read_config",
    "task_of",
]
