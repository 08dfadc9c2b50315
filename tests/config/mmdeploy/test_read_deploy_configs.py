"""A checkout of MMDeploy's is read without being run."""

from tests.config.mmdeploy.read_deploy_configs import keys, read


def test_a_deploy_config_is_read_with_its_bases(tmp_path):
    folder = tmp_path / "mmdet/detection"
    folder.mkdir(parents=True)
    (folder / "base.py").write_text(
        "codebase_config = dict(type='mmdet', task='ObjectDetection', model_type='end2end')\n"
    )
    (folder / "detection_tensorrt-fp16_dynamic-64x64-96x128.py").write_text(
        "_base_ = ['./base.py']\n"
        "backend_config = dict(type='tensorrt', common_config=dict(fp16_mode=True), model_inputs=[dict(\n"
        "    input_shapes=dict(input=dict(min_shape=[1, 3, 64, 64], opt_shape=[1, 3, 64, 96], "
        "max_shape=[1, 3, 96, 128])))])\n"
    )
    found = read(tmp_path)["mmdet/detection"]
    assert found["task"] == "ObjectDetection"
    assert found["configs"]["detection_tensorrt-fp16_dynamic-64x64-96x128"] == {
        "backend": "tensorrt",
        "precision": "fp16",
        "model_type": "end2end",
        "shapes": [[1, 3, 64, 64], [1, 3, 64, 96], [1, 3, 96, 128]],
    }


def test_its_keys_are_dotted():
    config = {"backend_config": {"model_inputs": [{"input_shapes": {"input": {"min_shape": [1, 3, 64, 64]}}}]}}
    assert list(keys(config)) == ["backend_config.model_inputs.input_shapes.input.min_shape"]
