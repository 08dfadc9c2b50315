"""A config is composed from overrides, however they are spelt; what cannot be is refused before torch is imported."""

import subprocess
import sys
from itertools import cycle
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.config import compose
from compiler.config.backend_facts import backend_facts
from compiler.config.overrides import split_sweep
from compiler.config.schema import CompileConfig
from compiler.config.search import config_folder, config_loader
from compiler.errors import ExitCode, UsageError

ALGORITHMS = yaml.safe_load((config_folder() / "deploy_names.yaml").read_text())["algos"]
"""The model that stands for each."""
BACKENDS = config_loader().get_group_options("backend")
NAME = "pose-detection_simcc_onnxruntime_dynamic_256x192"


@pytest.fixture
def user_configs(tmp_path: Path) -> Path:
    """A user's config folder: a model that changes one of ours, and a backend of another kind."""
    (tmp_path / "model").mkdir()
    (tmp_path / "backend").mkdir()
    (tmp_path / "model/mine.yaml").write_text("defaults: [rtmpose, _self_]\nname: mine\nprocessing: {padding: 1.5}\n")
    (tmp_path / "backend/careful.yaml").write_text(
        "_target_: tests.config.backends.Careful\nname: careful\noptimization: disabled\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["backend=onnxruntime", "model=rtmpose"],
        ["+backend=onnxruntime", "+model=rtmpose"],
        [f"+deploy={NAME}"],
        [f"deploy={NAME}"],
        ["model=rtmpose-m", "shape=dynamic-256x192"],
        ["deploy=pose-detection_simcc_onnxruntime_dynamic-256x192"],
        ["deploy=pose-detection_rtmpose_onnxruntime-fp32_dynamic"],
    ],
)
def test_however_it_is_spelt_the_config_is_the_same(overrides):
    config = compose(overrides)
    assert config == compose()
    assert str(config.deploy_name) == NAME


def test_another_choice_is_another_config():
    assert compose(["shape=static"]) != compose()
    assert str(compose(["shape=static"]).deploy_name) == NAME.replace("dynamic", "static")


@pytest.mark.parametrize(("model", "backend"), list(zip(ALGORITHMS.values(), cycle(BACKENDS))))
def test_the_name_alone_rebuilds_the_config(model, backend):
    config = compose([f"model={model}", f"backend={backend}", f"precision={precisions(backend)[0]}", "shape=static"])
    assert compose([f"deploy={config.deploy_name}"]) == config


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_name_holds_every_precision_of_a_backend(backend):
    for precision in precisions(backend):
        config = compose([f"backend={backend}", f"precision={precision}", "shape=dynamic"])
        assert compose([f"deploy={config.deploy_name}"]) == config


def precisions(backend):
    file = config_folder() / f"backend/{backend}.yaml"
    return backend_facts(yaml.safe_load(file.read_text())).PRECISIONS


def test_what_is_given_beside_a_name_wins():
    config = compose([f"+deploy={NAME}", "model=rtmpose-s", "shape=static", "batch.usual=2"])
    assert (config.model.name, config.shape, config.batch.usual) == ("rtmpose-s", "static_256x192", 2)
    assert compose(["shape=static", "+model=rtmpose-s", f"deploy={NAME}", "batch.usual=2"]) == config


@pytest.mark.parametrize("spelling", ["box=1,2.5,-3,4", "+box=1,2.5,-3,4", "box=[1,2.5,-3,4]"])
def test_a_box_is_four_numbers(spelling):
    assert compose([spelling]).box == [1, 2.5, -3, 4]


def test_a_box_may_be_a_file():
    assert compose(["box=boxes.json"]).box == "boxes.json"


def test_a_static_engine_is_proven_at_its_one_batch():
    batch = ["batch.smallest=2", "batch.usual=2", "batch.largest=5"]
    assert [input.batch for input in compose(batch).proof_inputs] == [2, 5]
    assert [input.batch for input in compose([*batch, "shape=static"]).proof_inputs] == [2]


def test_a_users_own_model_and_backend_are_found(user_configs):
    config = compose(["model=mine", "+backend=careful", "precision=fp16"], user_configs)
    assert str(config.deploy_name) == "pose-detection_mine_careful-fp16_dynamic_256x192"
    assert config.model.processing["padding"] == 1.5
    assert config.model.network == compose().model.network
    assert config.exporter == "torchscript"
    assert compose([f"deploy={config.deploy_name}"], user_configs) == config


def test_our_own_choices_stay_beside_the_users(user_configs):
    assert compose(["model=rtmpose-s"], user_configs) == compose(["model=rtmpose-s"])
    with pytest.raises(UsageError, match="there is no model 'mine'"):
        compose(["model=mine"])


@pytest.mark.parametrize("name", ["model/rtmpose.yaml", "compile.yaml"])
def test_a_users_file_that_would_take_the_place_of_ours_is_refused(user_configs, name):
    (user_configs / name).write_text("precision: int8\n")
    with pytest.raises(UsageError, match=f"{name} has the name of one of ours"):
        compose([], user_configs)


