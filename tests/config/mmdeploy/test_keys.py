"""A key of MMDeploy's deploy configs, typed as an override, is answered with ours."""

import pytest
from omegaconf import OmegaConf

from compiler.config import compose
from compiler.config.composition import compose_node
from compiler.config.mmdeploy.facts import facts
from compiler.config.mmdeploy.keys import answers
from compiler.config.overrides import split_sweep
from compiler.errors import UsageError

KEYS = facts("keys")["keys"]
READ = [
    "codebase_config.type",
    "codebase_config.task",
    "codebase_config.model_type",
    "codebase_config.ann_file",
    "codebase_config.post_processing.score_threshold",
    "codebase_config.post_processing.confidence_threshold",
    "codebase_config.post_processing.iou_threshold",
    "codebase_config.post_processing.max_output_boxes_per_class",
    "codebase_config.post_processing.pre_top_k",
    "codebase_config.post_processing.keep_top_k",
    "codebase_config.post_processing.background_label_id",
    "codebase_config.post_processing.export_postprocess_mask",
    "onnx_config.type",
    "onnx_config.export_params",
    "onnx_config.keep_initializers_as_inputs",
    "onnx_config.opset_version",
    "onnx_config.save_file",
    "onnx_config.input_names",
    "onnx_config.output_names",
    "onnx_config.input_shape",
    "onnx_config.dynamic_axes.input.0",
    "onnx_config.dynamic_axes.simcc_x.0",
    "ir_config.type",
    "ir_config.save_file",
    "ir_config.input_shape",
    "backend_config.type",
    "backend_config.precision",
    "backend_config.use_vulkan",
    "backend_config.common_config.fp16_mode",
    "backend_config.common_config.int8_mode",
    "backend_config.common_config.explicit_quant_mode",
    "backend_config.common_config.max_workspace_size",
    "backend_config.common_config.target_platform",
    "backend_config.common_config.optimization_level",
    "backend_config.common_config.compute_precision",
    "backend_config.common_config.minimum_deployment_target",
    "backend_config.common_config.skip_model_load",
    "backend_config.common_config.name",
    "backend_config.common_config.model_info",
    "backend_config.common_config.vdsp_params_info",
    "backend_config.convert_to",
    "backend_config.input_size_list",
    "backend_config.pipeline",
    "backend_config.quantization_config.do_quantization",
    "backend_config.quantization_config.dataset",
    "backend_config.model_inputs[0].input_shapes.input.min_shape",
    "backend_config.model_inputs[0].input_shapes.input.opt_shape",
    "backend_config.model_inputs[0].input_shapes.input.max_shape",
    "backend_config.model_inputs[0].input_shapes.voxels.min_shape",
    "backend_config.model_inputs[1].input_shapes.bbox_feats.max_shape",
    "backend_config.model_inputs[0].opt_shapes.input",
    "backend_config.model_inputs[0].shape.input",
    "backend_config.model_inputs[0].dtype.input",
    "backend_config.model_inputs[0].use_vm",
    "backend_config.model_inputs[0].tuner.type",
    "backend_config.model_inputs[0].tuner.tuner.type",
    "backend_config.model_inputs[0].qconfig.dtype",
    "calib_config.create_calib",
    "calib_config.calib_file",
    "partition_config.type",
    "partition_config.apply_marks",
    "partition_config.partition_cfg[0].save_file",
    "partition_config.partition_cfg[0].start",
    "function_record_to_pop",
    "quantizer.type",
    "quantizer.is_qat",
    "quantizer.qconfig.w_qscheme.bit",
    "ext_info.image_size",
    "ext_info.padding",
]
"""Keys as they stand in MMDeploy's files and the parts that they are made of."""


@pytest.mark.parametrize("key", READ)
def test_every_key_of_its_files_is_known(key):
    assert answers(key)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_answered_in_full_and_from_any_part_on(key):
    full = key.replace("*", "input")
    assert [answer.key for answer in answers(full)] == [key]
    parts = full.split(".")
    for start in range(1, len(parts)):
        ours = [answer.ours for answer in answers(".".join(parts[start:]))]
        assert KEYS[key]["ours"] in ours or parts[start] in ("input", "precision", "shape")  # keys of ours, too


