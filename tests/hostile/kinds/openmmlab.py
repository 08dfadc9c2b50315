"""OpenMMLab configs: the Python text, and what is in it."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from tests.hostile import mutate
from tests.hostile.case import Case
from tests.hostile.seeds import Seeds

TRICKS = (
    "import os\nos.system('touch called')",
    "x = __import__('os').system('touch called')",
    'exec(\'open("called", "w")\')',
    "x = eval('1')",
    "x = open('called', 'w')",
    "x = (lambda: 1)()",
    "def f():\n    return 1\nx = f()",
    "class A:\n    x = 1",
    "x = ().__class__.__base__.__subclasses__()",
    "x = '{0.__class__}'.format(1)",
    "x = f'{().__class__}'",
    "x = dict.__subclasses__()",
    "from this import s",
    "import antigravity",
    "from mmengine.config import read_base\nwith read_base():\n    from .base import *",
    "from mmengine.config import read_base\nwith read_base():\n    from .............................base import *",
    "_base_ = ['config.py']",
    "_base_ = ['../../../../../../../etc/passwd']",
    "_base_ = ['mmdet::../../../../etc/passwd.py']",
    "_base_ = ['http://127.0.0.1:9/a.py']",
    "_base_ = ['/dev/zero']",
    "_base_ = ['pipe.py']",
    "_base_ = [['base.py']]",
    "_base_ = 3",
    "custom_imports = dict(imports=['this', 'antigravity'], allow_failed_imports=False)",
    "while True:\n    pass",
    "x = [0] * 10**9",
    "x = 'a' * 10**10",
    "x = 9**9**9",
    "x = {{ fileDirname }}",
    "x = '{{$HOME:}}'",
    "x = '{{ _base_.model }}'",
    "x = [*range(10**9)]",
    "model.backbone = model",
    "model['backbone']['x'] = model",
    "del model",
    "model.update(model)",
    "assert False",
    "raise ValueError('\\x1b[31m\\nerror: another')",
    "try:\n    x = 1\nexcept Exception:\n    pass",
    "x = 1 if model else 2",
    "model = model.copy()",
    "model.pop('backbone')",
    "x = yield",
    "global model",
    "print('\\x1b[31m')",
)
"""Lines that a config may not hold, or that are hard to read."""


def openmmlab_structure(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A config with other values."""
    config = mutate.tree(random, _lists(random.choice(_configs())))
    suffix = random.choice((".py", ".py", ".py", ".json", ".yaml"))
    if suffix == ".py" and isinstance(config, dict):
        pairs = (f"{key} = {value!r}" for key, value in config.items() if isinstance(key, str) and key.isidentifier())
        text = mutate.with_raw("\n".join(pairs)).replace(" inf", " float('inf')").replace(" nan", " float('nan')")
    else:
        text = mutate.as_yaml(config) if suffix == ".yaml" else mutate.as_json(config)
    return _imported(random, folder, text, suffix)


def openmmlab_text(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A config with other lines."""
    from tests.openmmlab.user_config import CONFIG

    text = CONFIG
    if random.random() < 0.5:
        text += random.choice(TRICKS) + "\n"
    elif random.random() < 0.5:
        text = random.choice(TRICKS) + "\n" + text
    else:
        text = mutate.lines(random, text)
    if random.random() < 0.2:
        data = mutate.content(random, text.encode("utf-8", "surrogatepass"))
        text = data.decode("utf-8", "surrogateescape")
    return _imported(random, folder, text, ".py")


def _imported(random: Random, folder: Path, text: str, suffix: str) -> Case:
    import os

    (folder / f"config{suffix}").write_bytes(text.encode("utf-8", "replace"))
    (folder / "base.py").write_text(random.choice(("y = 1", "_base_ = ['config.py']", "import os", "y = [", "")))
    os.mkfifo(folder / "pipe.py")
    # Bases of a config lie anywhere: the folders of a project refer to each other.
    if random.random() < 0.8:
        return Case(["import", f"config{suffix}"], reads_anywhere=True)
    words = ["compile", "--cfg", "job", "model=openmmlab", f"model.config=config{suffix}"]
    return Case(words, reads_anywhere=True)


def _configs() -> list[Any]:
    from tests.openmmlab import test_translate_detection as detection
    from tests.openmmlab import test_translate_pose as pose
    from tests.openmmlab import test_translate_text as text
    from tests.openmmlab import test_translate_voxels as voxels

    return [pose.CONFIG, detection.CONFIG, text.DETECTOR, text.RECOGNIZER, voxels.POINTPILLARS, voxels.CENTERPOINT]


def _lists(node: Any) -> Any:
    """A config with lists for tuples."""
    if isinstance(node, dict):
        return {key: _lists(value) for key, value in node.items()}
    return [_lists(item) for item in node] if isinstance(node, list | tuple) else node
