"""Configs of MMOCR become ours: what inference needs is kept or refused, and what only training needs is left out."""

from pathlib import Path

import pytest
import torch

from compiler.config import config_folder
from compiler.errors import CompileError
from compiler.networks import build
from compiler.openmmlab.translate import text
from compiler.tasks import build_task
from tests.openmmlab.changes import MISSING, changed
from tests.openmmlab.coverage import coverage
from tests.openmmlab.published import completed, models, ours, theirs
from tests.openmmlab.wheels import wheel_configs

DETECTOR = {
    "model": {
        "type": "DBNet",
        "backbone": {"type": "mmdet.ResNet", "depth": 18, "frozen_stages": -1, "norm_cfg": {"type": "BN"}},
        "neck": {"type": "FPNC", "in_channels": [64, 128, 256, 512], "lateral_channels": 128},
        "det_head": {
            "type": "DBHead",
            "in_channels": 256,
            "module_loss": {"type": "DBModuleLoss"},
            "postprocessor": {"type": "DBPostprocessor", "text_repr_type": "poly", "mask_thr": 0.4},
        },
        "data_preprocessor": {
            "type": "TextDetDataPreprocessor",
            "mean": [1, 2, 3],
            "std": [4, 5, 6],
            "bgr_to_rgb": True,
            "pad_size_divisor": 32,
        },
    },
    "test_dataloader": {
        "dataset": {
            "pipeline": [
                {"type": "LoadImageFromFile", "color_type": "color_ignore_orientation"},
                {"type": "Resize", "scale": (1333, 736), "keep_ratio": True},
                {"type": "LoadOCRAnnotations", "with_polygon": True},
                {"type": "PackTextDetInputs"},
            ]
        }
    },
}

RECOGNIZER = {
    "model": {
        "type": "CRNN",
        "preprocessor": None,
        "backbone": {"type": "MiniVGG", "leaky_relu": False, "input_channels": 1},
        "encoder": None,
        "decoder": {
            "type": "CRNNDecoder",
            "in_channels": 512,
            "rnn_flag": True,
            "module_loss": {"type": "CTCModuleLoss"},
            "postprocessor": {"type": "CTCPostProcessor"},
            "dictionary": {"type": "Dictionary", "dict_file": "letters.txt", "with_padding": True},
        },
        "data_preprocessor": {"type": "TextRecogDataPreprocessor", "mean": [127], "std": [64]},
    },
    "test_dataloader": {
        "dataset": {
            "pipeline": [
                {"type": "LoadImageFromFile", "color_type": "grayscale"},
                {"type": "RescaleToHeight", "height": 32, "min_width": 32, "width_divisor": 16},
                {"type": "PackTextRecogInputs"},
            ]
        }
    },
}


@pytest.fixture
def letters(tmp_path):
    """Return a config's path, beside which there is a dictionary of five letters."""
    (tmp_path / "letters.txt").write_text("a\nb\nc\n\n \nä\n", encoding="utf-8")
    return tmp_path / "mine.py"


STEP = "test_dataloader.dataset.pipeline.1"


class TestPublishedModels:
    """Where we have a file for a published model, its config says the same."""

    @pytest.mark.parametrize("name", models("mmocr"))
    def test_is_ours(self, name):
        own, translated = ours(name), theirs(name)
        expected, network = completed(own.network), completed(translated["network"])
        if name.endswith("oclip-ctw1500"):
            # Where a stride is does not matter to a network that has none.
            expected["backbone"].pop("style"), network["backbone"].pop("style")
        assert network == expected
        assert build_task(translated["processing"]) == build_task(own.processing)
        assert (translated["algo"], translated["task"]) == (own.algo, own.task)
        assert (tuple(translated["input_shape"]), tuple(translated["stride"])) == (own.input_shape, own.stride)

    def test_every_config_of_an_algorithm_that_we_have_builds(self):
        reasons = coverage("mmocr")
        assert len(reasons) == 20
        assert not any(reasons.values())


