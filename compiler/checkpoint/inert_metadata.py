"""What may stand beside the weights in a checkpoint: metadata of known classes, read as stand-ins that do nothing.

Nobody reads this metadata here, so that not even NumPy is called with what a file says: a damaged file cannot crash in
it, and a hostile one cannot make it allocate.
"""

from __future__ import annotations

from typing import Any


class Inert:
    """Takes whatever a pickle hands to the class it stands for, and keeps nothing of it."""

    def __new__(cls, *arguments: object, **options: object) -> Inert:
        """Drop the arguments."""
        return super().__new__(cls)

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class InertMapping:
    """Stands for dictionaries of other kinds: an empty one, which the pickle then fills."""

    def __new__(cls, *arguments: object, **options: object) -> dict[Any, Any]:  # type: ignore[misc]
        """An empty, plain dictionary."""
        return {}


_INERT = (
    # NumPy's arrays and scalars, by the module names of NumPy 2 and 1.
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
    # How MMEngine records losses, and the statistics that it looks up by name.
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",
    # Configs, and settings of other trainers.
    "mmengine.config.config.Config",
    "mmcv.utils.config.Config",
    "argparse.Namespace",
    "datetime.datetime",
    "datetime.timedelta",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "builtins.slice",
    "builtins.bytes",  # of an array that is empty
    # What the values of a default dictionary are made by.
    *(f"builtins.{kind}" for kind in ("bool", "dict", "float", "int", "list", "str", "tuple")),
)
_MAPPINGS = (
    "mmengine.config.config.ConfigDict",
    "mmcv.utils.config.ConfigDict",
    "collections.defaultdict",
)


def allowed() -> list[Any]:
    """What a checkpoint may name beside tensors, as pairs that `torch.serialization.safe_globals` takes."""
    names = {**dict.fromkeys(_INERT, Inert), **dict.fromkeys(_MAPPINGS, InertMapping)}
    return [(stand_in, name) for name, stand_in in names.items()]
