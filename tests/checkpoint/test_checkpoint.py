"""Checkpoints: read without running what is in them, matched to the network, random where there is none, downloaded."""

import hashlib
import io
import json
import os
import pickle
import socket
import sys
import threading
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compiler.checkpoint import download, match, random_weights, read_checkpoint
from compiler.errors import CompileError
from compiler.networks.catalogue import build_network, models_that_fit

WEIGHTS = {
    "conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
    "conv.bias": torch.tensor([1.0, -1.0]),
    "bn.num_batches_tracked": torch.tensor(7),
}
OPENMMLAB = {
    "meta": {
        "epoch": 420,
        "dataset_meta": {
            "dataset_name": "coco",
            "joint_weights": np.array([1.0, 1.2], dtype=np.float32),
            "sigmas": np.array([0.026, 0.025]),
            "flip_indices": [0, 2, 1],
            "names": np.array(["nose", "left_eye"]),
            "num_keypoints": np.int64(17),
            "best_score": np.float64(0.75),
            "body": np.bool_(True),
        },
    },
    "state_dict": OrderedDict(WEIGHTS),
    "message_hub": {"lr": np.float32(1e-3)},
}

# PyTorch writes zip files; before version 1.6 it wrote several pickles one after the other.
formats = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def save(content: object, path: Path, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def saved(content: object, *, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def assert_weights(found):
    assert list(found) == list(WEIGHTS)
    assert all(torch.equal(found[key], tensor) for key, tensor in WEIGHTS.items())


class Touch:
    """Creates a file when it is unpickled: code that a checkpoint must never run."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@formats
@pytest.mark.parametrize(
    "content",
    [WEIGHTS, OrderedDict(WEIGHTS), {"state_dict": WEIGHTS}, OPENMMLAB],
    ids=["plain", "ordered", "nested", "openmmlab"],
)
def test_weights_are_read_alone_or_as_openmmlab_saves_them(tmp_path, content, zipped):
    assert_weights(read_checkpoint(save(content, tmp_path / "weights.pth", zipped=zipped)))


def test_what_is_no_tensor_in_a_state_dict_is_left_out(tmp_path):
    path = save({**WEIGHTS, "version": 3, "note": "best"}, tmp_path / "weights.pth")
    assert_weights(read_checkpoint(path))


def test_reading_allows_nothing_more_for_the_rest_of_the_process(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    read_checkpoint(save(OPENMMLAB, tmp_path / "weights.pth"))
    assert set(torch.serialization.get_safe_globals()) == before
    assert np.ndarray not in before


@formats
def test_code_in_a_checkpoint_does_not_run(tmp_path, zipped):
    proof = tmp_path / "it ran"
    path = save({"state_dict": WEIGHTS, "meta": Touch(proof)}, tmp_path / "hostile.pth", zipped=zipped)
    with pytest.raises(CompileError, match="holds more than weights") as caught:
        read_checkpoint(path)
    assert not proof.exists()
    assert f"{os.system.__module__}.system" in caught.value.why
    assert "nothing was run" in caught.value.why
    assert caught.value.where == str(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_bare_pickle_does_not_run_either(tmp_path, protocol):
    proof = tmp_path / "it ran"
    (tmp_path / "hostile.pth").write_bytes(pickle.dumps({"weight": Touch(proof)}, protocol))
    with pytest.raises(CompileError, match=r"hostile\.pth (holds more than weights|cannot be read)"):
        read_checkpoint(tmp_path / "hostile.pth")
    assert not proof.exists()


def test_a_whole_pickled_network_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(CompileError, match=r"would call torch\.nn\.modules\.linear\.Linear") as caught:
        read_checkpoint(save(nn.Linear(2, 2), tmp_path / "network.pth"))
    assert "torch.save({'state_dict': model.state_dict()}" in caught.value.fix


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CompileError, match=r"nowhere\.pth does not exist") as caught:
        read_checkpoint(tmp_path / "nowhere.pth")
    assert caught.value.where == f"checkpoint={tmp_path / 'nowhere.pth'}"
    assert "checkpoint=official" in caught.value.fix


BYTES = {
    (zipped, kind): saved(content, zipped=zipped)
    for zipped in (True, False)
    for kind, content in {"plain": WEIGHTS, "openmmlab": OPENMMLAB}.items()
}


@formats
@pytest.mark.parametrize("kind", ["plain", "openmmlab"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path_factory, data, zipped, kind):
    whole = BYTES[zipped, kind]
    path = tmp_path_factory.getbasetemp() / "truncated.pth"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CompileError, match=r"truncated\.pth (cannot be read|holds more than weights)") as caught:
        read_checkpoint(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@formats
def test_a_download_that_broke_off_is_called_truncated(tmp_path, zipped, share):
    whole = saved({"weight": torch.ones(5000)}, zipped=zipped)
    (tmp_path / "weights.pth").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CompileError, match="truncated") as caught:
        read_checkpoint(tmp_path / "weights.pth")
    assert "SHA-256" in caught.value.fix


def zip_of_text() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("notes.txt", "no weights")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"hello\n", b"<!DOCTYPE html><html>404</html>", bytes(range(256)), zip_of_text(), b"PK\x03\x04"],
    ids=["empty", "one byte", "text", "html", "bytes", "another zip", "start of a zip"],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(CompileError, match=r"file\.pth cannot be read") as caught:
        read_checkpoint(tmp_path / "file.pth")
    assert "not a PyTorch checkpoint" in caught.value.why
    # PyTorch's own message advises to read the file without the safety.
    assert "False" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:.*TorchScript archive")
def test_a_torchscript_file_is_no_checkpoint(tmp_path):
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(str(tmp_path / "traced.pt"))
    with pytest.raises(CompileError, match="TorchScript") as caught:
        read_checkpoint(tmp_path / "traced.pt")
    assert "False" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"name": "rtmpose", "note": "none"}, "a dict with name, note"),
        ({f"key{number}": number for number in range(7)}, "a dict with key0, key1, key2, key3, key4, …"),
        ({"state_dict": {}}, "a dict with state_dict"),
        ({"state_dict": [torch.ones(1)]}, "a dict with state_dict"),
        ({}, "a dict,"),
        ([torch.ones(2), 3], "a list,"),
        (torch.ones(2), "a Tensor,"),
        (None, "a NoneType,"),
    ],
)
def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path, content, said):
    with pytest.raises(CompileError, match="holds no weights") as caught:
        read_checkpoint(save(content, tmp_path / "weights.pth"))
    assert said in caught.value.why


class HistoryBuffer:
    """Holds what MMEngine's class of this name does."""

    def __init__(self):
        self.max_length = 1_000_000
        self._log_history = np.array([0.5, 0.25])
        self._count_history = np.array([1, 1])


class ConfigDict(dict):
    """Pickles itself as MMEngine's class of this name does."""

    def __reduce_ex__(self, protocol):
        return type(self), (dict(self),)


PLACES = {
    HistoryBuffer: "mmengine.logging.history_buffer",
    ConfigDict: "mmengine.config.config",
}


def pretend(monkeypatch: pytest.MonkeyPatch, kind: type, module: str) -> None:
    """Let a class be pickled as one of another module."""
    monkeypatch.setattr(kind, "__module__", module)
    monkeypatch.setitem(sys.modules, module.partition(".")[0], SimpleNamespace())
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{kind.__name__: kind}))