class TestDetectors:
    def test_parts_and_settings_are_kept(self):
        found = text.translate(DETECTOR, Path("mine.py"))
        assert found["network"]["backbone"] == {
            "_target_": "compiler.networks.backbones.resnet.ResNet",
            "depth": 18,
            "out_indices": [0, 1, 2, 3],
            "norm_cfg": {"type": "BN"},
        }
        assert found["network"]["neck"]["lateral_channels"] == 128
        task = build_task(found["processing"])
        assert (task.scale, task.pad_divisor, task.to_rgb) == ((1333, 736), 32, True)
        assert (task.mean, task.std) == ((1, 2, 3), (4, 5, 6))
        assert (task.postprocessor.text_repr_type, task.postprocessor.mask_thr) == ("poly", 0.4)
        build(found["network"])

    def test_the_shape_is_that_of_a_wide_picture(self):
        found = text.translate(DETECTOR, Path("mine.py"))
        assert (found["input_shape"], found["largest_shape"]) == ([736, 1312], [1312, 1312])

    def test_a_very_large_square_is_not_asked_for(self):
        found = text.translate(changed(DETECTOR, {f"{STEP}.scale": (2240, 2240)}), Path("mine.py"))
        assert found["largest_shape"] == found["input_shape"] == [1280, 2240]

    def test_the_shorter_side_alone_may_be_given(self):
        step = {
            "type": "ShortScaleAspectJitter",
            "short_size": 640,
            "ratio_range": (1, 1),
            "aspect_ratio_range": (1, 1),
        }
        found = text.translate(changed(DETECTOR, {STEP: step}), Path("mine.py"))
        assert found["processing"]["scale"] == [100_000, 640]

    def test_an_attention_makes_it_another_algorithm(self):
        attention = {"attention_type": "ScaleChannelSpatial"}
        found = text.translate(changed(DETECTOR, {"model.neck.asf_cfg": attention}), Path("mine.py"))
        assert found["algo"] == "dbnetpp"

    def test_a_head_without_postprocessor_has_the_one_of_mmocr(self):
        found = text.translate(changed(DETECTOR, {"model.det_head.postprocessor": MISSING}), Path("mine.py"))
        assert build_task(found["processing"]).postprocessor.text_repr_type == "quad"

    def test_without_normalisation_there_is_none(self):
        bare = {"type": "TextDetDataPreprocessor"}
        task = build_task(
            text.translate(changed(DETECTOR, {"model.data_preprocessor": bare}), Path("x.py"))["processing"]
        )
        assert (task.mean, task.std, task.to_rgb, task.pad_divisor) == ((0, 0, 0), (1, 1, 1), False, 1)

    @pytest.mark.parametrize(
        ("changes", "where", "what"),
        [
            ({"model.backbone.type": "mmpretrain.ResNet"}, "model.backbone.type", "mmpretrain.ResNet"),
            ({"model.backbone.plugins": [{}]}, "model.backbone.plugins", "not supported"),
            ({"model.neck.bias_on_lateral": True}, "model.neck.bias_on_lateral", "not supported"),
            ({"model.neck.asf_cfg": {"attention_type": "Other"}}, "model.neck.asf_cfg", "not supported"),
            ({"model.neck.speed": 3}, "model.neck.speed", "speed"),
            ({"model.neck": MISSING}, "model.neck", "no neck"),
            ({"model.det_head": MISSING}, "model.det_head", "no det_head"),
            ({"model.det_head.type": "FCEHead"}, "model.det_head.type", "FCEHead"),
            ({"model.det_head.postprocessor.rescale_fields": []}, "postprocessor.rescale_fields", "not supported"),
            ({"model.data_preprocessor.pad_value": 7}, "model.data_preprocessor.pad_value", "not supported"),
            ({f"{STEP}.keep_ratio": MISSING}, "pipeline[1].keep_ratio", "keep_ratio=False"),
            ({STEP: {"type": "ShortScaleAspectJitter"}}, "pipeline[1].ratio_range", "not supported"),
            ({STEP: {"type": "Rotate"}}, "pipeline[1].type", "Rotate"),
            ({STEP: {"type": "LoadOCRAnnotations"}}, "test_dataloader.dataset.pipeline", "0 steps"),
        ],
    )
    def test_what_would_be_another_network_is_refused(self, changes, where, what):
        with pytest.raises(CompileError) as caught:
            text.translate(changed(DETECTOR, changes), Path("mine.py"))
        assert where in caught.value.where
        assert what in caught.value.what


