"""Publishing a checkpoint: its weights alone, named after its content and the day."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import OrderedDict
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compiler.checkpoint import publish, read_checkpoint
from compiler.errors import CompileError, ExitCode, UsageError
from tests.cli.running import run_verb

DAY = date(2023, 7, 26)
DATASET = {
    "dataset_name": "coco",
    "classes": ("person",),
    "sigmas": np.array([0.026, 0.025]),
    "colors": np.array([[51, 153, 255], [0, 255, 0]], np.uint8),
    "count": np.int64(17),
    "skeleton": {0: {"link": ("nose", "eye"), "id": 0}},
}


@pytest.fixture
def trained(tmp_path):
    """What MMEngine leaves after an epoch with Adam and EMAHook: averages, and what training goes on from."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3))
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.rand(1, 3, 9, 9)).sum().backward()
    optimizer.step()
    averages = OrderedDict((key, tensor * 0.5) for key, tensor in network.state_dict().items())
    content = {
        "meta": {"epoch": 3, "cfg": "work_dir='/home/somebody'", "dataset_meta": DATASET, "time": "now"},
        "state_dict": averages,
        "ema_state_dict": {"steps": torch.tensor(7), **{f"module.{k}": v for k, v in network.state_dict().items()}},
        "optimizer": optimizer.state_dict(),
        "message_hub": {"log_scalars": {}, "runtime_info": {"lr": np.float32(1e-3)}},
        "param_schedulers": [{"last_step": 3}],
    }
    torch.save(content, tmp_path / "epoch_3.pth")
    return tmp_path / "epoch_3.pth", network.state_dict(), averages


def test_the_weights_and_what_they_tell_apart_are_all_that_is_left(trained):
    source, _, averages = trained
    before = source.read_bytes()
    found = publish(source, day=DAY)
    content = torch.load(found.path, weights_only=True)  # as anybody reads it: no class is allowed for it
    assert list(content) == ["state_dict", "meta"]
    assert {key: tensor.tolist() for key, tensor in content["state_dict"].items()} == {
        key: tensor.tolist() for key, tensor in averages.items()
    }
    assert list(content["meta"]) == ["dataset_meta", "epoch"]
    assert content["meta"]["dataset_meta"] == {
        **DATASET,
        "sigmas": [0.026, 0.025],
        "colors": [[51, 153, 255], [0, 255, 0]],
        "count": 17,
    }
    assert set(found.dropped) == {"ema_state_dict", "optimizer", "message_hub", "param_schedulers"}
    assert found.is_average
    assert source.read_bytes() == before


def test_it_is_less_than_half_of_what_training_left(trained):
    found = publish(trained[0], day=DAY)
    assert found.size == found.path.stat().st_size < found.size_before / 2


def test_the_name_is_as_openmmlab_gives_it(trained):
    path = publish(trained[0], day=DAY).path
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f"epoch_3-{sha[:8]}_20230726.pth"


def test_the_same_weights_have_the_same_name_whatever_it_is_called_before(trained, tmp_path):
    first = publish(trained[0], tmp_path / "mine.pth", day=DAY).path
    again = publish(first, tmp_path / "again.pth", day=DAY).path
    assert first.name.removeprefix("mine") == again.name.removeprefix("again")
    renamed = publish(first, day=date(2024, 1, 1)).path
    assert re.fullmatch(r"mine-[0-9a-f]{8}_20240101\.pth", renamed.name)


def test_what_training_goes_on_from_is_published_where_it_is_asked_for(trained):
    source, own, _ = trained
    found = publish(source, place="ema_state_dict", day=DAY)
    assert not found.is_average
    weights = read_checkpoint(found.path)
    assert list(weights) == list(own)  # neither `module.` nor `steps`
    assert all(torch.equal(weights[key], tensor) for key, tensor in own.items())


@pytest.mark.parametrize(
    ("saved", "kept"),
    [
        ({"a.weight": 1, "ema_a_weight": 2}, ["a.weight"]),  # MMCV's, whose average was swapped into the plain key
        ({"module.a.weight": 1, "module.a.bias": 2}, ["a.weight", "a.bias"]),
        ({"module.a.weight": 1, "b.weight": 2}, ["module.a.weight", "b.weight"]),
        ({"model.a.weight": 1}, ["model.a.weight"]),  # may be the network's own word
        ({"a.num_batches_tracked": 1, "a.steps": 2}, ["a.num_batches_tracked", "a.steps"]),
    ],
)
def test_keys_are_those_of_the_network(tmp_path, saved, kept):
    torch.save({key: torch.full((2,), float(value)) for key, value in saved.items()}, tmp_path / "a.pth")
    assert list(read_checkpoint(publish(tmp_path / "a.pth", day=DAY).path)) == kept


def test_a_part_of_a_larger_tensor_is_saved_alone(tmp_path):
    torch.save({"a": torch.zeros(1 << 16)[:4]}, tmp_path / "a.pth")
    found = publish(tmp_path / "a.pth", day=DAY)
    assert found.size < 4096 < found.size_before


