"""The verb `import`: an OpenMMLab config becomes a file in `conf/model/`."""

from __future__ import annotations

import pytest
import yaml

from compiler.config import compose
from compiler.errors import UsageError
from compiler.networks import build
from tests.cli.running import run_verb
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


def test_the_keys_stand_as_in_our_own_files_and_short_lists_in_a_line(here):
    printed = here("import", str(write(here.folder)))
    keys = list(yaml.safe_load(printed.stdout))
    assert keys[:3] == ["name", "algo", "task"]
    assert keys[-3:] == ["network", "tail", "processing"]
    assert "\ninput_shape: [608, 1024]\n" in printed.stdout


def test_what_cannot_be_imported_is_said_with_its_place(here):
    file = write(here.folder, {**CONFIG, "model": {**CONFIG["model"], "type": "YOLOX"}})
    printed = here("import", str(file))
    assert printed.returncode == 1
    assert "there is no YOLOX here" in printed.stderr
    assert f"{file}: model.type" in printed.stderr


def test_bases_of_another_package_are_read_where_the_user_says(tmp_path, capsys):
    (tmp_path / "configs").mkdir()
    write(tmp_path / "configs")
    (tmp_path / "mine.py").write_text("_base_ = 'mmdet::my_fruit.py'\n")
    assert run_verb("import", str(tmp_path / "mine.py"), f"model.packages.mmdet={tmp_path / 'configs'}") == 0
    assert capsys.readouterr().out.startswith("# mine, from mine.py.\n")


@pytest.mark.parametrize(
    ("option", "what", "said"),
    [
        ("bogus=1", "import takes no option 'bogus'", "model.packages.mmdet, model.packages.mmdet3d"),
        (
            "model.packages.mmdte=.",
            "import takes no option 'model.packages.mmdte'",
            "did you mean model.packages.mmdet",
        ),
        ("model.packages.mmdet=nowhere", "the configs of mmdet are not there", "mmdet/.mim/configs"),
    ],
)
def test_a_package_that_is_unknown_or_not_there_is_refused(tmp_path, option, what, said):
    with pytest.raises(UsageError, match=what) as caught:
        run_verb("import", str(write(tmp_path)), option)
    assert said in caught.value.fix
