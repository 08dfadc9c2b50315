"""The verbs, and which of them a command line means."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from compiler.cli.build import VERB as BUILD
from compiler.cli.check import VERB as CHECK
from compiler.cli.compile import VERB as COMPILE
from compiler.cli.convert_dataset import VERB as CONVERT_DATASET
from compiler.cli.doctor import VERB as DOCTOR
from compiler.cli.evaluate import VERB as EVALUATE
from compiler.cli.explain import VERB as EXPLAIN
from compiler.cli.export import VERB as EXPORT
from compiler.cli.help import VERB as HELP
from compiler.cli.import_config import VERB as IMPORT
from compiler.cli.mmdeploy_command import refuse_command
from compiler.cli.plan import VERB as PLAN
from compiler.cli.predict import VERB as PREDICT
from compiler.cli.profile import VERB as PROFILE
from compiler.cli.publish import VERB as PUBLISH
from compiler.cli.reproduce import VERB as REPRODUCE
from compiler.cli.sign import VERB as SIGN
from compiler.cli.verb import Verb
from compiler.cli.verify import VERB as VERIFY
from compiler.errors import UsageError, nearest

_ALL = (
    *(COMPILE, PLAN, BUILD, EXPLAIN),
    *(PREDICT, EVALUATE, PROFILE, EXPORT),
    *(VERIFY, REPRODUCE, CHECK, SIGN),
    *(IMPORT, PUBLISH, CONVERT_DATASET),
    *(DOCTOR, HELP),
)
VERBS = {verb.name: verb for verb in _ALL}


def verb_named(name: str) -> Verb:
    """The verb of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in VERBS:
        raise UsageError(f"there is no verb '{name}'", where="command line", fix=nearest(name, VERBS))
    return VERBS[name]


def understood(words: Sequence[str]) -> tuple[Verb, Namespace]:
    """The verb that a command line means, and its arguments. No verb means compile, and nothing at all help.

    Raises:
        UsageError: There is no such verb, or it takes no such arguments, or it is a command of MMDeploy's.
    """
    if not words:
        return HELP, HELP.parser().parsed([])
    refuse_command(words)
    name, rest = (None, words) if not words or _is_argument(words[0]) else (words[0], words[1:])
    verb = COMPILE if name is None else verb_named(name)
    if "--help" in rest or "-h" in rest:
        flags, _ = HELP.parser().parse_known_args(list(rest))
        return HELP, Namespace(verb=name, config_dir=flags.config_dir)
    return verb, verb.parser().parsed(rest)


def _is_argument(word: str) -> bool:
    return "=" in word or word.startswith(("-", "+", "~"))
