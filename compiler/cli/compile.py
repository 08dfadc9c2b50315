"""The verb `compile`: one config, or with `-m` every combination of several."""

from __future__ import annotations

from argparse import Namespace

from compiler.cli.arguments import Parser, one_of
from compiler.cli.composing import add_overrides
from compiler.cli.verb import Verb
from compiler.errors import UsageError

PARTS = ("job", "hydra", "all")
EXCLUSIVE = ("cfg", "info", "hydra_help", "shell_completion", "multirun")
TOGETHER = {"cfg", "multirun"}
"""Which of these go together: the configs of a sweep are printed."""
TOPICS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def add_arguments(parser: Parser) -> None:
    """Add the overrides, and the flags that Hydra's users know."""
    add_overrides(parser)
    flag = parser.add_argument
    text = "compile every combination of comma-separated choices; prints and saves one table"
    flag("--multirun", "-m", action="store_true", help=text)
    text = "print the composed config and stop: job (with -m those of all jobs), hydra (its settings) or all"
    flag("--cfg", "-c", type=one_of("--cfg", PARTS), metavar="PART", help=text)
    flag("--package", "-p", metavar="KEY", help="with --cfg: print what is below this key")
    flag("--resolve", action="store_true", help="with --cfg: print values instead of ${references}")
    text = f"print how the config is composed, or one of: {', '.join(TOPICS[1:])}"
    flag("--info", "-i", nargs="?", const="all", type=one_of("--info", TOPICS), metavar="TOPIC", help=text)
    flag("--hydra-help", action="store_true", help="print what Hydra can do")
    text = "with install=bash: print the shell completion of the deploy-compiler command"
    flag("--shell-completion", "-sc", action="store_true", help=text)


def run(given: Namespace) -> int:
    """Compile; or show a config, help or completions, where Hydra's flags ask for them."""
    _refuse_contradictions(given)
    if given.cfg or given.info or given.hydra_help or given.shell_completion:
        from compiler.cli.show import show

        return show(given)
    if given.multirun:
        from compiler.cli.sweep import sweep

        return sweep(given.overrides, given.config_dir)
    from compiler.openmmlab.translated_model import composed

    config = composed(given.overrides, given.config_dir)

    from compiler.api import compile_composed
    from compiler.report.console import console, print_outcome, progress

    screen = console()
    with progress(screen) as listen:
        outcome = compile_composed(config, given.overrides, lambda one: composed(one, given.config_dir), listen)
    print_outcome(screen, outcome)
    return outcome.exit_code


def _refuse_contradictions(given: Namespace) -> None:
    """Refuse flags of which one would be ignored."""
    asked = [name for name in EXCLUSIVE if getattr(given, name)]
    if len(asked) > 1 and not (set(asked) == TOGETHER and given.cfg == "job"):
        flags = " ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise UsageError("these flags ask for different things", where=flags, fix="leave one of them")
    if (given.package or given.resolve) and not given.cfg:
        raise UsageError(
            "--package and --resolve say how a config is printed", where="command line", fix="add --cfg job"
        )


VERB = Verb(
    name="compile",
    help="what happens without a verb: network -> rewriters -> ONNX -> engine -> proof -> bundle",
    usage="[override ...] [flags]",
    takes="overrides and flags",
    examples=(
        "+backend=onnxruntime +model=rtmpose",
        "+deploy=pose-detection_simcc_onnxruntime_dynamic_256x192",
        "model=rtmdet-tiny shape=dynamic_320x320-640x640 tail=host",
        "model=pointpillars points=street.bin",
        "model=openmmlab model.config=work_dirs/mine/mine.py checkpoint=epoch_40.pth",
        "model=torch model.target=nets:build model.inputs.x=1x3x224x224",
        "model=onnx model.file=net.onnx",
        "model=rtmpose-s checkpoint=rtmpose-s.pth image=photo.jpg box=80,20,310,460",
        "-m model=rtmpose,rtmpose-s shape=static_256x192,dynamic_256x192",
    ),
    add_arguments=add_arguments,
    run=run,
    composes=True,
)
