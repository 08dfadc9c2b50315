"""Another result where anything is another that somebody's own network is made of; the same one where nothing is."""

from __future__ import annotations

import importlib
import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compiler.artifact import digest
from compiler.config import compose
from compiler.errors import CompileError
from compiler.pipeline.job import Job, read_job
from compiler.sources.torch_network import WEIGHTS_FILE

TORCH = ("model=torch", "model.target=own_nets:Net", "model.inputs.x=1x3", "shape=static")
LINEAR = "self.layer = nn.Linear(3, 2)"
FILES = {
    "the state dict": ("self.layer = nn.Linear(3, 2)\n        self.layer.load_state_dict(torch.load('own.pt'))", "pt"),
    "a buffer that is not saved": (
        "self.register_buffer('scale', torch.load('own.pt')['weight'].sum(), persistent=False)",
        "pt",
    ),
    "a plain tensor": ("self.scale = torch.load('own.pt')['weight']", "pt"),
    "an array": ("self.scale = np.load('own.npy')", "npy"),
    "a number": ("self.scale = json.loads(open('own.json').read())['scale']", "json"),
    "settings": ("self.settings = {'deep': [SimpleNamespace(**json.loads(open('own.json').read()))]}", "json"),
}
CLASS = """
import itertools, json, time
from types import SimpleNamespace
import numpy as np
import torch
from torch import nn

{above}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {body}

    def forward(self, x):
        {forward}
        return x + 1
"""


def write_nets(folder: Path, body: str = LINEAR, above: str = "", forward: str = "") -> None:
    (folder / "own_nets.py").write_text(CLASS.format(above=above, body=body, forward=forward))
    importlib.invalidate_caches()


def write_data(folder: Path, value: float) -> None:
    """Write the files that a network of `FILES` reads."""
    weights = {"weight": torch.full((2, 3), value), "bias": torch.zeros(2)}
    torch.save(weights, folder / "own.pt")
    np.save(folder / "own.npy", np.full(3, value))
    (folder / "own.json").write_text(json.dumps({"scale": value}))


def forget() -> None:
    """Let the next run import everything anew, as another process does."""
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, which holds somebody's own code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    write_data(tmp_path, 1.0)
    yield tmp_path
    forget()


composed = cache(compose)
"""Composing takes longer than what is tested here."""


def job(*overrides: str) -> Job:
    """Read a job as a process of its own does."""
    forget()
    return read_job(composed((*TORCH, *overrides)))


def key(*overrides: str) -> str:
    return digest(job(*overrides).key)


@pytest.mark.parametrize("place", FILES)
def test_a_file_that_the_network_reads_counts_by_what_came_of_it(folder, place):
    write_nets(folder, body=FILES[place][0])
    before = key()
    write_data(folder, 1.0)
    assert key() == before, "written again, and the same"
    write_data(folder, 2.0)
    assert key() != before


def test_a_file_that_a_module_reads_counts_too(folder):
    write_nets(folder, above="from own_settings import SCALE")
    (folder / "own_settings.py").write_text("import json\nSCALE = json.loads(open('own.json').read())['scale']")
    before = key()
    assert key() == before
    write_data(folder, 2.0)
    assert key() != before


@pytest.mark.parametrize(
    "nets",
    [
        {"above": "import own_helper"},
        {"body": "import own_helper"},
        {"forward": "import own_helper"},
        {"body": "self.act = __import__('importlib').import_module('own' + '_helper').act"},
        {"forward": "__import__('importlib').import_module('own' + '_helper').act(x)"},
        {"forward": "from own_space.inner import act"},
    ],
)
def test_a_helper_counts_however_late_it_is_imported(folder, nets):
    def write_helper(factor: int) -> None:
        (folder / "own_space").mkdir(exist_ok=True)
        for path in ("own_helper.py", "own_space/inner.py"):
            (folder / path).write_text(f"def act(x):\n    return {factor} * x\n")

    write_nets(folder, **nets)
    write_helper(1)
    before = key()
    write_helper(1)
    (folder / "own_other.py").write_text("never = 'imported'")
    assert key() == before
    write_helper(2)
    assert key() != before


@pytest.mark.parametrize(
    "nets",
    [
        {"body": "self.made = time.time()"},
        {"above": "numbers = itertools.count()", "body": "self.name = f'net {next(numbers)}'"},
        {"above": "made = []", "body": "made.append(1); self.layer = nn.Linear(3, 2)"},
        {"body": "self.seen = None", "forward": "self.seen = x.shape"},
        {"body": "self.layer = nn.Linear(3, 2); self.noise = torch.rand(3) + np.random.rand(3)"},
    ],
)
def test_what_is_another_each_time_and_what_is_drawn_from_the_seed_does_not_count(folder, nets):
    write_nets(folder, **nets)
    first = job()
    assert digest(first.key) == key()
    first.source.build()


def test_what_is_drawn_without_a_seed_makes_no_result(folder):
    write_nets(folder, body=f"{LINEAR}; self.noise = np.random.default_rng().random(3)")
    with pytest.raises(CompileError, match="changed while it was being read") as caught:
        job()
    assert caught.value.where == "model.target=own_nets:Net, module.noise"


def test_weights_that_a_checkpoint_replaces_do_not_count(folder):
    body = f"{LINEAR}; nn.init.constant_(self.layer.bias, np.random.default_rng().random())"
    write_nets(folder, body=body)
    torch.save(nn.Linear(3, 2).state_dict(), "own.pt")
    weights = {f"layer.{name}": tensor for name, tensor in torch.load("own.pt").items()}
    torch.save(weights, "weights.pth")
    before = key("checkpoint=weights.pth")
    assert key("checkpoint=weights.pth") == before
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, "weights.pth")
    assert key("checkpoint=weights.pth") != before