def test_the_users_choices_are_offered_too(user_configs):
    with pytest.raises(UsageError, match="did you mean careful"):
        compose(["backend=carefull"], user_configs)


def test_a_config_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere does not exist") as caught:
        compose([], tmp_path / "nowhere")
    assert caught.value.where == "--config-dir"


@pytest.mark.parametrize(
    ("text", "overrides", "where", "said"),
    [
        ("name: [mine", ["model=own"], "own.yaml, line", "not valid YAML"),
        ("name: [mine", ["deploy=pose-detection_own_onnxruntime_static"], "own.yaml, line", "not valid YAML"),
        ("name: own", ["model=own"], "model.task", "'model.task' is missing"),
        ("name: own", ["deploy=pose-detection_own_onnxruntime_static"], "model.task", "'model.task' is missing"),
        ("defaults: [rtmpose, _self_]\nnetwrok: {}", ["model=own"], "model.netwrok", "did you mean network"),
        ("defaults: [nowhere]", ["model=own"], "", "model/nowhere"),
    ],
)
def test_a_mistake_in_a_users_file_is_named(tmp_path, text, overrides, where, said):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/own.yaml").write_text(text + "\n")
    with pytest.raises(UsageError, match=said) as caught:
        compose(overrides, tmp_path)
    assert where in caught.value.where


