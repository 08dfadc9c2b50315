"""A network that somebody's own code makes: what that code is, and what it put into the network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from compiler.artifact import InputFile, digest
from compiler.artifact.input_files import changed
from compiler.artifact.loaded_code import code_content, functions_in
from compiler.artifact.source_code import code_contents, imported_by_name, is_user_code

if TYPE_CHECKING:
    from torch import nn

    from compiler.networks.contents import Contents

NetworkT = TypeVar("NetworkT", bound="nn.Module")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class UserCode:
    """What a network depends on that somebody's own code makes, beside what its config says.

    Attributes:
        code: The digest of all code that was loaded to make and to run it, and of the data that this code holds.
        contents: What is in the network, wherever the code had it from.
        has_weights: Whether its weights are those that the code put there, and not a checkpoint's or random ones.
    """

    code: str
    contents: Contents
    has_weights: bool

    def check(self, network: nn.Module, where: str) -> None:
        """Refuse a network that is made of something else than the first one was.

        Raises:
            CompileError: A result of this one would be kept as the other's.
        """
        from compiler.networks.contents import Contents

        _check_same(self.contents, Contents.of(network, with_weights=self.has_weights), where)


def observe(
    modules: Sequence[str],
    build: Callable[[], NetworkT],
    use: Callable[[NetworkT], ResultT],
    where: str,
    *,
    has_weights: bool,
) -> tuple[UserCode, ResultT]:
    """Make a network, use it, make it again, and tell what it depends on.

    Args:
        modules: Of Python, that the config names.
        build: Makes the network.
        use: May run it: what is imported as late as that counts too.
        where: What makes it, for error messages.
        has_weights: See `UserCode`.

    Raises:
        CompileError: It is another when it is made again.
    """
    from compiler.networks.contents import Contents

    network = build()
    made, data = Contents.of(network, with_weights=has_weights), _global_data(_code_of(modules, network), network)
    used = use(network)
    kept = made.unchanged_in(Contents.of(network, with_weights=has_weights))
    code = _code_digest(_code_of(modules, network), data, network)
    del network  # two of them may be more than there is room for
    again = Contents.of(build(), with_weights=has_weights)
    _check_same(replace(kept, settings={}), again, where)
    return UserCode(code, kept.unchanged_in(again), has_weights), used


def _check_same(contents: Contents, other: Contents, where: str) -> None:
    place = contents.difference(other)
    if place:
        raise changed(
            f"{where}, {place}",
            "what the network is made of",
            why="it was another a moment ago: a file that its code reads was replaced, or it is drawn without a seed",
            fix="run again; or seed what is drawn, or give the weights as checkpoint=<path>",
        )


def _code_of(modules: Sequence[str], network: nn.Module) -> dict[str, str]:
    """See `code_contents`: of the modules that the config names, of those of the network's parts, and of all others
    that nobody knows who imported."""
    from compiler.networks.contents import code_names, unnamed_modules

    return code_contents([*modules, *code_names(network), *imported_by_name()], unnamed_modules(network))


def _global_data(names: Iterable[str], network: nn.Module) -> dict[str, str]:
    """The digests of the plain data that somebody's own modules and their classes hold, and of their functions as they
    are loaded: either may come from a file that they read, or from a source that has changed since."""
    from compiler.networks.contents import data_digest, unnamed_modules

    named = [vars(sys.modules[name]) for name in names if name in sys.modules]
    own = [one for one in (*named, *unnamed_modules(network)) if is_user_code(one["__name__"], one.get("__file__"))]
    held = (entry for one in own for entry in _held(one["__name__"], one, one["__name__"]))
    return {path: data_digest(value) for path, value in held}


def _held(prefix: str, values: Mapping[str, Any], module: str) -> Iterator[tuple[str, Any]]:
    """Yield what a module or a class of it holds, with its path; of its functions the code and the defaults."""
    for key, value in values.items():
        if isinstance(value, type) and value.__module__ == module and value.__qualname__.endswith(key):
            yield from _held(f"{prefix}.{key}", vars(value), module)
            continue
        if not key.startswith("__"):
            yield f"{prefix}.{key}", value
        for function in functions_in([value], module):
            if function.__module__ == module:
                path = f"{prefix}.{key}, {function.__qualname__}"
                yield f"{path}, code", code_content(function.__code__)
                yield f"{path}, defaults", (function.__defaults__, function.__kwdefaults__)


def _code_digest(code: Mapping[str, str], before: Mapping[str, str], network: nn.Module) -> str:
    """The digest of code, of its data, and of the libraries of operators that it loaded into torch.

    Args:
        code: See `code_contents`.
        before: The code's data a while ago: what has changed since is a cache or a counter, and nobody's setting.
        network: What the code made.
    """
    import torch

    data = dict(before.items() & _global_data(code, network).items())
    files = [Path(file) for file in sorted(torch.ops.loaded_libraries) if is_user_code("", file)]
    return digest([code, data, [InputFile.of(file).digest for file in files]])
