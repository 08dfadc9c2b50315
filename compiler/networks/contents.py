"""What somebody's own code put into a network: its weights, and whatever else it read or computed while it made it."""

from __future__ import annotations

import hashlib
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from compiler.artifact import bytes_digest, digest
from compiler.artifact.loaded_code import functions_in
from compiler.errors import CompileError

INTERNAL = frozenset(vars(nn.Module())) - {"training"}
"""Attributes that every module has."""
DEEPEST_VALUE = 20
"""Containers in each other, of which what is inside still counts."""


@dataclass(frozen=True)
class Contents:
    """What is in a network, by the places where it is.

    Attributes:
        tensors: Digests of its weights, its buffers and of tensors and arrays that are plain attributes.
        settings: Digests of its other attributes that are plain data.
    """

    tensors: Mapping[str, str]
    settings: Mapping[str, str]

    @classmethod
    def of(cls, network: nn.Module, *, with_weights: bool) -> Contents:
        """What is in a network; without what a checkpoint replaces, where one is given."""
        found = dict(_attributes(network))
        tensors = {path: value for path, value in found.items() if isinstance(value, Tensor | np.ndarray)}
        weights = network.state_dict() if with_weights else {}
        return cls(
            {path: data_digest(value) for path, value in (tensors | weights).items()},
            {path: data_digest(value) for path, value in found.items() if path not in tensors},
        )

    def unchanged_in(self, other: Contents) -> Contents:
        """What another network has too: no time, no counter, nothing that a run left behind."""
        pairs = (self.tensors, other.tensors), (self.settings, other.settings)
        return Contents(*(dict(sorted(own.items() & its.items())) for own, its in pairs))

    def difference(self, other: Contents) -> str:
        """The first place where another network has something else; empty where there is none."""
        pairs = (self.tensors, other.tensors), (self.settings, other.settings)
        places = (path for own, its in pairs for path, value in own.items() if its.get(path) != value)
        return next(places, "")


def code_names(network: nn.Module) -> dict[str, None]:
    """The names of the modules of Python that hold the classes of a network's parts, and functions that it keeps."""
    kept = [value for module in network.modules() for value in vars(module).values() if callable(value)]
    names = [getattr(one, "__module__", None) for one in (*_classes(network), *kept)]
    return dict.fromkeys(name for name in names if isinstance(name, str))


def unnamed_modules(network: nn.Module) -> list[dict[str, Any]]:
    """What is in the modules of Python that hold a network's code, and that no name leads to: a file was executed.

    Raises:
        CompileError: Some of its code is in no file.
    """
    found: dict[int, dict[str, Any]] = {}
    for kind in _classes(network):
        functions = list(functions_in([kind], kind.__module__))
        if not functions and kind.__module__ not in sys.modules:
            raise _in_no_file(kind)
        found |= {id(one.__globals__): one.__globals__ for one in functions if not _has_name(one, kind)}
    for module in network.modules():
        kept = functions_in(vars(module).values(), "")
        found |= {id(one.__globals__): one.__globals__ for one in kept if not _has_name(one, type(module))}
    return list(found.values())


def _classes(network: nn.Module) -> dict[type, None]:
    return dict.fromkeys(kind for module in network.modules() for kind in type(module).__mro__)


def _has_name(function: FunctionType, kind: type) -> bool:
    """Whether a function is in a module that can be found by its name; one that a library generated is in its class's.

    Raises:
        CompileError: It is in no file either.
    """
    is_generated = function.__code__.co_filename.startswith("<")
    names = [function.__globals__.get("__name__"), *([kind.__module__] if is_generated else [])]
    modules = [sys.modules[name] for name in names if name in sys.modules]
    files = [vars(module).get("__file__") for module in modules]
    if any(files) and (is_generated or vars(modules[0]) is function.__globals__):
        return True
    if function.__globals__.get("__file__"):
        return False
    raise _in_no_file(kind)


def _in_no_file(kind: type) -> CompileError:
    return CompileError(
        f"the code of {kind.__qualname__} is in no file",
        where=f"{kind.__module__}.{kind.__qualname__}",
        why="a result of it could not be told from that of other code",
        fix="write it into a module that can be imported",
    )


def _attributes(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield everything in a network that is no part, and not in its state dict, with its path."""
    for prefix, module in ((f"{path}." if path else "", module) for path, module in network.named_modules()):
        for key, value in vars(module).items():
            if key not in INTERNAL:
                yield prefix + key, value
        for key in module._non_persistent_buffers_set:
            yield prefix + key, module._buffers[key]


def data_digest(value: Any) -> str:
    """The digest of plain data; of anything else, that of its type."""
    return digest(_content(value, DEEPEST_VALUE))


def _content(value: Any, depth: int) -> Any:
    """Plain data in a form that JSON can hold; of anything else its type."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            found: Any = bytes_digest(value)
        case Tensor() if not is_lazy(value):
            found = [str(value.dtype), list(value.shape), _tensor_digest(value)]
        case np.ndarray() | np.generic() if not value.dtype.hasobject:
            found = [value.dtype.str, value.shape, bytes_digest(value.tobytes())]
        case set() | frozenset():
            found = sorted(digest(_content(item, depth - 1)) for item in value) if depth else None
        case _:
            inner = _inner(value) if depth else {}
            found = [[str(key), _content(item, depth - 1)] for key, item in inner.items()]
    return [kind, found]


def _inner(value: Any) -> Mapping[Any, Any]:
    """What is in a container or in an object that only holds data; nothing in anything else."""
    match value:
        case Mapping():
            return value if value is not os.environ else {}
        case list() | tuple():
            return dict(enumerate(value))
        case SimpleNamespace() | Namespace():
            return vars(value)
    return getattr(value, "__dict__", {}) if is_dataclass(value) and not isinstance(value, type) else {}


def _tensor_digest(tensor: Tensor) -> str:
    """The SHA-256 of a tensor's numbers; of those that have no plain form, what torch says of them."""
    try:
        numbers = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantised, without numbers
        return bytes_digest(str(tensor).encode())
    return hashlib.sha256(numbers.data).hexdigest()
