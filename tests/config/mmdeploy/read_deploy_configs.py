"""Read the deploy configs of a checkout of MMDeploy's: `python -m tests.config.mmdeploy.read_deploy_configs <configs>`.

Prints what deploy_configs.yaml holds of them, and the keys that they hold; none of the files is run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from compiler.openmmlab.reader import read_config


def read(folder: Path) -> dict[str, Any]:
    """The facts of each file below a folder, by the folders that they lie in."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.py")):
        config = read_config(path)
        codebase = config.get("codebase_config", {})
        place = found.setdefault(path.parent.relative_to(folder).as_posix(), {"configs": {}})
        place["task"] = codebase.get("task", place.get("task"))
        place["configs"][path.stem] = _facts(config) | (
            {"model_type": codebase["model_type"]} if "model_type" in codebase else {}
        )
    return found


def keys(value: Any, prefix: str = "") -> Iterator[str]:
    """The keys of a config, dotted; the places in lists are left out."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from keys(child, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(child, Mapping) for child in value):
        for child in value:
            yield from keys(child, prefix)
    else:
        yield prefix


def _facts(config: Mapping[str, Any]) -> dict[str, Any]:
    backend = config.get("backend_config", {})
    common = backend.get("common_config", {})
    low = {"int8": common.get("int8_mode"), "fp16": common.get("fp16_mode")}
    facts: dict[str, Any] = {"backend": backend["type"]} if "type" in backend else {}
    facts["precision"] = next((name for name, on in low.items() if on), str(backend.get("precision", "fp32")).lower())
    ranges = [shapes for one in backend.get("model_inputs", []) for shapes in one.get("input_shapes", {}).values()]
    if ranges:
        facts["shapes"] = [ranges[0][key] for key in ("min_shape", "opt_shape", "max_shape")]
    return facts


if __name__ == "__main__":
    configs = Path(sys.argv[1])
    print(yaml.safe_dump(read(configs), sort_keys=False))
    print(yaml.safe_dump({"keys": sorted({key for path in configs.rglob("*.py") for key in keys(read_config(path))})}))
