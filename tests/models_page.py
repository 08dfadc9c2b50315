"""Keep the tables of docs/models.md what the configs say: `python -m tests.models_page [outputs/multirun.md]`.

The list of models is made from `conf/model/`. The table of results is replaced where the file of a sweep is given.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from compiler.config import CompileConfig, compose
from compiler.config.search import config_loader
from compiler.config.sizes import size_text
from compiler.tasks import build_task
from compiler.tasks.pose import TopdownPose
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs/models.md"
HEADER = ("Family", "Model", "Input", "OpenMMLab config", "Checkpoint", "A dynamic engine takes", "Decoding")


def models_table() -> str:
    """Return one row for each model in `conf/model/`; its full name stands beside the short one."""
    names: dict[str, list[str]] = {}
    for choice in config_loader().get_group_options("model"):
        model = compose([f"model={choice}"]).model
        if "target" not in model.network:
            names.setdefault(model.name, []).append(choice)
    rows = [HEADER, ("---",) * len(HEADER), *(tuple(_cells(choices)) for choices in names.values())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(choices: list[str]) -> Iterator[str]:
    config = compose([f"model={choices[0]}", "shape=dynamic"])
    model = config.model
    codebase, path = model.openmmlab.split("/.mim/configs/")
    yield model.algo
    yield ", ".join(f"`{choice}`" for choice in choices)
    yield size_text(model.input_shape)
    yield f"{codebase}: `{Path(path).stem}`"
    yield f"[{model.official.sha256}]({model.official.url})" if model.official.url else "none"
    yield _dynamic(config)
    yield _decoding(config)


def _dynamic(config: CompileConfig) -> str:
    sizes = config.sizes
    if sizes.fixed:
        return "any batch"
    return f"any batch; {size_text(sizes.smallest)} to {size_text(sizes.largest)}, by {size_text(sizes.stride)}"


def _decoding(config: CompileConfig) -> str:
    task = build_task(config.model.processing)
    if not isinstance(task, TopdownPose):
        selection = task.test_cfg
        return f"score > {selection.score_thr:g}, NMS at {selection.iou_threshold:g}, best {selection.max_per_img}"
    codec = type(task.codec).__name__
    return (
        f"{codec}, DARK" if getattr(task.codec, "unbiased", False) or getattr(task.codec, "use_dark", False) else codec
    )


def replaced(page: str, name: str, content: str) -> str:
    """Return the page with what lies between `<!-- name -->` and `<!-- end of name -->` replaced.

    Raises:
        ValueError: The page has not exactly one such place.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    new, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}{content}\n{end}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"{PAGE.name} has {count} places for {name}")
    return new


def main(results: str | None = None) -> None:
    """Write the page anew."""
    page = replaced(PAGE.read_text(), "models", models_table())
    if results:
        page = replaced(page, "table", Path(results).read_text().strip())
    PAGE.write_text(page)


if __name__ == "__main__":
    main(*sys.argv[1:])
