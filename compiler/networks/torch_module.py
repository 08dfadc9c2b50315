"""Any PyTorch module: made by a function of the user's, called by the names of its arguments, its outputs flattened."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from compiler.errors import CompileError, UsageError, nearest
from compiler.networks.initialization import seeded
from compiler.networks.targets import find_target

KEY = "model.inputs"


class TorchModule(nn.Module):
    """A module that the user makes.

    Args:
        target: What makes it; see `find_target`.
        inputs: The names of forward's arguments that tensors are given for, in order.
        kwargs: What the target is called with.

    Raises:
        UsageError: The target cannot be imported or called so, makes no module, or its forward has other arguments.
    """

    def __init__(self, target: str, inputs: Mapping[str, Any], kwargs: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.inputs = tuple(inputs)
        self.module = _call_target(target, dict(kwargs or {}))
        _check_arguments(self.module, self.inputs)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Every tensor in what the module returns, in order."""
        return tuple(tensor for _, tensor in self.named_outputs(*tensors))

    def named_outputs(self, *tensors: Tensor) -> list[tuple[str, Tensor]]:
        """Every tensor in what the module returns, with a name made of the keys and places that lead to it.

        Raises:
            CompileError: There is something else than tensors in it.
        """
        result = self.module(**dict(zip(self.inputs, tensors, strict=True)))
        return list(flattened(result, "output" if isinstance(result, Tensor | list | tuple) else ""))


def flattened(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested mappings, dataclasses, named and plain tuples and lists, with their names.

    Raises:
        CompileError: There is something else in it; None is passed over.
    """
    if isinstance(value, Tensor):
        yield name, value
    elif value is not None:
        for key, part in _parts(value, name):
            yield from flattened(part, f"{name}_{key}" if name else key)


def _parts(value: object, name: str) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, list | tuple):
        names = getattr(value, "_fields", range(len(value)))
        return [(str(key), part) for key, part in zip(names, value, strict=True)]
    raise CompileError(
        "the network returns something else than tensors",
        where=f"output {name}" if name else "output",
        why=f"it is of type {type(value).__name__}",
        fix="return tensors, or lists, tuples, dictionaries or dataclasses of them",
    )


def _call_target(target: str, kwargs: dict[str, Any]) -> nn.Module:
    make, where = find_target(target), "model.target"
    if isinstance(make, nn.Module) and not kwargs:
        return make
    try:
        inspect.signature(make).bind(**kwargs)
    except TypeError as error:
        raise UsageError(
            f"{target} cannot be called so",
            where="model.kwargs",
            why=str(error),
            fix="give it as model.kwargs.<name>=<value>",
        ) from error
    except ValueError:
        pass  # what is written in C may have no signature
    try:
        with seeded():
            module = make(**kwargs)
    except Exception as error:  # whatever the user's code raises
        raise UsageError(f"{target} fails", where=where, why=f"{type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"{target} makes no torch.nn.Module",
            where=where,
            why=f"it returns a {type(module).__name__}",
            fix="name a class of modules, or a function that returns one",
        )
    return module


def _check_arguments(module: nn.Module, inputs: tuple[str, ...]) -> None:
    """Refuse inputs that the module's forward does not take, and too few of them."""
    parameters = inspect.signature(module.forward).parameters
    kinds = inspect.Parameter
    named = [
        name
        for name, parameter in parameters.items()
        if parameter.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    ]
    takes_any = any(parameter.kind is kinds.VAR_KEYWORD for parameter in parameters.values())
    for name in inputs:
        if name not in named and not takes_any:
            raise UsageError(
                f"the network's forward has no argument '{name}'",
                where=f"{KEY}.{name}",
                why=f"it takes {', '.join(named) or 'none by name'}",
                fix=nearest(name, named),
            )
    for name in named:
        if parameters[name].default is kinds.empty and name not in inputs:
            raise UsageError(
                f"the network's forward needs the argument '{name}'",
                where=f"{KEY}.{name}",
                why=f"it takes {', '.join(named)}",
                fix=f"give its shape: {KEY}.{name}=1x3x224x224",
            )
