"""What Hydra shows of a config: `--cfg`, `--info`, `--hydra-help` and shell completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from compiler.config import compose
from compiler.errors import UsageError
from tests.cli.running import run_verb
from tests.conftest import NAME


def test_cfg_prints_the_composed_config_whatever_the_spelling(command_line, here):
    spelt = command_line("--cfg", "job", "+backend=onnxruntime", "+model=rtmpose-s")
    named = here("--cfg", "job", f"+deploy={NAME.replace('simcc', 'rtmpose-s')}")
    assert spelt.returncode == named.returncode == 0
    assert "name: rtmpose-s" in spelt.stdout
    assert named.stdout.replace("shape: dynamic_256x192", "shape: dynamic") == spelt.stdout


def test_the_config_begins_with_what_was_chosen(shown):
    page = shown("--cfg", "job", "model=rtmpose-s")
    assert page.startswith(
        "# pose-detection_rtmpose-s_onnxruntime_dynamic_256x192\n"
        "# model=rtmpose-s backend=onnxruntime precision=fp32 shape=dynamic_256x192\n"
        "model:\n  name: rtmpose-s\n"
    )
    assert yaml.safe_load(page)["model"]["processing"]["codec"]["input_size"] == "${..input_size}"


def test_the_config_goes_by_the_name_of_its_bundle(shown):
    overrides = ("model=rtmpose-s", "batch.largest=8")
    assert shown("--cfg", "job", *overrides).startswith(f"# {compose(overrides).deploy_name}\n# model=rtmpose-s ")
    assert "_256x192+v" in shown("--cfg", "job", *overrides)
    pages = shown("-m", "--cfg", "job", "model=rtmpose-s", "checkpoint=a.pth,b.pth").split("---\n")
    assert len({page.partition("\n")[0] for page in pages}) == 2


def test_the_config_of_ones_own_module_says_what_it_is_called(shown):
    page = yaml.safe_load(shown("--cfg", "job", "model=torch", "model.target=nets:build", "model.inputs.x=1x3x8x8"))
    assert page["model"]["name"] == "nets-build"


def test_the_config_says_which_tail_the_backend_has_of_its_own(shown):
    assert yaml.safe_load(shown("--cfg", "job"))["tail"] == "native"
    assert yaml.safe_load(shown("--cfg", "job", "tail=host"))["tail"] == "host"


def test_the_configs_of_a_sweep_are_documents_of_one_page(shown):
    pages = list(yaml.safe_load_all(shown("-m", "model=rtmpose,rtmpose-s", "precision=fp32,fp16", "--cfg", "job")))
    assert [(page["model"]["name"], page["precision"]) for page in pages] == [
        ("rtmpose", "fp32"),
        ("rtmpose", "fp16"),
        ("rtmpose-s", "fp32"),
        ("rtmpose-s", "fp16"),
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["deploy-compiler", "model=rtmpose-"], "model=rtmpose-s"),
        (["deploy-compiler", "backe"], "backend="),
        (["deploy-compiler", "batch."], "batch.largest="),
    ],
)
def test_bash_completes_choices_and_keys(command_line, words, expected):
    # The `deploy-compiler` command stands beside the interpreter.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = (
        'eval "$(deploy-compiler -sc install=bash)"; '
        f'COMP_LINE="{" ".join(words)}"; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; '
        'hydra_bash_completion; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    run = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": path},
        cwd=command_line.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert expected in run.stdout.split(), run.stderr


@pytest.fixture
def shown(capsys):
    """Run the verb `compile`; return what it printed."""

    def run(*words):
        assert run_verb("compile", *words) == 0
        return capsys.readouterr().out

    return run


def test_a_part_of_the_config_is_printed_with_its_references_or_their_values(shown):
    head = ("--cfg", "job", "--package", "model.network.head", "model=simcc-mobilenetv2")
    assert "input_size: ${...processing.input_size}" in shown(*head)
    assert "input_size:\n- 192\n- 256\n" in shown(*head, "--resolve")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cfg", "hydra"], "\n  job:\n"),
        (["--info", "searchpath", "--config-dir", "."], "command-line"),
        (["--info", "defaults", "model=rtmpose-s"], "model/rtmpose-s"),
        (["--info", "model=rtmpose-s"], "--info takes no 'model=rtmpose-s'"),
        (["model=rtmpose-s", "--info"], "name: rtmpose-s"),
        (["--hydra-help"], "See https://hydra.cc"),
    ],
)
def test_hydras_settings_and_how_the_config_is_composed_are_shown(here, words, said):
    run = here(*words)
    assert said in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("words", "what", "said"),
    [
        (["--cfg", "jop"], "--cfg takes no 'jop'", "did you mean job?"),
        (["--info", "serchpath"], "--info takes no 'serchpath'", "did you mean searchpath?"),
        (["--cfg", "job", "--packge", "model"], "compile takes no such flag", "did you mean --package"),
        (["--cfg", "job", "--package", "modle"], "the config has no part 'modle'", "did you mean model?"),
        (["--cfg", "hydra", "-m"], "these flags ask for different things", "--cfg --multirun"),
        (["--cfg", "job", "precision=bf16"], "onnxruntime cannot be built in bf16", "use precision=fp32"),
        (["--resolve"], "say how a config is printed", "add --cfg job"),
        (["--cfg", "job", "model=rtmpos"], "there is no model 'rtmpos'", "did you mean rtmpose"),
        (["-sc", "instal=bash"], "Hydra cannot show this", "Expecting one subcommand"),
        (["--info", "--config-dir", "nowhere"], "the config folder nowhere does not exist", "--config-dir"),
        (["--config-dir"], "compile takes overrides and flags", "--config-dir/-cd: expected one argument"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_message(capfd, words, what, said):
    with pytest.raises(UsageError) as caught:
        run_verb("compile", *words)
    assert what in caught.value.what
    assert said in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_the_arguments_of_the_process_are_as_they_were(shown):
    before = list(sys.argv)
    shown("--cfg", "job")
    assert sys.argv == before
