"""Build the network that a config node describes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compiler.config.counts import check_counts
from compiler.config.instantiate import classes_in
from compiler.config.moved import present_target
from compiler.errors import UsageError, nearest, one_line

if TYPE_CHECKING:
    from torch import nn

VARIABLE = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
"""Kinds of parameters that need no argument."""


def build(node: Mapping[str, Any], where: str = "network", *arguments: nn.Module) -> nn.Module:
    """Build the network that a config node describes, in evaluation mode and without gradients.

    Args:
        node: A tree of mappings, as the `network` node of a model config: every mapping with a `_target_` becomes an
            instance of that class, built from the mapping's other keys.
        where: The node's place in the config, for error messages.
        arguments: Networks that the outermost class takes before what the node holds.

    Returns:
        The network, with random weights.

    Raises:
        UsageError: A `_target_` is not an importable network class, or its constructor does not take what the node
            holds, or it has more modules or parameters than any network. The error names the node.
    """
    import hydra
    from hydra.errors import InstantiationException
    from omegaconf import DictConfig, OmegaConf

    from compiler.networks.building_limits import bounded

    tree = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    tree = _present(tree)
    if not isinstance(tree, Mapping) or "_target_" not in tree:
        raise UsageError(
            "the network cannot be built",
            where=where,
            why="the node has no _target_",
            fix="name a class, such as compiler.networks.pose.TopdownPoseEstimator",
        )
    for path, child in _targets(tree, where):
        _check(path, child, given=len(arguments) if child is tree else 0)
    check_counts(tree, where)
    try:
        with bounded():
            network: nn.Module = hydra.utils.instantiate(tree, *arguments, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        path = ".".join([where, *_full_key(str(error))])
        raise UsageError(
            "the network cannot be built",
            where=path,
            why=one_line(cause),
            fix=f"correct the values under {path}",
        ) from error
    return network.eval().requires_grad_(False)


def with_tail(network: nn.Module, node: Mapping[str, Any]) -> nn.Module:
    """A network that ends in the tail that a config node describes, such as `DetectionTail`.

    Raises:
        UsageError: The node is wrong.
    """
    return build(node, "tail", network)


def _present(node: Any) -> Any:
    """The tree `node` with its classes where they are today."""
    if isinstance(node, Mapping):
        return {
            key: present_target(str(child)) if key == "_target_" else _present(child) for key, child in node.items()
        }
    return [_present(child) for child in node] if isinstance(node, list | tuple) else node


def _targets(node: object, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every mapping with a `_target_` in the tree `node`, with its dotted path."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield path, node
        for key, child in node.items():
            yield from _targets(child, f"{path}.{key}")
    elif isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _targets(child, f"{path}[{index}]")


def _check(path: str, node: Mapping[str, Any], given: int) -> None:
    """Raise a `UsageError` unless the node's class exists, is a module and takes the node's arguments.

    Args:
        path: Of the node.
        node: With a `_target_`.
        given: How many arguments come before those in the node.
    """
    target = str(node["_target_"])
    signature = inspect.signature(_network_class(target, f"{path}._target_"))
    taken = dict(list(signature.parameters.items())[given:])
    parameters = {name: parameter for name, parameter in taken.items() if parameter.kind not in VARIABLE}
    keys = {key for key in node if key not in ("_target_", "_convert_", "_recursive_", "_partial_")}
    for key in () if _takes_any_key(signature) else sorted(map(str, keys - parameters.keys())):
        raise UsageError(
            "the network cannot be built",
            where=f"{path}.{key}",
            why=f"{target} takes no argument {key!r}",
            fix=nearest(key, parameters),
        )
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in keys:
            raise UsageError(
                "the network cannot be built",
                where=f"{path}.{name}",
                why=f"{target} needs the argument {name!r}",
                fix=f"add {name} to {path}",
            )


def _takes_any_key(signature: inspect.Signature) -> bool:
    """Whether a class takes keys that it does not name; one without a constructor has torch's, which takes none."""
    from torch import nn

    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds and signature != inspect.signature(nn.Module)


def _network_class(target: str, where: str) -> type[nn.Module]:
    """Import the class at the dotted path `target`.

    Only classes of modules are let through: a config names parts of a network and may not call arbitrary functions.
    """
    from torch import nn

    module_name, _, name = target.rpartition(".")
    try:
        classes = classes_in(module_name, nn.Module)
    except ImportError as error:
        raise UsageError(
            f"the network class {target} cannot be imported",
            where=where,
            why=str(error),
            fix="give the full path of a class, and install the package that holds it",
        ) from error
    if name not in classes:
        raise UsageError(
            f"{target} is not a network class",
            where=where,
            why=f"{module_name} has no nn.Module named {name!r}",
            fix=nearest(name, classes),
        )
    return classes[name]


def _full_key(message: str) -> list[str]:
    """The keys of the node that Hydra's error `message` names in its last line, none for the root."""
    _, found, key = message.rpartition("full_key: ")
    return key.strip().split(".") if found else []