def node(others):
    return compose_node([other if "=" in other else f"model={other}" for other in others])


NODES = {"": node([])}
NAMED = sorted({named for one in KEYS.values() for named in one.get("keys", ())})


@pytest.mark.parametrize("named", NAMED)
def test_every_key_of_ours_that_it_names_is_there(named):
    key, _, composed_by = named.partition("@")
    found = NODES.setdefault(composed_by, node([composed_by] if composed_by else []))
    above, _, last = key.rpartition(".")
    inputs = {"model.inputs": "model", "model.config": "model"}  # which only your own network has
    holder = OmegaConf.select(found, inputs.get(key, above)) if above else found
    assert key in inputs or last in holder


@pytest.mark.parametrize("key", KEYS)
def test_what_is_written_instead_names_only_keys_that_are_listed(key):
    one = KEYS[key]
    listed = [named.partition("@")[0] for named in one.get("keys", ())]
    written = [word.partition("=")[0] for word in one["ours"].split() if "=" in word]
    for word in written:
        stem = word.partition(".<")[0]
        assert (
            key == "deploy_cfg"
            or any(name == stem or name.startswith(f"{stem}.") for name in listed)
            or (stem == "model" and any(name.startswith("model") for name in listed))
        ), word


def leaves(values, prefix=""):
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")


def test_no_key_of_ours_is_taken_for_one_of_mmdeploys():
    ours = list(leaves(OmegaConf.to_container(NODES[""])))
    assert len(ours) > 100
    assert [key for key in ours if answers(key)] == []


@pytest.mark.parametrize(
    ("override", "fix"),
    [
        ("codebase_config.post_processing.score_threshold=0.3", "model.processing.test_cfg.score_thr=0.3"),
        ("+score_threshold=0.3", "model.processing.test_cfg.score_thr=0.3"),
        ("post_processing.pre_top_k=-1", "model.processing.test_cfg.nms_pre=<value>"),
        ("backend_config.common_config.fp16_mode=True", "precision=fp16"),
        ("onnx_config.input_shape=[192,256]", "shape=static_256x192"),
        ("onnx_config.opset_version=20", "export.opset=20"),
        ("backend_config.type=tensorrt", "backend=tensorrt"),
        ("model_inputs[0].input_shapes.input.min_shape=[1,3,320,320]", "shape=dynamic_<smallest>-<largest>"),
        ("deploy_cfg=configs/mmdet/detection/detection_onnxruntime_static.py", "deploy=detection_onnxruntime_static"),
    ],
)
def test_the_answer_is_one_message_with_our_override(override, fix):
    with pytest.raises(UsageError, match="of MMDeploy's deploy configs") as caught:
        compose([override])
    assert caught.value.where == override
    assert caught.value.fix.startswith(fix)
    assert "docs/mmdeploy.md" in caught.value.fix


def test_several_keys_are_answered_at_once():
    with pytest.raises(UsageError, match="are keys of MMDeploy's") as caught:
        compose(["fp16_mode=True", "keep_top_k=50", "model=rtmdet"])
    assert caught.value.fix.splitlines()[:2] == ["precision=fp16", "model.processing.test_cfg.max_per_img=50"]


def test_what_is_switched_off_is_left_out():
    with pytest.raises(UsageError) as caught:
        compose(["int8_mode=False"])
    assert caught.value.fix == "see docs/mmdeploy.md"


def test_a_section_tells_its_keys():
    with pytest.raises(UsageError, match="'partition_config.depth' is a key of MMDeploy's") as caught:
        compose(["partition_config.depth=3"])
    assert "apply_marks" in caught.value.why


def test_a_sweep_refuses_them_too():
    with pytest.raises(UsageError, match="are keys of MMDeploy's|is a key of MMDeploy's"):
        split_sweep(["model_inputs[0].input_shapes.input.min_shape=[1,3,320,320]", "model=rtmpose,hrnet"])


def test_a_misspelt_key_of_ours_is_still_offered_the_nearest():
    with pytest.raises(UsageError, match="there is no key 'precison'") as caught:
        compose(["precison=fp16"])
    assert caught.value.fix == "did you mean precision?"