class TestRecognizers:
    def test_parts_and_settings_are_kept(self, letters):
        found = text.translate(RECOGNIZER, letters)
        assert found["network"]["decoder"]["num_classes"] == 6
        task = build_task(found["processing"])
        assert (task.height, task.min_width, task.max_width, task.width_divisor) == (32, 32, None, 16)
        assert (task.mean, task.std, task.dictionary.characters) == (127, 64, "abc ä")
        assert build(found["network"])(torch.zeros(1, 1, 32, 100))[0].shape == (1, 26, 6)

    def test_widths_vary_within_the_bounds_of_the_config(self, letters):
        found = text.translate(changed(RECOGNIZER, {f"{STEP}.max_width": 320}), letters)
        shapes = [found[key] for key in ("smallest_shape", "input_shape", "largest_shape")]
        assert shapes == [[32, 32], [32, 100], [32, 320]]

    def test_a_line_may_be_squeezed_to_one_width(self, letters):
        step = {"type": "Resize", "scale": (128, 32), "keep_ratio": False}
        found = text.translate(changed(RECOGNIZER, {STEP: step}), letters)
        assert (found["input_shape"], "stride" in found) == ([32, 128], False)
        task = build_task(found["processing"])
        assert [task.width(torch.zeros(20, width, 3).numpy()) for width in (10, 1000)] == [128, 128]

    @pytest.mark.parametrize(
        ("changes", "where", "what"),
        [
            ({"model.encoder": {"type": "Other"}}, "model.encoder", "not supported"),
            ({"model.backbone": MISSING}, "model.backbone", "no backbone"),
            ({"model.backbone.input_channels": 3}, "model.backbone.input_channels", "=3 is not"),
            ({"model.backbone.input_channels": MISSING}, "model.backbone.input_channels", "=3 is not"),
            ({"model.data_preprocessor.mean": [1, 2, 3]}, "model.data_preprocessor.mean", "3 channels"),
            ({"model.decoder.postprocessor.ignore_chars": ["a"]}, "postprocessor.ignore_chars", "not supported"),
            ({"test_dataloader.dataset.pipeline.0.color_type": MISSING}, "pipeline[0].color_type", "=color is not"),
            ({f"{STEP}.height": 64}, "pipeline.height", "64"),
            ({f"{STEP}.width_divisor": MISSING}, "pipeline", "multiples of 1 "),
        ],
    )
    def test_what_would_be_another_network_is_refused(self, letters, changes, where, what):
        with pytest.raises(CompileError) as caught:
            text.translate(changed(RECOGNIZER, changes), letters)
        assert where in caught.value.where
        assert what in caught.value.what


