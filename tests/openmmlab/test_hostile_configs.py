"""Config files that try to fill memory or to run forever: each is refused at once, with a message."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compiler.errors import CompileError
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate.translate import translate

SQUARES, FACTOR = 3_000_000, 40
"""How much arithmetic is measured beside each file, and how many times longer than that reading one may take."""
MEGABYTES = 200

STEPS = "steps"
BITS = "bits"
DEEP = "nested"
PYTHON = "this line could not be run even by Python"
NO_PYTHON = "this is no Python"


def doubled(start: str, step: str, end: str = "") -> str:
    return f"{start}\n" + f"{step}\n" * 60 + end


CONFIGS = {
    "a long list": ("x = [0] * 10**10", STEPS),
    "a long text": ("x = 'a' * 10**10", STEPS),
    "a long list from the right": ("x = 10**10 * [0]", STEPS),
    "lists of lists": ("x = [[0] * 1000] * 1000\ny = [x] * 1000\nz = [y] * 1000", STEPS),
    "a list that doubles": (doubled("x = [0]", "x = x + x"), STEPS),
    "a list that doubles in place": (doubled("x = [0]", "x += x"), STEPS),
    "a text that doubles": (doubled("x = 'a'", "x = x + x"), STEPS),
    "a text that doubles in an f-string": (doubled("x = 'a'", "x = f'{x}{x}'"), STEPS),
    "a tower of powers": ("x = 9**9**9", BITS),
    "a power": ("x = 2**10**9", BITS),
    "a shift": ("x = 1 << 10**10", BITS),
    "squares of squares": (doubled("x = 3", "x = x * x"), BITS),
    "a long number": (f"x = {'9' * 200_000}", NO_PYTHON),
    "a long hexadecimal number": (f"x = 0x{'f' * 200_000}", BITS),
    "a long number as text": ("x = int('9' * 100000)", PYTHON),
    "a range": ("x = list(range(10**12))", STEPS),
    "a range beyond every count": ("x = list(range(10**30))", PYTHON),
    "a rounding": ("x = round(5, -10**10)", "rounded to"),
    "an endless loop": ("a = [0]\nfor x in a:\n    a.append(x)", STEPS),
    "loops in loops": ("x = [0 for a in range(1000) for b in range(1000) for c in range(1000)]", STEPS),
    "a list twice in a list": (doubled("a = [0]", "a = [a, a]"), STEPS),
    "such lists compared": (doubled("a = [0]\nb = [0]", "a = [a, a]\nb = [b, b]", "c = a == b"), STEPS),
    "such lists searched": (doubled("a = [0]\nb = [0]", "a = [a, a]\nb = [b, b]", "c = [a].index(b)"), STEPS),
    "such lists sorted": (doubled("a = [0]\nb = [0]", "a = [a, a]\nb = [b, b]", "c = sorted([a, b])"), STEPS),
    "such lists as text": (doubled("a = [0]", "a = [a, a]", "c = f'{a}'"), STEPS),
    "such lists as text by a function": (doubled("a = [0]", "a = [a, a]", "c = str(a)"), STEPS),
    "such lists as text by a conversion": (doubled("a = [0]", "a = [a, a]", "c = f'{a!r}'"), STEPS),
    "such tuples as a key": (doubled("a = (0,)", "a = (a, a)", "c = {a: 1}"), STEPS),
    "such tuples as an index": (doubled("a = (0,)", "a = (a, a)", "c = {}[a]"), STEPS),
    "such tuples in a set": (doubled("a = (0,)", "a = (a, a)", "c = {a}"), STEPS),
    "a list in itself": ("a = []\na.append(a)", DEEP),
    "a dictionary in itself": ("a = dict()\na['a'] = a", DEEP),
    "a deep list": ("a = []\nfor i in range(50000):\n    a = [a]", DEEP),
    "a deep tuple as a key": ("a = ()\nfor i in range(50000):\n    a = (a,)\nb = {a: 1}", DEEP),
    "a wide format": ("x = f'{1:>999999999}'", "more than 999 characters"),
    "a wide format from a value": ("x = f'{1:>{10**9}}'", "more than 999 characters"),
    "a wide format by the method": ("x = '{:>999999999}'.format(1)", "more than 999 characters"),
    "a wide format from an argument": ("x = '{0:>{1}}'.format(1, 10**9)", "more than a name"),
    "a text replaced": ("x = ('a' * 90000).replace('a', 'b' * 90000)", STEPS),
    "a text replaced between letters": ("x = ('a' * 90000).replace('', 'b' * 90000)", STEPS),
    "a text joined": ("x = ('a' * 90000).join(['b'] * 90000)", STEPS),
    "brackets": (f"x = {'[' * 100_000}{']' * 100_000}", NO_PYTHON),
    "brackets within the parser's limit": (f"x = {'[' * 150}{']' * 150}", DEEP),
    "minus signs": (f"x = {'-' * 100_000}1", NO_PYTHON),
    "a long sum": (f"x = {'1+' * 100_000}1", DEEP),
    "many attributes": (f"x = _base_{'.a' * 100_000}", DEEP),
    "many subscripts": (f"x = _base_{'[0]' * 100_000}", DEEP),
    "loops in loops in loops": ("".join(f"{' ' * i}for i{i} in [0]:\n" for i in range(99)) + " " * 99 + "pass", None),
    "a null byte": ("x = 1\0", NO_PYTHON),
    "a text file of another kind": ("Dear reader,\n\nthis is a letter.", NO_PYTHON),
    "many placeholders": ("x = '" + "{{$A:" * 50_000 + "'", None),
    "a placeholder with many spaces": ("x = '{{$A:" + " " * 200_000 + "'", None),
    "an open placeholder with a long name": ("x = '{{ _base_." + "a." * 100_000 + "'", None),
    "placeholders for a long text": ("x = '''" + "{{fileDirname}}\n" * 15_000 + "'''", "placeholders"),
    "many values": ("x = [" + "0," * 120_000 + "]", None),
    "many lists": ("x = [" + "[]," * 80_000 + "]", None),
    "many calls": ("x = [" + "dict()," * 36_000 + "]", None),
    "many statements": ("a=0\n" * 60_000, None),
    "json: brackets": ("[" * 200_000, DEEP, ".json"),
    "json: many lists": ('{"a": [' + "[]," * 80_000 + "0]}", None, ".json"),
    "json: a long number": ('{"a": ' + "9" * 200_000 + "}", "parsed", ".json"),
    "yaml: brackets": ("a: " + "[" * 60_000, DEEP, ".yaml"),
    "yaml: dashes": ("- " * 60_000, DEEP, ".yaml"),
    "yaml: a list in itself": ("a: &a [*a]", DEEP, ".yaml"),
    "yaml: lists twice in lists": (
        "a0: &a0 [0]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
        STEPS,
        ".yaml",
    ),
    "yaml: merged dictionaries": (
        "a0: &a0 {k: 0}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60)),
        "merge key",
        ".yaml",
    ),
    "yaml: many values": ("a: [" + "0," * 15_000 + "]", None, ".yaml"),
}


def bases(folder: Path) -> dict[str, tuple[str, str]]:
    """Write files with bases that never end or are no configs; return the name of each and what is said of it."""

    def write(name: str, text: str) -> None:
        (folder / f"{name}.py").write_text(text)

    write("itself", "_base_ = 'itself.py'")
    write("one", "_base_ = 'two.py'")
    write("two", "_base_ = './one.py'")
    for i in range(40):
        write(f"chain{i}", f"_base_ = 'chain{i + 1}.py'")
        write(f"fan{i}", f"_base_ = ['fan{i + 1}.py', 'fan{i + 1}.py']")
    write("fan15", "")
    (folder / "binary.py").write_bytes(bytes(range(256)))
    with (folder / "huge.py").open("wb") as file:
        file.truncate(2**31)
    os.mkfifo(folder / "pipe.py")
    (folder / "endless.py").symlink_to("/dev/zero")
    (folder / "loop.py").symlink_to("loop.py")
    (folder / "folder.py").mkdir()
    for name in ("binary", "huge", "pipe", "endless", "loop", "folder", "missing"):
        write(f"to_{name}", f"_base_ = '{name}.py'")
    write("outside", "_base_ = 'mmdet::../../secret.py'")
    write("null", "_base_ = ['a\\0.py']")
    write("null_outside", "_base_ = 'mmdet::a\\0.py'")
    write("surrogate", "_base_ = '\\ud800.py'")
    write("long", "_base_ = 'a' * 9000 + '.py'")
    write("main", "_base_ = '__main__::a.py'")
    write("number", "_base_ = 5")
    write("computed", "_base_ = 'a' * 10**10")
    return {
        "itself": "a base of itself",
        "one": "a base of itself",
        "chain0": "one behind the other",
        "fan0": "more than 200 bases",
        "to_binary": "not text in UTF-8",
        "to_huge": "at most 524,288 are read",
        "to_pipe": "the file is a pipe",
        "to_endless": "the file is a device",
        "to_loop": "cannot be read",
        "to_folder": "the file is a folder",
        "to_missing": "no such file",
        "outside": "not among the configs of mmdet",
        "null": "cannot be read",
        "null_outside": "not among the configs of mmdet",
        "surrogate": "cannot be read",
        "long": "cannot be read",
        "main": "__main__, which is not installed",
        "number": "a path or a list of paths",
        "computed": STEPS,
    }


def cost_of_squares() -> float:
    """The seconds that some arithmetic takes here and now: what reading a file is a multiple of."""
    start = time.process_time()
    sum(index * index for index in range(SQUARES))
    return time.process_time() - start


def attempt(path: Path, packages: dict[str, Path]) -> dict[str, float | str]:
    """Read a config in a process of its own: what is said of it, the time it takes and the megabytes it adds."""
    receiver, sender = os.pipe()
    if os.fork() == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            read_config(path, packages)
            said = ""
        except CompileError as error:
            said = str(error)
        except BaseException as error:
            said = f"unexpected {type(error).__name__}: {error}"
        seconds = time.process_time() - start
        megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        answer = {"said": said[:2000], "times": seconds / cost_of_squares(), "megabytes": megabytes}
        os.write(sender, json.dumps(answer).encode())
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as file:
        answer = file.read()
    os.wait()
    return json.loads(answer) if answer else {"said": "unexpected end", "times": math.inf, "megabytes": 0}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What reading each file gives, from one small process that forks for each."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, (text, _, *suffix) in CONFIGS.items():
        (folder / f"{name}{suffix[0] if suffix else '.py'}").write_text(text)
    (folder / "bases").mkdir()
    paths = [str(path) for path in folder.glob("*.*")]
    paths += [str(folder / "bases" / f"{name}.py") for name in bases(folder / "bases")]
    run = subprocess.run([sys.executable, __file__, *paths], capture_output=True, text=True, check=True, timeout=300)
    return {Path(path).stem: answer for path, answer in json.loads(run.stdout).items()}


def check(answer: dict, expected: str | None) -> None:
    assert "unexpected" not in answer["said"]
    assert answer["times"] < FACTOR
    assert answer["megabytes"] < MEGABYTES
    if expected is not None:
        assert expected in answer["said"]
        assert "where:" in answer["said"]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_config_costs_little(answers, name):
    check(answers[name], CONFIGS[name][1])


def test_hostile_bases_cost_little(answers, tmp_path):
    for name, expected in bases(tmp_path).items():
        check(answers[name], expected)


@pytest.mark.parametrize("count", [10**9, 2**62, -(10**9)])
def test_a_model_of_so_many_layers_is_refused_before_it_is_translated(count):
    config = {"model": {"type": "RTMDet", "bbox_head": [{"stacked_convs": count}]}}
    with pytest.raises(CompileError) as caught:
        translate(config, "mine.py")
    assert caught.value.where == "mine.py: model.bbox_head[0].stacked_convs"


if __name__ == "__main__":
    none = {"mmdet": Path(__file__).parent}
    print(json.dumps({path: attempt(Path(path), none) for path in sys.argv[1:]}))