@pytest.fixture
def mmengine(monkeypatch):
    """What MMEngine puts into checkpoints, by its own names; MMEngine is gone when they are read."""
    for kind, place in PLACES.items():
        pretend(monkeypatch, kind, place)
    return {
        "message_hub": {
            "log_scalars": OrderedDict({"train/loss": HistoryBuffer()}),
            "runtime_info": {"cfg": ConfigDict(a=ConfigDict(b=1)), "best": np.float64(0.5)},
            "resumed_keys": {"train/loss": True},
        },
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "param_schedulers": [{"last_step": 3, "_global_step": 4}],
        "meta": {
            "dataset_meta": ConfigDict(classes=("a", "b")),
            "path": PurePosixPath("a"),
            "seen": defaultdict(int, a=1),
        },
        "settings": Namespace(epochs=3),
    }


@formats
def test_a_file_that_mmengine_wrote_in_training_is_read_without_mmengine(tmp_path, mmengine, monkeypatch, zipped):
    path = save({**mmengine, "state_dict": WEIGHTS}, tmp_path / "epoch_40.pth", zipped=zipped)
    monkeypatch.undo()
    assert_weights(read_checkpoint(path))


def test_the_average_is_what_mmengine_saves_as_the_state_dict(tmp_path):
    training = {f"module.{key}": tensor + 1 for key, tensor in WEIGHTS.items()}
    content = {"ema_state_dict": {"steps": torch.tensor(9), **training}, "state_dict": WEIGHTS}
    assert_weights(read_checkpoint(save(content, tmp_path / "weights.pth")))