class TestDictionaries:
    """A file with a character in each line, in the order of the network's classes."""

    def dictionary(self, source, **changes):
        changes = {f"model.decoder.dictionary.{key}": value for key, value in changes.items()}
        return build_task(text.translate(changed(RECOGNIZER, changes), source)["processing"]).dictionary

    def test_an_absolute_path_is_taken_as_it_is(self, letters, tmp_path_factory):
        elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.py"
        assert self.dictionary(elsewhere, dict_file=str(letters.with_name("letters.txt"))).characters == "abc ä"

    def test_a_dictionary_that_we_have_need_not_be_there(self, letters):
        found = self.dictionary(letters, dict_file="/root/mmocr/configs/../dicts/lower_english_digits.txt")
        assert found.characters == "0123456789abcdefghijklmnopqrstuvwxyz"

    def test_a_file_that_is_there_goes_before_ours(self, letters):
        letters.with_name("lower_english_digits.txt").write_text("x\r\ny")
        assert self.dictionary(letters, dict_file="lower_english_digits.txt").characters == "xy"

    @pytest.mark.parametrize(
        ("name", "count"),
        [
            ("chinese_english_digits", 11377),
            ("english_digits_symbols", 90),
            ("english_digits_symbols_space", 91),
            ("korean_english_digits_symbols", 1803),
            ("lower_english_digits", 36),
            ("lower_english_digits_space", 37),
            ("sdmgr_dict", 91),
        ],
    )
    def test_those_of_mmocr_are_found_from_its_configs(self, name, count):
        config = wheel_configs("mmocr") / "textrecog/crnn/mine.py"
        path = f"{config.parent}/../../../dicts/{name}.txt"
        found = self.dictionary(config, dict_file=path).characters
        assert (len(found), found) == (count, "".join(Path(path).read_text(encoding="utf-8").split("\n")))

    @pytest.mark.parametrize("name", sorted(file.stem for file in (config_folder() / "dictionaries").iterdir()))
    def test_ours_have_the_characters_of_mmocrs(self, letters, name):
        theirs = (wheel_configs("mmocr").parent / f"dicts/{name}.txt").read_text(encoding="utf-8")
        assert self.dictionary(letters, dict_file=f"{name}.txt").characters == theirs.replace("\n", "")

    def test_one_that_neither_we_nor_the_folder_have_is_named(self, letters):
        path = f"{letters.parent}/../../../dicts/korean_english_digits_symbols.txt"
        with pytest.raises(CompileError, match="cannot be found") as caught:
            self.dictionary(letters, dict_file=path)
        assert path in caught.value.why
        assert "copy the file" in caught.value.fix

    def test_unknown_characters_may_be_left_out(self, letters):
        assert self.dictionary(letters, with_unknown=True, unknown_token=None).characters == "abc ä"

    @pytest.mark.parametrize("changes", [{"with_unknown": True}, {"with_start": True}, {"with_padding": MISSING}])
    def test_classes_that_are_no_characters_are_refused(self, letters, changes):
        with pytest.raises(CompileError, match="not supported") as caught:
            self.dictionary(letters, **changes)
        assert caught.value.where == f"model.decoder.dictionary.{next(iter(changes))}"

    @pytest.mark.parametrize(
        ("content", "what", "why"),
        [
            (b"a\nbc\n", "no dictionary", "line 2 has 2 characters"),
            (b"a\nb\na\n", "no dictionary", "twice"),
            (b"\n\n", "no dictionary", "empty"),
            (b"\xff\xfe", "cannot be read", "not text in utf-8"),
            (b"a\n" * (1 << 20), "too large", "bytes"),
        ],
    )
    def test_other_files_are_refused(self, letters, content, what, why):
        letters.with_name("letters.txt").write_bytes(content)
        with pytest.raises(CompileError, match=what) as caught:
            text.translate(RECOGNIZER, letters)
        assert why in caught.value.why
        assert caught.value.where == "model.decoder.dictionary.dict_file"

    @pytest.mark.parametrize(
        ("content", "expected"), [(b"a\r\nb\r\n", "ab"), ("\u2028\n\x85\n".encode(), "\u2028\x85")]
    )
    def test_a_line_ends_where_python_ends_one(self, letters, content, expected):
        letters.with_name("letters.txt").write_bytes(content)
        assert self.dictionary(letters).characters == expected

    @pytest.mark.parametrize("name", ["missing.txt", "", "."])
    def test_a_missing_file_is_named(self, letters, name):
        with pytest.raises(CompileError, match="cannot be found") as caught:
            self.dictionary(letters, dict_file=name)
        assert str(letters.parent) in caught.value.why
