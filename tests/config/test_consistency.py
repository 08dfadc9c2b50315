"""Facts that a model has in two places."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from compiler.config import compose
from compiler.config.consistency import SAME, check_consistency, value_at, with_references
from compiler.errors import UsageError

HEAD = "model.network.bbox_head.num_classes"


def model(**changes):
    parts = {
        "network": {"bbox_head": {"num_classes": 2}},
        "tail": {"test_cfg": {"score_thr": 0.1, "max_per_img": 9}},
        "processing": {"classes": {"names": ["a", "b"]}, "test_cfg": {"score_thr": 0.1, "max_per_img": 9}},
    }
    return {**parts, **changes}


def test_what_agrees_is_let_through():
    check_consistency("mine", model())
    check_consistency("mine", {"network": {}, "tail": None, "processing": {}})


@pytest.mark.parametrize("selection", [{"score_thr": 0.5, "max_per_img": 9}, {"max_per_img": 9}])
def test_two_places_that_contradict_each_other_are_refused_with_both(selection):
    with pytest.raises(UsageError, match="two places in mine contradict each other") as caught:
        check_consistency("mine", model(tail={"test_cfg": selection}))
    assert caught.value.where.startswith("model.tail.test_cfg.score_thr=")
    assert "model.processing.test_cfg.score_thr=0.1" in caught.value.where


@pytest.mark.parametrize(
    ("overrides", "where", "fix"),
    [
        (["model=rtmdet-tiny", f"{HEAD}=3"], f"{HEAD}=3", "classes=[<3 names>]"),
        (["model=pointpillars", f"{HEAD}=1"], f"{HEAD}=1", "classes=[<1 names>]"),
        (["model=rtmpose", "model.network.head.out_channels=5"], "model.network.head.out_channels", "keypoints=["),
        (["model=yoloxpose", "model.network.head.num_keypoints=5"], "model.network.head.num_keypoints", "keypoints=["),
        (["model=crnn", "model.network.decoder.num_classes=36"], "model.processing.dictionary.characters", "alike"),
        (["model=centerpoint", "model.processing.classes=[car]"], "model.processing.decoder.tasks", "same classes"),
        (["model=pointpillars", "model.network.bbox_head.num_anchors=2"], "num_anchors", "num_anchors=6"),
        (["model=pointpillars", "model.processing.used_dimensions=3"], "model.processing.used_dimensions", "alone"),
    ],
)
def test_every_task_is_composed_with_as_many_names_as_scores(overrides, where, fix):
    with pytest.raises(UsageError) as caught:
        compose(overrides)
    assert where in caught.value.where
    assert fix in caught.value.fix


def test_what_is_the_same_is_written_once_and_referred_to():
    written = with_references(model())
    assert written["tail"]["test_cfg"] == "${..processing.test_cfg}"
    node = OmegaConf.create({"model": written})
    node.model.processing.test_cfg.score_thr = 0.7
    assert OmegaConf.to_container(node, resolve=True)["model"]["tail"]["test_cfg"]["score_thr"] == 0.7


def test_what_differs_is_written_as_it_is():
    selection = {"score_thr": 0.5, "max_per_img": 9}
    assert with_references(model(tail={"test_cfg": selection}))["tail"]["test_cfg"] == selection


@pytest.mark.parametrize("name", ["rtmdet", "rtmpose", "centerpoint", "pointpillars"])
def test_our_own_models_write_each_of_these_facts_once(name):
    composed = compose([f"model={name}"]).model
    parts = {"network": composed.network, "tail": composed.tail, "processing": composed.processing}
    for place, origin in SAME[:9]:
        if isinstance(value_at(parts, place), (dict, list)):
            assert value_at(parts, place) == value_at(parts, origin)
