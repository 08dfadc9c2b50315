"""Which verb a command line means, and what each verb refuses."""

from __future__ import annotations

import pytest

from compiler.cli.verbs import VERBS, understood
from compiler.errors import ExitCode, UsageError
from tests.cli.running import run_verb


@pytest.mark.parametrize(
    ("words", "verb", "overrides"),
    [
        (["+model=rtmpose"], "compile", ["+model=rtmpose"]),
        (["~image"], "compile", ["~image"]),
        (["-m", "model=rtmpose"], "compile", ["model=rtmpose"]),
        (["compile", "model=rtmpose"], "compile", ["model=rtmpose"]),
        (["plan", "model=rtmpose"], "plan", ["model=rtmpose"]),
        (["compile", "a=1", "--config-dir", "conf", "b=2"], "compile", ["a=1", "b=2"]),
    ],
)
def test_without_a_verb_a_command_line_means_compile(words, verb, overrides):
    meant, given = understood(words)
    assert (meant.name, given.overrides) == (verb, overrides)


def test_nothing_at_all_shows_the_help_and_compiles_nothing(command_line, here):
    run = command_line()
    assert (run.returncode, run.stdout) == (0, here("--help").stdout)
    assert not list(command_line.folder.iterdir())


NEAREST = {
    "compile": ("--multrun", "did you mean --multirun?"),
    "plan": ("--confg-dir", "did you mean --config-dir?"),
    "build": ("--hepl", "did you mean --help?"),
    "explain": ("--hepl", "did you mean --help?"),
    "predict": ("--hepl", "did you mean --help?"),
    "evaluate": ("--hepl", "did you mean --help?"),
    "profile": ("--hepl", "did you mean --help?"),
    "verify": ("--engine-cdoe", "did you mean --engine-code?"),
    "reproduce": ("--network-cdoe", "did you mean --network-code?"),
    "check": ("--hepl", "did you mean --help?"),
    "export": ("--hepl", "did you mean --help?"),
    "sign": ("--hepl", "did you mean --help?"),
    "publish": ("--hepl", "did you mean --help?"),
    "import": ("--hepl", "did you mean --help?"),
    "convert-dataset": ("--hepl", "did you mean --help?"),
    "doctor": ("--config-dri", "did you mean --config-dir?"),
    "help": ("--config-dri", "did you mean --config-dir?"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_flag_is_refused_with_the_nearest_and_the_usage(verb):
    flag, said = NEAREST[verb]
    with pytest.raises(UsageError, match=f"{verb} takes no such flag") as caught:
        run_verb(verb, flag)
    assert caught.value.where == flag
    assert caught.value.fix.startswith(said)
    assert f"python -m compiler {verb} " in caught.value.fix


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["compile", "--model", "rtmpose"], "write model=<value>, without dashes"),
        (["plan", "--keep-fp32=Gemm"], "write keep_fp32=<value>, without dashes"),
        (["compile", "--image", "a.jpg"], "write image=<value>, without dashes"),
        (["compile", "--classes", "[a]"], "write classes=<value>, without dashes"),
        (["predict", "bundle", "a.jpg", "--box", "1,2,3,4"], "write box=<value>, without dashes"),
    ],
)
def test_a_key_that_is_spelt_as_a_flag_is_told_how_it_is_written(words, fix):
    with pytest.raises(UsageError, match="takes no such flag") as caught:
        run_verb(*words)
    assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["build"], "build takes one bundle"),
        (["build", "a", "b"], "build takes one bundle"),
        (["explain"], "explain takes one bundle"),
        (["explain", "a", "b"], "explain takes one bundle"),
        (["predict", "a"], "predict takes a bundle"),
        (["export", "triton", "a"], "export takes triton, a bundle and a repository"),
        (["export", "triton", "a", "b", "c"], "export takes triton, a bundle and a repository"),
        (["import"], "import takes one config"),
        (["import", "a.py", "b.py"], "import takes one config"),
        (["convert-dataset", "via", "in"], "convert-dataset takes a format, a data set and a file"),
        (["convert-dataset", "via", "in", "out", "more"], "convert-dataset takes a format, a data set and a file"),
        (["doctor", "x"], "doctor takes flags and backend="),
        (["verify"], "verify takes one bundle"),
        (["reproduce", "a", "b"], "reproduce takes one bundle"),
        (["publish"], "publish takes one checkpoint"),
        (["publish", "a.pth", "b.pth", "c.pth"], "publish takes one checkpoint"),
        (["help", "plan", "build"], "help takes a verb"),
        (["plan", "--config-dir"], "plan takes overrides"),
    ],
)
def test_too_little_and_too_much_are_refused_with_the_usage(words, what):
    with pytest.raises(UsageError) as caught:
        run_verb(*words)
    assert caught.value.what.startswith(what)
    assert f"python -m compiler {words[0]} " in caught.value.fix
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("verb", VERBS)
def test_a_mistake_is_one_message_and_nothing_of_argparse(here, verb):
    run = here(verb, "--nonsense")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: {verb} takes no such flag\n")
    assert "usage:" not in run.stderr
