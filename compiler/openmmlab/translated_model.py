"""An OpenMMLab model, `model=openmmlab model.config=<file>`: where Hydra finds it while a config is composed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from compiler.errors import UsageError, nearest

if TYPE_CHECKING:
    from compiler.config import CompileConfig

MODEL = "openmmlab"
CONFIG = "model.config"
PACKAGES = "model.packages."
KNOWN_PACKAGES = (
    *("mmaction", "mmcls", "mmcv", "mmdet", "mmdet3d", "mmengine"),
    *("mmocr", "mmpose", "mmpretrain", "mmrotate", "mmseg", "mmyolo"),
)
"""Those of OpenMMLab, in whose configs the bases of another may lie."""


def composed(
    overrides: Sequence[str], config_dir: Path | None = None, distinguishing: Sequence[str] = ()
) -> CompileConfig:
    """The config of a run; a model of OpenMMLab's is translated for it.

    `distinguishing` are overrides that give it a name of its own; see `compose`.

    Raises:
        CompileError: It cannot be composed, or the model cannot be translated.
    """
    from compiler.config import compose  # beside what takes long to import: --help does not

    with translated_model(overrides) as folder:
        return compose(overrides, config_dir, folder, distinguishing)


@contextmanager
def translated_model(overrides: Sequence[str]) -> Iterator[Path | None]:
    """A config folder to search before ours, with the model that the overrides name in it.

    Args:
        overrides: In Hydra's grammar, of a single run.

    Yields:
        The folder; None where another model is chosen.

    Raises:
        UsageError: The model's config is not given, or is given for another model.
        CompileError: It cannot be read or translated.
    """
    given = dict(_key_and_value(override) for override in overrides)
    chosen, config = given.get("model") == MODEL, given.get(CONFIG)
    if chosen and not config:
        raise UsageError(
            "the OpenMMLab config is missing",
            where=f"model={MODEL}",
            fix=f"add {CONFIG}=<file>, such as {CONFIG}=work_dirs/mine/mine.py",
        )
    if config and not chosen:
        raise UsageError(
            f"{CONFIG} is given for another model",
            where=f"{CONFIG}={config}",
            fix=f"write model={MODEL} {CONFIG}=<file>",
        )
    packages = {key.removeprefix(PACKAGES): value for key, value in given.items() if key.startswith(PACKAGES)}
    if not config:
        if packages:
            raise UsageError(
                "the folders of packages are given for another model",
                where=" ".join(f"{PACKAGES}{package}={folder}" for package, folder in packages.items()),
                fix=f"write model={MODEL} {CONFIG}=<file>, or leave them out",
            )
        yield None
        return
    with translated_config(config, packages) as folder:
        yield folder


@contextmanager
def translated_config(config: str, packages: Mapping[str, str]) -> Iterator[Path]:
    """A config folder with an OpenMMLab config in it, as `model=openmmlab`.

    Args:
        config: The file.
        packages: The `.mim/configs` folders of packages that its bases come from.

    Raises:
        CompileError: It cannot be read or translated.
    """
    with TemporaryDirectory(prefix="deploy-compiler-") as folder:
        file = Path(folder) / "model" / f"{MODEL}.yaml"
        file.parent.mkdir()
        file.write_text(_described(config, packages), encoding="utf-8")
        yield Path(folder)


def folders_of_packages(packages: Mapping[str, str]) -> dict[str, Path]:
    """The folders of packages that the bases of a config come from.

    Raises:
        UsageError: One of them is none of OpenMMLab's, or does not exist.
    """
    from compiler.artifact import reading  # beside what knows numpy: --help does not

    for package, folder in packages.items():
        if package not in KNOWN_PACKAGES:
            raise UsageError(
                f"there is no package {package} of OpenMMLab's",
                where=f"{PACKAGES}{package}={folder}",
                fix=nearest(package, KNOWN_PACKAGES),
            )
        fix = f"name the folder that its bases lie in: <site-packages>/{package}/.mim/configs"
        with reading(folder, f"the configs of {package} cannot be read", fix=fix):
            if not Path(folder).is_dir():
                raise UsageError(f"the configs of {package} are not there", where=folder, fix=fix)
    return {package: Path(folder) for package, folder in packages.items()}


def _described(config: str, packages: Mapping[str, str]) -> str:
    from compiler.openmmlab.model_file import as_yaml
    from compiler.openmmlab.translate import translate_file

    model = translate_file(Path(config), folders_of_packages(packages))
    return as_yaml({**model, "config": config, "packages": dict(packages)})


def _key_and_value(override: str) -> tuple[str, Any]:
    """What an override sets, unquoted where it names an OpenMMLab file."""
    key, _, value = override.lstrip("+").partition("=")
    if key != CONFIG and not key.startswith(PACKAGES):
        return key, value
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(f"++{override.lstrip('+')}")
    except HydraException as error:
        raise UsageError(
            f"'{override}' cannot be read", where=key, fix=f"quote the path: \"{key}='my config.py'\""
        ) from error
    if parsed.is_sweep_override():
        raise UsageError(
            f"'{override}' names several configs", where=key, fix="add -m to compile each of them, or quote the path"
        )
    return key, _resolved(key, str(parsed.value()))


def _resolved(key: str, value: str) -> str:
    """A value as composing it gives it: `${oc.env:HOME}` is resolved, and `\\${` is the text `${`."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from compiler.config.messages import explain_omegaconf

    try:
        return str(OmegaConf.create({key: value})[key])
    except OmegaConfBaseException as error:
        raise explain_omegaconf(error) from error