@pytest.mark.parametrize("place", FILES)
def test_a_file_that_is_replaced_before_the_network_is_made_again_ends_the_run(folder, tmp_path, place):
    """The key is of what was read first: nothing else may be kept under it."""
    write_nets(folder, body=FILES[place][0])
    read = job()
    write_data(folder, 2.0)
    with pytest.raises(CompileError, match="changed while it was being read"):
        read.source.load(read.weights, tmp_path)
    assert not (tmp_path / WEIGHTS_FILE).exists()


def test_code_that_is_saved_while_it_runs_is_the_next_runs(folder):
    write_nets(folder, above="import own_helper")
    (folder / "own_helper.py").write_text("def act(x):\n    return x\n")
    before, read = key(), job()
    (folder / "own_helper.py").write_text("def act(x):\n    return 2 * x\n")
    assert digest(read.key) == before
    assert digest(read_job(composed(TORCH)).key) == before, "this process still has what it loaded"
    assert key() != before


def test_one_targets_helpers_are_not_anothers(folder):
    """As in a sweep: what the first job imported is still there when the second is read."""
    write_nets(folder)
    alone = key()
    (folder / "own_first.py").write_text("import own_helper\nfrom own_nets import Net as First")
    (folder / "own_helper.py").write_text("")
    forget()
    read_job(composed((*TORCH, "model.target=own_first:First")))
    assert digest(read_job(composed(TORCH)).key) == alone


def test_the_generators_of_who_calls_go_on_as_if_nothing_had_been_made(folder):
    write_nets(folder)
    torch.manual_seed(7)
    np.random.seed(7)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(7)
    np.random.seed(7)
    job()
    assert (torch.rand(1), np.random.rand()) == expected


def test_a_class_in_a_model_of_ones_own_counts_with_what_it_reads(folder):
    def key_of_model() -> str:
        forget()
        backbone = "++model.network.backbone._target_=own_backbone.Backbone"
        return digest(read_job(composed(("model=simcc-mobilenetv2", backbone))).key)

    source = """
import json
import own_helper
from compiler.networks.backbones.mobilenet_v2 import MobileNetV2

class Backbone(MobileNetV2):
    def __init__(self, widen_factor, out_indices):
        super().__init__(widen_factor=widen_factor, out_indices=out_indices)
        self.scale = json.loads(open("own.json").read())["scale"]
"""
    (folder / "own_backbone.py").write_text(source)
    (folder / "own_helper.py").write_text("width = 1")
    first = key_of_model()
    assert key_of_model() == first
    write_data(folder, 2.0)
    second = key_of_model()
    (folder / "own_helper.py").write_text("width = 2")
    assert len({first, second, key_of_model()}) == 3


FILE = """
import importlib.util, pathlib
def loaded():
    spec = importlib.util.spec_from_file_location("own_by_path", pathlib.Path(__file__).with_name("own_file.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.{name}()
"""
PART = """
from torch import nn
def scaled(x):
    return x * {scale}
class Part(nn.Module):
    {held}
    def forward(self, x):
        return scaled(x)
"""


def test_the_code_of_a_file_that_no_name_leads_to_counts(folder):
    write_nets(folder, above=FILE.format(name="Part"), body="self.part = loaded()", forward="x = self.part(x)")

    def key_of(**content: object) -> str:
        (folder / "own_file.py").write_text(PART.format(**content))
        return key()

    first = key_of(scale=1, held="factor = 1")
    assert key_of(scale=1, held="factor = 1") == first
    assert len({first, key_of(scale=1000, held="factor = 1"), key_of(scale=1, held="factor = 1000")}) == 3


@pytest.mark.parametrize(
    "made",
    [
        "exec(source, held := {'nn': nn})\n        self.part = held['Part']()",
        "self.part = type('Part', (nn.Module,), {'__module__': 'own_nowhere'})()",
    ],
)
def test_code_that_is_in_no_file_is_refused(folder, made):
    source = "class Part(nn.Module):\n    def forward(self, x): return x"
    write_nets(folder, above=f"source = {source!r}", body=made)
    with pytest.raises(CompileError, match="the code of Part is in no file"):
        job()


def test_what_torch_generates_is_known(folder):
    write_nets(folder, body="self.part = torch.fx.symbolic_trace(nn.Linear(3, 2))", above="import torch.fx")
    assert key() == key()


@pytest.mark.parametrize(
    ("before", "after"), [("scale = 1", "scale = 9"), ("factor=1", "factor=9"), ("SCALE = 1", "SCALE = 9")]
)
def test_what_a_notebook_imported_is_not_kept_under_what_the_file_holds_now(folder, before, after):
    source = "from torch import nn\nSCALE = 1\nclass Net(nn.Module):\n    scale = 1\n"
    source += "    def forward(self, x, factor=1): return x * self.scale * factor"
    (folder / "own_nets.py").write_text(source)
    forget()
    importlib.import_module("own_nets")
    (folder / "own_nets.py").write_text(source.replace(before, after))
    stale = digest(read_job(composed(TORCH)).key)
    assert stale != key()


def test_code_that_a_module_executes_from_a_text_counts_as_it_is_loaded(folder):
    write_nets(folder, above="exec(open('own.txt').read())", forward="x = scaled(x)")

    def key_of(text: str) -> str:
        (folder / "own.txt").write_text(text)
        return key()

    once = "def scaled(x): return [one * 1 for one in [x]][0]"
    assert key_of(once) == key_of(once) != key_of(once.replace("* 1", "* 1000"))