@pytest.mark.parametrize(
    ("overrides", "where", "said"),
    [
        # Choices that do not exist, with the nearest that do.
        (["backend=onnxruntme"], "backend=onnxruntme", "did you mean onnxruntime?"),
        (["+model=rtmpos"], "model=rtmpos", "did you mean rtmpose"),
        (["model=zzz"], "model=zzz", "choose one of: centerpoint,"),
        (["model=null"], "overrides", "must be a string"),
        (["precision=fp61"], "precision", "did you mean fp16?"),
        (["export.exporter=dynmo"], "export.exporter", "did you mean dynamo?"),
        (["+model.exporter=torchscrip"], "model.exporter", "did you mean torchscript?"),
        # Keys that do not exist.
        (["batch.larges=3"], "batch.larges", "did you mean batch.largest"),
        (["+batch.larges=3"], "batch.larges", "did you mean largest?"),
        (["opsett=3"], "opsett", "choose one of: algos, backend, batch"),
        (["+colour=red"], "colour", "choose one of: algos, backend, batch"),
        (["hydra.jbo=1"], "hydra.jbo", "there is no key"),
        # Values of another type.
        (["batch.largest=big"], "batch.largest", "must be a whole number"),
        (["batch.largest=2.5"], "batch.largest", "it is 2.5"),
        (["export.opset=true"], "export.opset", "must be a whole number"),
        (["debug=1"], "debug", "there is no key 'debug'"),
        (["rewriters.disable=nearest"], "rewriters.disable", "[a,b,c]"),
        (["rewriters.disable=[nearest,1]"], "rewriters.disable[1]", "must be a text"),
        (["batch=3"], "batch", "not a group of keys"),
        (["verify.tolerance=nan"], "verify.tolerance", "must be finite"),
        # Values that are not there.
        (["~model.name"], "model.name", "is missing"),
        (["~backend.name"], "backend.name", "'backend.name' must be a text"),
        (["~backend._target_"], "backend._target_", "'backend._target_' must be a text"),
        (["backend._target_=compiler.backends.onnxruntime.Onnx"], "backend._target_", "choose one of: OnnxRuntime"),
        (["backend._target_=compiler.errors.UsageError"], "backend._target_", "is not a Backend"),
        (["~backend"], "backend", "'backend' is missing"),
        (["model.task=???"], "model.task", "Missing mandatory value"),
        (["checkpoint=${nowhere}"], "checkpoint", "'nowhere' not found"),
        # Combinations that cannot be.
        (["precision=bf16"], "backend=onnxruntime precision=bf16", "use precision=fp32"),
        (["shape=static_320x320"], "shape=static_320x320", "use shape=static_256x192"),
        (["shape=dynamic_256x192-512x384"], "shape=dynamic_256x192-512x384", "use shape=dynamic_256x192"),
        (["shape=square"], "shape", "is not a shape"),
        (["batch.smallest=0"], "batch.smallest", "must be from 1 to 4,096"),
        (["batch.usual=5"], "batch.smallest, batch.usual, batch.largest", "1, 5, 4 are not in order"),
        (["export.opset=17"], "export.opset=17", "use export.opset=18, or export.exporter=torchscript"),
        (["verify.tolerance=0"], "verify.tolerance", "not positive"),
        # A sweep where one run is asked for.
        (["model=rtmpose,rtmpose-s"], "model=rtmpose,rtmpose-s", "add -m"),
        (["shape=static,dynamic"], "shape=static,dynamic", "add -m"),
        # Overrides that are none.
        (["box=[1,2"], "overrides", "an override is key=value"),
        (["rtmpose"], "overrides", "Error parsing override 'rtmpose'"),
        (["'"], "overrides", "an override is key=value"),
        ([""], "overrides", "an override is key=value"),
        (["+="], "overrides", "an override is key=value"),
        # Deploy names that stand for nothing.
        (["deploy=nonsense"], "deploy", "'nonsense' is not a deploy name"),
        (["deploy=pose-detection_simcc_onnxruntme_static"], "deploy: 'onnxruntme'", "did you mean onnxruntime?"),
        (["deploy=pose-detection_simc_onnxruntime_static"], "deploy=pose-detection_simc", "did you mean simcc?"),
        (["deploy=pose_onnxruntime_static"], "deploy=pose_onnxruntime_static", "no model stands for the task 'pose'"),
        (["deploy=detection_simcc_onnxruntime_static"], "deploy=detection_simcc", "use deploy=pose-detection_rtmpose_"),
        ([f"deploy={NAME}", f"+deploy={NAME}"], "deploy", "two deploy names"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(overrides, where, said):
    with pytest.raises(UsageError) as caught:
        compose(overrides)
    assert caught.value.where.startswith(where)
    assert said in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_hydras_own_keys_are_never_offered():
    with pytest.raises(UsageError) as caught:
        compose(["outptu_subdri=1"])
    assert "hydra" not in caught.value.fix


def test_an_older_opset_is_fine_for_the_older_exporter():
    assert compose(["export.opset=17", "export.exporter=torchscript"]).exporter == "torchscript"


parts = st.sampled_from([*"=+~,[]{}$'@:.- ", "model", "backend", "deploy", "batch.largest", "rtmpose", "null", "1"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(parts, max_size=5).map("".join) | st.text(max_size=20), max_size=2))
def test_any_text_is_an_override_or_refused(overrides):
    try:
        config = compose(overrides)
    except UsageError as error:
        assert str(error)  # noqa: PT017
    else:
        assert isinstance(config, CompileConfig)


def test_a_single_job_is_a_sweep_of_one():
    assert split_sweep(["shape=static", "+model=rtmpose-s"]) == [["shape=static", "model=rtmpose-s"]]
    assert split_sweep([]) == [[]]


def test_a_sweep_is_every_combination():
    assert split_sweep(["+model=rtmpose,rtmpose-s", "shape=static,dynamic"]) == [
        ["model=rtmpose", "shape=static"],
        ["model=rtmpose", "shape=dynamic"],
        ["model=rtmpose-s", "shape=static"],
        ["model=rtmpose-s", "shape=dynamic"],
    ]


@pytest.mark.parametrize("box", ["box=1,2,3,4", "+box=1,2,3,4", "box=[1,2,3,4]"])
def test_the_commas_of_a_box_make_no_sweep(box):
    jobs = split_sweep(["model=rtmpose,rtmpose-s", box])
    assert jobs == [["model=rtmpose", "box=[1,2,3,4]"], ["model=rtmpose-s", "box=[1,2,3,4]"]]
    assert [compose(job).box for job in jobs] == [[1, 2, 3, 4], [1, 2, 3, 4]]


def test_several_boxes_do_make_a_sweep():
    assert split_sweep(["box=[1,2,3,4],[5,6,7,8]"]) == [["box=[1,2,3,4]"], ["box=[5,6,7,8]"]]


def test_a_sweep_may_run_over_deploy_names_numbers_and_patterns(user_configs):
    ours = config_loader().get_group_options("model")
    short = "pose-detection_onnxruntime_static"
    assert split_sweep([f"deploy={NAME},{short}"]) == [[f"deploy={NAME}"], [f"deploy={short}"]]
    assert split_sweep(["batch.largest=range(2,4)"]) == [["batch.largest=2"], ["batch.largest=3"]]
    assert split_sweep(["model=glob(*)"], user_configs) == [[f"model={name}"] for name in sorted(["mine", *ours])]


@pytest.mark.parametrize("override", ["nonsense", "model=rtmpose,", "batch.largest=interval(1,4)"])
def test_what_is_no_sweep_is_refused(override):
    with pytest.raises(UsageError) as caught:
        split_sweep([override])
    assert caught.value.where == "overrides"


def test_composing_and_refusing_need_no_torch():
    code = f"""
import sys
from compiler.config import compose
from compiler.config.overrides import split_sweep
from compiler.errors import UsageError
compose(["deploy={NAME}"]).check()
split_sweep(["model=rtmpose,rtmpose-s"])
for wrong in ("backend=none", "batch.usual=9", "colour=red", "precision=bf16", "shape=static_1x1"):
    try:
        compose([wrong])
    except UsageError:
        continue
    sys.exit(wrong + " was accepted")
print(*{{"torch", "onnx", "onnxruntime"}} & set(sys.modules))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=config_folder().parent, check=False
    )
    assert (run.returncode, run.stdout.strip(), run.stderr.strip()) == (0, "", "")
