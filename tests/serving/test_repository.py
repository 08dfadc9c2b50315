"""A bundle as models of Triton Inference Server: the layout, and what Triton's own protocol buffers read."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from compiler import runtime
from compiler.artifact import TensorSpec, file_digest
from compiler.config.sizes import InputSize
from compiler.errors import CompileError
from compiler.proof.prepared_values import numbers_in
from compiler.proof.recording import Recording
from compiler.runtime.contents import read_bundle
from compiler.serving import export_triton
from compiler.serving.model_config import engine_config
from compiler.serving.servers import TRITON_BACKENDS
from compiler.serving.text_format import text_format
from tests.bundles import change_json, lock_again, small_bundle
from tests.conftest import PHOTOGRAPH

NAMES = ("arrays", "objects", "pose", "reader", "text")
NUMPY = {"TYPE_FP32": np.float32}
HOSTILE = 'in"put\\\n}\nname: "other\' \x00\x1b[2J é 中 \u202e'
OTHER_BACKENDS = {
    "openvino": ("compiler.backends.openvino.backend.OpenVINO", ("end2end.xml", "end2end.bin")),
    "torchscript": ("compiler.backends.torchscript.TorchScript", ("end2end.pt",)),
    "ncnn": ("compiler.backends.ncnn.backend.Ncnn", ("end2end.param", "end2end.bin")),
    "tensorrt": ("compiler.backends.tensorrt.TensorRT", ("end2end.engine",)),
    "tensorrt_rtx": ("compiler.backends.tensorrt_rtx.TensorRTRTX", ("end2end.engine",)),
}


def bundle_of(folder, backend, kind="pose", **options):
    """A bundle whose engine is said to be another backend's; its files are made up."""
    bundle = small_bundle(folder, kind)
    target, files = OTHER_BACKENDS[backend]
    for name in (*files, "engine_details.json"):
        (bundle / name).write_bytes(b"engine " + name.encode())
    change_json(
        bundle / "engine.json", version=2, files=files, backend={"_target_": target, "name": backend, **options}
    )
    lock_again(bundle)
    return bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {name: small_bundle(folder / name, name) for name in NAMES}


@pytest.fixture(scope="module")
def repository(bundles, tmp_path_factory):
    """The models of every small bundle, and one whose tensors have names that a stranger chose."""
    repository = tmp_path_factory.mktemp("repository") / "models"
    for bundle in bundles.values():
        export_triton(bundle, repository)
    for name in ("openvino", "tensorrt", "torchscript"):
        bundle = bundle_of(tmp_path_factory.mktemp("other") / name, name)
        export_triton(bundle, repository, engine_code=name == "torchscript")
    contents = read_bundle(bundles["pose"])
    inputs = (replace(contents.engine.inputs[0], name=HOSTILE),)
    scalar = (*contents.engine.outputs, TensorSpec("count", "int64", ()))
    contents = replace(contents, engine=replace(contents.engine, inputs=inputs, outputs=scalar))
    (repository / "hostile").mkdir()
    config = engine_config(HOSTILE, contents, TRITON_BACKENDS["onnxruntime"], False)
    (repository / "hostile/config.pbtxt").write_text(text_format(config))
    return repository


@pytest.fixture(scope="module")
def parsed(repository, parse_configs):
    return parse_configs(repository)


def test_every_model_is_called_after_its_folder(parsed, repository):
    assert len(parsed) == len(list(repository.iterdir()))
    assert all(config["name"] == name for name, config in parsed.items() if name != "hostile")


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_is_the_file_of_the_bundle_and_nothing_else(repository, bundles, name):
    model = repository / (name if name == "arrays" else f"{name}_engine")
    assert [path.name for path in (model / "1").iterdir()] == ["model.onnx"]
    assert file_digest(model / "1/model.onnx") == file_digest(bundles[name] / "end2end.onnx")


