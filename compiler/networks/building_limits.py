"""What building a network may cost: one that never ends, or fills memory, is refused on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules import module

MODULES = 50_000
"""The largest network of ours has some thousands."""
PARAMETERS = 2**29
"""In fp32 they are the 2 GiB that one ONNX file can hold."""


class _Budget:
    """The modules and numbers that are left for one network."""

    def __init__(self) -> None:
        self._modules, self._parameters = MODULES, PARAMETERS
        self._thread = threading.get_ident()

    def spend_module(self, *_: object) -> None:
        """Pay for a module that becomes part of another."""
        if threading.get_ident() != self._thread:
            return
        self._modules -= 1
        if self._modules < 0:
            raise ValueError(f"it has more than {MODULES:,} modules")

    def spend_parameter(self, _: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        """Pay for numbers before they are drawn: memory that nobody writes to costs nothing."""
        if threading.get_ident() != self._thread or parameter is None:
            return
        self._parameters -= parameter.numel()
        if self._parameters < 0:
            raise ValueError(f"it has more than {PARAMETERS:,} parameters, which no ONNX file can hold")


@contextmanager
def bounded() -> Iterator[None]:
    """Bound what is built within this block.

    Raises:
        ValueError: It has too many modules or parameters.
    """
    budget = _Budget()
    hooks = (
        module.register_module_module_registration_hook(budget.spend_module),
        module.register_module_parameter_registration_hook(budget.spend_parameter),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