def test_an_average_alone_is_read_too(tmp_path):
    network = module_of("layer")
    average = {f"module.{key}": tensor + 1 for key, tensor in network.state_dict().items()}
    path = save({"ema_state_dict": {"steps": torch.tensor(9), **average}}, tmp_path / "weights.pth")
    match(network, read_checkpoint(path), source=str(path))
    assert torch.equal(network.state_dict()["layer.weight"], average["module.layer.weight"])


@pytest.mark.parametrize("place", ["model_state_dict", "model"])
def test_other_trainers_put_the_weights_elsewhere(tmp_path, place):
    assert_weights(read_checkpoint(save({"epoch": 3, place: WEIGHTS}, tmp_path / "weights.pth")))


@formats
def test_a_class_that_is_not_known_to_be_harmless_is_refused_by_its_name(tmp_path, monkeypatch, zipped):
    pretend(monkeypatch, HistoryBuffer, "elsewhere.history")
    path = save({"state_dict": WEIGHTS, "log": HistoryBuffer()}, tmp_path / "weights.pth", zipped=zipped)
    with pytest.raises(CompileError, match="holds more than weights") as caught:
        read_checkpoint(path)
    assert "would call elsewhere.history.HistoryBuffer" in caught.value.why


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data/0", bytes(100_000_000))
    with pytest.raises(CompileError, match="cannot be read") as caught:
        read_checkpoint(path)
    assert "claim to unpack to 100000000" in caught.value.why


@formats
def test_a_tensor_that_claims_to_be_huge_takes_no_memory(tmp_path, zipped):
    huge = torch.ones(1).expand(10**12)
    weights = read_checkpoint(save({**WEIGHTS, "huge": huge}, tmp_path / "weights.pth", zipped=zipped))
    with pytest.raises(CompileError, match="does not fit") as caught:
        match(module_of("huge"), {"huge.weight": weights["huge"]}, source="weights.pth")
    assert "huge.weight is 1000000000000, not 3x2" in caught.value.why


def test_keys_that_are_long_when_written_out_are_not(tmp_path):
    key: tuple = ()
    for _ in range(20):
        key = (key, key)
    with pytest.raises(CompileError, match="holds no weights") as caught:
        read_checkpoint(save({key: 1}, tmp_path / "weights.pth"))
    assert "a dict with tuple" in caught.value.why