@pytest.mark.parametrize("name", NAMES)
def test_inputs_and_outputs_are_those_of_the_engine(parsed, repository, name):
    model = name if name == "arrays" else f"{name}_engine"
    config, session = parsed[model], onnxruntime.InferenceSession(repository / model / "1/model.onnx")
    for told, real in (("input", session.get_inputs()), ("output", session.get_outputs())):
        assert [one["name"] for one in config[told]] == [one.name for one in real]
        for one, tensor in zip(config[told], real, strict=True):
            shape = [side if isinstance(side, int) else -1 for side in tensor.shape]
            assert list(map(int, one["dims"])) == (shape[1:] if config.get("max_batch_size") else shape)
            assert one["data_type"] == "TYPE_FP32"
    assert (config["backend"], config["platform"]) == ("onnxruntime", "onnxruntime_onnx")
    assert config["default_model_filename"] == "model.onnx"


def test_a_batch_that_varies_is_put_together_up_to_the_largest_of_the_profile(parsed):
    assert parsed["pose_engine"]["max_batch_size"] == 4
    assert "dynamic_batching" in parsed["pose_engine"]
    assert parsed["objects_engine"].get("max_batch_size", 0) == 0
    assert "dynamic_batching" not in parsed["objects_engine"]


@pytest.mark.parametrize("name", NAMES)
def test_the_warm_up_is_the_input_of_the_bundles_own_task_and_runs(parsed, repository, bundles, name):
    model = name if name == "arrays" else f"{name}_engine"
    config, folder = parsed[model], repository / model
    session = onnxruntime.InferenceSession(folder / "1/model.onnx")
    counts = [sample["batch_size"] for sample in config["model_warmup"]]
    assert counts == ([1, 4] if config.get("max_batch_size") else [1])
    given = {}
    for key, told in config["model_warmup"][0]["inputs"].items():
        data, dims = (folder / "warmup" / told["input_data_file"]).read_bytes(), list(map(int, told["dims"]))
        assert len(data) == math.prod(dims) * 4
        shape = ([1] if config.get("max_batch_size") else []) + dims
        given[key] = np.frombuffer(data, NUMPY[told["data_type"]]).reshape(shape)
    assert session.run(None, given)
    contents = read_bundle(bundles[name])
    if name != "arrays":  # which are given noise
        prepared = contents.task.preprocess(contents.task.read(contents.task.sample_source()), contents.config.sizes)
        np.testing.assert_array_equal(given["input"], prepared.tensors["input"])


def recorded(bundle, size=None):
    """Let a bundle keep what it was proven on: a photograph of ours, in a box."""
    contents = read_bundle(bundle)
    task, usual = contents.task, contents.config.usual_input
    prepared = task.preprocess(task.read(PHOTOGRAPH, [80, 20, 310, 460]), contents.config.sizes)
    outputs = runtime.open(bundle).run(prepared.tensors)
    Recording(size or usual, "network", dict(numbers_in(prepared)), outputs).save(bundle)
    lock_again(bundle)
    return prepared.tensors["input"]


def test_the_warm_up_is_what_the_bundle_was_proven_on_where_it_keeps_that(tmp_path):
    bundle = small_bundle(tmp_path / "bundle", "pose")
    expected = recorded(bundle)
    export_triton(bundle, tmp_path / "models")
    assert (tmp_path / "models/bundle_engine/warmup/input_0").read_bytes() == expected.tobytes()
    content = (bundle / "recorded.npz").read_bytes()
    (bundle / "recorded.npz").write_bytes(content[:-9])
    with pytest.raises(CompileError, match="not as it was made"):
        export_triton(bundle, tmp_path / "models")
    lock_again(bundle)
    with pytest.raises(CompileError, match="recorded.npz is no recording of a proof"):
        export_triton(bundle, tmp_path / "models")


def test_a_recording_of_another_size_is_refused_before_anything_as_large_is_made(tmp_path):
    bundle = small_bundle(tmp_path / "bundle", "pose")
    recorded(bundle, InputSize(10**9, (256, 192)))
    with pytest.raises(CompileError, match="the recording does not fit the bundle") as caught:
        export_triton(bundle, tmp_path / "models")
    assert "no proof of it is made on 1000000000x256x192" in caught.value.why


