"""The verb `import`: an OpenMMLab config becomes a file in `conf/model/`."""

from __future__ import annotations

import yaml

from compiler.config import compose
from compiler.networks import build
from tests.openmmlab.test_translate_detection import CONFIG


def write(folder, config=CONFIG):
    """Write a config as OpenMMLab's training leaves it: names and literals."""
    file = folder / "my_fruit.py"
    file.write_text("\n".join(f"{key} = {value!r}" for key, value in config.items()))
    return file


def test_what_is_printed_is_a_model_of_ones_own(command_line):
    file = write(command_line.folder)
    printed = command_line("import", str(file))
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.startswith("# my-fruit, from my_fruit.py.\n")
    (command_line.folder / "conf/model").mkdir(parents=True)
    (command_line.folder / "conf/model/mine.yaml").write_text(printed.stdout)
    config = compose(["model=mine", "tail=host"], command_line.folder / "conf")
    assert config.model.processing["tail"] == config.model.tail["kind"] == "host"
    assert build(config.model.network).bbox_head.num_classes == 2


def test_the_keys_stand_as_in_our_own_files_and_short_lists_in_a_line(command_line):
    printed = command_line("import", str(write(command_line.folder)))
    keys = list(yaml.safe_load(printed.stdout))
    assert keys[:3] == ["name", "algo", "task"]
    assert keys[-3:] == ["network", "tail", "processing"]
    assert "\ninput_shape: [608, 1024]\n" in printed.stdout


def test_what_cannot_be_imported_is_said_with_its_place(command_line):
    file = write(command_line.folder, {**CONFIG, "model": {**CONFIG["model"], "type": "YOLOX"}})
    printed = command_line("import", str(file))
    assert printed.returncode == 1
    assert "there is no YOLOX here" in printed.stderr
    assert f"{file}: model.type" in printed.stderr


def test_import_takes_one_config(command_line):
    printed = command_line("import")
    assert printed.returncode == 2
    assert "import takes one config" in printed.stderr