@pytest.mark.parametrize("kind", ["plain", "openmmlab"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_legacy_file_is_read_or_refused_but_never_crashes(tmp_path_factory, data, kind):
    damaged = bytearray(BYTES[False, kind])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    path.write_bytes(damaged)
    with suppress(CompileError):
        read_checkpoint(path)


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    """Return a file of the safetensors format."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


SAFETENSORS = safetensors(
    {
        "conv.weight": ("F32", [2, 3], np.arange(6, dtype=np.float32).tobytes()),
        "half": ("BF16", [1], b"\x80\x3f"),
        "count": ("I64", [], np.int64(7).tobytes()),
        "none": ("F32", [0, 3], b""),
    }
)


def test_safetensors_are_read(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(SAFETENSORS)
    weights = read_checkpoint(tmp_path / "weights.safetensors")
    assert torch.equal(weights["conv.weight"], torch.arange(6.0).reshape(2, 3))
    assert torch.equal(weights["half"], torch.ones(1, dtype=torch.bfloat16))
    assert torch.equal(weights["count"], torch.tensor(7))
    assert weights["none"].shape == (0, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SAFETENSORS[:100],
        SAFETENSORS[:-1],
        safetensors({}),
        safetensors({"weight": ("F32", [1000], b"1234")}),
        safetensors({"weight": ("F32", [-1], b"1234")}),
        safetensors({"weight": ("F4", [1], b"1")}),
        (10**15).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (4000).to_bytes(8, "little") + b"[" * 4000,
    ],
)
def test_damaged_safetensors_are_refused(tmp_path, content):
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(CompileError, match=r"weights\.safetensors cannot be read"):
        read_checkpoint(tmp_path / "weights.safetensors")


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4), head=nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2)))
    )


def fresh(network: nn.Module) -> dict[str, torch.Tensor]:
    return {key: torch.randn(tensor.shape).to(tensor.dtype) for key, tensor in network.state_dict().items()}


def test_weights_that_fit_are_loaded(network):
    weights = fresh(network)
    match(network, weights, source="weights.pth")
    assert all(torch.equal(tensor, weights[key]) for key, tensor in network.state_dict().items())


def test_counters_of_batches_may_be_missing(network):
    weights = fresh(network)
    del weights["bn.num_batches_tracked"]
    before = network.bn.num_batches_tracked.clone()
    match(network, weights, source="weights.pth")
    assert torch.equal(network.conv.weight, weights["conv.weight"])
    assert torch.equal(network.bn.num_batches_tracked, before)


def test_what_does_not_fit_is_counted_and_the_first_few_are_named(network):
    weights = fresh(network)
    for key in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "head.0.bias"):
        del weights[key]
    weights["neck.weight"] = torch.ones(2)
    weights["conv.bias"] = torch.ones(5)
    weights["head.1.weight"] = torch.tensor(1.0)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(CompileError, match="does not fit the network") as caught:
        match(network, weights, source="weights.pth")
    assert caught.value.where == "weights.pth"
    assert caught.value.why == (
        "6 keys missing: conv.weight, bn.weight, bn.bias, bn.running_mean, bn.running_var, …; "
        "1 keys not in the network: neck.weight; "
        "2 keys of another shape: conv.bias is 5, not 4, head.1.weight is a scalar, not 2x2 "
        "(the network has 11 keys)"
    )
    assert "name the model" in caught.value.fix
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def module_of(path: str) -> nn.Module:
    """Return a network whose only weight lies at the dotted path of a linear layer."""
    network: nn.Module = nn.Linear(2, 3)
    for name in reversed(path.split(".")):
        network = nn.Sequential(OrderedDict([(name, network)]))
    return network


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("keypoint_head.layer", "head.layer"),  # MMPose before 1.0
        ("keypoint_head.final_layer.2", "head.final_layer"),
        ("keypoint_head.final_layer.0", "head.conv_layers.0"),
        ("head.final_layer.3", "head.final_layer"),
        ("rpn_head.layer", "bbox_head.layer"),
        ("bbox_head.layer", "det_head.layer"),  # MMOCR before 1.0
        ("backbone.layer3.0.conv2_offset", "backbone.layer3.0.conv2.conv_offset"),  # MMCV's first deformable layers
        ("module.layer", "layer"),  # distributed training
        ("module.keypoint_head.layer", "head.layer"),
        ("_orig_mod.layer", "layer"),  # torch.compile
        ("model.layer", "layer"),  # Lightning
    ],
)
def test_a_former_name_is_understood(former, present):
    network = module_of(present)
    weights = module_of(former).state_dict()
    match(network, weights, source="old.pth")
    assert torch.equal(network.state_dict()[f"{present}.weight"], weights[f"{former}.weight"])


@pytest.mark.parametrize("path", ["keypoint_head.layer", "module.layer", "conv2_offset", "head.final_layer.0"])
def test_a_former_name_that_the_network_itself_has_stays(path):
    network = module_of(path)
    weights = module_of(path).state_dict()
    assert match(network, weights, source="new.pth") == []
    assert torch.equal(network.state_dict()[f"{path}.weight"], weights[f"{path}.weight"])


def test_a_former_name_never_takes_the_place_of_the_present_one():
    weights = {**module_of("head.layer").state_dict(), **module_of("keypoint_head.layer").state_dict()}
    with pytest.raises(CompileError, match="does not fit") as caught:
        match(module_of("head.layer"), weights, source="both.pth")
    assert "2 keys not in the network: keypoint_head.layer.weight" in caught.value.why


TRAINING = [
    "data_preprocessor.mean",
    "ema_backbone_conv1_weight",
    "head.loss_module.criterion.weight",
    "bbox_head.loss_cls.pos_grad",
    "det_head.module_loss.weight",
    "teacher.backbone.weight",
    "steps",
    "neck.bn.num_batches_tracked",
]


@pytest.mark.parametrize("key", TRAINING)
def test_what_only_training_needs_is_left_out(network, key):
    notes = match(network, {**fresh(network), key: torch.ones(3)}, source="weights.pth")
    assert notes == ["1 key of training left out"]


@pytest.mark.parametrize("key", ["head.lossless.weight", "preprocessor.mean", "head.teacher.weight", "ema.weight"])
def test_what_only_sounds_like_training_is_not_left_out(network, key):
    with pytest.raises(CompileError, match="does not fit") as caught:
        match(network, {**fresh(network), key: torch.ones(3)}, source="weights.pth")
    assert f"1 keys not in the network: {key}" in caught.value.why


def test_what_sounds_like_training_is_loaded_where_the_network_has_it():
    network = module_of("head.loss_module")
    weights = module_of("head.loss_module").state_dict()
    assert match(network, weights, source="weights.pth") == []
    assert torch.equal(network.state_dict()["head.loss_module.weight"], weights["head.loss_module.weight"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_becomes_the_networks_and_is_said(network, dtype):
    weights = {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in fresh(network).items()
    }
    assert match(network, weights, source="weights.pth") == [f"{str(dtype)[6:]} made float32"]
    assert network.conv.weight.dtype == torch.float32
    assert torch.equal(network.conv.weight, weights["conv.weight"].float())


def test_another_type_is_not_another_precision(network):
    weights = fresh(network)
    weights["conv.weight"] = weights["conv.weight"].to(torch.int8)
    with pytest.raises(CompileError, match="does not fit") as caught:
        match(network, weights, source="weights.pth")
    assert "1 keys of another type: conv.weight is int8, not float32" in caught.value.why


def test_a_teacher_and_a_student_are_not_chosen_between():
    weights = {**module_of("teacher.layer").state_dict(), **module_of("student.layer").state_dict()}
    with pytest.raises(CompileError, match="does not fit") as caught:
        match(module_of("layer"), weights, source="weights.pth")
    assert "two networks" in caught.value.fix


def test_candidates_are_only_looked_for_when_the_weights_do_not_fit(network):
    match(network, fresh(network), source="weights.pth", candidates=lambda: pytest.fail("not needed"))
    with pytest.raises(CompileError) as caught:
        match(network, {}, source="weights.pth", candidates=lambda: ["first", "second"])
    assert caught.value.fix == "these weights fit model=first or model=second"


@pytest.mark.slow  # tests/test_main.py shows it on the command line
def test_the_weights_of_a_smaller_rtmpose_are_recognised(tmp_path):
    path = save({"state_dict": build_network("rtmpose-s").state_dict()}, tmp_path / "s.pth")
    weights = read_checkpoint(path)
    with pytest.raises(CompileError) as caught:
        match(build_network("rtmpose"), weights, source=str(path), candidates=lambda: models_that_fit(weights))
    assert caught.value.fix == "these weights fit model=rtmpose-s"
    assert "keys of another shape: backbone.stem.0.conv.weight is 16x3x3x3, not 24x3x3x3" in caught.value.why
    match(build_network("rtmpose-s"), weights, source=str(path))


def test_weights_of_no_model_fit_none():
    assert models_that_fit(WEIGHTS) == []


def test_random_weights_depend_on_key_and_shape_alone():
    one, other = (random_weights({"a.weight": torch.randn(3, 4)})["a.weight"] for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, random_weights({"b.weight": torch.ones(3, 4)})["b.weight"])
    assert random_weights({"a.weight": torch.ones(4, 3)})["a.weight"].shape == (4, 3)


def test_random_weights_keep_types_and_counters():
    state_dict = {"scale": torch.tensor(1.0, dtype=torch.float16), "bn.num_batches_tracked": torch.tensor(5)}
    weights = random_weights(state_dict)
    assert (weights["scale"].dtype, weights["scale"].shape) == (torch.float16, ())
    assert weights["bn.num_batches_tracked"] == 5
    assert weights["bn.num_batches_tracked"] is not state_dict["bn.num_batches_tracked"]


@given(st.text(max_size=20), st.lists(st.integers(1, 6), max_size=4))
def test_any_random_weight_is_finite_and_a_variance_positive(key, shape):
    weights = random_weights({f"{key}.weight": torch.ones(shape), f"{key}.running_var": torch.ones(shape)})
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert (weights[f"{key}.running_var"] > 0).all()


class Publisher:
    """A server on this machine that publishes one file, and counts how often it was asked."""

    CONTENT = b"weights" * 200_000  # more than one block of the download

    def __init__(self):
        publisher = self
        publisher.requests = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                publisher.requests += 1
                if self.path == "/nonsense.pth":
                    self.wfile.write(b"this is not HTTP\r\n\r\n")
                    return
                self.send_response(200 if self.path in ("/weights.pth", "/broken.pth") else 404)
                self.send_header("Content-Length", str(len(Publisher.CONTENT)))
                self.end_headers()
                half = self.path == "/broken.pth"
                self.wfile.write(Publisher.CONTENT[: len(Publisher.CONTENT) // 2] if half else Publisher.CONTENT)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.sha256 = hashlib.sha256(self.CONTENT).hexdigest()


@pytest.fixture
def publisher(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    publisher = Publisher()
    thread = threading.Thread(target=publisher.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield publisher
    publisher.server.shutdown()
    publisher.server.server_close()
    thread.join()


@pytest.mark.parametrize("digits", [8, 64])
def test_a_published_checkpoint_is_downloaded_once(publisher, tmp_path, digits):
    for _ in range(2):
        path = download(f"{publisher.url}/weights.pth", publisher.sha256[:digits], tmp_path / "downloads")
        assert path == tmp_path / "downloads/weights.pth"
        assert path.read_bytes() == Publisher.CONTENT
    assert publisher.requests == 1
    assert list((tmp_path / "downloads").iterdir()) == [path]


def test_a_file_that_was_damaged_since_is_downloaded_again(publisher, tmp_path):
    (tmp_path / "weights.pth").write_bytes(Publisher.CONTENT[:-1])
    path = download(f"{publisher.url}/weights.pth", publisher.sha256, tmp_path)
    assert path.read_bytes() == Publisher.CONTENT


@pytest.mark.parametrize("name", ["weights.pth", "broken.pth"])
def test_a_file_with_another_digest_is_not_kept(publisher, tmp_path, name):
    sha256 = publisher.sha256 if name == "broken.pth" else "00000000"
    with pytest.raises(CompileError) as caught:
        download(f"{publisher.url}/{name}", sha256, tmp_path)
    assert caught.value.where == f"{publisher.url}/{name}"
    assert "checkpoint=<path>" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_the_two_digests_are_shown(publisher, tmp_path):
    with pytest.raises(CompileError, match="not the published one") as caught:
        download(f"{publisher.url}/weights.pth", "00000000", tmp_path)
    assert caught.value.why == f"its SHA-256 starts with {publisher.sha256[:8]}, not with 00000000"


@pytest.mark.parametrize(("name", "why"), [("gone.pth", "Not Found"), ("nonsense.pth", "not HTTP"), ("a b.pth", "a b")])
def test_a_server_that_does_not_answer_with_a_file_is_reported(publisher, tmp_path, name, why):
    with pytest.raises(CompileError, match="cannot be downloaded") as caught:
        download(f"{publisher.url}/{name}", publisher.sha256, tmp_path)
    assert why in caught.value.why
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/weights.pth"
        with pytest.raises(CompileError, match="cannot be downloaded") as caught:
            download(url, "00000000", tmp_path)
    assert "refused" in caught.value.why
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "sha256", "where"),
    [("", "", "model.official.url"), ("http://127.0.0.1:1/weights.pth", "", "model.official.sha256")],
)
def test_nothing_is_downloaded_that_is_not_published_with_a_digest(tmp_path, url, sha256, where):
    with pytest.raises(CompileError) as caught:
        download(url, sha256, tmp_path)
    assert caught.value.where == where
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_address_is_reported(tmp_path):
    with pytest.raises(CompileError, match="cannot be downloaded"):
        download("weights.pth", "00000000", tmp_path)


def test_weights_that_are_shapes_alone_are_refused(tmp_path):
    torch.save({"state_dict": {"head.weight": torch.empty(3, device="meta")}}, tmp_path / "meta.pth")
    with pytest.raises(CompileError, match=r"meta\.pth holds no numbers") as caught:
        read_checkpoint(tmp_path / "meta.pth")
    assert caught.value.where.endswith("meta.pth, head.weight")