def test_what_classes_and_points_are_called_stands_in_a_file_of_labels(parsed, repository, bundles):
    lines = (repository / "objects_engine/labels.txt").read_text().splitlines()
    assert lines == list(read_bundle(bundles["objects"]).task.classes.names)
    assert parsed["objects_engine"]["output"][1]["label_filename"] == "labels.txt"
    assert (repository / "pose_engine/labels.txt").read_text().startswith("nose\nleft_eye\n")
    assert not any("label_filename" in one for one in parsed["pose_engine"]["output"])
    assert not (repository / "text_engine/labels.txt").exists()


def test_labels_that_would_be_two_lines_are_one(tmp_path):
    bundle = small_bundle(tmp_path / "bundle", "objects")
    config = (bundle / "config.yaml").read_text()
    (bundle / "config.yaml").write_text(config.replace("- bicycle\n", '- "two\\nlines\\e[2J"\n'))
    lock_again(bundle)
    (folder,) = (path for path in export_triton(bundle, tmp_path / "models", "objects") if "engine" in path.name)
    lines = (folder / "labels.txt").read_text().splitlines()
    assert (len(lines), lines[1]) == (80, "two\\nlines\\x1b[2J")


def test_texts_of_a_stranger_end_no_field(parsed):
    config = parsed["hostile"]
    assert config["name"] == HOSTILE
    assert config["input"][0]["name"] == HOSTILE
    assert len(config["input"]) == 1
    assert config["output"][-1] == {"name": "count", "data_type": "TYPE_INT64", "dims": ["1"], "reshape": {}}


def test_what_surrounds_an_engine_takes_the_file_of_an_input_and_boxes_where_it_looks_into_them(parsed):
    pose, objects = parsed["pose"], parsed["objects"]
    assert [one["name"] for one in objects["input"]] == ["image"]
    assert [(one["name"], one["dims"]) for one in pose["input"]] == [("image", ["-1"]), ("boxes", ["-1", "4"])]
    assert pose["input"][1]["optional"]
    assert pose["backend"] == "python"
    assert pose["output"] == [{"name": "results", "data_type": "TYPE_STRING", "dims": ["1"]}]
    assert pose["parameters"]["engine"] == {"string_value": "pose_engine"}


def test_a_model_that_takes_arrays_has_nothing_around_it(parsed):
    assert parsed["arrays"]["backend"] == "onnxruntime"
    assert "arrays_engine" not in parsed


@pytest.mark.parametrize(
    ("name", "files", "told"),
    [
        ("openvino", ["model.bin", "model.xml"], {"backend": "openvino", "default_model_filename": "model.xml"}),
        ("tensorrt", ["model.plan"], {"backend": "tensorrt", "platform": "tensorrt_plan"}),
        ("torchscript", ["model.pt"], {"backend": "pytorch", "platform": "pytorch_libtorch"}),
    ],
)
def test_engines_of_other_backends_are_their_files_under_tritons_names(parsed, repository, name, files, told):
    config, version = parsed[f"{name}_engine"], repository / f"{name}_engine/1"
    assert config.items() >= told.items()
    assert sorted(path.name for path in version.iterdir()) == files
    assert all(path.read_bytes().startswith(b"engine end2end") for path in version.iterdir())
    kind = "KIND_GPU" if name == "tensorrt" else "KIND_CPU"
    assert [group["kind"] for group in config["instance_group"]] == [kind]
    names = [one["name"] for one in config["input"] + config["output"]]
    assert names == (
        ["input__0", "simcc_x__0", "simcc_y__1"] if name == "torchscript" else ["input", "simcc_x", "simcc_y"]
    )


@pytest.mark.parametrize("name", ["ncnn", "tensorrt_rtx"])
def test_engines_that_triton_does_not_run_are_refused(tmp_path, name):
    with pytest.raises(CompileError, match="Triton has no backend for engines of") as caught:
        export_triton(bundle_of(tmp_path / "bundle", name), tmp_path / "models")
    assert "onnxruntime, openvino, pytorch, tensorrt" in caught.value.why
    assert not (tmp_path / "models").exists()


def test_an_engine_whose_weights_lie_elsewhere_is_refused(tmp_path):
    bundle = bundle_of(tmp_path / "bundle", "tensorrt", strip_weights=True)
    change_json(bundle / "engine.json", files=["end2end.engine", "end2end.onnx"])
    lock_again(bundle)
    with pytest.raises(CompileError, match="Triton takes another number of files of TensorRT"):
        export_triton(bundle, tmp_path / "models")


