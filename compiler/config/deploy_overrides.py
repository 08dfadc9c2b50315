"""What a deploy name stands for as overrides, and whether the composed config is what it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.config.deploy_name import DeployName
from compiler.config.mmdeploy.facts import facts
from compiler.config.mmdeploy.names import Here, meaning
from compiler.config.options import group_options
from compiler.config.search import config_folder
from compiler.config.variant import override_key
from compiler.errors import UsageError, nearest

if TYPE_CHECKING:
    from compiler.config.schema import CompileConfig

KEY = "deploy"


@dataclass(frozen=True)
class NamedRun:
    """The deploy name among overrides.

    Attributes:
        name: Taken apart.
        given: As it was given, for messages.
        overrides: What it says beyond what a name holds.
        claims: What it says of the model, by the model's keys.
    """

    name: DeployName
    given: str
    overrides: tuple[str, ...]
    claims: Mapping[str, Any]

    def implied(self, models: Collection[str], given: Collection[str]) -> list[str]:
        """What the name chooses, as overrides; the model only where it is not among the keys that are given.

        `models` are those that there are.

        Raises:
            UsageError: No model stands for what it names, or one for another task.
        """
        model = "" if "model" in given else _model_of(self, models)
        name = self.name
        chosen = {"model": model, "backend": name.backend, "precision": name.precision, "shape": str(name.shape)}
        return [*(f"{key}={value}" for key, value in chosen.items() if value), *self.overrides]

    def spelt_out(self, overrides: Sequence[str]) -> list[str]:
        """The overrides with the name in our spelling, and beside it what it says that a name does not hold."""
        keys = {override_key(one) for one in overrides}
        rest = [one for one in overrides if override_key(one) != KEY]
        return [f"{KEY}={self.name}", *(one for one in self.overrides if override_key(one) not in keys), *rest]


def named_run(overrides: Sequence[str], config_dir: Path | None = None) -> NamedRun | None:
    """The deploy name among overrides, in our spelling or in MMDeploy's; None where there is none.

    Raises:
        UsageError: There are two, or it is no deploy name, or one of MMDeploy's that means nothing here.
    """
    names = [override.partition("=")[2] for override in overrides if override_key(override) == KEY]
    if not names:
        return None
    if len(names) > 1:
        raise UsageError("two deploy names are given", where="deploy", why=" and ".join(names), fix="give one")
    models = [one.partition("=")[2] for one in overrides if override_key(one) == "model"]
    here = _here(config_dir, models[-1] if models else "")
    found = meaning(names[0], here)
    return NamedRun(DeployName.parse(found.name, here.backends), names[0], found.overrides, found.claims)


def check_named(config: CompileConfig, named: NamedRun) -> None:
    """Refuse a model that is not what the deploy name beside it names.

    Raises:
        UsageError: It is for another task, another algorithm, or has another input.
    """
    model, name = config.model, named.name
    if model.task != name.task:
        raise UsageError(
            f"the model '{model.name}' is not one for the task '{name.task}'",
            where=f"deploy={named.given} model={model.name}",
            why=f"its task is {model.task}",
            fix=f"use deploy={replace(name, task=model.task, algo=name.algo and model.name)}",
        )
    if name.algo is not None and not _is_of(config, name.algo):
        raise UsageError(
            f"the deploy name says '{name.algo}', and the model '{model.name}' is another",
            where=f"deploy={named.given} model={model.name}",
            why=f"its algorithm is {model.algo}",
            fix=f"leave one of them out, or write deploy={replace(name, algo=model.name)}",
        )
    for key, value in named.claims.items():
        _check_claim(config, named, key, value)


def _is_of(config: CompileConfig, algo: str) -> bool:
    model, same = config.model, facts("names")["algos"]
    stands_for = config.algos.get(algo, algo)
    return algo in (model.algo, model.name, same.get(model.algo)) or stands_for == model.name


def _check_claim(config: CompileConfig, named: NamedRun, key: str, value: Any) -> None:
    node: Any = {"network": config.model.network, "processing": config.model.processing}
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    if node is None or node == value:
        return
    raise UsageError(
        f"the deploy name is for another model than {config.model.name}: its {key.rpartition('.')[2]} is {value}",
        where=f"deploy={named.given}",
        why=f"model.{key} is {node}",
        fix=f"use deploy={config.deploy_name}, or give a model that fits: model=<name>",
    )


def _here(config_dir: Path | None, model: str) -> Here:
    table = _table()
    return Here(
        backends=group_options("backend", config_dir),
        models=group_options("model", config_dir),
        algos=table["algos"],
        tasks=table["tasks"],
        model=model,
    )


def _table() -> Mapping[str, Mapping[str, str]]:
    """What an algorithm, and what a task alone, stands for."""
    from compiler.config.omegaconf_yaml import load_omegaconf_yaml

    table: Mapping[str, Mapping[str, str]] = load_omegaconf_yaml(
        (config_folder() / "deploy_names.yaml").read_text("utf-8")
    )
    return table


def _model_of(named: NamedRun, models: Collection[str]) -> str:
    """The model that a name stands for."""
    name, table = named.name, _table()
    algos, tasks = table["algos"], table["tasks"]
    if name.task not in tasks and name.algo is None:
        raise UsageError(
            f"the deploy name has no algorithm, and no model stands for the task '{name.task}'",
            where=f"deploy={name}",
            fix=nearest(name.task, tasks),
        )
    model = tasks[name.task] if name.algo is None else algos.get(name.algo, name.algo)
    if model not in models:
        raise UsageError(
            f"the deploy name's '{name.algo}' is neither an algorithm nor a model",
            where=f"deploy={name}",
            fix=nearest(str(name.algo), {*algos, *models}),
        )
    return model
