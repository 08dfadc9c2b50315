"""Checkpoints: read without running what is in them, matched to the network, drawn where there is none, downloaded."""

import hashlib
import io
import os
import pickle
import socket
import threading
import zipfile
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compiler.checkpoint import download, draw_weights, match, read_checkpoint
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


def test_the_head_of_models_from_before_mmpose_1_has_its_present_name(tmp_path):
    torch.save(
        {"keypoint_head.final_layer.bias": torch.ones(3), "a.keypoint_head.b": torch.ones(1)}, tmp_path / "old.pth"
    )
    assert set(read_checkpoint(tmp_path / "old.pth")) == {"head.final_layer.bias", "a.keypoint_head.b"}


def test_what_is_no_tensor_in_a_state_dict_is_left_out(tmp_path):
    path = save({**WEIGHTS, "version": 3, "note": "best"}, tmp_path / "weights.pth")
    assert_weights(read_checkpoint(path))


def test_reading_allows_nothing_more_for_the_rest_of_the_process(tmp_path):
    before = torch.serialization.get_safe_globals()
    read_checkpoint(save(OPENMMLAB, tmp_path / "weights.pth"))
    assert torch.serialization.get_safe_globals() == before
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


def test_candidates_are_only_looked_for_when_the_weights_do_not_fit(network):
    match(network, fresh(network), source="weights.pth", candidates=lambda: pytest.fail("not needed"))
    with pytest.raises(CompileError) as caught:
        match(network, {}, source="weights.pth", candidates=lambda: ["first", "second"])
    assert caught.value.fix == "these weights fit model=first or model=second"


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


def test_drawn_weights_depend_on_key_and_shape_alone():
    one, other = (draw_weights({"a.weight": torch.randn(3, 4)})["a.weight"] for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, draw_weights({"b.weight": torch.ones(3, 4)})["b.weight"])
    assert draw_weights({"a.weight": torch.ones(4, 3)})["a.weight"].shape == (4, 3)


def test_drawn_weights_keep_types_and_counters():
    state_dict = {"scale": torch.tensor(1.0, dtype=torch.float16), "bn.num_batches_tracked": torch.tensor(5)}
    drawn = draw_weights(state_dict)
    assert (drawn["scale"].dtype, drawn["scale"].shape) == (torch.float16, ())
    assert drawn["bn.num_batches_tracked"] == 5
    assert drawn["bn.num_batches_tracked"] is not state_dict["bn.num_batches_tracked"]


@given(st.text(max_size=20), st.lists(st.integers(1, 6), max_size=4))
def test_any_drawn_weight_is_finite_and_a_variance_positive(key, shape):
    drawn = draw_weights({f"{key}.weight": torch.ones(shape), f"{key}.running_var": torch.ones(shape)})
    assert all(tensor.isfinite().all() for tensor in drawn.values())
    assert (drawn[f"{key}.running_var"] > 0).all()


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