def test_an_engine_that_brings_code_is_exported_where_the_user_says_so(tmp_path):
    bundle = bundle_of(tmp_path / "bundle", "torchscript")
    with pytest.raises(CompileError, match="the engine brings code of its own"):
        export_triton(bundle, tmp_path / "models")
    bundle = bundle_of(tmp_path / "compatible", "tensorrt", version_compatible=True)
    with pytest.warns(match="version-compatible=true"):
        export_triton(bundle, tmp_path / "models", engine_code=True)


def test_an_engine_that_takes_no_single_item_is_warmed_up_with_more(tmp_path, parse_configs):
    bundle = bundle_of(tmp_path / "bundle", "tensorrt")
    config = (bundle / "config.yaml").read_text()
    assert "  smallest: 1\n  usual: 1\n" in config
    (bundle / "config.yaml").write_text(config.replace("  smallest: 1\n  usual: 1\n", "  smallest: 2\n  usual: 3\n"))
    lock_again(bundle)
    with pytest.warns(match="the engine takes 2 items at the least"):
        export_triton(bundle, tmp_path / "models")
    told = parse_configs(tmp_path / "models")["bundle_engine"]
    assert [sample["batch_size"] for sample in told["model_warmup"]] == [2, 4]
    assert told["dynamic_batching"] == {"preferred_batch_size": [3]}


def test_the_provider_and_the_threads_are_tritons_too(tmp_path, parse_configs):
    for name, options in (
        ("threads", {"threads": 3, "optimization": "extended"}),
        ("cuda", {"provider": "cuda"}),
        ("accelerated", {"provider": "openvino"}),
    ):
        bundle = small_bundle(tmp_path / name, "pose")
        node = json.loads((bundle / "engine.json").read_text())["backend"]
        change_json(bundle / "engine.json", backend={**node, **options})
        lock_again(bundle)
        export_triton(bundle, tmp_path / "models")
    parsed = parse_configs(tmp_path / "models")
    threads = parsed["threads_engine"]
    assert threads["parameters"] == {"intra_op_thread_count": {"string_value": "3"}}
    assert threads["optimization"] == {"graph": {"level": 1}}
    assert parsed["cuda_engine"]["instance_group"] == [{"kind": "KIND_GPU"}]
    accelerators = parsed["accelerated_engine"]["optimization"]["execution_accelerators"]
    assert accelerators == {"cpu_execution_accelerator": [{"name": "openvino"}]}
    node["provider"] = "directml"
    change_json(bundle / "engine.json", backend=node)
    lock_again(bundle)
    with pytest.raises(CompileError, match="Triton runs no engine by the provider directml"):
        export_triton(bundle, tmp_path / "models")


def test_openvinos_engine_is_given_what_a_request_holds_on_the_processor(tmp_path, parse_configs):
    """Triton's OpenVINO calls `ov::set_batch(model, max_batch_size)`, and refuses fewer items from then on."""
    options = {"threads": 2, "streams": 1, "inference_precision": "bf16"}
    export_triton(bundle_of(tmp_path / "bundle", "openvino", **options), tmp_path / "models")
    told = parse_configs(tmp_path / "models")["bundle_engine"]
    assert told.get("max_batch_size", 0) == 0
    assert "dynamic_batching" not in told
    assert told["input"][0]["dims"] == ["-1", "3", "256", "192"]
    ((key, warm),) = told["model_warmup"][0]["inputs"].items()
    assert (key, warm["dims"]) == ("input", ["1", "3", "256", "192"])
    assert {name: value["string_value"] for name, value in told["parameters"].items()} == {
        "INFERENCE_NUM_THREADS": "2",
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
        "HINT_BF16": "YES",
    }
    with pytest.raises(CompileError, match="Triton runs no engine for GPU"):
        export_triton(bundle_of(tmp_path / "gpu", "openvino", device="GPU"), tmp_path / "models")


