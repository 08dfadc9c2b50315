"""Every config that MMPose, MMDetection, MMOCR and MMDetection3D publish, beside what MMEngine reads."""

import pytest

from tests.openmmlab.agreement import agreement, make_reference_environment, table
from tests.openmmlab.wheels import VERSIONS

pytestmark = pytest.mark.slow

# Neither reads these. Lazy configs and scripts among the configs, bases that are not published or not in these
# packages, and a name that the base does not have.
REFUSED = {
    "mmpose": {"body_2d_keypoint/edpose/coco/edpose_res50_8xb2-50e_coco-800x1333.py"},
    "mmdet": {
        "bytetrack/bytetrack_yolox_x_8xb4-amp-80e_crowdhuman-mot17halftrain_test-mot17test.py",
        *(f"{family}/odinw/override_category.py" for family in ("glip", "grounding_dino", "mm_grounding_dino")),
        *(f"rtmdet/classification/cspnext-{size}_8xb256-rsb-a1-600e_in1k.py" for size in ("tiny", "s", "m", "l", "x")),
        "sort/faster-rcnn_r50_fpn_8xb2-4e_mot17train_test-mot17train.py",
        "sort/faster-rcnn_r50_fpn_8xb2-8e_mot20halftrain_test-mot20halfval.py",
        "sort/faster-rcnn_r50_fpn_8xb2-8e_mot20train_test-mot20train.py",
    },
    "mmocr": {"textdet/dbnet/dbnet_resnet50-dcnv2_fpnc_100k_synthtext.py"},
    "mmdet3d": {"mvfcos3d/multiview-fcos3d_r101-dcn_centerhead_16xb2_waymoD5-3d-3class.py"},
}
FILES = {"mmpose": 464, "mmdet": 869, "mmocr": 116, "mmdet3d": 204}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mmengine")
    return agreement(make_reference_environment(folder / "environment"), folder)


@pytest.mark.parametrize("package", VERSIONS)
def test_each_is_read_as_mmengine_reads_it(results, package):
    result = results[package]
    assert result.files == FILES[package]
    assert not result.unread, table(results)
    assert not result.different, table(results)
    assert result.refused.keys() == REFUSED[package]
