"""What is shown of a config: `--cfg job`, and what Hydra shows: `--cfg hydra`, `--info`, `--hydra-help`, completion."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra import main as hydra_main
from omegaconf import DictConfig, OmegaConf

from compiler.cli.completion import print_completions
from compiler.config.composition import compose, compose_node
from compiler.config.literal import literal
from compiler.config.messages import composing
from compiler.config.overrides import expand, own_inputs, split_sweep
from compiler.config.schema import CompileConfig, ModelConfig
from compiler.config.search import CONFIG_NAME, HYDRA_VERSION, config_folder, config_loader
from compiler.config.search_path import searched
from compiler.errors import ExitCode, UsageError, nearest
from compiler.openmmlab.translated_model import translated_model
from compiler.printable import printable

PROGRAM = "deploy-compiler"
"""The installed command: Hydra completes commands, not `python -m`."""


def show(given: Namespace) -> ExitCode:
    """Print what the flags ask for, with our spellings of overrides understood.

    Raises:
        UsageError: The config cannot be composed, cannot be compiled, or has no such part.
    """
    overrides = list(given.overrides)
    if given.shell_completion:
        return _completion(overrides, given.config_dir)
    if given.cfg == "job":
        jobs = split_sweep(overrides, given.config_dir) if given.multirun else [overrides]
        named = zip(jobs, own_inputs(jobs), strict=True)
        pages = [_job(job, own, given.config_dir, given.package, given.resolve) for job, own in named]
        print(printable("---\n".join(pages)), end="")
        return ExitCode.PROVEN
    with translated_model(overrides) as folder:
        if not given.hydra_help:
            compose_node(overrides, given.config_dir, folder)
        words = [*_flags(given), *expand(overrides, given.config_dir)]
        return _hydra(words, given.config_dir, folder)


def _job(
    overrides: Sequence[str], distinguishing: Sequence[str], config_dir: Path | None, package: str | None, resolve: bool
) -> str:
    """The config of one run as YAML, under the name that it goes by; or a part of it."""
    with translated_model(overrides) as folder:
        node = compose_node(overrides, config_dir, folder)
        config = compose(overrides, config_dir, folder, distinguishing)
    node.model.name = config.model.name
    values = OmegaConf.to_container(node, resolve=resolve)
    values = _ordered(literal(values) if resolve else values)
    if package is None:
        return f"# {config.deploy_name}\n# {_chosen(config)}\n{OmegaConf.to_yaml(OmegaConf.create(values))}"
    return f"# @package {package}\n{_part(OmegaConf.create(values), package)}"


def _chosen(config: CompileConfig) -> str:
    """What a run is chosen by, as overrides say it: the model alone takes a page."""
    shape = config.resolved_shape
    chosen = {"model": config.model.name, "backend": config.backend["name"], "precision": config.precision}
    return " ".join(f"{key}={value}" for key, value in {**chosen, "shape": shape}.items())


def _part(node: DictConfig, package: str) -> str:
    """What is below a key, as YAML."""
    part = OmegaConf.select(node, package, throw_on_resolution_failure=False)
    if part is None:
        raise UsageError(
            f"the config has no part '{package}'", where=f"--package {package}", fix=nearest(package, map(str, node))
        )
    return OmegaConf.to_yaml(part) if OmegaConf.is_config(part) else f"{part}\n"


def _ordered(values: Any) -> dict[str, Any]:
    """The keys as the schema has them, so that the model's name comes first and not what it was composed from first."""
    model = _in_order_of(ModelConfig, values["model"])
    return _in_order_of(CompileConfig, {**values, "model": model})


def _in_order_of(schema: type, values: Mapping[str, Any]) -> dict[str, Any]:
    known = [field.name for field in fields(schema) if field.name in values]
    return {key: values[key] for key in dict.fromkeys([*known, *values])}


def _completion(words: Sequence[str], config_dir: Path | None) -> ExitCode:
    """The answer to a shell that asks; or what makes it ask, which Hydra writes."""
    shells = [word.partition("=")[2] for word in words if word.startswith("query=")]
    if len(words) != 1 or not shells:
        return _hydra(["--shell-completion", *words], config_dir, None)
    print_completions(shells[0])
    return ExitCode.PROVEN


def _flags(given: Namespace) -> list[str]:
    if given.hydra_help:
        return ["--hydra-help"]
    if not given.cfg:
        return ["--info", given.info]
    package = ["--package", given.package] if given.package else []
    return ["--cfg", given.cfg, *package, *(["--resolve"] if given.resolve else [])]


def _hydra(words: Sequence[str], config_dir: Path | None, model_folder: Path | None) -> ExitCode:
    """Run Hydra's own command line, which reads the process's arguments and may end the process."""
    before, said = sys.argv, io.StringIO()
    sys.argv = [PROGRAM, *words]
    hydra = hydra_main(config_path=str(config_folder()), config_name=CONFIG_NAME, version_base=HYDRA_VERSION)
    try:
        loader = config_loader(config_dir, model_folder)
        with composing(loader), searched(config_dir, model_folder), redirect_stderr(said):
            hydra(_nothing)()
    except SystemExit as ended:
        if ended.code:
            raise UsageError("Hydra cannot show this", where=" ".join(words), why=_reason(said.getvalue())) from ended
    finally:
        sys.argv = before
    return ExitCode.PROVEN


def _reason(said: str) -> str:
    """What Hydra says before it ends the process, without its traceback and its advice on tracebacks."""
    lines = [line for line in said.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    return lines[-1] if lines else ""


def _nothing(config: DictConfig) -> None:
    """What Hydra would run if it were to run something."""