def test_a_type_that_triton_does_not_know_is_named(bundles):
    contents = read_bundle(bundles["pose"])
    outputs = (TensorSpec("spectrum", "complex64", ("batch", 3)),)
    contents = replace(contents, engine=replace(contents.engine, outputs=outputs))
    with pytest.raises(CompileError, match="Triton has no type complex64") as caught:
        engine_config("x", contents, TRITON_BACKENDS["onnxruntime"], False)
    assert caught.value.where.endswith("spectrum")


def test_a_model_of_ours_is_replaced_and_no_other(bundles, tmp_path):
    models = tmp_path / "models"
    first = export_triton(bundles["pose"], models)
    (first[0] / "1/__pycache__").mkdir()
    (first[0] / "1/__pycache__/model.pyc").write_bytes(b"what Triton's Python makes")
    assert export_triton(bundles["pose"], models) == first
    assert not (first[0] / "1/__pycache__").exists()
    assert sorted(path.name for path in models.iterdir()) == ["pose", "pose_engine"]
    (first[1] / "config.pbtxt").write_text('name: "pose_engine"\n')
    for is_told in (False, True):
        with pytest.raises(CompileError, match="something else lies where the model would be written") as caught:
            export_triton(bundles["pose"], models, replace=is_told)
        assert caught.value.where == str(first[1])
    assert export_triton(bundles["pose"], models, "people")[0].name == "people"


def test_what_somebody_added_or_tuned_is_not_lost(bundles, tmp_path):
    _, engine = export_triton(bundles["pose"], tmp_path)
    before = (engine / "config.pbtxt").read_text()
    (engine / "2").mkdir()
    (engine / "2/model.onnx").write_bytes(b"another version")
    (engine / "config.pbtxt").write_text(before.replace("max_batch_size: 4", "max_batch_size: 2"))
    (engine / "1/model.onnx").write_bytes(b"fine-tuned")
    with pytest.raises(CompileError, match="would be lost") as caught:
        export_triton(bundles["pose"], tmp_path)
    assert caught.value.why == ("changed since it was exported: 1/model.onnx, config.pbtxt; added since: 2/model.onnx")
    assert (engine / "2/model.onnx").read_bytes() == b"another version"
    export_triton(bundles["pose"], tmp_path, replace=True)
    assert (engine / "config.pbtxt").read_text() == before
    assert [path.name for path in engine.iterdir() if path.is_dir() and path.name != "warmup"] == ["1"]


def test_models_of_another_bundle_are_not_replaced(bundles, tmp_path):
    """Neither one that is called as the engine of ours, nor one of the same deploy name."""
    arrays = small_bundle(tmp_path / "pose_engine", "arrays")
    _, engine = export_triton(bundles["pose"], tmp_path / "models")
    before = file_digest(engine / "1/model.onnx")
    with pytest.raises(CompileError, match="would be lost") as caught:
        export_triton(arrays, tmp_path / "models")
    assert "it was exported from another bundle" in caught.value.why
    assert file_digest(engine / "1/model.onnx") == before
    with pytest.raises(CompileError, match="would be lost"):
        export_triton(bundles["objects"], tmp_path / "models", "pose")
    assert file_digest(engine / "1/model.onnx") == before


def test_a_link_is_not_replaced(bundles, tmp_path):
    first, _ = export_triton(bundles["pose"], tmp_path / "elsewhere")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/pose").symlink_to(first)
    with pytest.raises(CompileError, match="something else lies"):
        export_triton(bundles["pose"], tmp_path / "models")


def test_a_bundle_whose_engine_was_changed_is_refused(tmp_path):
    bundle = small_bundle(tmp_path / "bundle", "pose")
    (bundle / "end2end.onnx").write_bytes(b"changed")
    with pytest.raises(CompileError, match="not as it was made"):
        export_triton(bundle, tmp_path / "models")
    assert export_triton(bundle, tmp_path / "models", trust_changes=True)


@pytest.mark.parametrize("name", ["../x", "a/b", "nul", ".hidden", "x" * 101])
def test_a_name_that_no_folder_may_have_is_refused(bundles, tmp_path, name):
    with pytest.raises(CompileError, match="is no name"):
        export_triton(bundles["pose"], tmp_path / "models", name)


def test_a_repository_that_cannot_be_written_is_told(bundles, tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(CompileError, match="the repository cannot be written"):
        export_triton(bundles["pose"], tmp_path / "models")
