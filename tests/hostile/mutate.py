"""Changes to values, trees of them, texts and bytes: each takes the random numbers that it is made from."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

RAW = {
    "@deep-list@": "[" * 3000 + "]" * 3000,
    "@nested-list@": "[" * 60 + "]" * 60,
    "@long-number@": "9" * 5000,
    "@many@": "[" + "0," * 30_000 + "0]",
    "@beyond@": "1e999",
}
"""What no dumper writes, by what stands for it until the text is there."""
NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 7, 255, 256, 65536, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30),
    *(-(2**31), -(2**63), 0.0, -0.0, 0.5, 1e-9, 1e-320, 1e30, 1e308, -1e308),
    *(float("inf"), float("-inf"), float("nan"), "@long-number@", "@beyond@"),
)
PATHS = (
    "../outside/secret.txt",
    "../../outside/secret.txt",
    "a/../../outside/secret.txt",
    "/etc/passwd",
    "~/secret",
    "file:///etc/passwd",
    "http://127.0.0.1:9/a",
    "..",
    ".",
    "/",
    "",
    "..\\outside\\secret.txt",
    "C:\\secret.txt",
    "\\\\server\\share",
    "/dev/zero",
    "/dev/stdin",
    "/proc/self/mem",
    "a\x00b",
    "con",
    "x" * 300,
    "x/" * 3000 + "x",
)
TARGETS = (
    "os.system",
    "subprocess.Popen",
    "subprocess.check_output",
    "builtins.eval",
    "builtins.exec",
    "builtins.__import__",
    "builtins.open",
    "builtins.breakpoint",
    "pickle.loads",
    "torch.load",
    "torch.hub.load",
    "numpy.load",
    "this.s",
    "antigravity.geohash",
    "idlelib.run.main",
    "pathlib.Path.unlink",
    "pathlib.Path.write_text",
    "shutil.rmtree",
    "os.remove",
    "os._exit",
    "sys.exit",
    "signal.pause",
    "time.sleep",
    "ctypes.CDLL",
    "code.interact",
    "hydra.utils.instantiate",
    "compiler.__main__.main",
    "compiler.cli.verbs.understood",
    "compiler.config.instantiate.instantiate",
    "compiler.artifact.files.write_text",
    "compiler.artifact.folders.replace_folder",
    "compiler.artifact.read_json",
    "compiler.networks.torch_module.TorchModule",
    "compiler.networks.targets.find_target",
    "compiler.backends.tensorrt.TensorRT",
    "compiler.backends.onnxruntime.OnnxRuntime",
    "compiler.tasks.pose.TopdownPose",
    "compiler.tasks.detection.ObjectDetection",
    "compiler.tasks.classes.Classes",
    "compiler.tasks.arrays.task.RawTensors",
    "compiler.tasks.images.cv2",
    "compiler",
    "compiler.",
    ".compiler",
    "os",
    "",
    ".",
    "a..b",
)
TEXTS: tuple[str, ...] = (
    *(
        "",
        " ",
        "a",
        "\n",
        "\t",
        "\x00",
        "a\x00b",
        "\r",
        "a\nerror: another",
        "a\n  why:   another",
        "\x1b[31mred\x1b[0m",
    ),
    *(
        "\x1b]0;title\x07",
        "[bold red]x[/]",
        "[/]",
        "[link=file:///etc/passwd]x[/link]",
        "%s%n%d",
        "{0.__class__}",
        "{x}",
    ),
    *(
        "${oc.env:HOME}",
        "${oc.decode:1}",
        "${model}",
        "${.}",
        "${..a}",
        "${a",
        "${",
        "$",
        "${oc.create:${a}}",
        "\\${a}",
    ),
    *(
        "???",
        "null",
        "nan",
        "true",
        "yes",
        "0x1f",
        "1_000",
        "1e5",
        "-",
        "~",
        "=",
        "@",
        "!!python/object/apply:os.system [x]",
    ),
    *(
        "é",
        "e\u0301",
        "\u202etxt.exe",
        "\U0001d4b3",
        "\ufeff",
        "\ufffe",
        "\u2028",
        "ẞ",
        "İ",
        "٣",
        "\U0001f600" * 50,
        "א",
    ),
    *("x" * 1000, "x" * 100_000, "1x3x16x16", "nx3xhxw:float32", "1x1x1x1x1x1x1x1", "0x0", "-1x3", "99999999999x3"),
    *(
        "float16",
        "float128",
        "object",
        "V8",
        "O",
        "S",
        "complex64",
        "bfloat16",
        "int4",
        "(2,3)f4",
        "f4,f4",
        "datetime64",
    ),
    *("<script>alert(1)</script>", "{{ 7*7 }}", "{% raw %}", "'", '"', "`touch x`", "; touch x", "$(touch x)"),
)
KEYS = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_", "__class__", "version", "name", "", "a.b", "a/b")


def value(random: Random) -> Any:
    """A hostile value of any type."""
    match random.randrange(9):
        case 0 | 1:
            return random.choice(NUMBERS)
        case 2 | 3:
            return random.choice(TEXTS)
        case 4:
            return random.choice(PATHS)
        case 5:
            return random.choice((None, True, False, [], {}, [[]], [None], [{}], {"": None}, "@deep-list@", "@many@"))
        case 6:
            return target(random)
        case 7:
            return [value(random) for _ in range(random.randrange(1, 5))]
        case _:
            return {random.choice(KEYS): value(random) for _ in range(random.randrange(1, 3))}


def target(random: Random) -> dict[str, Any]:
    """A node that names something to be called, with something to harm by."""
    name = random.choice(TARGETS)
    arguments = ["touch called", "../outside/made.txt", ["touch", "called"], "import os; os.system('touch called')", 5]
    node: dict[str, Any] = {"_target_": name}
    if random.random() < 0.5:
        node["_args_"] = [random.choice(arguments)]
    if random.random() < 0.5:
        node[random.choice(("command", "args", "path", "name", "source", "self", "shell"))] = random.choice(arguments)
    return node


def tree(random: Random, root: Any) -> Any:
    """A copy of a tree of lists and dictionaries, with one to three changes."""
    root = copy.deepcopy(root)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        root = _change_one(random, root)
    return root


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a tree, with each of its keys."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in list(items):
        yield node, key
        yield from _places(item)


def _change_one(random: Random, root: Any) -> Any:
    places = list(_places(root))
    if not places or random.random() < 0.02:
        return value(random)
    parent, key = random.choice(places)
    random.choice((_change_value, _change_value, _change_value, _change_place))(random, parent, key, places)
    return root


def _change_value(random: Random, parent: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    """Another value, where there was one."""
    other, place = random.choice(places)
    parent[key] = random.choice(
        (
            *(value(random), value(random), value(random), target(random)),
            *(_alike(random, parent[key]), _alike(random, parent[key]), _alike(random, parent[key])),
            *(copy.deepcopy(other[place]), [parent[key]], {"a": parent[key]}, [parent[key]] * 3),
        )
    )


def _change_place(random: Random, parent: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    """A value that is missing, is there again, or stands somewhere else."""
    kind = random.randrange(3)
    if kind == 0:
        del parent[key]
    elif isinstance(parent, dict):
        name = random.choice((*KEYS, *TEXTS, f"{key}x", str(key).upper()))
        parent[name] = parent.pop(key) if kind == 1 else value(random)
    elif kind == 1:
        random.shuffle(parent)
    else:
        parent.extend([copy.deepcopy(parent[key])] * random.choice((1, 2, 1000)))


def _alike(random: Random, old: Any) -> Any:
    """A value of the same type where there is one."""
    if isinstance(old, bool) or old is None:
        return random.choice((True, False, None, "yes", 0))
    if isinstance(old, int | float):
        return random.choice((*NUMBERS, old + 1, -old, old * 1000, str(old), [old], float(old)))
    if isinstance(old, str):
        changes = (
            old + "x",
            old[:-1],
            old.upper(),
            old[::-1],
            old + "/..",
            f"../{old}",
            f"./{old}",
            f"/{old}",
            old * 50,
        )
        return random.choice((*changes, random.choice(TEXTS), random.choice(PATHS), random.choice(TARGETS)))
    if isinstance(old, list):
        return random.choice(([], old * 2, old[:-1], old[::-1], [old], dict(enumerate(old)), old * 200))
    return random.choice(({}, [old], list(old), None, {**old, **target(random)}))


def as_json(root: Any) -> str:
    """A tree as JSON, or what a lenient writer takes for it."""
    return with_raw(json.dumps(root, indent=1, default=str, skipkeys=True))


def as_yaml(root: Any) -> str:
    """A tree as YAML."""
    import yaml

    try:
        return with_raw(yaml.safe_dump(root, sort_keys=False, allow_unicode=True))
    except yaml.YAMLError:
        return as_json(root)


def with_raw(text: str) -> str:
    """A text with what no dumper writes."""
    for name, raw in RAW.items():
        for quoted in (f'"{name}"', f"'{name}'", name):
            text = text.replace(quoted, raw)
    return text


def content(random: Random, data: bytes) -> bytes:
    """Bytes with a few flipped, cut, doubled or put in."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        place = random.randrange(len(changed) + 1)
        match random.randrange(8):
            case 0 | 1 | 2:
                if place < len(changed):
                    changed[place] ^= 1 << random.randrange(8)
            case 3:
                del changed[place:]
            case 4:
                del changed[place : place + random.choice((1, 4, 100))]
            case 5:
                changed[place:place] = changed[place : place + random.choice((1, 16, 500))]
            case 6:
                changed[place : place + 4] = random.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
            case _:
                changed[place:place] = random.choice(TEXTS)[:200].encode("utf-8", "surrogatepass")
    return bytes(changed)


def lines(random: Random, text: str) -> str:
    """A text with a few of its lines or words changed."""
    rows = text.split("\n")
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(len(rows))
        match random.randrange(8):
            case 0:
                del rows[place]
                rows = rows or [""]
            case 1:
                rows.insert(place, random.choice(rows))
            case 2:
                rows[place] = random.choice(TEXTS)
            case 3:
                rows[place] += random.choice(TEXTS)
            case 4:
                rows[place] = f"  {rows[place]}"
            case 5:
                rows = [*rows[:place], *[rows[place]] * random.choice((2, 2000)), *rows[place + 1 :]]
            case _:
                words = rows[place].split(" ")
                words[random.randrange(len(words))] = str(random.choice((*NUMBERS, *TEXTS, *PATHS, *TARGETS)))
                rows[place] = " ".join(words)
    return with_raw("\n".join(rows))