def test_nothing_is_written_over(trained):
    first = publish(trained[0], day=DAY).path
    first.write_bytes(b"something of the user's")
    with pytest.raises(CompileError, match="is there already"):
        publish(trained[0], day=DAY)
    assert first.read_bytes() == b"something of the user's"
    assert {path.name for path in first.parent.iterdir()} == {"epoch_3.pth", first.name}


def test_what_came_a_moment_ago_is_not_written_over_without_hard_links_either(trained, monkeypatch):
    first = publish(trained[0], day=DAY).path
    first.unlink()
    first.symlink_to(first.parent / "nowhere.pth")

    def refuse(*paths):
        raise PermissionError

    for link in (os.link, refuse):
        monkeypatch.setattr(os, "link", link)
        with pytest.raises(CompileError, match="is there already"):
            publish(trained[0], day=DAY)
        assert not first.exists()
    first.unlink()
    assert publish(trained[0], day=DAY).path == first
    assert {path.name for path in first.parent.iterdir()} == {"epoch_3.pth", first.name}


def test_a_name_that_is_all_digest_is_refused(trained, tmp_path):
    for name in ("-abcdef12.pth", "-abcdef12_20240101.pth"):
        with pytest.raises(UsageError, match="has no name before its digest"):
            publish(trained[0], tmp_path / name)
    assert publish(trained[0], tmp_path / "a-abcdef12.pth", day=DAY).path.name.startswith("a-")


class _RunsCode:
    def __reduce__(self):
        return os.mkdir, ("code_was_run",)


class _Array:
    """An array whose pickle claims more numbers than there are."""

    def __init__(self, shape):
        self.shape = shape

    def __reduce__(self):
        kind = np.dtype("f8")
        make = np.zeros(1).__reduce__()[0]
        content = b"" if self.shape and self.shape[0] == 0 else b"\0" * 8
        return make, (np.ndarray, (0,), b"b"), (1, self.shape, kind, False, content)


def test_a_hostile_pickle_runs_nothing_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": _RunsCode()}, tmp_path / "a.pth")
    with pytest.raises(CompileError, match="holds more than weights"):
        publish(tmp_path / "a.pth", day=DAY)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


@pytest.mark.parametrize("shape", [(1 << 40,), (2,), (-1,), ("a",), (0, 1 << 70), (1,) * 70])
def test_an_array_that_is_not_what_it_claims_is_left_out(tmp_path, shape):
    meta = {"dataset_meta": {"kept": np.array([2.5]), "sigmas": _Array(shape)}}
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": meta}, tmp_path / "a.pth")
    content = torch.load(publish(tmp_path / "a.pth", day=DAY).path, weights_only=True)
    assert content["meta"]["dataset_meta"] == {"kept": [2.5]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"no checkpoint", "cannot be read"),
        ({"epoch": 3}, "holds no weights"),
        ([torch.zeros(1)], "holds no weights"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content, words):
    if isinstance(content, bytes):
        (tmp_path / "a.pth").write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CompileError, match=words) as caught:
        publish(tmp_path / "a.pth")
    assert "checkpoint=" not in f"{caught.value.where} {caught.value.fix}", "that is an option of other verbs"


def test_a_place_or_a_name_that_is_none_is_refused(trained, tmp_path):
    source, *_ = trained
    with pytest.raises(UsageError, match="no weights lie in 'optimizer'"):
        publish(source, place="optimizer")
    with pytest.raises(CompileError, match="has no model_state_dict"):
        publish(source, place="model_state_dict")
    with pytest.raises(UsageError, match="no name of a checkpoint"):
        publish(source, tmp_path / "mine.onnx")
    with pytest.raises(CompileError, match="cannot be written"):
        publish(source, tmp_path / "nowhere/mine.pth")


def test_the_command_line_prints_the_path_and_says_what_was_saved(trained, capsys):
    assert run_verb("publish", str(trained[0])) == ExitCode.PROVEN
    path, told = capsys.readouterr()
    assert re.fullmatch(r".*epoch_3-[0-9a-f]{8}_\d{8}\.pth\n", path)
    assert "the average that MMEngine's EMAHook kept" in told
    assert "optimizer, message_hub, param_schedulers" in told
    assert re.search(r"size +[\d.]+ KiB before, [\d.]+ KiB now \(\d+%\)", told)


def test_programs_read_it_as_json(trained, tmp_path, capsys):
    assert run_verb("publish", str(trained[0]), str(tmp_path / "mine.pth"), "--json") == ExitCode.PROVEN
    found = json.loads(capsys.readouterr().out)
    assert Path(found["path"]).stat().st_size == found["size"] < found["size_before"]
    assert (found["place"], found["is_average"]) == ("state_dict", True)
    assert found["dropped"] == ["ema_state_dict", "optimizer", "message_hub", "param_schedulers"]
