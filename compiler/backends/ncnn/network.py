"""A network of ncnn's: opened, and run on one sample. It runs as a script too, which needs NumPy and ncnn alone.

As a script it opens a stranger's files and runs them once, in a process that may crash in the place of another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NcnnError(Exception):
    """ncnn refuses a file, an input or a run, in words."""


@dataclass(frozen=True)
class Options:
    """How a network is run.

    Attributes:
        threads: Within one layer; None for ncnn's own choice, one on each core.
        half: Whether what is between the layers is stored, and computed where the processor can, in fp16.
        winograd: Whether 3x3 convolutions may be computed in Winograd's way: faster, with another rounding.
    """

    threads: int | None
    half: bool
    winograd: bool


@dataclass(frozen=True)
class Request:
    """What the script does.

    Attributes:
        packages: Where it finds NumPy and ncnn.
        param: The layers.
        weights: Their numbers.
        options: Of `Options`.
        inputs: The shape and the type of each.
        outputs: What is computed.
        memory: GiB of address space that this may take.
    """

    packages: list[str]
    param: str
    weights: str
    options: dict[str, Any]
    inputs: dict[str, tuple[list[int], str]]
    outputs: list[str]
    memory: float

    def to_json(self) -> str:
        """What the script reads on standard input, where it may be longer than a command line."""
        return json.dumps(asdict(self))


def open_network(ncnn: Any, param: Path, weights: Path, options: Options) -> Any:
    """A network, open on the processor.

    Raises:
        NcnnError: ncnn refuses a file.
    """
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    if options.threads:
        net.opt.num_threads = options.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = options.half
    net.opt.use_bf16_storage = False
    net.opt.use_winograd_convolution = options.winograd
    for load, path in ((net.load_param, param), (net.load_model, weights)):
        if load(str(path)):
            raise NcnnError(f"ncnn refuses {path.name}")
    return net


def run_sample(
    ncnn: Any, net: Any, sample: Mapping[str, NDArray[Any]], outputs: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """The outputs for one sample, as ncnn shapes them.

    Raises:
        NcnnError: ncnn fails on it.
    """
    import numpy as np

    extractor = net.create_extractor()
    for name, array in sample.items():
        # A copy: layers write over what they read, and a caller's array is neither theirs nor laid out as theirs are.
        if extractor.input(name, ncnn.Mat(np.ascontiguousarray(array)).clone()):
            raise NcnnError(f"ncnn knows no input {name}")
    found = {}
    for name in outputs:
        status, blob = extractor.extract(name)
        if status:
            raise NcnnError(f"ncnn fails to compute {name}")
        found[name] = np.array(blob)
    return found


def main() -> None:
    """Do what the request on standard input says; what is wrong is said in one line, with exit status 1."""
    request = Request(**json.load(sys.stdin))
    sys.path[:] = request.packages
    _limit(request.memory)
    import ncnn
    import numpy as np

    try:
        net = open_network(ncnn, Path(request.param), Path(request.weights), Options(**request.options))
        sample = {name: np.zeros(shape, dtype) for name, (shape, dtype) in request.inputs.items()}
        run_sample(ncnn, net, sample, request.outputs)
    except NcnnError as error:
        sys.exit(f"{error}")
    except MemoryError:
        sys.exit(f"it takes more than {request.memory:g} GiB of memory")
    except Exception as error:  # of ncnn's binding and of NumPy's, as they come
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))


def _limit(memory: float) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(memory * 2**30),) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # another system, or a limit that is lower already
        pass


if __name__ == "__main__":
    main()
